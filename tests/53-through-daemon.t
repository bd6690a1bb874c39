#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Every program that computes with a model, through the daemon and alone: the same standard output, standard
# error and exit status.
# shellcheck disable=SC2016 # what stands in single quotes is for sh
. tests/tap.sh
[ -x "$LLM_TEST_BIN/llmd" ] || skip_all 'llmd is not built'
export LLM_MODEL="$T/model.gguf" LLM_ENCODER="$T/encoder.gguf" LLM_SOCKET="$T/socket"
mkgguf=$LLM_TEST_BUILD/tests/mkgguf
"$mkgguf" --shape tinyk --ctx 1024 "$LLM_MODEL" || exit
"$mkgguf" --shape tiny --seed 3 "$T/other.gguf" || exit
"$mkgguf" --shape tinyk --type-of ffn_down=F32 --std-of ffn_down=inf "$T/infinite.gguf" || exit
head -c 3000 "$LLM_MODEL" >"$T/short.gguf"
if have_encoder; then
	ln -s "$LLM_TEST_ENCODER" "$LLM_ENCODER"
else
	ln -s "$LLM_MODEL" "$LLM_ENCODER"
fi

daemon=
# listen: waits until somebody does.
listen() {
	tap_wait=0
	until [ -S "$LLM_SOCKET" ] || [ $((tap_wait += 1)) -gt 2000 ]; do sleep 0.05; done
}
trap '[ -z "$daemon" ] || kill "$daemon"; tap_cleanup' EXIT

# through NAME CMD...: the same with the daemon and without; standard input is $T/in.
through() {
	name=$1
	shift
	"$@" --local <"$T/in" >"$T/out.alone" 2>"$T/err.alone"
	alone=$?
	"$@" --daemon <"$T/in" >"$T/out" 2>"$T/err"
	status=$?
	is "$name: the status is the same" "$status" "$alone"
	same "$name: the bytes are" "$T/out.alone" "$T/out"
	same "$name: what is on standard error is" "$T/err.alone" "$T/err"
}

printf 'The cat sat on the mat.\nIt was a long day, and nobody came.\n\nThe cat sat on the mat.\nIt was' >"$T/text"
printf 'gr\374n \346\226 \000\001\377 end\n' >"$T/bytes"
awk 'BEGIN { for (i = 0; i < 900; i++) print "the cat is line " i }' >"$T/long"
: >"$T/empty"
cp "$T/text" "$T/in"
llmd -s "$LLM_SOCKET" >"$T/log" 2>&1 &
daemon=$!
listen

# --- llm-generate
through 'a text goes on' llm-generate -n 40
through 'from a file' llm-generate -n 40 "$T/text"
through 'drawn with a seed' llm-generate -n 40 --temp 1 --seed 7
through 'with another' llm-generate -n 40 --temp 0.8 --top-k 40 --top-p 0.9 --min-p 0.01 --repeat-penalty 1.3 --seed 18446744073709551615
through 'without guesses' llm-generate -n 60 --draft 0
through 'with biases' llm-generate -n 20 --logit-bias 5=-inf --logit-bias 7=2.5
stop=$(llm-generate --local -n 20 "$T/text" | tail -c 12 | head -c 5)
through 'a stop string ends it' llm-generate -n 40 --stop "$stop" --stop 'not there'
through 'ids in and out' llm-generate -i -o -n 20 "$(llm-tokenize "$T/text" >"$T/ids" && echo "$T/ids")"
through 'an object' llm-generate -j -n 20
through 'no token at all' llm-generate -n 0
through 'to the end of the context' llm-generate --fit tail "$T/long"
through 'bytes that are no text' llm-generate -n 20 "$T/bytes"
through 'and their object' llm-generate -j -n 20 "$T/bytes"
through 'keys and values in 8 bits' llm-generate -n 20 --kv q8_0
through 'precisely' llm-generate -n 10 --precise
through 'nothing kept' llm-generate -n 20 --no-cache
through 'an empty input' llm-generate -n 5 "$T/empty"
through 'an input too long' llm-generate -n 5 "$T/long"
through 'a part of it' llm-generate -n 5 --fit middle "$T/long"
through 'an id that there is not' llm-generate -n 5 -i "$(echo 1 99999999 >"$T/wrong" && echo "$T/wrong")"
through 'a bias on one' llm-generate -n 5 --logit-bias 99999999=1
through 'a model that is not there' llm-generate -n 5 -m "$T/none.gguf"
through 'one that is cut short' llm-generate -n 5 -m "$T/short.gguf"
through 'one whose numbers are not finite' llm-generate -n 5 -m "$T/infinite.gguf"
through 'another one' llm-generate -n 5 -m "$T/other.gguf"

# --- llm-chat
through 'a question' llm-chat -n 30 'What is this?'
through 'with the system first' llm-chat -n 30 --temp 0 -S 'Be short.' --cache system 'What is this?'
through 'an answer cut by its limit' llm-chat -n 2 'What is this?'
through 'data too long' sh -c 'llm-chat -n 20 "$@" "What?" <"$T/long"' sh
through 'their tail' sh -c 'llm-chat -n 20 --fit tail "$@" "What?" <"$T/long"' sh
export XDG_STATE_HOME="$T/state"
for way in local daemon; do
	llm-chat --"$way" --session "$way" -n 20 'One?' <"$T/text" >"$T/out.$way" 2>&1
	llm-chat --"$way" --session "$way" -n 20 'Two?' </dev/null >>"$T/out.$way" 2>&1
done
same 'a session goes on in the same way' "$T/out.local" "$T/out.daemon"
same 'and its transcript is the same' "$T/state/llm/sessions/local.jsonl" "$T/state/llm/sessions/daemon.jsonl"
exits 'what the daemon began goes on without it' 0 sh -c 'llm-chat --local --session daemon -n 60 "Three?" </dev/null || [ $? -eq 2 ]'

