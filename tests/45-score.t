#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-score: a line for each token, probabilities that add up, the same in windows, chunks and threads.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
score() {
	llm-score -m "$model" "$@"
}
# near A B: equal to a millionth.
# shellcheck disable=SC2317,SC2329 # called by ok
near() {
	awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d; s = b < 0 ? -b : b; exit !(d <= 1e-6 * (s + 1e-9)) }'
}
tab=$(printf '\t')
"$make" "$T/tiny.gguf"
"$make" --ctx 64 "$T/short.gguf"
"$make" --ctx 2048 "$T/long.gguf"
"$make" --vocab spm --vocab-size 600 "$T/spm.gguf"
"$make" --set tokenizer.ggml.add_bos_token=bool:true "$T/begin.gguf"
model=$T/tiny.gguf
printf 'hello world,\thow are\\you?\r\nfine \303\251\377 \342\202 thanks\n' >"$T/in"

# The lines.
score "$T/in" >"$T/lines"
is 'there is a line for each token' "$(cut -f 1 "$T/lines")" "$(llm-tokenize -m "$model" <"$T/in")"
is 'the first token has no number' "$(head -n 1 "$T/lines" | cut -f 2)" -
is 'the others have logarithms, 0 at most' "$(sed 1d "$T/lines" | cut -f 2 | grep -Evc '^(0|-[0-9.e+-]+)$')" 0
printf '%b' "$(cut -f 3 "$T/lines" | sed 's/\\x\(..\)/\\0\1/g' | awk '
	function octal(h,  d) { d = index("0123456789ABCDEF", substr(h, 1, 1)) * 16 + index("0123456789ABCDEF", substr(h, 2, 1)) - 17; return sprintf("\\0%03o", d) }
	{ while (match($0, /\\0[0-9A-F][0-9A-F]/)) { printf "%s%s", substr($0, 1, RSTART - 1), octal(substr($0, RSTART + 2, 2)); $0 = substr($0, RSTART + 4) } printf "%s", $0 }')" >"$T/out"
same 'the texts together are the input, escapes undone' "$T/out" "$T/in"
score -j "$T/in" >"$T/json"
is 'JSON has the same ids' "$(sed 's/^{"id":\([0-9]*\),.*/\1/' "$T/json")" "$(cut -f 1 "$T/lines")"
is 'and the same numbers' "$(sed 's/.*"logprob":\([^,]*\),.*/\1/; s/null/-/' "$T/json")" "$(cut -f 2 "$T/lines")"
like 'bytes that are no UTF-8 stand beside the text' "$(cat "$T/json")" '"bytes":\[255\]'
for name in begin spm; do
	score_model=$T/$name.gguf
	llm-score -m "$score_model" "$T/in" >"$T/out"
	is "the begin token has a line of its own, and no text: $name" "$(head -n 1 "$T/out")" "1$tab-$tab"
	is "after it every token has a number: $name" "$(cut -f 2 "$T/out" | grep -cx -e -)" 1
done
printf 'ab cd\n' | llm-score -m "$T/spm.gguf" | cut -f 3 | tr -d '\n' >"$T/out"
is 'the space that begins a SentencePiece text is not of the text' "$(cat "$T/out")" 'ab cd\n'

# The numbers.
score -p "$T/in" >"$T/out"
ok 'the perplexity is that of the lines' near "$(cat "$T/out")" \
	"$(awk -F '\t' '$2 != "-" { s += $2; n++ } END { printf "%.12g", exp(-s / n) }' "$T/lines")"
is 'in JSON it has the count beside it' "$(score -p -j "$T/in")" \
	"{\"perplexity\":$(cat "$T/out"),\"n\":$(sed 1d "$T/lines" | wc -l)}"
score -j -k 512 "$T/in" >"$T/top"
sums=$(sed -n '2,$ { s/.*"top":\[\[//; s/\]\]}$//; s/\],\[/ /g; p; }' "$T/top" |
	awk '{ s = 0; for (i = 1; i <= NF; i++) { split($i, p, ","); s += exp(p[2]) } print (s > 0.999999 && s < 1.000001 ? "one" : s) }' | sort -u)
is 'the probabilities of all tokens add up to one' "$sums" one
orders=$(sed -n '2,$ { s/.*"top":\[\[//; s/\]\]}$//; s/\],\[/ /g; p; }' "$T/top" |
	awk '{ for (i = 2; i <= NF; i++) { split($(i - 1), a, ","); split($i, b, ","); if (b[2] > a[2]) print "rises" } }')
is 'and stand in order, the most probable first' "$orders" ''
found=$(awk '{ id = $0; sub(/^{"id":/, "", id); sub(/,.*/, "", id); l = $0; sub(/.*"logprob":/, "", l); sub(/,.*/, "", l)
	if (l != "null" && index($0, "[" id "," l "]") == 0) print "missing" }' "$T/top")
is 'with each token own number among them' "$found" ''
is 'as many as asked for' "$(score -j -k 3 "$T/in" | sed -n 2p | grep -o '\[[0-9]*,' | wc -l)" 3
echo 'hello world' >"$T/start"
llm-generate -m "$model" -o -n 12 "$T/start" >"$T/ids"
{ cat "$T/start"; llm-generate -m "$model" -n 12 "$T/start"; } >"$T/both"
score -j -k 1 "$T/both" | tail -n 12 | sed 's/.*"top":\[\[\([0-9]*\),.*/\1/' >"$T/out"
if [ "$(llm-tokenize -m "$model" <"$T/both" | tail -n 12)" = "$(cat "$T/ids")" ]; then
	same 'what llm-generate chose is the most probable' "$T/out" "$T/ids"
