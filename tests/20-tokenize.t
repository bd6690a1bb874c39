#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-tokenize: ids of texts, lines and NUL-ended records, and text of ids; any bytes come back.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
"$make" --vocab llama3 --vocab-size 1024 "$T/llama3.gguf"
"$make" --vocab spm --vocab-size 600 "$T/spm.gguf"
"$make" "$T/tiny.gguf"
LLM_MODEL=$T/llama3.gguf
export LLM_MODEL
ids() {
	llm-tokenize -l "$@"
}

# There and back, whatever the bytes.
i=0
while [ "$i" -lt 256 ]; do
	printf '%b' "\\0$(printf %o "$i")"
	i=$((i + 1))
done >"$T/bytes"
head -c 100000 /dev/urandom >"$T/random"
printf 'caf\303\251 \360\237\230\200 \342\202 \377\376 \355\240\200 \300\200 x\n\n  y\r\n' >"$T/broken"
: >"$T/empty"
printf 'no newline at the end' >"$T/open"
for model in llama3 spm tiny; do
	for text in bytes random broken empty open; do
		llm-tokenize -m "$T/$model.gguf" "$T/$text" | llm-tokenize -m "$T/$model.gguf" -d >"$T/back"
		same "$text: its bytes come back, $model" "$T/back" "$T/$text"
	done
	is "there are as many lines as -c says, $model" "$(llm-tokenize -m "$T/$model.gguf" "$T/random" | wc -l | tr -d ' ')" \
		"$(llm-tokenize -m "$T/$model.gguf" -c "$T/random")"
	printf 'one two\n\n  three\r\n\tfour \303\251\n' >"$T/lines"
	llm-tokenize -m "$T/$model.gguf" -l "$T/lines" >"$T/ids"
	is "each line has a line of ids, $model" "$(wc -l <"$T/ids" | tr -d ' ')" 4
	llm-tokenize -m "$T/$model.gguf" -l -d "$T/ids" >"$T/back"
	same "lines come back, $model" "$T/back" "$T/lines"
	printf 'one\ntwo\n\0\0 three\0\n\0' >"$T/records"
	llm-tokenize -m "$T/$model.gguf" -0 "$T/records" >"$T/ids"
	is "each record has a line of ids, $model" "$(wc -l <"$T/ids" | tr -d ' ')" 4
	llm-tokenize -m "$T/$model.gguf" -0 -d "$T/ids" >"$T/back"
	same "records come back, $model" "$T/back" "$T/records"
done
printf 'a\nb' >"$T/open"
is 'a last line without a newline is a line' "$(ids "$T/open" | wc -l | tr -d ' ')" 2
is 'and a last record without a NUL a record' "$(printf 'a\0b' | llm-tokenize -0 | wc -l | tr -d ' ')" 2
is 'a last line of ids without a newline is one too' "$(printf '97 98\n99' | llm-tokenize -l -d)" "$(printf 'ab\nc')"
is 'ids may stand on one line or several' "$(printf ' 97\t98\r\n\n 99  ' | llm-tokenize -d)" abc
is 'counts are one a line' "$(printf 'xyz\n\nx y\n' | llm-tokenize -l -c | tr '\n' ,)" '3,0,2,'
is 'the id of a byte is plain' "$(printf x | llm-tokenize)" 120

# Text that comes in pieces has the ids of the whole.
i=0
while [ "$i" -lt 40000 ]; do
	echo "line $i of a log, it's  about 1234567 things;   	(more) <|eot_id|>"
	i=$((i + 997))
	echo
done >"$T/log"
cat "$T/log" "$T/broken" "$T/log" >"$T/two"
while [ "$(wc -c <"$T/two")" -lt 700000 ]; do
	cat "$T/two" "$T/two" >"$T/four"
	mv "$T/four" "$T/two"
