#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-classify: probabilities that are those of the labels' tokens, the same however they are computed;
# records of every kind, bad ones by number, runs that go on.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
"$make" --seed 5 --ctx 2048 --set tokenizer.ggml.add_bos_token=bool:true "$T/tiny.gguf"
"$make" --seed 5 --ctx 128 "$T/short.gguf"
classify() {
	llm-classify -m "$T/tiny.gguf" --template llama2 "$@"
}
tab=$(printf '\t')

# The numbers, against scoring the same text token by token.
prompt='[INST] Which label fits the text? Answer with one of these labels and nothing else: 7, 71, 85, 9.

Text: hello world [/INST]'
n=$(printf %s "$prompt" | llm-tokenize -m "$T/tiny.gguf" --bos | wc -l)
for label in 7 71 85 9; do
	printf '%s%s' "$prompt" "$label" | llm-score -m "$T/tiny.gguf" |
		awk -F '\t' -v n="$n" -v l="$label" 'NR > n { s += $2 } END { printf "%s %.17g\n", l, s }'
done >"$T/nats"
echo 'hello world' | classify -j -l 7,71,85,9 >"$T/out"
is 'probabilities are those of scoring, 7 without what goes on to 71' "$(awk -v got="$(cat "$T/out")" '
	{ p[$1] = exp($2); }
	END {
		p["7"] -= p["71"]
		for (l in p) mass += p[l]
		sub(/.*"labels":\{/, "", got); split(got, part, /[,}]/)
		for (i = 1; i <= 4; i++) {
			split(part[i], f, ":"); gsub(/"/, "", f[1]); sum += f[2]
			d = f[2] / (p[f[1]] / mass) - 1
			if (d > 1e-5 || d < -1e-5) print f[1], f[2], p[f[1]] / mass
		}
		sub(/.*"mass":/, "", got); sub(/}.*/, "", got); d = got / mass - 1
		if (d > 1e-5 || d < -1e-5) print "mass", got, mass
		if (sum > 1.000001 || sum < 0.999999) print "sum", sum
	}' "$T/nats")" ''
is 'the label printed is the most probable one' "$(echo 'hello world' | classify -l 7,71,85,9)" \
	"$(sed 's/.*"label":"\([0-9]*\)","p":\([^,]*\),.*/\1 \2/' "$T/out" | tr ' ' '\t')"

# The same however it is computed.
i=0
while [ "$i" -lt 70 ]; do
	i=$((i + 1))
	[ $((i % 9)) -ne 0 ] || echo 'an equal line'
	echo "line $i, of $((i * i % 13)) and more text, whatever it is about"
done >"$T/lines"
printf '\nlast, without its end \303\251 \377\001' >>"$T/lines"
classify -j -l red,green,re,blue "$T/lines" >"$T/want"
is 'each record has a line' "$(wc -l <"$T/want")" 79
is 'numbered in order' "$(sed 's/^{"n":\([0-9]*\),.*/\1/' "$T/want")" "$(awk 'BEGIN { for (i = 1; i <= 79; i++) print i }')"
for args in '--batch 1' '--batch 64' '-t 1' '-t 3' '--batch 7 -t 2'; do
	# shellcheck disable=SC2086 # options are words
	classify -j -l red,green,re,blue $args "$T/lines" >"$T/out"
	same "the bytes are the same with $args" "$T/out" "$T/want"
done
for set in generic avx2 avxvnni avx512 amx neon; do
	LLM_KERNELS=$set classify -j -l red,green,re,blue "$T/lines" >"$T/out" 2>"$T/err"
	case $? in
	0) same "kernels do not change a byte: $set" "$T/out" "$T/want" ;;
	64) skip "kernels do not change a byte: $set" 'not on this machine' ;;
	*) fail "kernels do not change a byte: $set" "$(cat "$T/err")" ;;
	esac
done
sed -n '30,40p' "$T/lines" | classify -j -l red,green,re,blue | sed 's/"n":[0-9]*/"n":/' >"$T/out"
sed -n '30,40p' "$T/want" | sed 's/"n":[0-9]*/"n":/' >"$T/some"
same 'a record gets the same whatever stands beside it' "$T/out" "$T/some"
classify -l red,green,re,blue "$T/lines" >"$T/tsv"
is 'without -j a line is a label and its probability' "$(cat "$T/tsv")" \
	"$(sed 's/.*"label":"\([a-z]*\)","p":\([^,]*\),.*/\1 \2/' "$T/want" | tr ' ' '\t')"
