#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-embed: a record in, its vector out; by a made encoder, and where they are there by the published one
# and by the small chat model.
. tests/tap.sh

need_built mksafetensors
maker=$LLM_TEST_BUILD/tests/mksafetensors
"$maker" "$T/made" || exit 1
for type in f32 f16 q8_0; do
	exits "a published encoder is converted to $type" 0 llm-convert --type "$type" "$T/made/good" "$T/$type.gguf"
	is "which is usable ($type)" "$(llm-info "$T/$type.gguf" | sed -n 's/^usable	//p')" yes
done
exits 'it can be packed' 0 llm-pack "$T/q8_0.gguf" "$T/packed.gguf"
LLM_ENCODER=$T/f32.gguf
export LLM_ENCODER

printf '%s\n' 'The disk is full.' 'aab b' '' 'the full disk' b >"$T/lines"
llm-embed <"$T/lines" >"$T/all"
is 'a record is a line of as many values as the model has dimensions' \
	"$(awk -F '\t' '{ print NF }' "$T/all" | tr '\n' ' ')" '32 32 32 32 32 '
is 'vectors have the length 1' "$(awk '{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i; printf "%.6f ", s }' "$T/all")" \
	'1.000000 1.000000 1.000000 1.000000 1.000000 '
llm-embed --no-normalize <"$T/lines" >"$T/plain"
isnt 'unless told otherwise' "$(cat "$T/plain")" "$(cat "$T/all")"
is 'which turns none of them' "$(paste "$T/all" "$T/plain" | awk '{
	ab = bb = 0; for (i = 1; i <= 32; i++) { ab += $i * $(i + 32); bb += $(i + 32) ^ 2 }
	printf "%.5f ", ab / sqrt(bb) }')" '1.00000 1.00000 1.00000 1.00000 1.00000 '

for type in f32 f16 q8_0 packed; do
	llm-embed -m "$T/$type.gguf" <"$T/lines" >"$T/many"
	while IFS= read -r line; do
		printf '%s\n' "$line" | llm-embed -m "$T/$type.gguf"
	done <"$T/lines" >"$T/alone"
	same "a record has the same bytes alone and among others ($type)" "$T/alone" "$T/many"
	for n in 1 3; do
		LLM_KERNELS=generic llm-embed -t "$n" -m "$T/$type.gguf" <"$T/lines" >"$T/generic"
		same "and with $n threads and plain C ($type)" "$T/generic" "$T/many"
	done
done
llm-embed -m "$T/q8_0.gguf" <"$T/lines" >"$T/unpacked"
same 'and packed or plain' "$T/many" "$T/unpacked"
llm-embed -m "$T/f16.gguf" <"$T/lines" >"$T/half"
is 'types of weights hardly matter' "$(paste "$T/all" "$T/half" "$T/many" | awk '{
	a = b = 0; for (i = 1; i <= 32; i++) { a += $i * $(i + 32); b += $i * $(i + 64) }
	if (a < 0.99999 || b < 0.999) print NR, a, b }')" ''
i=0
while [ "$i" -lt 700 ]; do
	i=$((i + 1))
	echo "a $i $((i * i))"
done >"$T/numbers"
llm-embed <"$T/numbers" >"$T/batch"
sed -n '650p' "$T/numbers" | llm-embed >"$T/one"
is 'order is kept over more records than are computed at once' "$(sed -n '650p' "$T/batch")" "$(cat "$T/one")"

llm-embed -j <"$T/lines" >"$T/json"
is 'JSON Lines hold the same values' "$(sed 's/^{"n":[1-5],"embedding":\[//; s/\]}$//' "$T/json" | tr , '\t')" "$(cat "$T/all")"
printf 'b\0The disk is full.\0' | llm-embed -0 >"$T/nul"
is 'records may end in NUL' "$(cat "$T/nul")" "$(sed -n '5p;1p' "$T/all" | sed -n '2p;1p' | awk '{ l[NR] = $0 } END { print l[2]; print l[1] }')"
printf '{"n":4,"text":"the full disk"}\n' | llm-embed --field text >"$T/field"
is 'or be a field of JSON' "$(cat "$T/field")" "$(sed -n 4p "$T/all")"
llm-embed "$T/lines" "$T/lines" | tail -n 5 | cmp -s - "$T/all" && pass 'files follow one another' || fail 'files follow one another'

