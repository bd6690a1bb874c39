#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The prefix store as users meet it: the same bytes with it and without, less to compute, nothing that
# breaks a run, and llm-cache to look at it.
# shellcheck disable=SC2016 # what stands in single quotes is for eval
. tests/tap.sh
export LLM_MODEL="$T/model.gguf" XDG_CACHE_HOME="$T/cache"
"$LLM_TEST_BUILD/tests/mkgguf" --shape tinyk --ctx 4096 "$LLM_MODEL" || exit
unset LLM_KV_BUDGET

awk 'BEGIN { for (i = 0; i < 60; i++) printf "%d: the service %c was restarted.\n", i * 7 % 61, 97 + i % 26 }' >"$T/long"
kept() {
	sed -n 's/.*prompt [0-9]* tokens, \([0-9]*\) of them.*/\1/p' "$T/err"
}
total() {
	sed -n 's/.*prompt \([0-9]*\) tokens.*/\1/p' "$T/err"
}

exits 'a long prompt is computed' 0 llm-generate -v -n 12 "$T/long"
is 'all of it the first time' "$(kept)" 0
cp "$T/out" "$T/cold"
exits 'and again' 0 llm-generate -v -n 12 "$T/long"
is 'but not its beginning, up to its last token' "$(kept)" "$(($(total) - 1))"
same 'with the same bytes' "$T/cold" "$T/out"
exits 'without the store too' 0 llm-generate -v --no-cache -n 12 "$T/long"
is 'where nothing is taken' "$(kept)" 0
same 'the bytes are the same' "$T/cold" "$T/out"
LLM_KERNELS=generic exits 'by plain C, on one thread, with a seed' 0 llm-generate -t 1 --temp 1 --seed 7 -n 12 "$T/long"
cp "$T/out" "$T/sampled"
exits 'as without the store' 0 llm-generate --no-cache --temp 1 --seed 7 -n 12 "$T/long"
same 'they are too' "$T/sampled" "$T/out"
{
	head -n 40 "$T/long"
	echo 'and another end'
} >"$T/other"
exits 'a prompt that begins as another' 0 llm-generate -v -n 4 "$T/other"
like 'computes only what is new' "$(kept)/$(total)" '^[4-9][0-9][0-9]/'
ok 'that is little' test "$(($(total) - $(kept)))" -lt 16
exits 'keys and values of another type are kept apart' 0 llm-generate -v --kv q8_0 -n 4 "$T/long"
is 'and not taken for these' "$(kept)" 0
exits 'those of --precise too' 0 llm-generate -v --precise -n 2 "$T/other"
is 'as they are others' "$(kept)" 0

is 'the store is its owner'\''s alone' "$(stat -c %a "$T/cache/llm/kv" && find "$T/cache/llm/kv" -type f ! -perm 600)" 700
exits 'llm-cache lists pages' 0 llm-cache list
like 'with their last use, bytes, tokens, type, model' "$(head -n 1 "$T/out")" \
	'^20[0-9-]+T[0-9:]+Z	[0-9]+	[0-9]+	(f16|q8_0|f32)	[0-9a-f]{32}	[0-9a-f]{2}/[0-9a-f]{32}-[0-9a-f]{32}$'
n=$(wc -l <"$T/out")
is 'and its size' "$(llm-cache size)" "$(find "$T/cache/llm/kv" -type f -exec stat -c %s {} + | awk '{ n += $1 } END { printf "%d\t%d\t4294967296", n, NR }')"
like 'as JSON too' "$(llm-cache -j size)" '^\{"bytes":[0-9]+,"pages":[0-9]+,"budget":4294967296\}$'
is 'a line each' "$(llm-cache -j list | grep -c '^{"used":')" "$n"
exits 'it is trimmed to a size' 0 llm-cache trim 20M
ok 'which it has then' test "$(llm-cache size | cut -f 1)" -le $((20 << 20))
exits 'and wiped' 0 llm-cache wipe
is 'then it is empty' "$(llm-cache size)" '0	0	4294967296'
refuses 'another word is refused' 64 'one of list, size, trim and wipe' llm-cache clean
refuses 'and a size that is none' 64 'expected bytes' llm-cache trim many
LLM_KV_BUDGET=lots refuses 'a budget that is none is said' 64 'LLM_KV_BUDGET is .lots.' llm-generate -n 1 "$T/long"
LLM_KV_BUDGET=0 exits 'a budget of 0' 0 llm-generate -v -n 4 "$T/long"
is 'keeps nothing' "$(llm-cache size | cut -f 2)" 0

