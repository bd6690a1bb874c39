#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-generate: the continuation and nothing else, the same bytes whatever computes them; on made models
# of a few hundred tokens, and on the small model where it is there.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
generate() {
	llm-generate -m "$model" "$@"
}
"$make" "$T/tiny.gguf"
"$make" --ctx 64 "$T/short.gguf"
"$make" --vocab spm --vocab-size 600 "$T/spm.gguf"
"$make" --set tokenizer.ggml.add_bos_token=bool:true "$T/begin.gguf"
model=$T/tiny.gguf
echo 'hello world, how are you?' >"$T/in"

# What comes out.
generate -n 24 <"$T/in" >"$T/plain"
is 'a continuation is printed' "$([ -s "$T/plain" ] && echo yes)" yes
generate -n 24 "$T/in" >"$T/out"
same 'a file is read as the standard input is' "$T/out" "$T/plain"
exits 'tokens that were asked for are no cut answer' 0 generate -n 24 "$T/in"
is 'and nothing is said about it' "$(cat "$T/err")" ''
generate -n 24 -o <"$T/in" >"$T/ids"
is 'ids come one a line, as many as asked for' "$(grep -c '^[0-9][0-9]*$' "$T/ids")" 24
llm-tokenize -m "$model" -d <"$T/ids" >"$T/out"
same 'the ids are those of the text' "$T/out" "$T/plain"
llm-tokenize -m "$model" --bos <"$T/in" | generate -i -o -n 24 | llm-tokenize -m "$model" -d >"$T/out"
same 'ids in and out through llm-tokenize give the same bytes' "$T/out" "$T/plain"
generate -n 0 <"$T/in" >"$T/out"
is 'no token is asked for, none is printed' "$(wc -c <"$T/out")" 0
generate -n 24 <"$T/in" >"$T/out" 2>&-
same 'the bytes are the same without a standard error' "$T/out" "$T/plain"

for name in spm begin; do
	model=$T/$name.gguf
	generate -n 24 <"$T/in" >"$T/plain.$name"
	llm-tokenize -m "$model" --bos <"$T/in" | generate -i -o -n 24 |
		llm-tokenize -m "$model" -d >"$T/out"
	same "ids in and out give the same bytes, $name vocabulary" "$T/out" "$T/plain.$name"
done
model=$T/tiny.gguf

# One line of JSON.
generate -j -n 24 <"$T/in" >"$T/json"
is 'JSON is one line' "$(wc -l <"$T/json")" 1
like 'with all of its fields' "$(cat "$T/json")" \
	'^\{"text":".*","ids":\[[0-9,]+\],"n_prompt":[0-9]+,"n_out":24,"stop":"limit"\}$'
is 'its ids are those of -o' "$(sed 's/.*"ids":\[\([0-9,]*\)\].*/\1/' "$T/json" | tr ',' '\n')" "$(cat "$T/ids")"
is 'n_prompt counts the input' "$(sed 's/.*"n_prompt":\([0-9]*\).*/\1/' "$T/json")" \
	"$(llm-tokenize -m "$model" -c <"$T/in")"
is 'n_prompt counts the begin token too' \
	"$(llm-generate -m "$T/begin.gguf" -j -n 1 <"$T/in" | sed 's/.*"n_prompt":\([0-9]*\).*/\1/')" \
	"$(llm-tokenize -m "$T/begin.gguf" --bos <"$T/in" | wc -l)"
refuses 'two forms of output at once are refused' 64 '-j and -o' generate -j -o -n 1 "$T/in"

# The same bytes, whatever computes them.
for n in 1 2 3 7; do
	generate -t "$n" -n 24 <"$T/in" >"$T/out"
	same "threads do not change a byte: $n" "$T/out" "$T/plain"
done
generate -n 40 --temp 1.2 --top-p 0.95 --seed 5 <"$T/in" >"$T/drawn"
for set in generic avx2 avxvnni avx512 amx neon; do
	LLM_KERNELS=$set generate -n 40 --temp 1.2 --top-p 0.95 --seed 5 <"$T/in" >"$T/out" 2>"$T/err"
	case $? in
	0) same "kernels do not change a draw: $set" "$T/out" "$T/drawn" ;;
	64) skip "kernels do not change a draw: $set" 'not on this machine' ;;
	*) fail "kernels do not change a draw: $set" "$(cat "$T/err")" ;;
	esac