long='a b a b a b a b a b a b a b a b a b'
printf 'b\n%s\nb\n' "$long" >"$T/long"
exits 'a record that is too long ends with 65' 65 llm-embed "$T/long"
is 'it leaves an empty line, and the others have theirs' "$(sed 's/.\{9,\}/vector/' "$T/out" | tr '\n' '|')" 'vector||vector|'
like 'it is told of by its number, with both numbers' "$(cat "$T/err")" 'record 2: 20 tokens, the model takes 16'
exits 'in JSON it has an error instead' 65 llm-embed -j "$T/long"
like 'beside its number' "$(sed -n 2p "$T/out")" '^{"n":2,"error":"20 tokens'
exits '--fit head keeps the head' 0 llm-embed --fit head "$T/long"
is 'of what all three lines have a vector' "$(awk '{ print NF }' "$T/out" | tr '\n' ' ')" '32 32 32 '
like 'and says so' "$(cat "$T/err")" 'record 2: 20 tokens, the first 16 are kept'
is 'the head and its [SEP] are what is embedded' "$(sed -n 2p "$T/out")" "$(echo 'a b a b a b a b a b a b a b' | llm-embed)"
exits 'a field that is missing is told of, and the rest goes on' 65 sh -c 'printf "{}\n{\"t\":\"b\"}\n" | llm-embed --field t'
is 'with an empty line in its place' "$(awk '{ print NF }' "$T/out" | tr '\n' ' ')" '0 32 '

exits 'a file of vectors is made' 65 llm-embed --raw "$T/long"
is 'of a head and the floats of each record' "$(wc -c <"$T/out")" $((64 + 3 * 32 * 4))
is 'it begins with its name and version' "$(head -c 12 "$T/out" | od -An -c | tr -d ' \n')" 'LLMVECTR001\0\0\0'
is 'it names the model' "$(tail -c +17 "$T/out" | head -c 16 | od -An -tx1 | tr -d ' \n')" "$(llm-info --id "$T/f32.gguf")"
is 'dimensions, pooling and length are said' "$(tail -c +33 "$T/out" | head -c 12 | od -An -tu4 | tr -s ' ')" ' 32 1 1'
is 'what has no vector is not a number' "$(tail -c +193 "$T/out" | head -c 4 | od -An -tx4 | tr -d ' ')" 7fc00000
llm-embed --precise <"$T/lines" >"$T/precise"
is '--precise changes little' "$(paste "$T/all" "$T/precise" | awk '{
	a = 0; for (i = 1; i <= 32; i++) a += $i * $(i + 32); if (a < 0.99999) print NR, a }')" ''

for pooling in mean first last; do
	llm-embed --pooling "$pooling" <"$T/lines" >"$T/$pooling"
done
same 'the mean is what this file says' "$T/mean" "$T/all"
isnt 'the first token is something else' "$(cat "$T/first")" "$(cat "$T/all")"
isnt 'and so is the last' "$(cat "$T/last")" "$(cat "$T/first")"

