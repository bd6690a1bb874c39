#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llmd among many: the same bytes for each whoever else is there, and nobody held up by those that are silent, hang
# up, do not read or talk nonsense; nothing is left of them.
. tests/tap.sh
need_built mkgguf mkclients
make=$LLM_TEST_BUILD/tests/mkgguf clients=$LLM_TEST_BUILD/tests/mkclients
model=$T/model.gguf
"$make" --shape tinyk --ctx 8192 "$model" || exit
S=$T/sock
: >"$T/log"
llmd -s "$S" -m "$model" >/dev/null 2>"$T/log" </dev/null &
pid=$!
# shellcheck disable=SC2317 # the trap calls it
ended() {
	tap_was=$?
	kill "$pid" 2>/dev/null
	(exit "$tap_was")
	tap_cleanup
}
trap ended EXIT
tap_wait=0
until grep -q 'load' "$T/log" || [ $((tap_wait += 1)) -gt 200 ]; do sleep 0.05; done
n=24 small=20000
[ -z "${LLM_TEST_QUICK-}" ] || small=2000

"$clients" "$S" alone "$model" $n >"$T/alone"
is 'one after another all are answered' "$(grep -c . "$T/alone")" $((n * 4))
"$clients" "$S" together "$model" $n >"$T/out"
same "$n at once get what each gets alone" "$T/alone" "$T/out"
"$clients" "$S" together "$model" $n >"$T/out"
same 'and once more, with all prefixes kept' "$T/alone" "$T/out"

# What is there now is there after all that follows: without the model, whose prefixes are kept.
# Who has just hung up may still have a descriptor: counted is what stays so for a while.
fds() {
	fds_last='' fds_wait=0
	while fds_now=$(find /proc/$pid/fd | wc -l) && [ "$fds_now" != "$fds_last" ] && [ $((fds_wait += 1)) -lt 50 ]; do
		fds_last=$fds_now
		sleep 0.3
	done
	echo "$fds_now"
}
memory() { awk '/^RssAnon/ { print $2 }' /proc/$pid/status; }
without() {
	llmctl -s "$S" unload "$model"
	tap_wait=0
	while llmctl -s "$S" status | grep -q "$model" && [ $((tap_wait += 1)) -lt 100 ]; do sleep 0.05; done
}
"$clients" "$S" churn "$model" 100 >/dev/null
without
fds=$(fds) memory=$(memory)
like 'a client that hangs up in its prompt frees the processor' \
	"$("$clients" "$S" hangup "$model" 4000)" '^idle [0-9]+$'
is 'a request can be cancelled' "$("$clients" "$S" cancel "$model")" cancel
is 'those that say nothing hold nobody up' "$("$clients" "$S" silent 200 | tail -n 1)" answered
like 'who is one too many is told so' "$("$clients" "$S" full 256)" '^EBUSY: 256 clients'
like 'so is who asks for too much at once' "$("$clients" "$S" busy "$model" 100)" '^3[0-9] BUSY$'
is 'what no client should say is refused, and others are served' "$("$clients" "$S" bad | tail -n 1)" '17 kinds'
is 'who does not read is cut off' "$("$clients" "$S" deaf "$model")" 'cut off'
is 'a thousand come and go' "$("$clients" "$S" churn "$model" 1000)" 1000
is "of $small small requests none is lost or mixed up" "$("$clients" "$S" small "$model" $small)" $small
"$clients" "$S" together "$model" $n >"$T/out"
same 'and the answers are what they were' "$T/alone" "$T/out"
without
is 'no descriptor is left of all that' "$(fds)" "$fds"
if under_asan; then
	skip 'nor memory' 'the sanitizer keeps what is freed'
else
	after=$(memory)
	ok "nor memory: $memory KiB before, $after after" [ "$after" -lt $((memory + 16384)) ]
fi
like 'the log says nothing that a client has said' "$(grep -c HTTP "$T/log")" '^0$'
kill -TERM $pid
wait $pid
is 'it ends well' $? 0
done_testing
