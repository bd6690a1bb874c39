#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Models that the tests make: the same bytes from a seed everywhere, of every shape and type that the
# programs can compute, whole or split, in either version of the format.
. tests/tap.sh
need_built mkgguf
mkgguf=$LLM_TEST_BUILD/tests/mkgguf
cd "$T" || exit 1
echo 'Once upon a time there was' >in

ok 'a model is made' "$mkgguf" a.gguf
is 'its bytes are the same on every machine' "$(sha256sum <a.gguf)" \
	'aee521c273c4218524213d3a0dffb3de071988c650430ce1cb0d06d43a5e0c6a  -'
"$mkgguf" --seed 2 b.gguf
nok 'another seed gives others' cmp -s a.gguf b.gguf
llm-generate -m ./a.gguf -n 8 in >a.out
llm-generate -m ./b.gguf -n 8 in >b.out
nok 'and another answer' cmp -s a.out b.out

"$mkgguf" --version 2 v2.gguf
llm-generate -m ./v2.gguf -n 8 in >out
same 'version 2 of the format gives the same answer' out a.out
for align in 8 4096; do
	"$mkgguf" --align "$align" align.gguf
	llm-generate -m ./align.gguf -n 8 in >out
	same "and so does an alignment of $align" out a.out
done
"$mkgguf" --split 4 part.gguf
llm-generate -m ./part-00003-of-00004.gguf -n 8 in >out
same 'and so do four parts' out a.out

for type in F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K Q4_K_M Q5_K_M Q3_K_M SMOLLM2; do
	"$mkgguf" --shape tinyk --type "$type" t.gguf
	exits "a model of $type answers" 0 llm-generate -m ./t.gguf -n 4 in
	isnt 'with something' "$(wc -c <out)" 0
done
is 'a mix gives some tensors more bits' "$("$mkgguf" --shape tinyk --layers 8 --type Q4_K_M t.gguf &&
	llm-info t.gguf | awk -F '\t' '$1 == "total" { printf "%s:%s ", $2, $3 }')" 'F32:17 Q4_K:48 Q6_K:9 all:74 '

for shape in tiny odd; do
	for vocab in gpt2 llama3 spm; do
		"$mkgguf" --shape "$shape" --vocab "$vocab" t.gguf
		exits "a model of shape $shape with a vocabulary of kind $vocab answers" 0 llm-generate -m ./t.gguf -n 4 in
		is 'and its tokens give the text back' "$(llm-tokenize -m ./t.gguf in | llm-tokenize -m ./t.gguf -d)" "$(cat in)"
	done
done
while read -r shape weights; do
	"$mkgguf" --shape "$shape" t.gguf
	is "shape $shape has the published number of weights" \
		"$(llm-info t.gguf | awk -F '\t' '$2 == "all" { print $4 }')" "$weights"
done <<'END'
15M 15191712
135M 134515008
END
rm t.gguf

exits 'a shape that makes no sense is refused' 65 "$mkgguf" --heads 3 --heads-kv 2 c.gguf
exits 'and so is a type that is not known' 65 "$mkgguf" --type Q9_Z c.gguf
done_testing