llm-embed -j "$T/numbers" >"$T/whole"
head -n 300 "$T/whole" >"$T/part"
printf '{"n":301,"emb' >>"$T/part"
exits '--resume goes on where the output ends' 0 llm-embed -j --resume "$T/part" "$T/numbers"
same 'as if it had never been cut' "$T/part" "$T/whole"
refuses '--resume wants JSON Lines' 64 'give -j' llm-embed --resume "$T/part" "$T/numbers"
refuses 'one form of output at a time' 64 'give one' llm-embed -j --raw "$T/lines"
refuses 'a pooling that is not known is named' 64 'max' llm-embed --pooling max "$T/lines"
refuses 'only the head can be kept' 64 'head' llm-embed --fit tail "$T/lines"
refuses 'without a model the next step is said' 66 'llm-model get minilm' env -u LLM_ENCODER llm-embed "$T/lines"
refuses 'a file that is missing is named' 66 'nothing' llm-embed "$T/nothing"
exits 'nothing in, nothing out' 0 llm-embed /dev/null
is 'not a line' "$(cat "$T/out")" ''
exits 'a full disk is an error' 74 sh -c "llm-embed '$T/lines' >/dev/full"

refuses 'the store takes for minilm only what was published' 65 'expected 90868376' llm-model get minilm --from "$T/made/good"
refuses 'of a type that it knows' 64 'expected f32, f16 or q8_0' llm-model get minilm --type q4_0
exits 'an encoder goes to the store as any model does' 0 llm-model add "$T/f32.gguf" made
is 'where it is the default of its kind' "$(llm-model list | cut -f 1,3)" 'made	default-encoder'
refuses 'and no default for chat' 66 'no default model' llm-model default
is 'which llm-embed takes when nothing is named' "$(env -u LLM_ENCODER llm-embed "$T/lines")" "$(cat "$T/all")"
exits 'it can be taken away' 0 llm-model rm made
refuses 'and the default with it' 66 'llm-model get minilm' env -u LLM_ENCODER llm-embed "$T/lines"

mkfifo "$T/in" "$T/vectors"
llm-embed <"$T/in" >"$T/vectors" &
exec 7>"$T/in" 8<"$T/vectors"
echo b >&7
IFS= read -r line <&8
is 'a slow producer sees its line before it sends the next' "$line" "$(sed -n 5p "$T/all")"
echo 'the full disk' >&7
IFS= read -r line <&8
is 'and the next' "$line" "$(sed -n 4p "$T/all")"
exec 7>&- 8<&-
wait

if have_model; then
	printf '%s\n' 'The disk is full.' 'No space left on device.' 'Bananas are yellow fruit.' >"$T/three"
	for pooling in mean last first; do
		llm-embed -m "$LLM_TEST_MODEL" --pooling "$pooling" "$T/three" >"$T/llama"
		is "a chat model's vectors have its dimensions ($pooling)" "$(awk '{ print NF }' "$T/llama" | tr '\n' ' ')" '576 576 576 '
		sed -n 2p "$T/three" | llm-embed -m "$LLM_TEST_MODEL" --pooling "$pooling" -t 1 >"$T/one"
		is "and the same bytes alone ($pooling)" "$(cat "$T/one")" "$(sed -n 2p "$T/llama")"
	done
	i=0
	while [ "$i" -lt 90 ]; do
		i=$((i + 1))
		printf 'the disk is full and so on '
	done | llm-embed -m "$LLM_TEST_MODEL" >"$T/llama"
	is 'a text of more than a pass is pooled in pieces' "$(awk '{ print NF }' "$T/llama")" 576
else
	skip 'a chat model embeds too' 'no model: the small model could not be fetched'
fi
if have_encoder; then
	printf '%s\n' 'The disk is full.' 'No space left on device.' 'Bananas are yellow fruit.' |
		llm-embed -m "$LLM_TEST_ENCODER" >"$T/near"
	is 'what means something near is near' "$(awk '{ for (i = 1; i <= NF; i++) v[NR, i] = $i }
		END { for (i = 1; i <= NF; i++) { a += v[1, i] * v[2, i]; b += v[1, i] * v[3, i] }
		print (a > 0.4 && b < 0.2 ? "yes" : a " " b) }' "$T/near")" yes
else
	skip 'what means something near is near' 'no encoder: it could not be fetched'
fi
done_testing