classify -l blue,re,green,red "$T/lines" >"$T/out"
isnt 'the order of labels is part of the question' "$(cat "$T/out")" "$(cat "$T/tsv")"
{ sed -n 1p "$T/lines"; sleep 1; sed -n 2p "$T/lines"; } | classify -l red,green,re,blue | {
	IFS= read -r first
	printf '%s\n' "$first" >"$T/first"
	date +%s%N >"$T/at"
	cat >/dev/null
	date +%s%N >"$T/end"
}
is 'a record of a slow pipe is answered' "$(cat "$T/first")" "$(head -n 1 "$T/tsv")"
ok 'before the next one comes' test "$(cat "$T/end")" -gt $(($(cat "$T/at") + 500000000))

# Margin, descriptions, examples.
classify -j --margin 1 -l red,green "$T/lines" >"$T/out"
is 'where the best two are near the label is unsure' "$(grep -c '"label":"unsure"' "$T/out")" 79
classify --margin 0 -l red,green,re,blue "$T/lines" >"$T/out"
same 'a margin of nothing changes nothing' "$T/out" "$T/tsv"
printf 'red\tlike blood\r\ngreen\tlike grass\n\nre\nblue\t\n' >"$T/labels"
classify -L "$T/labels" "$T/lines" >"$T/out"
is 'labels come from a file too' "$(cut -f 1 "$T/out" | sort -u | grep -Evcx 'red|green|re|blue')" 0
isnt 'and what they mean is part of the question' "$(cat "$T/out")" "$(cat "$T/tsv")"
printf 'red\ngreen\n\nre\nblue\n' >"$T/labels"
classify -L "$T/labels" "$T/lines" >"$T/out"
same 'without a meaning it is the same question' "$T/out" "$T/tsv"
printf 'red\tthe sky at night\nblue\tthe sky\n' >"$T/examples"
classify -e "$T/examples" -l red,green,re,blue "$T/lines" >"$T/out"
isnt 'examples are part of the question' "$(cat "$T/out")" "$(cat "$T/tsv")"
classify -e "$T/examples" -l red,green,re,blue --batch 1 -t 1 "$T/lines" >"$T/b"
same 'and computed once, which changes nothing' "$T/b" "$T/out"
classify -p 'What is the colour?' -l red,green,re,blue "$T/lines" >"$T/out"
isnt 'the prompt may be another' "$(cat "$T/out")" "$(cat "$T/tsv")"

classify -j --calibrate -l red,green,re,blue "$T/lines" >"$T/out"
echo | classify -j -l red,green,re,blue >"$T/empty"
is 'calibrated, a probability is divided by that of an empty record' "$(awk -v empty="$(cat "$T/empty")" '
	function labels(line, p,  part, f, i) {
		sub(/.*"labels":\{/, "", line); split(line, part, /[,}]/)
		for (i = 1; i <= 4; i++) { split(part[i], f, ":"); p[f[1]] = f[2] }
	}
	BEGIN { labels(empty, base) }
	FNR == NR { want[FNR] = $0; next }
	{
		labels(want[FNR], p); labels($0, q); sum = 0
		for (l in p) sum += p[l] / base[l]
		for (l in p) { d = q[l] / (p[l] / base[l] / sum) - 1; if (d > 1e-5 || d < -1e-5) print FNR, l, q[l] }
	}' "$T/want" "$T/out")" ''
is 'so that those of an empty one are equal' "$(echo | classify -j --calibrate -l red,green,re,blue | grep -o ':0.25[,}]' | wc -l)" 5

# Records.
tr '\n' '\000' <"$T/lines" | classify -0 -l red,green,re,blue >"$T/out"
same 'records may end in NUL' "$T/out" "$T/tsv"
sed 's/.*/{"a":[1,{"text":"no"}],"text":"&","b":null}/' "$T/lines" | head -n 77 |
	classify --field text -l red,green,re,blue >"$T/out"
head -n 77 "$T/tsv" >"$T/some"
same 'or be a field of JSON Lines' "$T/out" "$T/some"
printf '{"t":"\\u0068ello\\u0020\\ud83d\\ude00 \\"w\\"\\n"}\n' | classify --field t -l red,green >"$T/out"
printf 'hello \360\237\230\200 "w"\n\000' | classify -0 -l red,green >"$T/some"
same 'whose escapes are undone' "$T/out" "$T/some"
printf '{"t":"a"}\n{"u":"a"}\n{"t":1}\n[]\n{"t":"\\ud800"}\n{"t":"a"\n\n{"t":"b"} x\n{"t":"a","t":"b"}\n' >"$T/json"
awk 'BEGIN { printf "{\"t\":\"a\",\"u\":"; for (i = 0; i < 300; i++) printf "["; print "" }' >"$T/deep"
exits 'brackets without end are no record' 65 classify --field t -l red,green "$T/deep"
exits 'a record that is none is told of, and the others are answered' 65 classify -j --field t -l red,green "$T/json"
is 'each by its number' "$(sed 's/.*record \([0-9]*\): .*/\1/' "$T/err" | tr '\n' ' ')" '2 3 4 5 6 7 8 '
like 'and its file' "$(cat "$T/err")" '^llm-classify: .*json, record 2: the object has no such field$'
is 'lines of input and output pair up' "$(sed 's/^{"n":\([0-9]*\),"\([a-z]*\)".*/\1\2/' "$T/out" | tr '\n' ' ')" \
	'1label 2error 3error 4error 5error 6error 7error 8error 9label '
