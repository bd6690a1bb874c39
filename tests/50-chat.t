#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-chat in one turn: prompt and data together, the answer alone on standard output, what is too long
# refused or fitted, the exit statuses.
. tests/tap.sh
need_model
export LLM_MODEL="$LLM_TEST_MODEL"

# ask ARGS...: the likeliest eight tokens.
ask() {
	llm-chat --temp 0 -n 8 "$@"
}
answer_is() {
	tap_name=$1
	tap_want=$2
	shift 2
	ask "$@" >"$T/got" 2>/dev/null
	same "$tap_name" "$T/got" "$tap_want"
}

printf 'Name a colour.\n\nIt is cold in the morning.' >"$T/text"
printf 'It is cold in the morning.\n\n\n' >"$T/data"
printf 'Name a colour.\n' >"$T/prompt"
ask "$(cat "$T/text")" </dev/null >"$T/want" 2>/dev/null
answer_is 'the data follows the prompt after a blank line' "$T/want" Name a 'colour.' <"$T/data"
answer_is 'data alone is the text, without its last newlines' "$T/want" <"$T/text"
answer_is 'a prompt file and data are the text' "$T/want" -f "$T/prompt" <"$T/data"
answer_is 'the words of the arguments follow the prompt file' "$T/want" -f "$T/prompt" 'It is cold in the morning.' </dev/null
answer_is 'a prompt is read from standard input where the file is -' "$T/want" -f - <"$T/text"
answer_is 'the number of threads does not change the answer' "$T/want" -t 3 "$(cat "$T/text")" </dev/null
ask 'Name a colour.' </dev/null >"$T/other" 2>/dev/null
nok 'the data changes the answer' cmp -s "$T/other" "$T/want"

exits 'an answer that -n cuts is status 2' 2 llm-chat --temp 0 -n 3 'Tell me a story.' </dev/null
is 'which one line says' "$(cat "$T/err")" 'llm-chat: the answer is cut after 3 tokens (-n)'
[ "$(tail -c 1 "$T/out" | od -An -tx1)" = ' 0a' ] && [ "$(tail -c 2 "$T/out" | od -An -tx1)" != ' 0a 0a' ] &&
	[ "$(wc -c <"$T/out")" -gt 3 ] && pass 'and the answer ends with one newline' || fail 'and the answer ends with one newline'
exits 'an answer to its end is status 0' 0 llm-chat --temp 0 --stop ' ' 'Say yes.' </dev/null
is 'and standard error is silent' "$(cat "$T/err")" ''
unlike 'a stop string is not printed' "$(cat "$T/out")" ' '
is 'and the answer is one line' "$(wc -l <"$T/out")" 1
exits 'what is printed is newlines alone where the model says nothing' 2 \
	llm-chat -n 3 --temp 0 --logit-bias 198=1000 'Say yes.' </dev/null
is 'and then it is one newline' "$(od -An -c "$T/out" | tr -d ' ')" '\n'

llm-chat -n 12 'Tell me a story.' </dev/null >"$T/a" 2>/dev/null
llm-chat -n 12 --temp 0.6 --top-p 0.9 --seed 0 'Tell me a story.' </dev/null >"$T/b" 2>/dev/null
same 'unless told the temperature is 0.6, top-p 0.9 and the seed 0' "$T/a" "$T/b"
llm-chat -n 12 --seed 7 'Tell me a story.' </dev/null >"$T/b" 2>/dev/null
nok 'another seed is another answer' cmp -s "$T/a" "$T/b"
ask -S 'You speak only French.' 'Name a colour.' </dev/null >"$T/b" 2>/dev/null
nok 'the system message changes the answer' cmp -s "$T/other" "$T/b"
printf 'a\000b\200\n' | ask 'What is this?' >"$T/out" 2>"$T/err"
[ $? -le 2 ] && [ -s "$T/out" ] && pass 'data of any bytes is read' || fail 'data of any bytes is read' "$(cat "$T/err")"

