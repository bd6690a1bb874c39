#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-info: records of a made model, of a split one, of the small model where there is one; one key's
# value; JSON; the processor.
. tests/tap.sh
need_built mkgguf
mkgguf=$LLM_TEST_BUILD/tests/mkgguf
tab=$(printf '\t')
cd "$T" || exit 1
"$mkgguf" --type Q4_1 --set 'test.string=string:two	fields\and a tail' --set 'test.f32=f32:0.1' \
	--set 'test.f64=f64:0.1' --set 'test.big=u64:18446744073709551615' --set 'test.low=i64:-9223372036854775808' \
	--set 'test.nan=f32:nan' --set 'test.true=bool:true' --set 'test.none=[i32]:' --set 'test.eight=[u8]:1,2,3,4,5,6,7,8' \
	--set 'test.nine=[i16]:-1,2,3,4,5,6,7,8,9' --set 'test.words=[string]:a	b,c' --set 'test.text=string:x' made.gguf
"$mkgguf" --split 3 parts.gguf

exits 'a model is described' 0 llm-info made.gguf
field() {
	awk -F '\t' -v kind="$1" -v name="$2" '$1 == kind && $2 == name { print $3 "|" $4 "|" $5 }' out
}
is 'its size' "$(sed -n 1p out)" "file${tab}made.gguf${tab}$(wc -c <made.gguf)"
is 'its format' "$(sed -n 2p out)" "format${tab}GGUF${tab}3"
is 'its licence' "$(sed -n 3p out)" "licence${tab}cc0-1.0${tab}${tab}"
is 'that it can be used' "$(sed -n 4p out)" "usable${tab}yes"
is 'the sum of its tensors of one type' "$(field total F32)" '7|448|1792'
is 'and of all' "$(field total all)" '29|'"$(awk -F '\t' '
	$1 == "tensor" { n = split($4, d, "x"); w = 1; for (i = 1; i <= n; i++) w *= d[i]; sum += w; bytes += $5 }
	END { print sum "|" bytes }' out)"
is 'a tensor, with the length of a row first' "$(field tensor blk.0.ffn_down.weight)" 'Q4_1|160x64|6400'
is 'an integer' "$(field key llama.block_count)" 'u32|3|'
is 'a string, escaped' "$(field key test.string)" 'string|two\tfields\\and a tail|'
is 'a float in as many digits as tell it from others' "$(field key test.f32)" 'f32|0.100000001|'
is 'a double in its own' "$(field key test.f64)" 'f64|0.10000000000000001|'
is 'the largest integer' "$(field key test.big)" 'u64|18446744073709551615|'
is 'the least one' "$(field key test.low)" 'i64|-9223372036854775808|'
is 'a value that is no number' "$(field key test.nan)" 'f32|nan|'
is 'a truth' "$(field key test.true)" 'bool|true|'
is 'an empty array' "$(field key test.none)" 'i32[0]||'
is 'an array of eight whole' "$(field key test.eight)" 'u8[8]|1, 2, 3, 4, 5, 6, 7, 8|'
is 'a longer one cut' "$(field key test.nine)" 'i16[9]|-1, 2, 3, 4, 5, 6, 7, 8, ...|'
is 'nothing is said of it on stderr' "$(cat err)" ''
is 'every record has a kind of its own' "$(cut -f 1 out | sort -u | tr '\n' ' ')" \
	'file format key licence tensor total usable '

is 'one key is printed alone' "$(llm-info -k llama.block_count made.gguf)" 3
llm-info -k test.string made.gguf >out
printf 'two\tfields\\and a tail\n' >wanted
same 'a string as it is' out wanted
llm-info -k test.words made.gguf >out
printf 'a\\tb\nc\n' >wanted
same 'an array of strings one a line, escaped' out wanted
is 'an array of numbers one a line' "$(llm-info -k test.nine made.gguf | tr '\n' ' ')" '-1 2 3 4 5 6 7 8 9 '
is 'an empty array is no line' "$(llm-info -k test.none made.gguf | wc -l)" 0
exits 'a key that is not there is a true no' 1 llm-info -k absent made.gguf
is 'without a word' "$(cat out err)" ''

for name in parts-00001-of-00003 parts-00003-of-00003; do
	exits "a set opens by $name" 0 llm-info "$name.gguf"
	is 'all its parts are listed' "$(grep -c '^file' out)" 3
	is 'with all their tensors' "$(grep -c '^tensor' out)" 29