# --- llm-score
through 'scores' llm-score
through 'perplexity in windows' llm-score -p -w 64 "$T/long"
through 'the likeliest' llm-score -j -k 5
through 'scores of bytes' llm-score "$T/bytes"
through 'scores with other keys and values' llm-score --kv q8_0
through 'scores of what is too long' llm-score "$T/long"
through 'scores of nothing' llm-score "$T/empty"

# --- records
through 'labels' llm-classify -l cat,day,catalogue
through 'labels, calibrated' llm-classify -j --calibrate -l yes,no "$T/long"
through 'with keys and values in 8 bits' llm-classify --kv q8_0 -l yes,no
through 'a record too long' sh -c 'tr "\n" " " <"$T/long" | cat - "$T/text" | llm-classify -l a,b "$@"' sh
through 'yes or no' llm-grep -n 'Is this about a cat?'
through 'and how many' llm-grep -c -v 'x' "$T/long" "$T/text"
through 'vectors' llm-embed
through 'a file of them' llm-embed --raw "$T/long"
through 'of a chat model' llm-embed -m "$LLM_MODEL" --pooling last -j
through 'of bytes' llm-embed "$T/bytes"
through 'of records too long' sh -c 'tr "\n" " " <"$T/long" | llm-embed "$@" - "$T/text"' sh
through 'of their heads' sh -c 'tr "\n" " " <"$T/long" | llm-embed --fit head --no-normalize "$@" - "$T/text"' sh
through 'an index' llm-search -b "$T/index" "$T/text"
through 'and what is near in it' llm-search -n 3 "$T/index" cat
through 'near to each line' llm-search -j -n 2 "$T/index"
if have_encoder; then
	through 'labels by an encoder' llm-classify -m "$LLM_TEST_ENCODER" -l cat,day
	through 'near to a phrase' llm-grep -m "$LLM_TEST_ENCODER" --margin 0.2 'a pet'
fi

# --- those that stand on llm-chat
if have_model; then
	through 'a summary' llm-summarize -m "$LLM_TEST_MODEL" -n 40 "$T/text"
else
	skip 'a summary' 'no model'
fi

# --- at once
for i in 1 2 3 4 5 6; do
	llm-generate --local -n 30 --temp 1 --seed "$i" "$T/text" >"$T/alone.$i"
done
for i in 1 2 3 4 5 6; do
	llm-generate --daemon -n 30 --temp 1 --seed "$i" "$T/text" >"$T/beside.$i" &
	beside="${beside-} $!"
done
for i in $beside; do wait "$i"; done
differ=
for i in 1 2 3 4 5 6; do
	cmp -s "$T/alone.$i" "$T/beside.$i" || differ="$differ $i"
done
is 'each of six at once gets what it gets alone' "$differ" ''

# --- a program that runs longer than its daemon
mkfifo "$T/fifo"
llm-embed --daemon <"$T/fifo" >"$T/stream" 2>"$T/err" &
stream=$!
exec 3>"$T/fifo"
echo 'The cat sat.' >&3
tap_wait=0
until [ -s "$T/stream" ] || [ $((tap_wait += 1)) -gt 2000 ]; do sleep 0.05; done
kill "$daemon"
wait "$daemon" 2>/dev/null
rm -f "$LLM_SOCKET"
llmd -s "$LLM_SOCKET" >"$T/log" 2>&1 3>&- &
daemon=$!
listen
echo 'The dog sat.' >&3
exec 3>&-
status=0
wait "$stream" || status=$?
is 'a daemon that was started again goes on with who asks it next' "$status$(cat "$T/err")" 0
printf 'The cat sat.\nThe dog sat.\n' | llm-embed --local >"$T/out"
same 'with the same bytes' "$T/out" "$T/stream"

# --- where it is, and how it goes
is 'a relative path of a socket is one' "$(cd "$T" && LLM_SOCKET='' llm-generate --daemon -s socket -n 30 --temp 1 --seed 1 text)" "$(cat "$T/alone.1")"
refuses 'a model that the daemon cannot have is refused by name' 66 'none.gguf' llm-generate --daemon -m "$T/none.gguf" "$T/text"
"$mkgguf" --shape tinyk --layers 4 --ctx 100000 "$T/endless.gguf"
llm-generate -m "$T/endless.gguf" -n 99000 --logit-bias 0=-inf --logit-bias 1=-inf --logit-bias 2=-inf "$T/text" >"$T/half" 2>"$T/err" &
half=$!
tap_wait=0
until [ -s "$T/half" ] || [ $((tap_wait += 1)) -gt 2000 ]; do sleep 0.02; done
kill -9 "$daemon"
status=0
wait "$half" || status=$?
is 'a daemon that is killed in mid-answer is 69' "$status" 69
is 'with one line' "$(wc -l <"$T/err")" 1
ok 'after what there was' test -s "$T/half"
daemon=
exits 'where it died, programs compute by themselves' 0 llm-generate -n 30 --temp 1 --seed 1 "$T/text"
same 'the same bytes' "$T/alone.1" "$T/out"
LLM_SOCKET=$T/run/llm/llmd.sock
mkdir -m 700 "$T/run"
XDG_RUNTIME_DIR=$T/run llmd >"$T/log" 2>&1 &
daemon=$!
listen
exits 'without a name it is where the user'\''s sockets are' 0 \
	env -u LLM_SOCKET XDG_RUNTIME_DIR="$T/run" llm-generate --daemon -n 30 --temp 1 --seed 1 "$T/text"
same 'with the same bytes' "$T/alone.1" "$T/out"
done_testing
