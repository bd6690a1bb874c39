#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llmd: it listens where it is told to, serves what is asked of it with the bytes that programs have alone, and ends
# as it is told to.  On made models; the weights that it packs are those of llm-pack.
# shellcheck disable=SC2016 # what stands in single quotes is for eval
. tests/tap.sh
need_built mkgguf mkclients
make=$LLM_TEST_BUILD/tests/mkgguf clients=$LLM_TEST_BUILD/tests/mkclients
"$make" --shape tinyk --ctx 512 "$T/plain.gguf" || exit
llm-pack "$T/plain.gguf" "$T/packed.gguf"
export LLM_SOCKET="$T/run/llmd.sock" LLM_MODEL="$T/plain.gguf"
echo 'The cat sat on the mat, and the mat was' >"$T/text"
pid=

# A daemon, once it is ready: start [OPTION...].  Its lines go to $T/log.
start() {
	[ -z "$pid" ] || stop
	: >"$T/log"
	llmd "$@" >/dev/null 2>"$T/log" </dev/null &
	pid=$!
	wait_for 'ready'
}
# Until its log has a line that matches.
wait_for() {
	tap_wait=0
	until grep -Eq "$1" "$T/log" || [ $((tap_wait += 1)) -gt 200 ]; do sleep 0.05; done
}
stop() {
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	pid=
}
# shellcheck disable=SC2317 # the trap calls it
ended() {
	tap_was=$?
	stop
	(exit "$tap_was")
	tap_cleanup
}
trap ended EXIT

# --- where it listens
start
ok 'it listens at $LLM_SOCKET' [ -S "$LLM_SOCKET" ]
is 'its folder is the user'"'"'s alone' "$(stat -c %a "$T/run")" 700
is 'and so is the socket' "$(stat -c %a "$LLM_SOCKET")" 600
refuses 'a second one does not take its place' 75 'llmd.sock: another daemon listens there' llmd
ok 'the first one is still there' llmctl status
kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
ok 'killed, it leaves its socket behind' [ -S "$LLM_SOCKET" ]
start
ok 'which the next one replaces' llmctl status
kill -TERM "$pid"
wait "$pid"
is 'it ends well when it is told to' $? 0
pid=
nok 'and takes its socket with it' [ -e "$LLM_SOCKET" ]
refuses 'what is there and no socket stays' 71 'no socket' llmd -s "$T/text"
refuses 'a path that no socket can have' 64 '108 bytes|has [0-9]+ bytes' llmd -s "$T/$(printf %0120d 1)"
refuses 'memory is bytes' 64 '--memory' llmd --memory much
refuses 'it has no operands' 64 'operand' llmd something

# --- the same bytes
start -v
llm-generate --local -n 20 "$T/text" >"$T/alone"
exits 'an answer by the daemon' 0 llm-generate --daemon -n 20 "$T/text"
same 'is that without' "$T/alone" "$T/out"
like 'the model was loaded for it, and packed' "$(cat "$T/log")" 'load .*plain.gguf.*packed into sealed memory'
for options in '--temp 0.9 --seed 5' '--precise' '--kv q8_0' '--repeat-penalty 1.3 --draft 0' '-j' '-o'; do
	# shellcheck disable=SC2086 # words
	llm-generate --local -n 20 $options "$T/text" >"$T/alone"
	# shellcheck disable=SC2086
	llm-generate --daemon -n 20 $options "$T/text" >"$T/out" 2>"$T/err"
	same "the same bytes with $options" "$T/alone" "$T/out"
done
LLM_MODEL=$T/packed.gguf llm-generate --daemon -n 20 "$T/text" >"$T/out"
llm-generate --local -n 20 "$T/text" >"$T/alone"
same 'a packed file is mapped, and the bytes are the same' "$T/alone" "$T/out"
like 'mapped' "$(cat "$T/log")" 'load .*packed.gguf.* mapped'
llm-score --local "$T/text" >"$T/alone"
llm-score --daemon "$T/text" >"$T/out" 2>"$T/err"
same 'scores are the same' "$T/alone" "$T/out"
printf 'one line\nanother\nand a third one\n' >"$T/lines"
llm-classify --local --template chatml -l yes,no "$T/lines" >"$T/alone" 2>"$T/err"
llm-classify --daemon --template chatml -l yes,no "$T/lines" >"$T/out" 2>"$T/err"
same 'labels are the same' "$T/alone" "$T/out"
llm-embed --local -m "$T/plain.gguf" "$T/lines" >"$T/alone"
llm-embed --daemon -m "$T/plain.gguf" "$T/lines" >"$T/out" 2>"$T/err"
same 'vectors are the same' "$T/alone" "$T/out"