done
exits 'a path with a slash may stand after -m' 0 llm-info -m ./made.gguf
is 'the environment names a model too' "$(LLM_MODEL=./made.gguf llm-info -k llama.block_count)" 3
refuses 'one without a slash is sought in the store' 66 'made.gguf' llm-info -m made.gguf
refuses 'two models are one too many' 64 'named twice' llm-info -m ./made.gguf made.gguf
refuses 'two files likewise' 64 '' llm-info made.gguf made.gguf
refuses 'a file that is not there' 66 'absent.gguf: No such file' llm-info absent.gguf
refuses 'a directory' 66 'is a directory' llm-info .
refuses 'a file that is no model' 65 'no GGUF file' llm-info wanted
refuses 'no model at all' 66 'llm-model' llm-info

"$mkgguf" --set 'general.architecture=string:mamba' --set "general.name=string:$(printf 'bad\377\001')" other.gguf
exits 'a model of another architecture is described' 0 llm-info other.gguf
like 'with the reason why it cannot be used' "$(grep ^usable out)" "^usable${tab}no${tab}.*mamba"
is 'and bytes that are no text escaped' "$(field key general.name)" 'string|bad\xFF\x01|'

if command -v python3 >/dev/null; then
	llm-info -j made.gguf >out
	python3 - >result 2>&1 <<-'END'
	import json, collections
	rows = [json.loads(line) for line in open("out", encoding="utf-8")]
	key = {r["key"]: r for r in rows if "key" in r}
	tensor = {r["tensor"]: r for r in rows if "tensor" in r}
	assert len(key) == 38 and len(tensor) == 29, (len(key), len(tensor))
	assert rows[0]["file"] == "made.gguf" and rows[1] == {"format": "GGUF", "version": 3}
	assert rows[2] == {"licence": "cc0-1.0", "name": None, "link": None}
	assert rows[3] == {"usable": True}
	assert key["test.string"]["value"] == "two\tfields\\and a tail"
	assert key["test.big"]["value"] == 2**64 - 1 and key["test.low"]["value"] == -2**63
	assert key["test.nan"]["value"] is None and key["test.true"]["value"] is True
	assert key["test.nine"] == {"key": "test.nine", "type": "i16[]", "value": [-1, 2, 3, 4, 5, 6, 7, 8, 9]}
	assert key["test.none"]["value"] == [] and key["test.words"]["value"] == ["a\tb", "c"]
	assert len(key["tokenizer.ggml.tokens"]["value"]) == 512
	assert tensor["blk.0.ffn_down.weight"] == {"tensor": "blk.0.ffn_down.weight", "type": "Q4_1", "shape": [160, 64], "bytes": 6400}
	END
	is 'with -j each line is a JSON object that holds the same' "$(cat result)" ''
	llm-info -j other.gguf >out
	python3 - >result 2>&1 <<-'END'
	import json
	rows = [json.loads(line) for line in open("out", encoding="utf-8")]
	name = [r for r in rows if r.get("key") == "general.name"][0]
	assert name["value"] == "bad\ufffd\x01" and name["bytes"] == [98, 97, 100, 255, 1], name
	assert rows[3]["usable"] is False and "mamba" in rows[3]["reason"]
	END
	is 'bytes that are no text stand beside it' "$(cat result)" ''
else
	skip 'with -j each line is a JSON object' 'no python3 on this machine'
fi

exits 'the processor is described' 0 env -u LLM_KERNELS llm-info --cpu
like 'by its kind' "$(cat out)" "^machine${tab}(plain|AVX2|AVX-VNNI|AVX-512 VNNI|AMX|NEON|NEON with SDOT)\$"
like 'and the kernels that it has' "$(cat out)" "^kernels${tab}generic\$"
like 'a set of kernels may be asked for' "$(LLM_KERNELS=generic llm-info --cpu)" "^used${tab}generic\$"
LLM_KERNELS=quantum
export LLM_KERNELS
refuses 'one that is not there is refused, naming those there are' 64 'quantum.*generic' llm-info --cpu
unset LLM_KERNELS
refuses 'of a processor and a model one is asked for at a time' 64 'cpu' llm-info --cpu -m ./made.gguf

if have_model; then
	exits 'the small model is described' 0 llm-info "$LLM_TEST_MODEL"
	is 'its tensors' "$(field total all)" '272|134515008|96576768'
	is 'of which most are Q4_1' "$(field total Q4_1)" '210|106168320|66355200'
	is 'its licence is Apache 2.0' "$(grep '^licence' out | cut -f 2)" 'apache-2.0'
	like 'its template is whole' "$(llm-info -k tokenizer.chat_template "$LLM_TEST_MODEL" | tail -n 1)" 'endif %}$'
	is 'and so are its tokens' "$(llm-info -k tokenizer.ggml.tokens "$LLM_TEST_MODEL" | wc -l)" 49152
else
	skip 'the small model is described' 'no model: the small model could not be fetched'
fi
done_testing
