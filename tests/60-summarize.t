#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-summarize: what the model is shown, what becomes of its answer, and that it says nothing twice.
. tests/tap.sh

# --- with a model of straw: programs that stand beside the script come first
mkdir "$T/straw"
cp "$LLM_TEST_BIN/llm-summarize" "$T/straw/"
ln -s "$LLM_TEST_BIN/llm-fold" "$T/straw/llm-fold"
cat >"$T/straw/llm-info" <<'END'
#!/bin/sh
printf 'key\tllama.context_length\tu32\t%s\n' "${STRAW_CONTEXT:-4096}"
END
cat >"$T/straw/llm-tokenize" <<'END'
#!/bin/sh
for file; do :; done
wc -w <"$file" | tr -d ' '
END
cat >"$T/straw/llm-split" <<'END'
#!/bin/sh
while [ "$#" -gt 1 ]; do
	[ "$1" != -n ] || words=$2
	shift
done
awk -v max="$words" '{ if (n + NF > max) { printf "%c", 0; n = 0 } n += NF; print } END { printf "%c", 0 }' "$1"
END
cat >"$T/straw/llm-chat" <<'END'
#!/bin/sh
echo "$*" >>"$STRAW_LOG"
while [ "$#" -gt 1 ]; do
	[ "$1" != -f ] || cat "$2" >>"$STRAW_LOG.text"
	shift
