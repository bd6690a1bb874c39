#!/bin/sh
# SPDX-License-Identifier: ISC
#
# A daemon that is not there, refuses, dies or talks nonsense, as users meet it: before anything of an answer is
# there a program computes by itself, with the same bytes; after that it says that the answer is not whole.
# shellcheck disable=SC2016 # what stands in single quotes is for eval
. tests/tap.sh
export LLM_MODEL="$T/model.gguf"
"$LLM_TEST_BUILD/tests/mkgguf" --shape tinyk --ctx 512 "$LLM_MODEL" || exit
export LLM_SOCKET="$T/socket"
printf 'The cat sat on the mat.\nIt was a long day, and nobody came.\n' >"$T/text"
daemon=

# A daemon of one kind instead of the one before: serve MODE [ARG [TEXT]].
serve() {
	[ -z "$daemon" ] || kill "$daemon"
	rm -f "$LLM_SOCKET"
	"$LLM_TEST_BUILD/tests/mkdaemon" "$LLM_SOCKET" "$@" >"$T/asked" &
	daemon=$!
	tap_wait=0
	until [ -S "$LLM_SOCKET" ] || [ $((tap_wait += 1)) -gt 2000 ]; do sleep 0.05; done
}
last() {
	tail -n 1 "$T/asked" | tr ' ' '\n' | sed -n "s/^$1=//p"
}

# --- none
exits 'without a daemon a program computes by itself' 0 llm-generate -n 6 "$T/text"
cp "$T/out" "$T/alone"
is 'in silence' "$(cat "$T/err")" ''
refuses 'one that is demanded and not there is 69' 69 'llm-generate: .*socket' llm-generate --daemon -n 6 "$T/text"
refuses 'so in a question' 69 '' llm-chat --daemon -n 3 'What?'
for program in 'llm-score' 'llm-classify -l a,b' 'llm-grep x' 'llm-embed'; do
	# shellcheck disable=SC2086 # words
	LLM_ENCODER=$LLM_MODEL refuses "so in $program" 69 "^${program%% *}: " $program --daemon "$T/text"
done
refuses 'in the place that -s names' 69 'elsewhere' llm-generate --daemon -s "$T/elsewhere" -n 6 "$T/text"
exits 'an empty LLM_SOCKET is none' 0 env LLM_SOCKET= XDG_RUNTIME_DIR="$T" llm-generate -n 6 "$T/text"
same 'the bytes are the same' "$T/alone" "$T/out"
refuses 'a path that no socket can have is told' 64 'socket has [0-9]+ bytes' \
	llm-generate --daemon -s "/$(printf '%0200d' 1)" "$T/text"
refuses 'the daemon cannot be demanded and excluded' 64 'exclude' llm-generate --daemon --local "$T/text"
refuses 'nobody is first and last' 64 'exclude' llm-generate --interactive --nice "$T/text"
refuses 'a set of kernels is for who computes here' 64 'LLM_KERNELS' env LLM_KERNELS=generic llm-generate --daemon "$T/text"

# --- one that serves
serve say 3 'ab '
exits 'one that is there is asked' 0 llm-generate -n 3 "$T/text"
is 'and what it says is printed' "$(cat "$T/out")" 'ab ab ab '
is 'by the absolute path of the model' "$(last model)" "$(readlink -f "$LLM_MODEL")"
is 'what stands in a pipe is a pipe' "$(last class)" pipe
(cd "$T" && llm-generate -m ./model.gguf --local -n 6 text >out)
same 'with --local it is not' "$T/alone" "$T/out"
exits 'nor with a set of kernels' 0 env LLM_KERNELS=generic llm-generate -n 6 "$T/text"
same 'whose bytes are the same' "$T/alone" "$T/out"
exits 'where -s names another place' 0 llm-generate -s "$T/elsewhere" -n 6 "$T/text"
same 'it is not' "$T/alone" "$T/out"
(cd "$T" && LLM_SOCKET='' llm-generate -m ./model.gguf -s ./socket --nice --no-cache -n 3 text >out)
is '-s names it' "$(cat "$T/out")" 'ab ab ab '
is 'a relative path of a model is made absolute' "$(last model)" "$(readlink -f "$LLM_MODEL")"
is '--nice is the class of batches' "$(last class)" batch
is '--no-cache goes on to it' "$(last cache)" false
llm-generate --interactive -n 3 --temp 0.25 --top-k 7 --top-p 0.5 --min-p 0.125 --repeat-penalty 1.5 --seed 9 --draft 2 \
	--stop one --stop two --logit-bias 3=1 --kv q8_0 "$T/text" >"$T/out"
