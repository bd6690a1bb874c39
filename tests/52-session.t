#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Conversations that are kept: they go on where they ended, in words and in what is computed, and a file
# that was torn or spoiled is told.
. tests/tap.sh
need_model
export LLM_MODEL="$LLM_TEST_MODEL" XDG_STATE_HOME="$T/state" XDG_CACHE_HOME="$T/cache"
dir=$T/state/llm/sessions
chat() {
	llm-chat --temp 0 -n 12 "$@" </dev/null
}
kept() {
	sed -n 's/.*prompt [0-9]* tokens, \([0-9]*\) of them.*/\1/p' "$T/err"
}
total() {
	sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p' "$T/err"
}

exits 'a session begins' 2 chat --session trip -S 'You are a guide who answers in few words.' 'Name a town in Italy that lies at the sea, and say why one goes there.'
cp "$T/out" "$T/first"
exits 'and goes on' 2 chat -v --session trip 'And another one?'
cp "$T/out" "$T/second"
n=$(total)
ok 'what was said before is in its prompt' test "$n" -gt 60
ok 'of which at most a page is computed again' test "$((n - $(kept)))" -le 80
is 'each message is a line' "$(wc -l <"$dir/trip.jsonl")" 6
like 'with its role, text and sum' "$(sed -n 3p "$dir/trip.jsonl")" \
	'^\{"role":"user","text":"Name a town .*","sum":"[0-9a-f]{32}"\}$'
like 'an answer with the ids that it was generated as' "$(sed -n 4p "$dir/trip.jsonl")" \
	'^\{"role":"assistant","text":".*","ids":\[[0-9,]+\],"sum":"[0-9a-f]{32}"\}$'
is 'the file is its owner'\''s alone' "$(stat -c %a "$dir" "$dir/trip.jsonl" | tr '\n' ' ')" '700 600 '

# The same conversation without a store, and in one go on a terminal, has the same answers.
rm -rf "$T/cache"
cp -r "$T/state" "$T/kept"
rm -f "$dir/trip.jsonl"
chat --no-cache --session trip -S 'You are a guide who answers in few words.' 'Name a town in Italy that lies at the sea, and say why one goes there.' >"$T/out" 2>/dev/null
same 'without the prefix store the first answer is the same' "$T/first" "$T/out"
chat --no-cache --session trip 'And another one?' >"$T/out" 2>/dev/null
same 'and the second' "$T/second" "$T/out"
same 'and the transcript' "$dir/trip.jsonl" "$T/kept/llm/sessions/trip.jsonl"

chat --session other 'Hi' >/dev/null 2>&1
is 'sessions are listed' "$(llm-chat --sessions | cut -f 1,2 | tr '\t\n' ': ')" 'other:2 trip:5 '
exits 'one is forgotten' 0 llm-chat --forget other
is 'and is gone' "$(llm-chat --sessions | cut -f 1)" trip
refuses 'one that is not there cannot be' 66 'no session .other.' llm-chat --forget other
refuses 'a name with a slash is refused' 64 'no name of a session' chat --session a/b x
refuses 'and one that begins with a dot' 64 'no name of a session' chat --session .. x
refuses 'another system message is refused' 65 'another system message' chat --session trip -S 'You are a cook.' x
exits 'the same one is not' 2 chat --session trip -S 'You are a guide who answers in few words.' 'A third?'
cp "$dir/trip.jsonl" "$T/whole"

# Two at once.
mkfifo "$T/fifo"
llm-chat --session trip -n 2 x <"$T/fifo" >/dev/null 2>&1 &
exec 3>"$T/fifo"
i=0
# Looked at, not tried: a trial would have the lock for a moment, and the program be refused.
while [ $i -lt 200 ] && ! grep -q ":$(stat -c %i "$dir/trip.jsonl") " /proc/locks; do
	sleep 0.1
	i=$((i + 1))
done
refuses 'a session that another program has is refused' 75 'another program' chat --session trip x
refuses 'and not forgotten' 75 'another program' llm-chat --forget trip
exec 3>&-
wait

# Torn and spoiled.
cp "$T/whole" "$dir/trip.jsonl"
head -c $(($(wc -c <"$T/whole") - 30)) "$T/whole" >"$dir/trip.jsonl"
exits 'a torn last line' 2 chat --session trip 'A third?'
like 'is dropped, and said' "$(cat "$T/err")" 'trip: [0-9]+ bytes at its end were torn off'
is 'its question goes with it' "$(wc -l <"$dir/trip.jsonl")" "$(wc -l <"$T/whole")"
same 'so that asked again it is the same' "$dir/trip.jsonl" "$T/whole"
sed '3s/town/city/' "$T/whole" >"$dir/trip.jsonl"
refuses 'a changed line is told by its number' 65 'line 3: its sum' chat --session trip x
sed '4d' "$T/whole" >"$dir/trip.jsonl"
refuses 'and one that is missing' 65 'line 4: it does not go on' chat --session trip x
printf 'hello\nworld\n' >"$dir/trip.jsonl"
refuses 'another file is no session' 65 'line 1' chat --session trip x
echo hello >"$dir/trip.jsonl"
refuses 'nor is one of a single line' 65 'line 1' chat --session trip x
is 'which is not touched' "$(cat "$dir/trip.jsonl")" hello
rm -f "$dir/trip.jsonl"
ln -s "$T/whole" "$dir/trip.jsonl"
refuses 'nor is a link' 74 'trip.jsonl' chat --session trip x
rm -f "$dir/trip.jsonl"
printf 'caf\351 and \001\n' >"$T/bytes"
llm-chat --temp 0 -n 3 --session bytes <"$T/bytes" >"$T/out" 2>&1
like 'bytes that are no UTF-8 are kept as such' "$(sed -n 2p "$dir/bytes.jsonl")" '"bytes":\[99,97,102,233,32'
llm-chat --temp 0 -n 1 --session bytes more </dev/null >"$T/out" 2>"$T/err"
is 'and read again' "$(wc -l <"$dir/bytes.jsonl")" 5
done_testing
