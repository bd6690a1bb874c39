#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The registers of the product kernels: a compiler that reorders a chain of sums runs out of them, keeps the
# sums on the stack, and halves the rate, with the same results.  Innermost loops that multiply are
# disassembled, and their stores of vectors to the stack are counted.
. tests/tap.sh

need_cmd objdump
case $(uname -m) in
x86_64) ;;
*) skip_all 'the disassembly that it reads is that of x86-64' ;;
esac
under_asan && skip_all 'instrumented code is not what runs'

# worst OBJECT MIN: the innermost loop of MIN multiplications or more with most stores for each of them, as
# "hundredths function multiplications stores"; "none" where there is no such loop.
worst() {
	objdump -d --no-show-raw-insn "$1" | awk -v min="$2" '
	function finish(  i, k, first, last, inner, j, mul, store, rate) {
		for (i = 1; i <= jumps; i++) {
			first = at[target[i]]
			last = from[i]
			if (first == 0 || first > last)
				continue
			inner = 1
			for (k = 1; k <= jumps; k++)
				if (k != i && at[target[k]] > first && from[k] < last &&
				    at[target[k]] <= from[k])
					inner = 0
			if (!inner)
				continue
			mul = store = 0
			for (j = first; j <= last; j++) {
				if (text[j] ~ /^({vex} )?(vpdpbusd|vpmaddubsw|vpmaddwd|vfmadd)/)
					mul++
				if (text[j] ~ /^vmov[^ ]* +%[yz]mm[0-9]+,[-0-9a-fx]*\(%r[sb]p/)
					store++
			}
			if (mul < min)
				continue
			rate = int(100 * store / mul)
			if (!seen || rate > most) {
				seen = 1
				most = rate
				what = rate " " name " " mul " " store
			}
		}
		n = jumps = 0
		split("", at)
	}
	/^[0-9a-f]+ <.*>:$/ { finish(); name = $2; next }
	/^ +[0-9a-f]+:\t/ {
		split($0, part, "\t")
		address = part[1]
		gsub(/[ :]/, "", address)
		at[address] = ++n
		text[n] = part[2]
		if (part[2] ~ /^j/) {
			split(part[2], word, " ")
			target[++jumps] = word[2]
			from[jumps] = n
		}
	}
	END { finish(); print seen ? what : "none" }'
}

# few OBJECT LIMIT MIN: at most LIMIT stores for a hundred multiplications, in loops of MIN or more.
few() {
	object=$LLM_TEST_BUILD/libcore/kernels/x86/$1.o
	if [ ! -f "$object" ]; then
		skip "the sums of $1 stay in registers" 'not built'
		return
	fi
	found=$(worst "$object" "$3")
	if [ "${found%% *}" != none ] && [ "${found%% *}" -le "$2" ]; then
		pass "the sums of $1 stay in registers"
	else
		fail "the sums of $1 stay in registers" \
			"hundredths, function, multiplications, stores: $found" "at most $2"
	fi
}

few amx/product_panel 30 8
few avx512/product_panel 6 16
# Few tokens wait for memory, and sums of whole blocks may stay on the stack from sub to sub.
few avx512/product_few 48 24
few avxvnni/product_panel 8 16
few avxvnni/product_few 42 16
few avx2/product_panel 30 16
few avx512/product_float 9 12
few avx2/product_float 17 12
few avx2/product_few 36 12

# The counting itself can fail: sixteen sums, each stored as soon as it is made.
if command -v gcc >/dev/null; then
	{
		echo '.text'
		echo 'spilled:'
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
			echo 'vpmaddubsw %ymm1,%ymm2,%ymm3'
			echo "vmovdqa %ymm3,-$((i * 32))(%rsp)"
		done
		echo 'jmp spilled'
	} >"$T/spilled.s"
	gcc -c -o "$T/spilled.o" "$T/spilled.s"
	is 'a loop that keeps every sum on the stack is seen' "$(worst "$T/spilled.o" 16)" '100 <spilled>: 16 16'
else
	skip 'a loop that keeps every sum on the stack is seen' 'no gcc'
fi
done_testing
