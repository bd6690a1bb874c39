#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The ARM kernels on any machine: libcore and its unit tests, built by the cross compiler and run by
# an emulator, which computes what the hardware does but says nothing of its speed.  That the hashes
# of core-golden hold there too is the promise of equal bytes across architectures.
#	LLM_TEST_ARM=all sh tests/84-arm.t	all shapes (minutes), not a part of them
. tests/tap.sh
cross=aarch64-linux-gnu-gcc
need_cmd "$cross"
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || skip_all 'no qemu-aarch64 on this machine'
echo '#include <stdio.h>' | "$cross" -E -x c - >/dev/null 2>&1 || skip_all "no C library for $cross on this machine"
units='core-product core-packed core-vector core-attention core-golden core-cpu'

# The cross compiler has no libraries but C's: what needs another is left out, as are its tests.
plain() {
	for source in "$@"; do
		grep -q '#include <\(cblas\|histedit\|jansson\|utf8proc\|xxhash\)\.h>' "$source" || printf '%s ' "$source"
	done
}
[ "${LLM_TEST_ARM-}" = all ] || export LLM_TEST_QUICK=1
build=$PWD/build/arm
core=$(plain libcore/*.c libcore/kernels/*.c libcore/kernels/generic/*.c libcore/kernels/arm/*/*.c)
support=$(plain tests/blocks.c tests/model.c tests/mkmodel_*.c)
# shellcheck disable=SC2046,SC2086 # units are words
ok 'libcore and its tests are built for ARM without a warning' \
	make -j2 Q=@ CC="$cross" BUILD="$build" CORE_C="$core" SUPPORT_C="$support" \
	LDFLAGS='-pthread -static' TEST_LIBS=-lm $(printf "$build/tests/%s\n" $units)
[ "$tap_bad" -eq 0 ] || done_testing

# Two at a time, as there are mostly two processors; each leaves its TAP and its status.
run() {
	for unit in "$@"; do
		"$qemu" "$build/tests/$unit" >"$T/$unit.tap" 2>&1
		echo $? >"$T/$unit.rc"
	done
}
run core-product core-vector core-cpu &
run core-packed core-golden core-attention
wait
for unit in $units; do
	ok "$unit passes on ARM" [ "$(cat "$T/$unit.rc")" -eq 0 ]
	diag "$(grep -A 3 '^not ok' "$T/$unit.tap" | head -n 20)"
done
like 'SDOT was there to be tested' "$(cat "$T/core-cpu.tap")" 'kernels dotprod are found by name'

# A processor without it: the choice falls on plain NEON.
"$qemu" -cpu cortex-a72 "$build/tests/core-cpu" >"$T/old.tap" 2>&1
unlike 'a processor without SDOT is not offered it' "$(cat "$T/old.tap")" 'kernels dotprod'
like 'and has plain NEON' "$(cat "$T/old.tap")" '^ok .* kernels neon are found by name'
done_testing