done
generate -n 40 --temp 1.2 --top-p 0.95 --seed 5 <"$T/in" >"$T/out"
same 'a seed gives the same text again' "$T/out" "$T/drawn"
generate -n 40 --temp 1.2 --top-p 0.95 --seed 6 <"$T/in" >"$T/out"
nok 'another seed gives another' cmp -s "$T/out" "$T/drawn"
generate -n 40 --temp 1.2 <"$T/in" >"$T/out"
generate -n 40 --temp 1.2 --seed 0 <"$T/in" >"$T/out2"
same 'the default seed is fixed' "$T/out" "$T/out2"
# A draw depends on the position: ids fed back one at a time are the same.
generate -i -o -n 1 --temp 5 --seed 3 >"$T/one" <<END
1 2 3
END
generate -i -o -n 6 --temp 5 --seed 3 >"$T/six" <<END
1 2 3
END
id=$(cat "$T/one")
{ cat "$T/one"; echo "1 2 3 $id" | generate -i -o -n 5 --temp 5 --seed 3; } >"$T/out"
same 'a text continued from its own middle goes on as it did' "$T/out" "$T/six"
exits 'a seed by chance is reported' 0 generate -n 4 --temp 1 --seed random "$T/in"
like 'in one line' "$(cat "$T/err")" '^llm-generate: seed [0-9]+$'
seed=$(sed 's/.* //' "$T/err")
generate -n 4 --temp 1 --seed "$seed" "$T/in" >"$T/out2"
same 'and gives the text again' "$T/out2" "$T/out"
generate -n 24 --temp 1 --top-k 1 <"$T/in" >"$T/out"
same 'the most probable of one is the most probable' "$T/out" "$T/plain"
generate -n 24 --temp 1 --top-p 0 <"$T/in" >"$T/out"
same 'no share but the first is the first' "$T/out" "$T/plain"
generate -n 24 --temp 1 --min-p 1 <"$T/in" >"$T/out"
same 'as probable as the first is the first' "$T/out" "$T/plain"
first=$(head -n 1 "$T/ids")
unlike 'a banned token does not come' "$(generate -o -n 24 --logit-bias "$first=-inf" "$T/in")" "^$first\$"
is 'a favoured token always comes' "$(generate -o -n 3 --logit-bias 400=1000000 "$T/in" | sort -u)" 400
is 'a repeat penalty ends a repetition' \
	"$(generate -o -n 24 --repeat-penalty 100 "$T/in" | sort | uniq -d)" ''

# Stop strings, wherever tokens end.
text=$(cat "$T/plain"; echo x)
text=${text%x}
stop=$(printf %s "$text" | tail -c 6 | head -c 3)
printf %s "${text%%"$stop"*}" >"$T/wanted"
generate -n 24 --stop "$stop" <"$T/in" >"$T/out"
same 'a stop string ends the text before it' "$T/out" "$T/wanted"
generate -n 24 --stop 'never at all' --stop "$stop" <"$T/in" >"$T/out"
same 'one of several, too' "$T/out" "$T/wanted"
like 'and is told in JSON' "$(generate -j -n 24 --stop "$stop" <"$T/in")" '"stop":"string"\}$'
generate -n 24 --stop "$(printf %s "$text" | tail -c 2)zzz" <"$T/in" >"$T/out"
same 'what only began as one is printed at the end' "$T/out" "$T/plain"
refuses 'an empty stop string is refused' 64 '--stop' generate --stop '' -n 1 "$T/in"
is 'ids behind a stop string are not printed' \
	"$(generate -o -n 24 --stop "$stop" "$T/in" | llm-tokenize -m "$model" -d | wc -c)" \
	"$(head -n 100 "$T/wanted" | wc -c)"