else
	skip 'what llm-generate chose is the most probable' 'the text does not tokenize as it was made'
fi

# The same however it is computed.
model=$T/long.gguf
i=0
while [ "$i" -lt 60 ]; do
	i=$((i + 1))
	echo "line $i of a longer text, that goes on and on."
done >"$T/text"
score "$T/text" >"$T/lines"
n=$(wc -l <"$T/lines")
ok 'a text of more tokens than one chunk of rows' test "$n" -gt 600
head -n 20 "$T/text" | score >"$T/out"
head -n "$(wc -l <"$T/out")" "$T/lines" >"$T/begin"
same 'what follows does not change what was said before' "$T/out" "$T/begin"
for threads in 1 3; do
	score -t "$threads" "$T/text" >"$T/out"
	same "threads do not change a number: $threads" "$T/out" "$T/lines"
done
for set in generic avx2 avxvnni avx512 amx neon; do
	LLM_KERNELS=$set score "$T/text" >"$T/out" 2>"$T/err"
	case $? in
	0) same "kernels do not change a number: $set" "$T/out" "$T/lines" ;;
	64) skip "kernels do not change a number: $set" 'not on this machine' ;;
	*) fail "kernels do not change a number: $set" "$(cat "$T/err")" ;;
	esac
done
score "$T/text" >"$T/out" 2>&-
same 'the bytes are the same without a standard error' "$T/out" "$T/lines"

# Windows.
score -w 64 "$T/text" >"$T/out"
is 'windows change no id' "$(cut -f 1 "$T/out")" "$(cut -f 1 "$T/lines")"
is 'each is scored on its second half' \
	"$(awk -F '\t' -v n="$n" '{ i = (NR - 1) % 64; at = NR - 1 - i; size = n - at < 64 ? n - at : 64
		want = i < int(size / 2) || i == 0 ? "-" : "number"; got = $2 == "-" ? "-" : "number"
		if (want != got) print NR }' "$T/out")" ''
sed -n 33,64p "$T/out" >"$T/a"
sed -n 33,64p "$T/lines" >"$T/b"
same 'the first window knows as much as the whole text does' "$T/a" "$T/b"
ok 'the perplexity in windows is that of their lines' near "$(score -p -w 64 "$T/text")" \
	"$(awk -F '\t' '$2 != "-" { s += $2; n++ } END { printf "%.12g", exp(-s / n) }' "$T/out")"
llm-score -m "$T/begin.gguf" -w 64 "$T/text" >"$T/out"
is 'every window starts with the begin token' \
	"$(awk -F '\t' 'NR % 64 == 1 && ($1 != 1 || $3 != "")' "$T/out")" ''
is 'which takes none of the text away' "$(awk -F '\t' '$1 != 1 { print $1 }' "$T/out")" "$(cut -f 1 "$T/lines")"
model=$T/short.gguf
refuses 'a text longer than the context is refused with both numbers' 65 "has $n tokens.* 64" score "$T/text"
exits 'windows take a text of any length' 0 score -p -w 64 "$T/text"
refuses 'a window longer than the context is refused' 64 '65.* 64' score -w 65 "$T/text"
refuses 'a window of one token is refused' 64 '--window' score -w 1 "$T/text"
exits '--fit keeps a part of it' 0 score --fit head "$T/text"
like 'and says so' "$(cat "$T/err")" "^llm-score: the input has $n tokens, the context 64: kept 63, its head\$"

# Nearly nothing.
model=$T/tiny.gguf
exits 'of nothing nothing is printed' 0 score /dev/null
is 'not a byte' "$(wc -c <"$T/out")" 0
exits 'nor a perplexity' 0 score -p /dev/null
is 'either' "$(wc -c <"$T/out")" 0
printf a >"$T/one"
is 'one token has a line' "$(score "$T/one" | cut -f 2,3)" "-${tab}a"
refuses 'and no perplexity' 65 'perplexity' score -p "$T/one"
printf 'a\000b' >"$T/nul"
is 'a NUL is text' "$(score -j "$T/nul" | grep -c 'u0000')" 1
refuses '-k without -j is refused' 64 '-k' score -k 3 "$T/in"
"$make" --std-of token_embd=nan "$T/broken.gguf"
refuses 'a model whose values are not finite is refused by its name' 65 'broken.gguf.*not finite' \
	llm-score -m "$T/broken.gguf" "$T/in"

if have_model; then
	model=$LLM_TEST_MODEL
	echo 'The capital of France is Paris' >"$T/right"
	echo 'The capital of France is elephant' >"$T/wrong"
	ok 'the small model: sense is more probable than nonsense' sh -c \
		"awk -v a='$(score -p "$T/right")' -v b='$(score -p "$T/wrong")' 'BEGIN { exit !(a < b) }'"
	head -n 8 "$T/text" >"$T/some"
	is 'the small model: a precise run differs by little' "$(awk -v a="$(score -p "$T/some")" \
		-v b="$(score -p --precise "$T/some")" 'BEGIN { r = a / b; print (r > 0.97 && r < 1.03 ? "little" : r) }')" little
else
	skip 'the small model: sense is more probable than nonsense' 'no model: the small model could not be fetched'
fi
done_testing
