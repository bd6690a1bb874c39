#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-split: records that fit, from which the input can be put together again.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
"$make" --vocab llama3 --vocab-size 1024 "$T/llama3.gguf"
"$make" --vocab spm --vocab-size 600 "$T/spm.gguf"
LLM_MODEL=$T/llama3.gguf
export LLM_MODEL

# Texts of many shapes, without NUL.
i=0
while [ "$i" -lt 300 ]; do
	i=$((i + 1))
	echo "Nov 21 09:14:$i host sshd[$((i * 37))]: Failed password for root from 10.0.0.$i port $((4000 + i))"
	[ $((i % 7)) -ne 0 ] || printf '\n \t\n    indented, caf\303\251 \360\237\230\200\n'
done >"$T/log"
head -c 60000 /dev/urandom | tr -d '\0' >"$T/random"
head -c 200000 /dev/zero | tr '\0' a >"$T/letter"
head -c 100000 /dev/zero | tr '\0' '\n' >"$T/newlines"
printf 'x' >"$T/one"
printf '\n' >"$T/newline"

# largest MODEL: the most tokens of the records on stdin.
largest() {
	llm-tokenize -m "$1" -0 -c | sort -n | tail -n 1
}
for model in llama3 spm; do
	for text in log random letter newlines one newline; do
		for n in 8 100 3000; do
			for at in line paragraph; do
				llm-split -m "$T/$model.gguf" -n "$n" --at "$at" "$T/$text" >"$T/out"
				tr -d '\0' <"$T/out" >"$T/back"
				same "nothing of $text is lost: $model, $n tokens, $at" "$T/back" "$T/$text"
				most=$(largest "$T/$model.gguf" <"$T/out")
				ok "no record has more tokens: $model, $text, $n tokens, $at" [ "$most" -le "$n" ]
			done
		done
	done
done

# Where it cuts.
records() {
	llm-split "$@" | tr '\0\n' '|/'
}
is 'lines stay whole' "$(printf 'a b\nc d\ne f\n' | records -n 4)" 'a b/|c d/|e f/|'
is 'and go together where they fit' "$(printf 'q\nr\ns\nt\n' | records -n 4)" 'q/r/|s/t/|'
is 'paragraphs stay whole' "$(printf 'q\nr\n\ns\n\nt\n' | records -n 8 --at paragraph)" 'q/r//s//|t/|'
is 'a text that fits is one record' "$(printf 'q\nr\n\ns\n\nt\n' | records -n 100 --at paragraph)" 'q/r//s//t/|'
is 'characters stay whole' "$(printf '\303\251\303\251\303\251' | records -n 5 | od -An -tx1 | tr -d ' \n')" 'c3a9c3a97cc3a97c'
llm-split -n 100 "$T/log" >"$T/out"
ok 'a log is cut at lines only' [ "$(tr '\0' '\1' <"$T/out" | grep -c '^')" -eq "$(($(wc -l <"$T/log") + 1))" ]
records=$(tr -cd '\0' <"$T/out" | wc -c)
tokens=$(llm-tokenize -c "$T/log")
ok 'records are well filled' [ "$((records * 100))" -lt "$((tokens * 2))" ]
dd if="$T/log" bs=100 2>/dev/null | llm-split -n 100 >"$T/piped"
same 'a slow pipe gives the same records' "$T/piped" "$T/out"

# What is refused.
exits 'an empty text is no error' 0 llm-split -n 5 </dev/null
is 'and has no records' "$(cat "$T/out" "$T/err")" ''
printf 'abc\0def' >"$T/nul"
refuses 'a NUL in the input is refused by its place' 65 'NUL at byte 3' llm-split -n 5 "$T/nul"
{ head -c 300000 /dev/zero | tr '\0' '\n' && printf 'abc\0def'; } >"$T/nul"
exits 'a late one too' 65 llm-split -n 500 "$T/nul"
like 'by its place in the whole input' "$(cat "$T/err")" 'NUL at byte 300003'
refuses 'a character that takes more tokens is refused with both numbers' 65 \
	'byte 0: the character .* takes 4 tokens, a record at most 3' sh -c 'printf "\360\237\230\200" | llm-split -n 3'
refuses '-n is required' 64 '-n' llm-split "$T/log"
refuses '-n 0 is refused' 64 '' llm-split -n 0 "$T/log"
refuses 'so is -n that is no number' 64 '' llm-split -n ten "$T/log"
refuses '--at has two values' 64 "'word'" llm-split -n 9 --at word "$T/log"
refuses 'a missing file is named' 66 'nowhere' llm-split -n 9 "$T/nowhere"
refuses 'a missing model is named' 66 'nowhere' llm-split -n 9 -m "$T/nowhere.gguf" "$T/log"
# shellcheck disable=SC2016 # expanded there
exits 'a full disk is an error' 74 sh -c 'llm-split -n 9 "$1" >/dev/full' sh "$T/log"

if have_model; then
	LLM_MODEL=$LLM_TEST_MODEL
	llm-split -n 50 "$T/random" >"$T/out"
	tr -d '\0' <"$T/out" >"$T/back"
	same 'bytes that have no token come back' "$T/back" "$T/random"
	if have_shared text/wikitext2-test.txt; then
		text=$LLM_TEST_SHARED/text/wikitext2-test.txt
		for n in 2 500; do
			llm-split -n "$n" --at paragraph "$text" >"$T/out"
			tr -d '\0' <"$T/out" >"$T/back"
			same "nothing of a long text is lost, $n tokens" "$T/back" "$text"
			is "its largest record is full, $n tokens" "$(largest "$LLM_MODEL" <"$T/out")" "$n"
		done
	fi
else
	skip 'the small model splits' 'no model: the small model could not be fetched'
fi
done_testing