# The context.
model=$T/short.gguf
exits 'a text that fills the context is a cut answer' 2 generate "$T/in"
like 'and one line says so' "$(cat "$T/err")" '^llm-generate: the context of 64 tokens is full'
is 'input and answer fill it together' \
	"$(($(generate -o "$T/in" 2>/dev/null | wc -l) + $(llm-tokenize -m "$model" -c <"$T/in")))" 64
like 'JSON tells it too' "$(generate -j "$T/in" 2>/dev/null)" '"stop":"context"\}$'
exits 'more tokens asked for than there is room is a cut answer' 2 generate -n 2147483647 "$T/in"
seq 64 >"$T/long"
refuses 'an input as long as the context is refused with both numbers' 65 'has 64 tokens.* 64' \
	generate -i -n 1 "$T/long"
exits 'one token shorter leaves room for one' 0 sh -c "head -n 63 '$T/long' | llm-generate -m '$model' -i -n 1"
for part in head tail middle; do
	seq 100 | generate -i -n 4 -o --fit "$part" >"$T/out" 2>"$T/err"
	case $part in
	head) from=1 ;;
	tail) from=41 ;;
	middle) from=21 ;;
	esac
	seq "$from" $((from + 59)) | generate -i -n 4 -o >"$T/out2"
	same "--fit $part keeps that part" "$T/out" "$T/out2"
	like 'and says so' "$(cat "$T/err")" "^llm-generate: the input has 100 tokens, the context 64: kept 60, its $part\$"
done
seq 20 | generate -i -n 4 -o --fit head >"$T/out" 2>"$T/err"
is '--fit says nothing where all fits' "$(cat "$T/err")" ''

# The end token, favoured until it comes within the text.
"$make" --set tokenizer.ggml.eos_token_id=u32:2 "$T/ends.gguf"
model=$T/ends.gguf
end=2
for bias in 1 2 3 4 5 6 8 10 12 16 20; do
	generate -j -n 24 --logit-bias "$end=$bias" "$T/in" >"$T/json"
	grep -q '"n_out":[1-9].*"stop":"end"' "$T/json" && break
done
like 'JSON says that the text ended' "$(cat "$T/json")" '"stop":"end"\}$'
n=$(sed 's/.*"n_out":\([0-9]*\).*/\1/' "$T/json")
generate -o -n 24 --logit-bias "$end=$bias" "$T/in" >"$T/out"
head -n "$n" "$T/ids" >"$T/wanted"
same 'the end token ends the text and is not printed' "$T/out" "$T/wanted"
exits 'a text that ends at once is empty, and no error' 0 generate --logit-bias "$end=1000000" "$T/in"
is 'and nothing stands for it' "$(wc -c <"$T/out")" 0
model=$T/tiny.gguf

# Begin token, empty input, bad ids.
refuses 'an empty input without a begin token is refused' 65 'empty' generate -n 1 /dev/null
exits 'an empty input with a begin token is not' 0 llm-generate -m "$T/begin.gguf" -n 1 /dev/null
refuses 'empty ids are refused' 65 'empty' llm-generate -m "$T/begin.gguf" -i -n 1 /dev/null
for bad in 512 -1 1x 1.0 0x1 99999999999 '1 2,3'; do
	printf '1 2\n%s\n' "$bad" >"$T/bad"
	refuses "no token id: $bad" 65 'line 2: .* no token id of this model, 0 to 511' generate -i -n 1 "$T/bad"
done
printf '7\000\n' >"$T/bad"
refuses 'a NUL is no token id' 65 'line 1' generate -i -n 1 "$T/bad"
printf '\n 1\t2\r\n3' | generate -i -o -n 4 >"$T/out"
echo 1 2 3 | generate -i -o -n 4 >"$T/out2"
same 'ids are separated by any white space' "$T/out" "$T/out2"

# Options.
refuses 'a temperature below zero is refused' 64 '--temp' generate --temp -1 "$T/in"
refuses 'a share above one is refused' 64 '--top-p' generate --top-p 1.5 "$T/in"
refuses 'no number is no temperature' 64 '--temp' generate --temp nan "$T/in"
refuses 'a number of tokens beyond all is refused' 64 '--count' generate -n 99999999999 "$T/in"
refuses 'no tokens fewer than none' 64 '--count' generate -n -1 "$T/in"
refuses 'a bias without a value is refused' 64 '--logit-bias' generate --logit-bias 5 "$T/in"
refuses 'a bias on a token that the model has not is refused' 64 'tokens 0 to 511' \
	generate --logit-bias 512=1 -n 1 "$T/in"
