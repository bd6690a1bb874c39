#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-bench prints what it says it prints, and refuses what it cannot time.  Nothing here depends on how
# fast anything is.
. tests/tap.sh
make=$LLM_TEST_BUILD/tests/mkgguf
"$make" --shape tinyk --type Q4_K --ctx 2048 "$T/k.gguf"
"$make" --ctx 100 "$T/short.gguf"
"$make" --type F32 "$T/f32.gguf"

bench() {
	llm-bench -m "$T/k.gguf" -r 1 "$@"
}

# lines EXPECTED: the first four columns of $T/out are these lines, and the others numbers in range.
columns() {
	is "$1" "$(cut -f 1-4 "$T/out" | tr '\t\n' ' ;')" "$2"
	is "$1: as many columns each, numbers all, the share of the limit in (0, 5]" "$(awk -F '\t' '
		NF != 11 || $5 <= 0 || $6 <= 0 || $6 > 5 || $7 < 0 || $9 <= 0 || $10 <= 0 || $11 <= 0' "$T/out")" ''
	is "$1: a cost but for prefill" "$(awk -F '\t' '($1 == "prefill") != ($8 == "-")' "$T/out")" ''
}

exits 'a prompt is timed' 0 bench -p 5
columns 'one length is one line' 'prefill 5 0 1;'
is 'nothing stands on the standard error' "$(cat "$T/err")" ''
exits 'a range is by doubles, its end included' 0 bench -p 3..20,600
columns 'a list is in its order' 'prefill 3 0 1;prefill 6 0 1;prefill 12 0 1;prefill 20 0 1;prefill 600 0 1;'
exits 'tokens are decoded at depths' 0 bench -n 2 -d 0,1k,7
columns 'a k is 1024' 'decode 2 0 1;decode 2 1024 1;decode 2 7 1;'
exits 'a depth alone is decode too' 0 bench -d 3
columns 'of 32 tokens unless told' 'decode 32 3 1;'
exits 'a count alone is decode at the depths that fit' 0 bench -n 1
columns 'the context is not passed' 'decode 1 0 1;decode 1 1024 1;'
exits 'sequences are decoded at once' 0 bench -n 2 -d 0 -b 1,3
columns 'beside one another' 'decode 2 0 1;batch 2 0 1;batch 2 0 3;'
exits 'passes of several tokens are verified' 0 bench -n 2 -d 0 --verify 2,4
columns 'after one of one' 'decode 2 0 1;verify 1 0 1;verify 2 0 1;verify 4 0 1;'
is 'what costs are compared with costs 1' "$(awk -F '\t' '$1 == "verify" && $2 == 1 { print $8 }' "$T/out")" 1
exits 'without any of them all are run' 0 llm-bench -m "$T/short.gguf" -r 1
columns 'as far as the context reaches' 'prefill 1 0 1;prefill 2 0 1;prefill 4 0 1;prefill 8 0 1;prefill 16 0 1;prefill 32 0 1;prefill 64 0 1;decode 32 0 1;batch 32 0 1;batch 32 0 2;batch 32 0 4;batch 32 0 8;batch 32 0 16;'

exits 'a depth past what is computed repeats it' 0 bench -n 3 -d 700,2045 -r 2
columns 'to the end of the context' 'decode 3 700 1;decode 3 2045 1;'
exits 'weights that are no integers have a limit too' 0 llm-bench -m "$T/f32.gguf" -r 1 -p 4 -n 2 -d 0
columns 'of single precision' 'prefill 4 0 1;decode 2 0 1;'
exits 'keys and values of 8 bits' 0 bench --kv q8_0 -n 2 -d 0,600
columns 'are copied as they are' 'decode 2 0 1;decode 2 600 1;'
exits 'and of 32' 0 bench --precise -n 2 -d 0,600
columns 'too' 'decode 2 0 1;decode 2 600 1;'
for set in generic avx2 avxvnni avx512 amx neon; do
	LLM_KERNELS=$set bench -p 4 -t 1 >"$T/out" 2>"$T/err"
	case $? in
	0) columns "kernels: $set" 'prefill 4 0 1;' ;;
	64) skip "kernels: $set" 'not on this machine' ;;
	*) fail "kernels: $set" "$(cat "$T/err")" ;;
	esac