exits 'without -j, too' 65 classify --field t -l red,green "$T/json"
is 'an empty line stands for a bad record' "$(cut -c 1 "$T/out" | tr '\n' ' ' | tr -d gre)" '         '
is 'there is one for each' "$(wc -l <"$T/out")" 9
awk 'BEGIN { for (i = 0; i < 200; i++) printf "many words "; print "" }' >"$T/long"
{ echo short; cat "$T/long"; echo short; } >"$T/mixed"
exits 'a record longer than the context is told of by number' 65 \
	llm-classify -m "$T/short.gguf" --template llama2 -p x -l red,green "$T/mixed"
like 'with both numbers' "$(cat "$T/err")" 'record 2: [0-9]+ tokens .* holds 128'
is 'and the others are answered' "$(awk 'length > 0' "$T/out" | wc -l)" 2
exits 'with --fit a part of it is taken' 0 \
	llm-classify -m "$T/short.gguf" --template llama2 -p x --fit head -l red,green "$T/mixed"
like 'which is said' "$(cat "$T/err")" '^llm-classify: record 2 has [0-9]+ tokens: kept [0-9]+, its head$'
is 'and it has its label' "$(awk 'length > 0' "$T/out" | wc -l)" 3
exits 'nothing in, nothing out' 0 classify -l red,green /dev/null
is 'not a byte' "$(wc -c <"$T/out")" 0

# Going on.
classify -j -l red,green,re,blue --resume "$T/run" "$T/lines" >"$T/out"
is 'with --resume nothing is on the standard output' "$(wc -c <"$T/out")" 0
same 'but in the file' "$T/run" "$T/want"
head -c 3000 "$T/want" >"$T/run"
classify -j -l red,green,re,blue --resume "$T/run" "$T/lines"
same 'a run that was cut short goes on' "$T/run" "$T/want"
classify -j -l red,green,re,blue --resume "$T/run" "$T/lines"
same 'one that was not has nothing to do' "$T/run" "$T/want"
printf 'red\t0.5\n' >"$T/run"
refuses 'another file is not gone on with' 65 'run: line 1 ' classify -j -l red,green --resume "$T/run" "$T/lines"
is 'and not touched' "$(cat "$T/run")" "red${tab}0.5"
refuses 'nor is a directory' 66 'directory' classify -j -l red,green --resume "$T" "$T/lines"
refuses '--resume wants JSON Lines' 64 'give -j' classify -l red,green --resume "$T/run" "$T/lines"

# On a terminal.
if command -v expect >/dev/null; then
	cat >"$T/terminal" <<-'END'
	log_user 0
	spawn -noecho sh -c $env(COMMAND)
	expect eof
	puts $expect_out(buffer)
	END
	COMMAND="{ head -n 2 $T/lines; sleep 0.8; sed -n 3,4p $T/lines; } |
		llm-classify -m $T/tiny.gguf --template llama2 -l red,green,re,blue >$T/out" \
		TERM=xterm expect "$T/terminal" >"$T/shown"
	like 'progress is shown on a terminal' "$(tr '\r' '\n' <"$T/shown")" 'llm-classify: [34] records, [0-9]+/s$'
	head -n 4 "$T/tsv" >"$T/some"
	same 'and the output is the same' "$T/out" "$T/some"
else
	skip 'progress is shown on a terminal' 'no expect on this machine'
fi

# What is refused.
refuses 'no labels' 64 'no labels' classify "$T/lines"
refuses 'labels twice over' 64 'exclude' classify -l a,b -L "$T/labels" "$T/lines"
refuses 'one label' 64 'nothing to choose' classify -l red "$T/lines"
refuses 'one that comes twice' 64 "'red' is there twice" classify -l red,green,red "$T/lines"
refuses 'an empty one' 64 'empty' classify -l red,,green "$T/lines"
refuses 'unsure, where it could mean two things' 64 'unsure' classify --margin 0.1 -l unsure,red "$T/lines"
printf 'pink\tthe sky\n' >"$T/examples"
refuses 'an example of no label' 65 "line 1: 'pink'" classify -e "$T/examples" -l red,green "$T/lines"
echo red >"$T/examples"
refuses 'an example without a text' 65 'line 1: expected' classify -e "$T/examples" -l red,green "$T/lines"
refuses 'a question longer than the context' 65 'the context of .*short.gguf holds 128' \
	llm-classify -m "$T/short.gguf" --template llama2 -p "$(cat "$T/long")" -l red,green "$T/lines"
