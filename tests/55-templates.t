#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Which chat template a model's file asks for: known ones are used, others refused with the names, and
# who does not converse never looks.
. tests/tap.sh
need_model
export LLM_MODEL="$LLM_TEST_MODEL"
names='llama3 llama3.0 llama3.1 llama3.2 chatml llama2 mistral-v0.1 mistral-v0.2 mistral-v1 mistral-v3'

ask() {
	llm-chat --temp 0 -n 8 "$@" 'Name a colour.' </dev/null
}
# change TEXT BYTES: overwrites the beginning of the first TEXT in the file.
change() {
	at=$(LC_ALL=C grep -abo "$1" "$T/other.gguf" | head -n 1 | cut -d : -f 1)
	printf %s "$2" | dd of="$T/other.gguf" bs=1 seek="$at" conv=notrunc 2>/dev/null
}

ask >"$T/own" 2>/dev/null
ask --template chatml >"$T/got" 2>/dev/null
same 'the name of the template that the file has changes nothing' "$T/got" "$T/own"
ask -S 'You are a helpful AI assistant named SmolLM, trained by Hugging Face' >"$T/got" 2>/dev/null
same 'without a system message the file'\''s own is used' "$T/got" "$T/own"
ask --date '1 Jan 2030' >"$T/got" 2>/dev/null
same 'a template without a date does not look at --date' "$T/got" "$T/own"
like 'the template is named with -v' "$(ask -v 2>&1)" '^llm-chat: template chatml$'

refuses 'a name that is none is a usage error with the list' 64 "'nonsense'.*$names" llm-chat --template nonsense hello </dev/null
refuses 'a template whose control tokens the vocabulary lacks is refused by the first of them' 65 \
	'control token <\|begin_of_text\|>|control token <\|start_header_id\|>' llm-chat --template llama3.1 hello </dev/null
refuses 'a template without a place for a system message refuses one' 64 'mistral-v0.2 has no place for a system message' \
	llm-chat --template mistral-v0.2 -S 'Be brief.' hello </dev/null

cp "$LLM_TEST_MODEL" "$T/other.gguf"
export LLM_MODEL="$T/other.gguf"
change 'You are a helpful AI' 'You are a hopeful AI'
ask >"$T/got" 2>/dev/null
ask -S 'You are a hopeful AI assistant named SmolLM, trained by Hugging Face' >"$T/want" 2>/dev/null
same 'the system message is read from the file'\''s text' "$T/got" "$T/want"
change "{% if add_generation_prompt %}{{ '<|im_start|>assistant" "{% if add_generation_prompt %}{{ '<|IM_START|>assistant"
refuses 'a template that is not known is refused with the list' 65 "other.gguf: unknown chat template: .*--template.*$names" \
	llm-chat hello </dev/null
exits 'and used by a name' 2 llm-chat --template chatml -n 3 'Tell me a story.' </dev/null
ok 'who does not converse never looks at it' llm-generate -n 1 /dev/stdin <"$T/own"
change tokenizer.chat_template tokenizer.chat_tempLATE
refuses 'a file without a template is refused with the list' 65 "other.gguf: no chat template in the file: .*--template.*$names" \
	llm-chat hello </dev/null
done_testing