done

exits 'JSON Lines' 0 bench -j -r 3 -t 2 -p 4 -n 2 -d 0 -b 2
if command -v python3 >/dev/null; then
	cat >"$T/check.py" <<-'END'
		import json, sys
		keys = "test n depth batch tok_s limit_share spread cost read_gb_s int8_gop_s f32_gflop_s".split()
		rows = [json.loads(line) for line in sys.stdin]
		assert [r["test"] for r in rows] == ["prefill", "decode", "batch"], rows
		for r in rows:
		    assert list(r) == keys, r
		    assert 0 < r["limit_share"] <= 5 and r["tok_s"] > 0 and r["spread"] >= 0, r
		    assert (r["cost"] is None) == (r["test"] == "prefill"), r
		    assert all(isinstance(r[k], int) for k in ("n", "depth", "batch")), r
		assert rows[2]["batch"] == 2 and rows[0]["n"] == 4 and rows[1]["depth"] == 0
	END
	ok 'are objects of the names in the manual, in order' python3 "$T/check.py" <"$T/out"
else
	skip 'are objects of the names in the manual, in order' 'no python3 on this machine'
fi
exits '-v' 0 bench -v -p 4
like 'names the model and the kernels' "$(cat "$T/err")" '^llm-bench: .*k.gguf: .* kernels, [0-9]+ threads'
like 'and what the time was' "$(cat "$T/err")" '^llm-bench: prefill 4.*: .*%'
unlike 'a line each' "$(cut -c 301- "$T/err")" .
columns 'and leaves the output alone' 'prefill 4 0 1;'

refuses 'a prompt longer than the context is refused, with both numbers' 65 '101 .* 100' llm-bench -m "$T/short.gguf" -p 4,101
refuses 'a depth past it too' 65 'depth 99 .*100' llm-bench -m "$T/short.gguf" -n 2 -d 99
refuses 'more tokens than it holds too' 65 '101 .*100' llm-bench -m "$T/short.gguf" -n 101 -d 0
refuses 'in batches as well' 65 '101 .*100' llm-bench -m "$T/short.gguf" -n 101 -b 2
refuses 'a verified pass as well' 65 '128 .*100' llm-bench -m "$T/short.gguf" --verify 128
for bad in '' ',' '1,' 0 -1 x 1..x 4..2 0..3 1...3 1kk k 99999999999; do
	refuses "-p '$bad' is no list" 64 '(--prefill|-p)' bench -p "$bad"
done
refuses 'too many sequences are refused' 64 '--batch.*512' bench -b 513
refuses 'none too' 64 '--batch' bench -b 0
refuses 'too many tokens of a pass too' 64 '--verify' bench --verify 513
refuses 'no repetition is refused' 64 '--repeat' llm-bench -m "$T/k.gguf" -r 0
refuses 'no token too' 64 '--count' bench -n 0
refuses '--fit is refused' 64 '--fit' bench -p 4 --fit head
refuses 'an operand is refused' 64 "try 'llm-bench -h'" bench -p 4 file
refuses 'a missing model is named' 66 'nowhere.gguf' llm-bench -m "$T/nowhere.gguf" -p 4
"$make" --std-of token_embd=nan "$T/broken.gguf"
refuses 'a model whose values are not finite is refused by its name' 65 'broken.gguf.*not finite' \
	llm-bench -m "$T/broken.gguf" -p 4
exits 'a full device is an error' 74 sh -c "llm-bench -m '$T/k.gguf' -r 1 -p 4 >/dev/full"

if have_model; then
	exits 'the small model' 0 llm-bench -m "$LLM_TEST_MODEL" -r 1 -p 8 -n 1 -d 0
	columns 'is timed' 'prefill 8 0 1;decode 1 0 1;'
else
	skip 'the small model' 'no model: the small model could not be fetched'
fi
done_testing