# Whatever the store is like, the answer comes.
head -c 24 "$T/cold" >"$T/begin"
for trouble in 'rm -rf "$T/cache"; : >"$T/cache"' 'rm -f "$T/cache"; mkdir -p "$T/cache/llm/kv"; chmod 755 "$T/cache/llm/kv"' \
	'chmod 700 "$T/cache/llm/kv"; for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do : >"$T/cache/llm/kv/${i}0"; done' \
	'rm -rf "$T/cache"; mkdir -p "$T/cache"; chmod 500 "$T/cache"'; do
	eval "$trouble"
	exits "the answer comes all the same: $trouble" 0 llm-generate -n 12 "$T/long"
	same 'and is the same' "$T/cold" "$T/out"
	is 'in silence' "$(cat "$T/err")" ''
done
chmod 700 "$T/cache"
rm -rf "$T/cache"
(
	unset HOME XDG_CACHE_HOME
	llm-generate -n 12 "$T/long"
) >"$T/out" 2>"$T/err"
same 'without a home too' "$T/cold" "$T/out"

is 'a home that is not there is not made' "$(HOME=$T/none/home XDG_CACHE_HOME='' llm-generate -n 12 "$T/long" | cmp - "$T/cold" && ls "$T/none" 2>&1)" \
	"ls: cannot access '$T/none': No such file or directory"

llm-generate -n 4 "$T/long" >/dev/null
for f in "$T"/cache/llm/kv/??/*; do
	dd if=/dev/zero of="$f" bs=1 seek=70000 count=64 conv=notrunc 2>/dev/null
done
exits 'damaged pages are computed again' 0 llm-generate -v -n 12 "$T/long"
is 'all of them' "$(kept)" 0
same 'the answer is the same' "$T/cold" "$T/out"
exits 'and are written anew' 0 llm-generate -v -n 12 "$T/long"
is 'so that they serve again' "$(kept)" "$(($(total) - 1))"

# The reader has the last byte before anything is kept.
llm-cache wipe >/dev/null
mkfifo "$T/fifo"
llm-generate -n 4 "$T/long" >"$T/fifo" &
pid=$!
cat "$T/fifo" >/dev/null
wait $pid
ok 'what reads the answer need not wait for the store' test "$(llm-cache size | cut -f 2)" -gt 5

llm-cache wipe >/dev/null
S='You are a careful assistant who rewrites text for people that read little, in plain words and short sentences.'
exits 'llm-chat takes part' 0 sh -c 'llm-chat --temp 0 -S "$1" Short: <"$2" | head -c 2000' - "$S" "$T/other"
n=$(llm-cache size | cut -f 2)
ok 'and keeps its prompt' test "$n" -gt 5
llm-cache wipe >/dev/null
llm-chat --cache system -n 2 --temp 0 -S "$S" Short: <"$T/other" >/dev/null 2>&1
ok 'of which the system message alone may be kept' test "$(llm-cache size | cut -f 2)" -le 3
exits 'so that another text' 2 llm-chat -v --cache system -n 2 --temp 0 -S "$S" Other: <"$T/long"
ok 'begins with it' test "$(kept)" -ge 20
llm-cache wipe >/dev/null
llm-chat --cache prompt -n 2 --temp 0 "$S" <"$T/other" >/dev/null 2>&1
ok 'or the prompt without its data' test "$(llm-cache size | cut -f 2)" -le 3
refuses 'another part is refused' 64 'cache' llm-chat --cache none x
done_testing