refuses 'neither a prompt nor data is bad data' 65 'no prompt, and no data' llm-chat </dev/null
refuses 'nor is an empty prompt one' 65 'no prompt, and no data' llm-chat '' </dev/null
refuses 'a prompt file that is missing is status 66' 66 'absent: No such file' llm-chat -f "$T/absent" </dev/null
refuses 'a prompt file that is a directory is status 66' 66 'Is a directory' llm-chat -f "$T" </dev/null
refuses 'a prompt file with a NUL byte is bad data' 65 'NUL' llm-chat -f "$LLM_TEST_MODEL" </dev/null
refuses 'a model that is missing is status 66' 66 'No such file' llm-chat -m "$T/absent" hello </dev/null
refuses 'no token at all is no answer' 64 'count 0' llm-chat -n 0 hello </dev/null
refuses 'a temperature out of range is a usage error' 64 'temp' llm-chat --temp -1 hello </dev/null
exits 'a full disk is status 74' 74 sh -c 'exec llm-chat -n 3 hello </dev/null >/dev/full'
exits 'a closed standard output is status 74' 74 sh -c 'exec llm-chat -n 3 hello </dev/null >&-'
exits 'a closed standard error does not matter' 2 sh -c 'exec llm-chat --temp 0 -n 3 "Tell me a story." </dev/null 2>&-'
env -i HOME=/nonexistent PATH=/usr/bin:/bin "$LLM_TEST_BIN/llm-chat" -m "$LLM_TEST_MODEL" --temp 0 -n 8 \
	"$(cat "$T/text")" </dev/null >"$T/got" 2>/dev/null
same 'cron with its bare environment gets the same answer' "$T/got" "$T/want"

# The same model with a context of 128 tokens: its key, a type of four bytes, the number.
cp "$LLM_TEST_MODEL" "$T/small.gguf"
key=llama.context_length
at=$(LC_ALL=C grep -abo "$key" "$T/small.gguf" | head -n 1 | cut -d : -f 1)
printf '\200\000\000\000' | dd of="$T/small.gguf" bs=1 seek=$((at + ${#key} + 4)) conv=notrunc 2>/dev/null
export LLM_MODEL="$T/small.gguf"
seq -s ' ' 1 30 | tr -d '\n' >"$T/thirty"
{ cat "$T/thirty"; seq -s ' ' 100 160; } >"$T/long1"
{ cat "$T/thirty"; seq -s ' ' 600 700; } >"$T/long2"
{ seq -s ' ' 100 160; cat "$T/thirty"; } >"$T/long3"
{ seq -s ' ' 600 700; cat "$T/thirty"; } >"$T/long4"

refuses 'what is longer than the context is refused, with both numbers' 65 '[^0-9]356 tokens.* 128[^0-9]' \
	llm-chat 'Count.' <"$T/long1"
exits 'with --fit head it is answered' 2 ask --fit head 'Count.' <"$T/long1"
like 'and what is kept is said in one line' "$(cat "$T/err")" '^llm-chat: the data has [0-9]+ tokens, the context 128: kept [0-9]+, its head$'
ask --fit head -n 60 'Count.' <"$T/long1" >"$T/a" 2>/dev/null
ask --fit head -n 60 'Count.' <"$T/long2" >"$T/b" 2>/dev/null
same 'the head does not depend on what is cut off' "$T/a" "$T/b"
ask --fit tail -n 60 'Count.' <"$T/long3" >"$T/a" 2>"$T/err"
ask --fit tail -n 60 'Count.' <"$T/long4" >"$T/b" 2>/dev/null
same 'nor does the tail' "$T/a" "$T/b"
like 'which is named' "$(cat "$T/err")" 'its tail$'
exits 'the middle is kept as well' 2 ask --fit middle 'Count.' <"$T/long3"
exits 'what fits is not touched' 2 ask --fit head 'Count.' <"$T/thirty"
is 'and nothing is said of it' "$(cat "$T/err")" 'llm-chat: the answer is cut after 8 tokens (-n)'
refuses 'a prompt that is too long by itself is refused in spite of --fit' 65 '[0-9]+ tokens.* 128 tokens' \
	llm-chat --fit head "$(cat "$T/long1")" <"$T/thirty"
exits 'an answer that fills the context is status 2' 2 llm-chat --temp 0 --logit-bias 2=-inf 'Count.' </dev/null
is 'which one line says' "$(cat "$T/err")" 'llm-chat: the answer is cut: the context of 128 tokens is full'
done_testing