refuses 'a seed is a number' 64 '--seed' generate --seed x "$T/in"
refuses 'a seed fits 64 bits' 64 '--seed' generate --seed 18446744073709551616 "$T/in"
exits 'the largest seed' 0 generate -n 1 --seed 18446744073709551615 "$T/in"
refuses 'two files are one too many' 64 'operands' generate "$T/in" "$T/in"
refuses 'a part that is none is refused' 64 '--fit' generate --fit end "$T/in"
refuses 'kernels that are not there are named' 64 'generic' env LLM_KERNELS=cray llm-generate -m "$model" "$T/in"
like '-h names every option' "$(llm-generate -h)" '--repeat-penalty'

# Values that are not finite.
for weights in token_embd.weight blk.0.attn_q blk.1.ffn_down output_norm; do
	for value in nan inf; do
		"$make" --std-of "$weights=$value" "$T/broken.gguf"
		refuses "a model with $value in $weights is refused by its name" 65 'broken.gguf.*not finite' \
			llm-generate -m "$T/broken.gguf" -n 4 "$T/in"
	done
done

# The type of keys and values.
model=$T/tiny.gguf
echo 'hello world, how are you?' >"$T/in"
generate -n 24 "$T/in" >"$T/plain"
generate -n 24 --kv f16 "$T/in" >"$T/out"
same '--kv f16 is what is done anyway' "$T/out" "$T/plain"
refuses '--kv beside --precise is refused' 64 'precise.*--kv f16' generate -n 1 --kv f16 --precise "$T/in"
refuses '--kv takes no other type' 64 '--kv f32: expected f16|q8_0' generate -n 1 --kv f32 "$T/in"
refuses 'heads of 16 do not go into q8_0' 65 'multiple of 32 dimensions, found 16: keep them in f16' \
	generate -n 1 --kv q8_0 "$T/in"

if have_model; then
	model=$LLM_TEST_MODEL
	echo 'The capital of France is' >"$T/in"
	generate -n 24 "$T/in" >"$T/plain"
	is 'the small model speaks' "$(wc -w <"$T/plain" | awk '{ print ($1 > 5) }')" 1
	llm-tokenize -m "$model" --bos <"$T/in" | generate -i -o -n 24 | llm-tokenize -m "$model" -d >"$T/out"
	same 'the small model: ids in and out give the same bytes' "$T/out" "$T/plain"
	generate -n 24 -t 1 "$T/in" >"$T/out"
	same 'the small model: one thread gives the same bytes' "$T/out" "$T/plain"
	LLM_KERNELS=generic generate -n 24 "$T/in" >"$T/out"
	same 'the small model: plain C gives the same bytes' "$T/out" "$T/plain"
	generate -n 24 --kv q8_0 "$T/in" >"$T/eight"
	LLM_KERNELS=generic generate -n 24 -t 1 --kv q8_0 "$T/in" >"$T/out"
	same 'the small model: --kv q8_0 gives the same bytes with plain C, on one thread' "$T/out" "$T/eight"
	generate -n 8 --precise "$T/in" >"$T/out"
	is 'the small model: --precise answers' "$([ -s "$T/out" ] && echo yes)" yes
	printf 'Smile: \360\237\230\200\360\237\230\200\360\237\230\200\360\237\230\200\360\237\230\200' |
		generate -n 12 >"$T/out"
	ok 'the small model: emoji come whole' iconv -f UTF-8 -t UTF-8 "$T/out"
	seq 8192 | sed 's/.*/1000/' >"$T/long"
	refuses 'the small model: 8192 tokens are too many, with both numbers' 65 '8192 tokens.*8192' \
		generate -i -n 1 "$T/long"
else
	skip 'the small model speaks' 'no model: the small model could not be fetched'
fi
done_testing