is 'the options go on to it' "$(last class) $(last n) $(last temp) $(last top_k) $(last top_p) $(last min_p) $(last repeat_penalty) \
$(last seed) $(last draft) $(last stop) $(last bias) $(last kv)" 'interactive 3 0.25 7 0.5 0.125 1.5 9 2 [2] [1] q8_0'
llm-generate --precise "$T/text" >"$T/out"
is '--precise too, and no limit' "$(last precise) $(last n)" 'true -1'
exits 'an object is made of what it says' 0 llm-generate -j -n 3 "$T/text"
like 'with ids' "$(cat "$T/out")" '^\{"text":"ab ab ab ","ids":\[1,1,1\],"n_prompt":[0-9]*,"n_out":3,"stop":"limit"\}$'
exits 'ids alone' 0 llm-generate -o -n 3 "$T/text"
is 'are printed' "$(tr '\n' ' ' <"$T/out")" '1 1 1 '
serve say 1 "$(printf 'gr\374n \346\226')"
exits 'bytes that are no text' 0 llm-generate -n 1 "$T/text"
is 'come through' "$(od -An -tx1 <"$T/out" | tr -d ' \n')" 6772fc6e20e696
serve say 2 'ab
'
exits 'an answer that is cut by its limit' 2 llm-chat -n 2 'What?'
is 'ends with one newline' "$(cat "$T/out" && echo x)" 'ab
ab
x'
exits 'an input that is too long is refused before it is asked' 65 llm-generate --daemon -n 2 \
	-i "$(awk 'BEGIN { for (i = 0; i < 600; i++) print 1 }' >"$T/ids" && echo "$T/ids")"
like 'with both numbers' "$(cat "$T/err")" '600 tokens.*512'
exits 'of it the part that --fit names is asked' 0 llm-generate --fit tail -n 2 -i "$T/ids"
like 'which is said' "$(cat "$T/err")" 'kept 510'
is 'and asked for' "$(last n)" 2

# --- sessions go on by ids
export XDG_STATE_HOME="$T/state"
serve say 2 'ab '
exits 'a session by a daemon' 0 llm-chat --session s -n 9 'One?'
exits 'goes on' 0 llm-chat --session s -n 9 'Two?'
is 'its answers have the ids that the daemon said' "$(grep -c '"ids":\[1,1\]' "$T/state/llm/sessions/s.jsonl")" 2
exits 'what may be kept of a prompt' 0 llm-chat --cache system -S 'Be short.' -n 9 'What?'
ok 'is said by --cache' test "$(last keep)" -gt 0

# --- those that stand on llm-chat
serve say 2 'It is so. '
LLM_SOCKET='' exits 'a summary by a daemon' 0 llm-summarize -s "$T/socket" --nice --no-cache "$T/text"
is 'goes on with the options' "$(last class) $(last cache)" 'batch false'
printf -- '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n' >"$T/diff"
LLM_SOCKET='' exits 'so does a message' 0 llm-commit --socket="$T/socket" --interactive "$T/diff"
is 'with its own' "$(last class) $(last cache)" 'interactive true'
LLM_SOCKET=$T/none refuses 'a daemon demanded of them is 69' 69 '^llm-chat: ' llm-summarize --daemon "$T/text"
LLM_SOCKET=$T/none refuses 'of each of them' 69 '^llm-chat: ' llm-commit --daemon "$T/diff"
refuses 'nor do they demand and exclude it' 64 'exclude' llm-summarize --local --daemon "$T/text"
refuses 'or come first and last' 64 'exclude' llm-commit --nice --interactive "$T/diff"

# --- refusals
for name in BUSY UNAVAILABLE NOINPUT NOMEM USAGE PROTOCOL DATA TOOLONG; do
	serve refuse "$name" 'it does not want to'
	exits "a refusal ($name) before the first part" 0 llm-generate -n 6 "$T/text"
	same 'makes a program compute by itself' "$T/alone" "$T/out"
	is 'in silence' "$(cat "$T/err")" ''
done
serve refuse BUSY 'busy: 64 before you'
refuses 'where it was demanded the refusal is the end' 75 '^llm-generate: busy: 64 before you$' llm-generate --daemon -n 6 "$T/text"
refuses 'of a question too' 75 '^llm-chat: busy' llm-chat --daemon -n 3 'What?'
serve refuse DATA "$(readlink -f "$LLM_MODEL"): it is broken"
refuses 'where it names the model, it is by the name that was given' 65 '^llm-generate: \./model.gguf: it is broken$' \
	sh -c 'cd "$T" && llm-generate --daemon -m ./model.gguf -n 6 text'
exits 'with -v the refusal is told' 0 llm-generate -v -n 6 "$T/text"
like 'and that the program computes' "$(cat "$T/err")" 'computed here: .*it is broken'
for mode in numeric protocol garbage none 'die 0'; do
	# shellcheck disable=SC2086 # two words
	serve $mode
	exits "a daemon of another kind ($mode)" 0 llm-generate -n 6 "$T/text"
	same 'is none' "$T/alone" "$T/out"
	is 'in silence' "$(cat "$T/err")" ''
