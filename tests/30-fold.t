#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-fold: templates and counts, the rare, the new; every line counted once, none changed.
. tests/tap.sh
tab=$(printf '\t')

cat >"$T/log" <<'END'
Nov 21 09:14:10 host sshd[101]: Failed password for root from 10.0.0.1 port 4001 ssh2
Nov 21 09:14:11 host sshd[102]: Failed password for root from 10.0.0.2 port 4002 ssh2
Nov 21 09:15:01 host kernel: disk is	full
Nov 21 09:15:02 host sshd[103]: Failed password for root from 10.0.0.3 port 4003 ssh2
Nov 21 09:15:03 host cron[9]: job 7 done
Nov 21 09:15:04 host cron[9]: job 8 done
END

# --- what is printed
llm-fold "$T/log" >"$T/out"
is 'templates come with their counts, most frequent first' "$(cat "$T/out")" \
"3${tab}<time> host sshd[<num>]: Failed password for root from <ip> port <num> ssh2
2${tab}<time> host cron[<num>]: job <num> done
1${tab}<time> host kernel: disk is full"
is 'of equally frequent ones the first seen is first' "$(printf 'b c\na d\nb c\na d\nx y\n' | llm-fold)" \
"2${tab}b c
2${tab}a d
1${tab}x y"
is 'an example is added, its tab escaped' "$(llm-fold -e "$T/log" | tail -n 1)" \
	"1${tab}<time> host kernel: disk is full${tab}Nov 21 09:15:01 host kernel: disk is\\tfull"
is 'JSON Lines have number, count, template and example' "$(printf 'a 1\nb "x\na 2\na 3\n' | llm-fold -j)" \
'{"n":1,"count":3,"template":"a <num>","example":"a 1"}
{"n":2,"count":1,"template":"b \"x","example":"b \"x"}'
is 'rare lines come as they are' "$(llm-fold -r 2 "$T/log")" "$(sed -n '3p;5p;6p' "$T/log")"
is 'each line comes with the number of its template' "$(llm-fold -a "$T/log" | cut -f 1 | tr '\n' ' ')" '1 1 2 1 3 3 '
llm-fold -a "$T/log" | cut -f 2- >"$T/out"
same 'and unchanged' "$T/out" "$T/log"
# shellcheck disable=SC2002 # standard input shall be a pipe
is 'several files are one log' "$(cat "$T/log" | llm-fold "$T/log" - "$T/log" | cut -f 1 | tr '\n' ' ')" '9 6 3 '
is 'numbers in -a and -j agree' "$(llm-fold -a "$T/log" | cut -f 1 | sort | uniq -c | awk '{ print $2, $1 }')" \
	"$(llm-fold -j "$T/log" | sed 's/{"n":\([0-9]*\),"count":\([0-9]*\).*/\1 \2/' | sort)"

# --- lines
is 'an empty input prints nothing' "$(llm-fold </dev/null; llm-fold -a </dev/null; llm-fold -j </dev/null)" ''
exits 'and is done' 0 llm-fold /dev/null
is 'a return before a newline is dropped, another is not' "$(printf 'a\r\nb\rc\r\r\nd\r' | llm-fold -a | od -An -c | tr -d ' \n')" \
	'1\ta\n2\tb\rc\r\n3\td\r\n'
is 'nor is it in an example' "$(printf 'a 1\r\n' | llm-fold -e)" "1${tab}a <num>${tab}a 1"
is 'a missing last newline is added' "$(printf 'a b' | llm-fold -a)" "1${tab}a b"
is 'in each of several files' "$(printf 'a b' >"$T/x"; llm-fold -a "$T/x" "$T/x")" "1${tab}a b
1${tab}a b"
is 'an empty line is a line' "$(printf '\n\n' | llm-fold | cut -f 1)" 2
is 'NUL and bytes that are no UTF-8 are data' "$(printf 'a \377\000b\n' | llm-fold -a | od -An -tx1 | tr -d ' \n')" \
	'3109''6120ff0062''0a'
is 'and are escaped in a template' "$(printf 'a \377b\n' | llm-fold)" "1${tab}a \\xFFb"
head -c 3000000 /dev/zero | tr '\0' 'x' >"$T/long"
echo >>"$T/long"
echo y >>"$T/long"
llm-fold -a "$T/long" | cut -f 2- >"$T/out"
same 'a line of three megabytes goes through' "$T/out" "$T/long"
# shellcheck disable=SC2002 # a pipe is what is tried
cat "$T/long" | llm-fold -a | cut -f 2- >"$T/out"
same 'in a pipe too' "$T/out" "$T/long"

# --- any input: counts add up to the lines, memory stays
awk 'BEGIN {
	srand(3)
	for (i = 0; i < 120000; i++) {
		s = ""
		for (k = 0; k < 8; k++) { x = int(rand() * 1e6); w = ""; while (x) { w = w sprintf("%c", 97 + x % 10); x = int(x / 10) } s = s " " w }
		print s
	}
}' >"$T/hostile"
is 'counts add up to the lines when no two are alike' \
	"$(llm-fold "$T/hostile" | awk -F '\t' '{ s += $1 } END { print s }')" 120000