# --- what it keeps
seq -f 'Line %g of a text that is long enough to be worth it.' 12 >"$T/long"
llm-generate --local --no-cache -n 12 "$T/long" >"$T/alone"
llm-generate --daemon --no-cache -n 12 "$T/long" >"$T/out" 2>"$T/err"
same 'a long prompt has the same answer' "$T/alone" "$T/out"
llm-cache wipe >/dev/null
llm-generate --daemon -n 12 "$T/long" >/dev/null
llm-generate --daemon -n 12 "$T/long" >"$T/out" 2>"$T/err"
same 'so has one that was computed before' "$T/alone" "$T/out"
tap_wait=0
until [ "$(llm-cache list | wc -l)" -gt 0 ] || [ $((tap_wait += 1)) -gt 100 ]; do sleep 0.05; done
llm-generate --local -v -n 12 "$T/long" >"$T/out" 2>"$T/err"
like 'a program alone finds it on disk' "$(cat "$T/err")" 'prompt [0-9]+ tokens, [1-9][0-9]* of them kept'
same 'and has the same answer' "$T/alone" "$T/out"

# --- what it says
unlike 'no text of a prompt is in its log' "$(cat "$T/log")" 'cat sat|another'
like 'status names the models' "$(llmctl status)" 'packed.gguf'
like 'and itself' "$(llmctl -j status)" "\"pid\":$pid"
like 'what was done is counted' "$(llmctl -j stats)" '"requests":[1-9]'

# --- weights
like 'the weights are handed out, sealed' "$("$clients" "$LLM_SOCKET" weights "$T/plain.gguf" "$T/w")" '^packed sealed$'
same 'they are what llm-pack makes of the file' "$T/w" "$T/packed.gguf"
is 'a file is handed out as it is' "$("$clients" "$LLM_SOCKET" weights "$T/packed.gguf" "$T/w")" plain
same 'whole' "$T/w" "$T/packed.gguf"

# --- models come and go
exits 'a model is let go of' 0 llmctl unload "$T/plain.gguf"
nok 'and only one that is there' llmctl unload "$T/plain.gguf"
exits 'and loaded when it is asked for' 0 llmctl load "$T/plain.gguf"
refuses 'one that is not there is no input' 66 'no-model' llmctl load "$T/no-model.gguf"
refuses 'nor is a folder' 66 'directory' llmctl load "$T"
head -c 1000 "$T/plain.gguf" >"$T/broken.gguf"
refuses 'a file that is no model is bad data' 65 'broken.gguf' llmctl load "$T/broken.gguf"
llm-generate --daemon -n 8 "$T/text" >"$T/was"
"$make" --shape tinyk --ctx 512 --seed 77 "$T/new.gguf" && mv "$T/new.gguf" "$T/plain.gguf"
llm-generate --local -n 8 "$T/text" >"$T/alone"
llm-generate --daemon -n 8 "$T/text" >"$T/out" 2>"$T/err"
same 'a file that was replaced is another model' "$T/alone" "$T/out"
touch -d '2001-01-01' "$T/plain.gguf"
kill -HUP "$pid"
wait_for 'looked at anew'
like 'a hang-up signal lets go of what has changed' "$(cat "$T/log")" 'looked at anew: [0-9]+ stay, 1 go'

# --- memory
start --memory 300K
size=$(stat -c %s "$T/plain.gguf")
[ "$size" -gt 307200 ] || fail 'the test model is larger than the budget' "$size"
refuses 'a model that does not fit is refused with both numbers' 75 'needs [0-9.]+ MiB.*0\.3 MiB are free' \
	llmctl load "$T/plain.gguf"
llm-generate --local -n 8 "$T/text" >"$T/alone"
llm-generate -n 8 "$T/text" >"$T/out" 2>"$T/err"
same 'and a program goes on without' "$T/alone" "$T/out"
cp "$T/plain.gguf" "$T/other.gguf"
start --memory $((size * 3 / 2))
ok 'one fits' llmctl load "$T/plain.gguf"
ok 'another does too' llmctl load "$T/other.gguf"
like 'the first one went for it' "$(cat "$T/log")" 'unload .*plain.gguf'

# --- the end
start
ok 'a request is under way' llmctl load "$T/plain.gguf"
"$clients" "$LLM_SOCKET" busy "$T/plain.gguf" 40 >"$T/drained" &
other=$!
wait_for 'load'
sleep 0.2
kill -TERM "$pid"
wait "$other"
wait "$pid"
is 'the daemon ends' $? 0
pid=
like 'once what it had taken is done' "$(cat "$T/drained")" '^0 $'
start
exits 'stop ends it' 0 llmctl stop
wait "$pid"
is 'well' $? 0
pid=
refuses 'then there is none' 69 'no daemon' llmctl status
start -m "$T/plain.gguf"
wait_for 'load .*plain.gguf'
like 'a model can be there from the start' "$(llmctl status)" 'plain.gguf'

# --- a file that shrinks while it is in use
"$make" --shape tinyk --ctx 65536 "$T/long.gguf" && llm-pack "$T/long.gguf" "$T/shrinks.gguf"
start
refuses 'who was promised an answer is told that it ended' 69 'shrinks.gguf|daemon' eval \
	'(until llmctl status | grep -q shrinks || [ $((k += 1)) -gt 100 ]; do sleep 0.05; done
	sleep 0.3; truncate -s 5000 "$T/shrinks.gguf") & llm-generate --daemon -m "$T/shrinks.gguf" \
	--temp 1 -j -n 60000 "$T/text"'
wait "$pid"
is 'the daemon ends by an input error' $? 74
pid=
like 'that names the file' "$(cat "$T/log")" 'llmd: .*shrinks.gguf: the file shrank'
done_testing