done
serve numeric
refuses 'another numeric version is no daemon that was demanded' 69 'numeric version' llm-generate --daemon -n 6 "$T/text"
serve protocol
refuses 'another protocol is 76' 76 'hello' llm-generate --daemon -n 6 "$T/text"
serve none
refuses 'one that dies before it answers is 69 where it was demanded' 69 'went away before' llm-generate --daemon -n 6 "$T/text"

# --- dying in mid-answer
serve die 2 'ab '
exits 'a daemon that dies in mid-answer is 69' 69 llm-generate -n 6 "$T/text"
is 'after what it said' "$(cat "$T/out")" 'ab ab '
is 'with one line' "$(cat "$T/err")" 'llm-generate: the daemon went away in mid-answer: there is more that it did not say'
exits 'of a question too' 69 llm-chat -n 6 'What?'
is 'with one line there' "$(wc -l <"$T/err")" 1
exits 'and of an object' 69 llm-generate -j -n 6 "$T/text"
is 'of which nothing is printed' "$(cat "$T/out")" ''

serve cut 2 'ab '
exits 'one that gives up an answer, too' 69 llm-generate -n 6 "$T/text"
like 'which is said' "$(cat "$T/err")" '^llm-generate: the daemon gave up'
serve cut 0
exits 'before it began a program computes by itself' 0 llm-generate -n 6 "$T/text"
same 'the same bytes' "$T/alone" "$T/out"

# --- records go on without it
LLM_SOCKET=$T/none llm-classify -l good,bad "$T/text" >"$T/labels"
LLM_SOCKET=$T/none llm-score "$T/text" >"$T/scores"
LLM_SOCKET=$T/none LLM_ENCODER=$LLM_MODEL llm-embed "$T/text" >"$T/vectors"
for mode in none garbage 'refuse BUSY' 'say 1'; do
	# shellcheck disable=SC2086 # two words
	serve $mode
	exits "labels ($mode)" 0 llm-classify -l good,bad "$T/text"
	same 'are those that were computed alone' "$T/labels" "$T/out"
	exits "scores ($mode)" 0 llm-score "$T/text"
	same 'are, too' "$T/scores" "$T/out"
	LLM_ENCODER=$LLM_MODEL exits "vectors ($mode)" 0 llm-embed "$T/text"
	same 'are, too' "$T/vectors" "$T/out"
done

# --- hanging up, and ^C
serve hang 1 'ab '
(
	exec llm-generate -n 6 "$T/text" >"$T/part"
) &
one=$!
tap_wait=0
until [ -s "$T/part" ] || [ $((tap_wait += 1)) -gt 2000 ]; do sleep 0.05; done
is 'what is there is printed at once' "$(cat "$T/part")" 'ab '
kill "$one"
wait "$one" 2>/dev/null
exits 'a client that was killed has hung up' 0 env LLM_SOCKET="$T/none" llm-generate -n 6 "$T/text"
serve say 1 'ab '
exits 'the next one is served' 0 llm-generate -n 1 "$T/text"
if command -v expect >/dev/null; then
	serve wait 1 'ab '
	printf 'set timeout 60\nspawn -noecho sh -c {llm-generate -n 1 %s 2>&1 >%s}\nexpect eof\n' "$T/text" "$T/out" >"$T/wait"
	expect "$T/wait" >"$T/seen"
	like 'on a terminal the place in the queue is shown' "$(cat "$T/seen")" 'llm-generate: waiting, 3 before this'
	like 'then how much of the prompt is read' "$(cat "$T/seen")" 'llm-generate: 5 of 10 tokens read'
	is 'and all of it is taken away' "$(tail -c 4 "$T/seen" | od -An -tx1 | tr -d ' \n')" 0d1b5b4b
	is 'before the answer' "$(cat "$T/out")" 'ab '
	serve hang 1 'ab '
	cat >"$T/talk" <<'END'
set timeout 60
spawn -noecho llm-chat
expect -re {> $} { send "What?\r" }
expect {
	-re {ab} { send "\003" }
	timeout { exit 3 }
}
expect {
	-re {> $} { send "\004" }
	timeout { exit 4 }
}
expect eof
catch wait result
exit [lindex $result 3]
END
	exits '^C in a conversation ends that answer only' 0 expect "$T/talk"
	like 'by a cancel' "$(cat "$T/asked")" 'op=cancel target=1'
	is 'who talks at a terminal waits' "$(sed -n 's/.*class=\([a-z]*\).*/\1/p' "$T/asked" | head -n 1)" interactive
else
	skip 'on a terminal the place in the queue is shown' 'no expect on this machine'
	skip '^C in a conversation ends that answer only' 'no expect on this machine'
fi
[ -z "$daemon" ] || kill "$daemon"
done_testing