done
for model in llama3 tiny spm; do
	llm-tokenize -m "$T/$model.gguf" "$T/two" >"$T/ids"
	tr '\0' '\1' <"$T/two" | llm-tokenize -m "$T/$model.gguf" -0 | tr ' ' '\n' >"$T/record"
	same "a long file has the ids that it has as one record, $model" "$T/ids" "$T/record"
	dd if="$T/two" bs=1000 2>/dev/null | llm-tokenize -m "$T/$model.gguf" >"$T/piped"
	same "and through a slow pipe, $model" "$T/piped" "$T/ids"
done

# Control tokens.
is 'the name of a control token is text' "$(printf '<|eot_id|>' | llm-tokenize | grep -c '^7[67][0-9]$')" 0
eot=$(printf '<|eot_id|>' | llm-tokenize --special)
is 'with --special it is that token' "$(printf 'a<|eot_id|>b' | llm-tokenize --special -l)" "97 $eot 98"
is 'control tokens print nothing' "$(echo "97 $eot 98" | llm-tokenize -d)" ab
is 'with --special they print their names' "$(echo "97 $eot 98" | llm-tokenize -d --special)" 'a<|eot_id|>b'
is 'SentencePiece text after a control token comes back' \
	"$(printf 'x<s> y</s>z' | llm-tokenize -m "$T/spm.gguf" --special | llm-tokenize -m "$T/spm.gguf" -d --special)" 'x<s> y</s>z'
begin=$(printf '<|begin_of_text|>' | llm-tokenize --special)
"$make" --vocab llama3 --vocab-size 1024 --set tokenizer.ggml.add_bos_token=bool:true "$T/begin.gguf"
is '--bos puts the begin token first' "$(printf a | llm-tokenize -m "$T/begin.gguf" --bos -l)" "$begin 97"
is 'and before each line' "$(printf 'a\n\n' | llm-tokenize -m "$T/begin.gguf" --bos -l | tr '\n' ,)" "$begin 97,$begin,"
is 'and before nothing' "$(llm-tokenize -m "$T/begin.gguf" --bos </dev/null)" "$begin"
is 'and is counted' "$(printf a | llm-tokenize -m "$T/begin.gguf" --bos -c)" 2
is 'where the model has none before text, none is put' "$(printf x | llm-tokenize -m "$T/tiny.gguf" --bos -c)" 1

# Empty input, wrong input.
exits 'an empty text is no error' 0 llm-tokenize </dev/null
is 'and has no ids' "$(cat "$T/out" "$T/err")" ''
is 'its count is 0' "$(llm-tokenize -c </dev/null)" 0
is 'there are no lines in it' "$(llm-tokenize -l -c </dev/null)" ''
is 'no ids are no text' "$(llm-tokenize -d </dev/null)" ''
for found in x 97x -1 1024 99999999999 1e2 0x61 97,98 +97; do
	printf '97\n98\n%s\n' "$found" >"$T/wrong"
	exits "the id $found is refused" 65 llm-tokenize -d "$T/wrong"
	like 'by its line, and it is named' "$(cat "$T/err")" "^llm-tokenize: .*line 3: .*'$(printf %s "$found" | sed 's/+/[+]/')'"
done
printf '97\n\033[31m\0\n' >"$T/wrong"
exits 'control bytes are no id' 65 llm-tokenize -d "$T/wrong"
like 'what is found is escaped' "$(cat "$T/err")" "line 2: .*'.x1B\\[31m.x00'"
refuses 'text instead of ids is refused' 65 'line 1' llm-tokenize -d "$T/two"
head -c 100000 /dev/zero | tr '\0' 1 >"$T/wrong"
refuses 'so is an id of 100,000 digits' 65 'line 1' llm-tokenize -d "$T/wrong"
refuses '-l and -0 exclude each other' 64 '' llm-tokenize -l -0 "$T/log"
refuses 'so do -d and -c' 64 '' llm-tokenize -d -c "$T/log"
refuses 'and -d and --bos' 64 '' llm-tokenize -d --bos "$T/log"
refuses 'two files are too many' 64 '' llm-tokenize "$T/log" "$T/log"
refuses 'a missing file is named' 66 'nowhere' llm-tokenize "$T/nowhere"
refuses 'a directory is no text' 66 '' llm-tokenize "$T"
refuses 'a missing model is named' 66 'nowhere' llm-tokenize -m "$T/nowhere.gguf" "$T/log"
# shellcheck disable=SC2016 # expanded there
exits 'a full disk is an error' 74 sh -c 'llm-tokenize "$1" >/dev/full' sh "$T/log"
is 'a reader that goes away ends it in silence' "$(llm-tokenize "$T/two" 2>&1 | head -n 1)" "$(head -n 1 "$T/two" | llm-tokenize | head -n 1)"

