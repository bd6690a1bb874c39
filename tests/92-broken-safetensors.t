#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Encoders as published are hostile files: each way to spoil one is refused in one line, and no file is made.
. tests/tap.sh

need_built mksafetensors
maker=$LLM_TEST_BUILD/tests/mksafetensors
"$maker" "$T/made" || exit 1

for dir in good shards; do
	exits "one that is not spoilt is converted ($dir)" 0 llm-convert "$T/made/$dir" "$T/$dir.gguf"
done
same 'from shards the same file is made as from one' "$T/good.gguf" "$T/shards.gguf"

# The kin of the model: another prefix, buffers and heads beside, halves, the first token's vector.
embed() {
	llm-embed -m "$T/$1.gguf" "$T/lines"
}
printf 'the disk\nfull a b.\n\n' >"$T/lines"
for dir in good bge e5 gte; do
	exits "in the way of $dir" 0 llm-convert --type f32 "$T/made/$dir" "$T/$dir.gguf"
	embed "$dir" >"$T/$dir.tsv"
done
same 'names with a prefix, and heads that are not used, change nothing' "$T/good.tsv" "$T/e5.tsv"
isnt 'pooling by the first token is something else' "$(cat "$T/bge.tsv")" "$(cat "$T/good.tsv")"
llm-embed --pooling first -m "$T/good.gguf" "$T/lines" >"$T/first.tsv"
same 'and what the file said' "$T/first.tsv" "$T/bge.tsv"
is 'of halves it is nearly the same' "$(paste "$T/good.tsv" "$T/gte.tsv" |
	awk '{ s = 0; for (i = 1; i <= 32; i++) s += $i * $(i + 32); if (s < 0.9999) print s }')" ''

set -- "$T"/made/broken/*
ok 'there are at least 30 ways to spoil one' test "$#" -ge 30

for dir in "$T"/made/broken/*; do
	refuses "spoilt, and refused: ${dir##*/}" 65 . llm-convert "$dir" "$T/out.gguf"
done
nok 'of none a file is left' test -e "$T/out.gguf"

# What config.json and tokenizer.json say is not believed either.
spoil() {
	rm -rf "$T/spoilt"
	cp -r "$T/made/bge" "$T/spoilt"
	sed "s|$2|$3|" "$T/made/bge/$1" >"$T/spoilt/$1"
}
while read -r file from to why; do
	spoil "$file" "$from" "$to"
	refuses "$file with $to is refused" 65 "$why" llm-convert "$T/spoilt" "$T/out.gguf"
done <<'END'
config.json "bert" "gpt2" model_type
config.json "gelu" "relu" hidden_act
config.json "absolute" "relative_key" position_embedding_type
config.json hidden_size":32 hidden_size":64 token_embd
config.json hidden_size":32 hidden_size":"32" hidden_size
config.json attention_heads":2 attention_heads":3 heads
config.json hidden_layers":1 hidden_layers":2 missing
config.json hidden_layers":1 hidden_layers":99999999 num_hidden_layers
config.json vocab_size":12 vocab_size":13 vocab_size
config.json eps":1e-12 eps":-1 layer_norm_eps
config.json ^{ [ JSON
tokenizer.json lowercase":true lowercase":false uncased
tokenizer.json BertPreTokenizer Whitespace pre_tokenizer
tokenizer.json "WordPiece" "BPE" WordPiece
tokenizer.json word":100 word":50 100
tokenizer.json disk":8 disk":9 own
tokenizer.json disk":8 disk":-8 own
tokenizer.json "[[]CLS]":2 "[CLX]":2 CLS
1_Pooling/config.json token":true token":false pooling
1_Pooling/config.json cls_token mean_sqrt_len_tokens sqrt
modules.json models[.]Normalize models.Dense models.Dense
modules.json path":"1_Pooling path":"2_Pooling 1_Pooling
modules.json ^[[] { JSON
config.json "bert" "mpnet" mpnet
config.json "bert" "xlm-roberta" xlm-roberta
config.json "gelu" "gelu_new" hidden_act
END
spoil config.json x x
rm "$T/spoilt/tokenizer.json"
refuses 'a directory without tokenizer.json is refused' 66 tokenizer.json llm-convert "$T/spoilt" "$T/out.gguf"
refuses 'so is a directory that is not there' 66 'none/config.json' llm-convert "$T/none" "$T/out.gguf"
refuses 'a type that is not known is named' 64 'q4_0' llm-convert --type q4_0 "$T/made/good" "$T/out.gguf"
refuses 'two operands are wanted' 64 'two operands' llm-convert "$T/made/good"
done_testing