refuses 'a file that is not there' 66 'absent' classify -l red,green "$T/absent"
"$make" --unset tokenizer.chat_template "$T/bare.gguf"
refuses 'a model without a template that is known' 65 'template' llm-classify -m "$T/bare.gguf" -l red,green "$T/lines"
"$make" --std-of token_embd=nan "$T/broken.gguf"
refuses 'a model whose values are not finite' 65 'broken.gguf.*not finite' \
	llm-classify -m "$T/broken.gguf" --template llama2 -l red,green "$T/lines"
# shellcheck disable=SC2016 # sh expands
exits 'a full disk is an error' 74 sh -c 'llm-classify -m "$1" --template llama2 -l red,green "$2" >/dev/full' sh "$T/tiny.gguf" "$T/lines"

if have_model; then
	export LLM_MODEL="$LLM_TEST_MODEL"
	printf 'I love it, what a wonderful film!\nTerrible, I want my money back.\n' >"$T/reviews"
	llm-classify -p 'What is the sentiment of the text?' -l positive,negative -j "$T/reviews" >"$T/out"
	p=$(sed 's/.*"positive":\([^,]*\),.*/\1/' "$T/out" | tr '\n' ' ')
	ok 'the small model: praise is more positive than blame' sh -c "echo '$p' | awk '{ exit !(\$1 > \$2) }'"
	llm-classify -p 'What is the sentiment of the text?' -l positive,negative -j --batch 1 -t 1 "$T/reviews" >"$T/b"
	same 'the small model: alone and together are the same' "$T/b" "$T/out"
else
	skip 'the small model: praise is more positive than blame' 'no model: the small model could not be fetched'
fi

# By an encoder: cosines as llm-embed's vectors have them.
if have_encoder; then
	near() {
		llm-classify -m "$LLM_TEST_ENCODER" "$@"
	}
	printf 'The disk is full.\nWrong password for root.\n\nThe switch lost its link.\n' >"$T/text"
	printf 'disk\tstorage, disks, file systems\nlogin\nnet\tcables and networks\n' >"$T/labels"
	{ printf 'storage, disks, file systems\nlogin\ncables and networks\n'; cat "$T/text"; } |
		llm-embed -m "$LLM_TEST_ENCODER" >"$T/vectors" 2>"$T/err"
	near -j -L "$T/labels" "$T/text" >"$T/out"
	is 'an encoder: a label has its share of exp(20 cos)' "$(awk -F '\t' '
		FNR == NR && NR <= 3 { for (i = 1; i <= NF; i++) ref[NR, i] = $i; next }
		FNR == NR { sum = 0
			for (k = 1; k <= 3; k++) { dot = 0; for (i = 1; i <= NF; i++) dot += $i * ref[k, i]; p[NR - 3, k] = exp(20 * dot); sum += p[NR - 3, k] }
			for (k = 1; k <= 3; k++) p[NR - 3, k] /= sum
			next }
		{ sub(/.*"labels":\{/, ""); split($0, part, /[,}]/)
			for (k = 1; k <= 3; k++) { split(part[k], f, ":"); d = f[2] - p[FNR, k]; if (d > 1e-4 || d < -1e-4) print FNR, k, f[2], p[FNR, k] } }
		' "$T/vectors" "$T/out")" ''
	is 'an encoder: it knows what lines are about' "$(cut -d '"' -f 6 "$T/out" | sed 3d | tr '\n' ' ')" 'disk login net '
	near -j -L "$T/labels" --batch 1 -t 1 "$T/text" >"$T/b"
	same 'an encoder: alone and together are the same' "$T/b" "$T/out"
	printf 'net\tThe disk is full\nnet\tNo space left on the disk\ndisk\tabc\n' >"$T/examples"
	is 'an encoder: the nearest examples vote' "$(head -n 1 "$T/text" | near -L "$T/labels" -e "$T/examples" | cut -f 1)" net
	awk 'BEGIN { for (i = 0; i < 600; i++) printf "word "; print "" }' >"$T/words"
	exits 'an encoder: a record too long is told of by number' 65 near -l disk,net "$T/words"
	like 'with both numbers' "$(cat "$T/err")" 'record 1: [0-9]+ tokens: the encoder takes at most [0-9]+'
	exits 'an encoder: with --fit head its beginning is taken' 0 near --fit head -l disk,net "$T/words"
	refuses 'an encoder: it is asked nothing' 64 'asked nothing' near -p x -l disk,net "$T/text"
else
	skip 'an encoder: a label has its share of exp(20 cos)' 'no encoder: the sentence encoder could not be fetched'
fi
done_testing