# Broken vocabularies are refused by what is wrong with them.
for change in 'pre=string:qwen2 qwen2' 'pre=string: known' 'model=string:bert bert' 'model=u32:7 model' \
	'bos_token_id=u32:99999 99999' 'eos_token_id=i32:-5 eos_token_id' 'token_type=[i32]:1,1,1 token_type' \
	'tokens=[string]:a,b tokens?' 'merges=[string]:zq merge' 'merges=[u32]:1 merges' 'add_bos_token=string:x add_bos_token'; do
	"$make" --vocab gpt2 --vocab-size 600 --set "tokenizer.ggml.${change% *}" "$T/broken.gguf"
	refuses "tokenizer.ggml.${change% *} is refused" 65 "broken.gguf: .*${change##* }" llm-tokenize -m "$T/broken.gguf" "$T/log"
done
for key in model pre tokens token_type merges; do
	"$make" --vocab gpt2 --vocab-size 600 --unset "tokenizer.ggml.$key" "$T/broken.gguf"
	refuses "a file without tokenizer.ggml.$key is refused" 65 "tokenizer.ggml.$key is missing" \
		llm-tokenize -m "$T/broken.gguf" "$T/log"
done
"$make" --vocab spm --vocab-size 600 --set 'tokenizer.ggml.scores=[f32]:1,2' "$T/broken.gguf"
refuses 'scores that are too few are refused' 65 'scores has 2 items' llm-tokenize -m "$T/broken.gguf" "$T/log"

# The small model, and the published vocabulary.
if have_model; then
	LLM_MODEL=$LLM_TEST_MODEL
	is 'digits stand apart, and white space before one is whole' "$(printf 'a  5' | llm-tokenize -l)" '81 256 37'
	is 'the template of a chat has its tokens' "$(printf '<|im_start|>user\n' | llm-tokenize --special -l)" '1 4093'
	is 'its control tokens are text without --special' "$(printf '<|im_end|>' | llm-tokenize | grep -c '^[0-9]$\|^1[0-6]$')" 0
	refuses 'a byte that has no token is refused by its place' 65 'byte 0x04, at offset 4' llm-tokenize -l "$T/bytes"
	{ tr -d '\302\303\342\360\200-\277\355\300\376\377' <"$T/two" && printf '\377\n'; } >"$T/late"
	exits 'in a long text too' 65 llm-tokenize -l "$T/late"
	like 'and by the place of its line' "$(cat "$T/err")" 'byte 0xFF, at offset 0 .* which begins at byte [0-9]{6}'
	llm-tokenize README.md | llm-tokenize -d >"$T/back"
	same 'a text comes back' "$T/back" README.md
else
	skip 'the small model tokenizes' 'no model: the small model could not be fetched'
fi
if have_shared llama3/tokenizer.model; then
	"$LLM_TEST_BUILD/tests/mkvocab" "$LLM_TEST_SHARED/llama3/tokenizer.model" "$T/llama3.gguf"
	LLM_MODEL=$T/llama3.gguf
	is 'the published sentence has the published ids' "$(printf 'This is a test sentence.' | llm-tokenize --bos -l)" \
		'128000 2028 374 264 1296 11914 13'
	ids=$(printf '<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>' | llm-tokenize --special | tr '\n' ' ')
	is 'a turn of the chat format has the published ids' "$ids" '128006 882 128007 271 6151 128009 '
else
	skip 'the published vocabulary gives the published ids' 'no shared data: the published ranks are not there'
fi
done_testing
