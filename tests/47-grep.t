#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-grep: selects what is more probably yes than no, prints as grep does, at once; the same however it is
# computed.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
"$make" --seed 5 --ctx 2048 --set tokenizer.ggml.add_bos_token=bool:true "$T/tiny.gguf"
ask() {
	llm-grep -m "$T/tiny.gguf" --template llama2 --margin 0.3 "$@"
}
i=0
while [ "$i" -lt 60 ]; do
	i=$((i + 1))
	echo "line $i of text $((i * i)) here"
done >"$T/lines"
cd "$T" || exit 1
n=$(wc -l <lines)

# Which records, against scoring the same text.  In this vocabulary Yes and YES begin with one token, and
# No and NO: those are the spellings that cost nothing.
question='Is it?'
while IFS= read -r line; do
	for answer in Yes YES No NO; do
		printf '[INST] Answer Yes or No. %s\n\nLine: %s [/INST]%s' "$question" "$line" "$answer" |
			llm-score -m ./tiny.gguf | tail -n "$(printf %s "$answer" | llm-tokenize -m ./tiny.gguf -c)" |
			awk -F '\t' '{ s += $2 } END { printf "%.9g ", exp(s) }'
	done
	echo "$line"
done <lines | head -n 12 >scored
is 'what is more probably yes is printed' "$(head -n 12 lines | ask --margin 0 "$question")" \
	"$(awk '$1 + $2 > $3 + $4 { sub(/^[^ ]* [^ ]* [^ ]* [^ ]* /, ""); print }' scored)"

# As grep prints it: its own -x -F -f knows the lines that were selected.
ask "$question" lines >selected
some=$(wc -l <selected)
ok 'some are selected' test "$some" -gt 5
ok 'and some are not' test "$some" -lt $((n - 5))
same_as() {
	tap_name=$1
	shift
	ask "$@" >got
	shift_question "$@" >want
	same "$tap_name" got want
}
# The same options to grep itself, the question replaced by the lines that were selected.
shift_question() {
	grep_args=
	for arg in "$@"; do
		case $arg in
		"$question") grep_args="$grep_args -x -F -f selected" ;;
		--max-count) grep_args="$grep_args -m" ;;
		*) grep_args="$grep_args $arg" ;;
		esac
	done
	# shellcheck disable=SC2086 # options are words
	grep $grep_args
}
head -n 20 lines >a
tail -n 20 lines >b
echo 'nothing that was asked about' >c
: >empty
same_as 'lines' "$question" lines
same_as 'the others with -v' -v "$question" lines
same_as 'their numbers with -n' -n "$question" lines
same_as 'how many with -c' -c "$question" lines
same_as 'how many others with -c -v' -c -v "$question" lines
same_as 'the lines after with -A' -A 1 "$question" lines
same_as 'the lines before with -B' -B 1 -n "$question" lines
same_as 'the lines around with -C' -C 2 -n "$question" lines
same_as 'around the others, too' -C 1 -v -n "$question" lines
same_as '-A and -B are before -C' -C 3 -A 0 -B 1 -n "$question" lines
same_as 'at most so many with --max-count' --max-count 3 -n "$question" lines
same_as 'and what follows the last of them' --max-count 2 -A 2 -n "$question" lines
same_as 'also counted' --max-count 3 -c "$question" lines
grep -v -x -F -f selected lines >others
same_as 'several files are named' "$question" a b
same_as 'with numbers' -n "$question" a b
same_as 'and what stands around' -n -C 1 "$question" a empty b
head -n 3 selected >d
same_as 'a line between groups, also where the next file begins with one' -n -A 1 "$question" d d a
same_as 'and where no lines around are printed' -C 0 "$question" a d
same_as 'or none before' -B 0 -n "$question" d a d
same_as 'counts of several files' -c "$question" a others empty b
same_as 'the files that have a match with -l' -l "$question" others a empty b
same_as 'the files that have others with -l -v' -l -v "$question" a others empty b
same_as 'at most so many of each file' --max-count 1 "$question" a b others
ask -n "$question" a - <b >got
shift_question -n "$question" a - <b >want
same 'the standard input among files' got want
ask "$question" <lines >got
same 'or alone' got selected
ask "$question" - <lines >got
same 'or by name' got selected
ask -- '-is it a question?' lines >/dev/null 2>err
is 'after -- a question may begin with a dash' "$(cat err)" ''
tr '\n' '\000' <lines | ask -0 "$question" | tr '\000' '\n' >got
same 'records ended by NUL come out so' got selected
sed 's/.*/{"id":7,"text":"&"}/' lines | ask --field text "$question" >got
sed 's/.*/{"id":7,"text":"&"}/' selected >want
same 'of JSON Lines a field is asked about, and the object printed' got want
printf 'no newline \377\376\001 at the end' >binary
{ ask "$question" binary; ask -v "$question" binary; } >got
{ cat binary; echo; } >want
same 'any bytes come out as they were' got want

