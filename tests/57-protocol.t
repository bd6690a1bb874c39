#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-protocol(5) as strangers speak it: the client that stands in the page, each operation by its fields, and all that
# is no protocol: one error or a closed connection for each, and the next client is answered.
. tests/tap.sh
[ -x "$LLM_TEST_BIN/llmd" ] || skip_all 'llmd is not built'
python=
for p in /usr/bin/python3 python3; do
	[ -n "$python" ] || ! $p -c 'import msgpack' 2>/dev/null || python=$p
done
[ -n "$python" ] || skip_all 'no python3 with msgpack on this machine'

LLM_SOCKET=$T/llm/sock
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; tap_cleanup' EXIT
llmd -s "$LLM_SOCKET" 2>"$T/log" &
daemon=$!
n=0
until llmctl status >/dev/null 2>&1 || [ $((n += 1)) -gt 200 ]; do sleep 0.05; done

# --- the client of the page
awk '/^import msgpack/ { on = 1 } /^\.Ed/ { on = 0 } on' man/llm-protocol.5 >"$T/chat.py"
lines=$(wc -l <"$T/chat.py")
[ "$lines" -ge 8 ] && [ "$lines" -le 14 ] && pass 'the page has a client of some ten lines' ||
	fail 'the page has a client of some ten lines' "$lines lines"
if have_model; then
	question='What is the capital of France?'
	exits 'it asks a model, and prints what that says' 0 "$python" "$T/chat.py" "$LLM_TEST_MODEL" "$question"
	cp "$T/out" "$T/said"
	llm-chat --local --no-cache -m "$LLM_TEST_MODEL" "$question" </dev/null >"$T/here"
	same 'just what llm-chat says' "$T/said" "$T/here"
else
	skip 'it asks a model, and prints what that says' 'no model: the small model could not be fetched'
fi
exits 'it ends with what the daemon refuses' 1 "$python" "$T/chat.py" nothing 'Hello?'
like 'in its words' "$(cat "$T/err")" "no model 'nothing'"

# --- each operation by its fields, what is wrong with them, and what is no message at all
"$LLM_TEST_BUILD/tests/mkgguf" --shape tinyk --ctx 512 "$T/model.gguf" || exit
"$python" tests/protocol.py "$LLM_SOCKET" "$T/model.gguf" "$daemon" >"$T/tap" 2>"$T/err"
status=$?
while read -r line; do
	case $line in
	'ok '*) pass "${line#ok }" ;;
	'not ok '*) fail "${line#not ok }" ;;
	*) diag "$line" ;;
	esac
done <"$T/tap"
is 'nothing of this was too much for the tests' "$status $(tail -n 3 "$T/err")" '0 '
is 'nor for the daemon, which goes when it is told' "$(llmctl stop 2>&1; kill -0 "$daemon" 2>&1 | head -n 1)" ''
wait "$daemon"
is 'with status 0' $? 0
daemon=
unlike 'no text of a request is in its log' "$(cat "$T/log")" 'secret'
done_testing