if ! under_asan; then
	exits 'in 128 MiB' 0 sh -c "ulimit -v 131072; llm-fold '$T/hostile'"
	for i in c d e f; do # as many again, with other letters
		tr a-j "$i-z" <"$T/hostile"
	done >"$T/hostiles"
	exits 'however long the log' 0 sh -c "ulimit -v 131072; llm-fold '$T/hostile' '$T/hostiles'"
fi
exits 'random bytes are a log' 0 sh -c 'head -c 3000000 /dev/urandom | llm-fold -a'

# --- usage and failures
refuses 'an unknown option is a usage error' 64 'nonsense' llm-fold --nonsense
refuses '-a and -r exclude each other' 64 'exclude' llm-fold -a -r 3
refuses '-r needs a number' 64 'whole number' llm-fold -r 0
refuses 'a missing file is named' 66 'no-such' llm-fold no-such
refuses 'a directory is no log' 66 'directory' llm-fold "$T"
refuses '-f follows one file' 64 'operand' llm-fold -f a b
exits 'a full device is an error' 74 sh -c "llm-fold '$T/log' >/dev/full"
is 'a reader that goes away ends it in silence' "$(yes 'a b' | head -n 300000 | llm-fold -a 2>&1 | head -n 1)" "1${tab}a b"
exits 'a log from cron' 0 env -i HOME=/nonexistent PATH=/usr/bin:/bin "$LLM_TEST_BIN/llm-fold" "$T/log"

# --- following
# until FILE LINES: waits until the file has so many lines, five seconds at most.
until_lines() {
	tap_i=0
	while [ "$(wc -l <"$1")" -lt "$2" ] && [ "$tap_i" -lt 50 ]; do
		sleep 0.1
		tap_i=$((tap_i + 1))
	done
}
printf 'start 1\nstart 2\nstop 1\n' >"$T/grow"
: >"$T/new"
llm-fold -f "$T/grow" >"$T/new" 2>"$T/err" &
pid=$!
until_lines "$T/new" 2
is 'what is there is read, and the first of each shape printed' "$(cat "$T/new")" "1${tab}start 1
2${tab}stop 1"
printf 'start 3\nfail 1\nhalf' >>"$T/grow"
until_lines "$T/new" 3
is 'a line of a new shape is printed as it comes' "$(tail -n 1 "$T/new")" "3${tab}fail 1"
printf ' a line\n' >>"$T/grow"
until_lines "$T/new" 4
is 'a line that comes in two parts is one' "$(tail -n 1 "$T/new")" "4${tab}half a line"
mv "$T/grow" "$T/grow.1"
echo 'last words' >>"$T/grow.1"
printf 'stop 2\nrotated away\n' >"$T/grow"
until_lines "$T/new" 6
is 'a file that is rotated is read to its end, then the next' "$(tail -n 2 "$T/new")" "5${tab}last words
6${tab}rotated away"
printf 'cut short\n' >"$T/grow"
until_lines "$T/new" 7
is 'a file that is truncated is read anew' "$(tail -n 1 "$T/new")" "7${tab}cut short"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
is 'a signal ends it, with success' "$status $(cat "$T/err")" '0 '
is 'a pipe is followed to its end' "$(printf 'a 1\r\na 2\nb' | llm-fold -f)" "1${tab}a 1
2${tab}b"
refuses 'what is not there cannot be followed' 66 'no-such' llm-fold -f no-such

# --- does it find the events?
# accuracy LABELS LOG: the share of lines whose group is just the label's.
accuracy() {
	llm-fold -a "$2" | cut -f 1 | paste "$1" - | awk -F '\t' '
	{ label[NR] = $1; group[NR] = $2; in_label[$1]++; in_group[$2]++; both[$1 "\t" $2]++ }
	END {
		for (i = 1; i <= NR; i++) {
			n = both[label[i] "\t" group[i]]
			good += n == in_label[label[i]] && n == in_group[group[i]]
		}
		printf "%.3f\n", good / NR
	}'
}
sum=0
n=0
for file in tests/data/fold/*.txt; do
	case $file in */README.txt) continue ;; esac
	cut -f 1 "$file" >"$T/labels"
	cut -f 2- "$file" >"$T/lines"
	a=$(accuracy "$T/labels" "$T/lines")
	diag "$(basename "$file" .txt) $a"
	sum=$(awk "BEGIN { print $sum + $a }")
	n=$((n + 1))
done
ok 'of made-up logs in thirteen manners, grouping is right for nine lines in ten' awk "BEGIN { exit $sum / $n < 0.9 }"
if have_shared logs; then
	sum=0
	n=0
	for file in "$LLM_TEST_SHARED"/logs/*.log; do
		a=$(accuracy "${file%.log}.events" "$file")
		diag "$(basename "$file" .log) $a"
		sum=$(awk "BEGIN { print $sum + $a }")
		n=$((n + 1))
	done
	ok 'of real logs, for nine in ten' awk "BEGIN { exit $sum / $n < 0.9 }"
else
	skip 'of real logs, for nine in ten' 'no shared data: ../shared/data is not there'
fi
done_testing