# Statuses.
exits 'status 0: something was selected' 0 ask "$question" lines
exits 'status 1: nothing was' 1 ask "$question" others
is 'nothing is printed then' "$(wc -c <out)" 0
exits 'nothing is in an empty file' 1 ask "$question" empty
exits '-q says it by its status' 0 ask -q "$question" lines
is 'alone' "$(cat out err)" ''
exits 'a file that is missing is told of, and the others are read' 66 ask "$question" absent lines
like 'by its name' "$(cat err)" '^llm-grep: absent: No such file'
sed 's/^/lines:/' selected >want
same 'the others are printed' out want
exits 'with -q a match counts for more' 0 ask -q "$question" absent lines
exits 'a directory is no file' 66 ask "$question" . lines
printf '{"t":1}\n{"t":"%s"}\n' "$(head -n 1 selected)" >json
exits 'a bad record is told of, and the others are asked about' 65 ask --field t "$question" json
like 'by its number' "$(cat err)" '^llm-grep: json, record 1: the field is not a string$'
is 'the others are printed' "$(wc -l <out)" 1
exits 'with -v it is not selected either' 65 ask -v --field t "$question" json
is 'as nothing is' "$(wc -l <out)" 0
refuses 'no question' 64 'no question' llm-grep -m "$T/tiny.gguf"
refuses 'an empty question' 64 'empty' ask ' ' lines
refuses 'a margin past 1' 64 'margin' ask --margin 1.5 "$question" lines
# shellcheck disable=SC2016 # sh expands
exits 'a full disk is an error' 74 sh -c 'llm-grep -m ./tiny.gguf --template llama2 "$1" lines >/dev/full' sh "$question"

# The same however it is computed; as soon as it is known.
for args in '--batch 1' '--batch 64 -t 1' '-t 3' '--batch 5'; do
	# shellcheck disable=SC2086 # options are words
	ask $args "$question" lines >got
	same "the bytes are the same with $args" got selected
done
cat lines lines lines | ask "$question" >got
cat selected selected selected >want
same 'equal lines have equal answers' got want
{
	head -n 1 selected
	sleep 1
	head -n 1 selected
} | ask "$question" | {
	IFS= read -r first
	date +%s%N >began
	printf '%s\n' "$first" >got
	cat >/dev/null
	date +%s%N >end
}
is 'a line of a slow pipe is answered' "$(cat got)" "$(head -n 1 selected)"
ok 'before the next one comes' test "$(cat end)" -gt $(($(cat began) + 500000000))
mkfifo endless
(
	cat lines
	exec sleep 30
) >endless &
writer=$!
exits '-q ends at the first match, while the pipe is open' 0 timeout 20 llm-grep -q -m ./tiny.gguf --template llama2 "$question" endless
kill "$writer" 2>/dev/null
(
	cat lines
	exec sleep 30
) >endless &
writer=$!
exits 'so does --max-count' 0 timeout 20 llm-grep --max-count 2 -m ./tiny.gguf --template llama2 --margin 0.3 "$question" endless
kill "$writer" 2>/dev/null
head -n 2 selected >want
same 'after so many' out want

if have_model && have_shared logs/OpenSSH.log; then
	"$make" --shape 15M --seed 1 --ctx 2048 15M.gguf
	llm-grep -m ./15M.gguf --template llama2 -v "$question" "$LLM_TEST_SHARED/logs/OpenSSH.log" 2>/dev/null | head -n 1 >got
	is 'a log of 2,000 lines is read from its beginning' "$(cat got)" "$(head -n 1 "$LLM_TEST_SHARED/logs/OpenSSH.log")"
else
	skip 'a log of 2,000 lines is read from its beginning' 'no shared data: ../shared/data is not there'
fi

# By an encoder: near to a phrase.
if have_encoder; then
	printf 'The disk is full.\nWrong password for root.\n\nNo space left on device.\nLunch is at noon.\n' >text
	{ echo 'storage space ran out'; cat text; } | llm-embed -m "$LLM_TEST_ENCODER" 2>/dev/null |
		awk -F '\t' 'NR == 1 { split($0, q); next } { dot = 0; for (i = 1; i <= NF; i++) dot += $i * q[i]; print (dot >= 0.3 ? "yes" : "no") }' >near
	paste near text | sed -n 's/^yes	//p' >want
	llm-grep -m "$LLM_TEST_ENCODER" 'storage space ran out' text >got
	same 'an encoder: what has a cosine of 0.3 is printed' got want
	is 'an encoder: that is what means something near' "$(cat got)" "$(printf 'The disk is full.\nNo space left on device.')"
	llm-grep -m "$LLM_TEST_ENCODER" --batch 1 -t 1 'storage space ran out' text >got
	same 'an encoder: the bytes are the same one by one' got want
	is 'an encoder: --margin is the least cosine' "$(llm-grep -m "$LLM_TEST_ENCODER" -c --margin 0.99 'The disk is full.' text)" 1
	exits 'an encoder: status 1 where nothing is near' 1 llm-grep -m "$LLM_TEST_ENCODER" 'the poetry of Rilke' text
else
	skip 'an encoder: what has a cosine of 0.3 is printed' 'no encoder: the sentence encoder could not be fetched'
fi
done_testing