done
[ ! -e "$STRAW_LOG.fail" ] || { echo 'llm-chat: it broke' >&2; exit 71; }
cat "$STRAW_LOG.says" 2>/dev/null || echo "Part $(wc -l <"$STRAW_LOG") is summarised."
[ ! -e "$STRAW_LOG.cut" ] || { echo 'llm-chat: the answer is cut' >&2; exit 2; }
END
chmod +x "$T"/straw/*
STRAW_LOG=$T/asked
export STRAW_LOG
straw() {
	"$T/straw/llm-summarize" "$@"
}
anew() {
	rm -f "$T"/asked*
}

i=0
while [ "$i" -lt 60 ]; do
	i=$((i + 1))
	echo "Nov 21 09:14:$((10 + i % 50)) host sshd[$((100 + i))]: Failed password for root from 10.0.0.$i port $((4000 + i)) ssh2"
done >"$T/log"
echo 'Nov 21 09:15:01 host kernel: C:\dir is	full' >>"$T/log"
straw "$T/log" >"$T/out"
is 'of a log the model sees one example of each template, and how often it came' "$(cat "$T/asked.text")" \
	'60 times: host sshd[101]: Failed password for root from 10.0.0.1 port 4001 ssh2
once: host kernel: C:\dir is full'
like 'it is asked about a log' "$(cat "$T/asked")" 'Summarize the log above'
is 'the answer is printed' "$(cat "$T/out")" 'Part 1 is summarised.'

anew
printf 'It was a dark night.\n\nNobody came to the house.\n\nThen it rained, and it rained all day.\n' >"$T/prose"
straw <"$T/prose" >"$T/out"
is 'what does not repeat is shown as it is' "$(cat "$T/asked.text")" "$(cat "$T/prose")"
like 'and asked about as a text' "$(cat "$T/asked")" 'Summarize the text above'

anew
printf 'The disk is full. The disk is full! It failed.\n\n\n1. the DISK is full.\n2. It is 5. It is 6.\n```\n3. It is 5.\nDone.\n' >"$T/asked.says"
is 'no sentence is printed twice' "$(straw "$T/prose")" 'The disk is full. It failed.

2. It is 5. It is 6.
Done.'

anew
is 'an empty input prints nothing' "$(straw </dev/null; echo $?)" 0
is 'nor do blanks alone' "$(printf ' \n\t\n' | straw; echo $?)" 0
nok 'and the model is not asked' test -e "$T/asked"

anew
i=0
while [ "$i" -lt 400 ]; do
	i=$((i + 1))
	echo "line $(echo "$i" | tr 0-9 a-j) says that $(echo "$i" | tr 0-9 k-t) is $(echo "$i" | tr 0-9 A-J)" "$(echo "$i" | tr 0-9 Q-Z)"
done >"$T/long"
STRAW_CONTEXT=1100 straw "$T/long" >"$T/out" 2>"$T/err"
is 'what is longer than the context is summarised by parts, and then as a whole' \
	"$(wc -l <"$T/asked" | tr -d ' ') $(cat "$T/out")" '6 Part 6 is summarised.'
is 'the model saw all of it, and then the summaries' \
	"$(head -n 400 "$T/asked.text" | cmp - "$T/long" && tail -n +401 "$T/asked.text" | grep -c 'Part [1-5] is')" 5
is 'with nothing on standard error' "$(cat "$T/err")" ''
STRAW_CONTEXT=1100 straw -v "$T/long" 2>&1 >"$T/out" | head -n 2 >"$T/err"
like '-v says what was split' "$(cat "$T/err")" ': 5 parts$'

anew
touch "$T/asked.cut"
exits 'an answer that is cut is 2' 2 straw "$T/prose"
is 'and stands on standard output' "$(cat "$T/out")" 'Part 1 is summarised.'
is 'with one line on standard error' "$(cat "$T/err")" 'llm-summarize: the answer is cut after 256 tokens (-n)'
anew
touch "$T/asked.fail"
refuses 'a stage that fails has its own status and message' 71 'llm-chat: it broke' straw "$T/prose"
STRAW_CONTEXT=1100 refuses 'in a part too' 71 'llm-chat: it broke' straw "$T/long"
STRAW_CONTEXT=300 refuses 'a context too short for an answer is refused with both numbers' 65 '256.*300' straw -n 256 "$T/prose"

anew
straw -n7 -t 3 --temp=0.5 --seed 9 --precise --top-p 0.8 "$T/prose" >"$T/out"
like 'options of the model and of sampling go on to it' "$(cat "$T/asked")" \
	'^--cache system -t 3 .*--temp 0.5 --seed 9 --precise --top-p 0.8 -n 7 '
straw -m 'a b' "$T/prose" >"$T/out"
like 'a model of any name' "$(tail -n 1 "$T/asked")" '^-m a b '
cp "$T/prose" "$T/xfile"
is 'files of any name are read' "$(cd "$T" && cp prose ./-n && straw -- xfile -n && rm ./-n)" 'Part 3 is summarised.'

# --- usage and failures
refuses 'an unknown option is a usage error' 64 'nonsense' straw --nonsense 3
refuses 'so is a value that is no number' 64 'expected a number' straw --temp 'a b' "$T/prose"
refuses 'and no tokens at all' 64 'whole number' straw -n 0 "$T/prose"
refuses 'and an option without its value' 64 'missing' straw -n
refuses 'a missing file is named' 66 'no-such' straw no-such
refuses 'a directory is no text' 66 'directory' straw "$T"
refuses 'a directory as standard input too' 66 'standard input: is a directory' straw <"$T"
refuses 'and a standard input that is closed' 66 'standard input: closed' straw <&-
exits 'the usage text on a full device is an error' 74 sh -c "'$T/straw/llm-summarize' -h >/dev/full"
exits 'so is the version' 74 sh -c "'$T/straw/llm-summarize' -V >/dev/full"
anew
printf 'Gr\374\303\274\374ne \346\226\207 \355\240\200 \361\200\200\200 \360\237\231\202\004a\r\nb\377' | straw >"$T/out"
is 'bytes that are no text are shown as question marks, and controls as blanks' "$(cat "$T/asked.text")" \
	"$(printf 'Gr?\303\274?ne \346\226\207 ??? ???? \360\237\231\202 a \nb?')"
exits 'a full device is an error' 74 sh -c "'$T/straw/llm-summarize' '$T/prose' >/dev/full"
mkdir "$T/tmp"
TMPDIR=$T/tmp straw "$T/prose" >"$T/out"
TMPDIR=$T/tmp straw no-such 2>"$T/err"
cat >"$T/straw/llm-chat" <<'END'
#!/bin/sh
exec sleep 20
END
TMPDIR=$T/tmp "$T/straw/llm-summarize" "$T/prose" >"$T/out" 2>"$T/err" &
pid=$!
sleep 0.5
kill -TERM "$pid"
status=0
wait "$pid" 2>/dev/null || status=$?
is 'a signal ends it at once' "$status" 143
is 'nothing is left behind, after a signal neither' "$(ls "$T/tmp")" ''

# --- with the small model
if have_model; then
	LLM_MODEL=$LLM_TEST_MODEL
	export LLM_MODEL
	exits 'a text is summarised' 0 llm-summarize -n 64 --seed 1 "$T/prose"
	like 'in words' "$(cat "$T/out")" '[a-z]{3,} [a-z]{2,}'
	printf 'Die Gr\374\337e aus M\374nchen kamen an.\004\n' >"$T/latin"
	exits 'a text in Latin-1 is too, though bytes of it have no token' 0 llm-summarize -n 64 "$T/latin"
	exits 'from cron too' 0 env -i HOME="$HOME" PATH=/usr/bin:/bin LLM_MODEL="$LLM_MODEL" \
		"$LLM_TEST_BIN/llm-summarize" -n 64 --seed 1 "$T/prose"
	if have_shared logs; then
		for file in "$LLM_TEST_SHARED"/logs/*.log; do
			log=$(basename "$file" .log)
			exits "the log of $log is summarised to an end" 0 llm-summarize "$file"
			is 'and no sentence comes twice' "$(tr '[:upper:]' '[:lower:]' <"$T/out" | sed 's/[.!?] /&\
/g' | sed 's/^[ 	]*//; s/[ 	]*$//' | grep . | sort | uniq -d)" ''
			like 'nor is it empty' "$(cat "$T/out")" '[a-z]{3,} [a-z]{2,}'
		done
	else
		skip 'logs are summarised to an end' 'no shared data: ../shared/data is not there'
	fi
else
	skip 'texts and logs are summarised' 'no model: the small model could not be fetched'
fi
done_testing
