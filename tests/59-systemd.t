#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llmd as systemd starts it: the units are sound, a socket that is passed is listened at, and who started it hears
# when it is ready and when it ends.
. tests/tap.sh
need_built mkgguf mkclients
make=$LLM_TEST_BUILD/tests/mkgguf clients=$LLM_TEST_BUILD/tests/mkclients
"$make" --shape tinyk --ctx 512 "$T/model.gguf" || exit
export LLM_MODEL="$T/model.gguf"
echo 'The cat sat on the mat' >"$T/text"
other=
# shellcheck disable=SC2317 # the trap calls it
ended() {
	tap_was=$?
	[ -z "$other" ] || kill "$other" 2>/dev/null
	(exit "$tap_was")
	tap_cleanup
}
trap ended EXIT

mkdir "$T/units" "$T/run"
for unit in llmd.service llmd.socket; do
	sed "s|/usr/local/bin|$LLM_TEST_BIN|" "bin/share/$unit" >"$T/units/$unit"
done
if command -v systemd-analyze >/dev/null; then
	for unit in llmd.service llmd.socket; do
		exits "$unit is sound" 0 env XDG_RUNTIME_DIR="$T/run" SYSTEMD_LOG_LEVEL=warning \
			systemd-analyze verify --user --man=no "$T/units/$unit"
		is "and nothing is to be said of $unit" "$(cat "$T/err")" ''
	done
else
	skip 'the units are sound' 'no systemd-analyze on this machine'
fi

# --- the socket is passed
llm-generate --local -n 8 "$T/text" >"$T/alone"
if command -v systemd-socket-activate >/dev/null; then
	systemd-socket-activate -l "$T/run/sock" "$LLM_TEST_BIN/llmd" >/dev/null 2>"$T/log" </dev/null &
	other=$!
	tap_wait=0
	until [ -S "$T/run/sock" ] || [ $((tap_wait += 1)) -gt 100 ]; do sleep 0.05; done
	nok 'nothing runs before somebody asks' grep -q ready "$T/log"
	exits 'who asks is answered' 0 llm-generate --daemon -s "$T/run/sock" -n 8 "$T/text"
	same 'with the same bytes' "$T/alone" "$T/out"
	like 'by a daemon that was started for it' "$(cat "$T/log")" 'ready'
	llmctl -s "$T/run/sock" stop
	wait "$other"
	is 'it ends well' $? 0
	other=
	ok 'the socket is not its own to remove' [ -S "$T/run/sock" ]
else
	skip 'a socket that is passed is listened at' 'no systemd-socket-activate on this machine'
fi

# --- who started it is told
"$clients" "$T/run/notify" notified 2 >"$T/told" &
told=$!
tap_wait=0
until [ -S "$T/run/notify" ] || [ $((tap_wait += 1)) -gt 100 ]; do sleep 0.05; done
NOTIFY_SOCKET=$T/run/notify llmd -s "$T/run/own" >/dev/null 2>"$T/log" </dev/null &
other=$!
tap_wait=0
until llmctl -s "$T/run/own" status >/dev/null 2>&1 || [ $((tap_wait += 1)) -gt 100 ]; do sleep 0.05; done
kill -TERM "$other"
wait "$other"
other=
wait "$told"
is 'that it is ready, and that it ends' "$(tr '\n' ' ' <"$T/told")" 'READY=1 STOPPING=1 '
LISTEN_FDS=1 LISTEN_PID=1 llmd -s "$T/run/own" >/dev/null 2>"$T/log" </dev/null &
other=$!
tap_wait=0
until llmctl -s "$T/run/own" status >/dev/null 2>&1 || [ $((tap_wait += 1)) -gt 100 ]; do sleep 0.05; done
ok 'what was passed to another is nothing to it' llmctl -s "$T/run/own" stop
wait "$other"
other=
done_testing
