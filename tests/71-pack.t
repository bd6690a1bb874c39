#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-pack: what it writes is the same model, and comes back byte for byte.
. tests/tap.sh

make_model() {
	"$LLM_TEST_BUILD/tests/mkgguf" "$@"
}

# both WHAT FILE: packs FILE, looks at it, and unpacks it again.
both() {
	exits "$1 is packed" 0 llm-pack "$2" "$T/packed.gguf"
	is 'which says nothing' "$(cat "$T/out" "$T/err")" ''
	is 'to as many bytes' "$(wc -c <"$T/packed.gguf")" "$(wc -c <"$2")"
	exits 'and back' 0 llm-pack -x "$T/packed.gguf" "$T/plain.gguf"
	same 'byte for byte' "$T/plain.gguf" "$2"
}

# answers FILE: the packed file gives the answers of the plain one.
answers() {
	for more in '' --precise; do
		# shellcheck disable=SC2086 # an option or none
		is "it answers with the same bytes${more:+ with $more}" \
			"$(printf 'Once upon a time there was' | llm-generate -m "$T/packed.gguf" -o -n 12 $more 2>&1)" \
			"$(printf 'Once upon a time there was' | llm-generate -m "$1" -o -n 12 $more 2>&1)"
	done
}

types() {
	llm-info -m "$1" | awk -F '\t' '$1 == "tensor" && $2 ~ /attn_q|token_embd/ { print $3 }' | sort -u
}

for type in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0; do
	make_model --shape odd --type $type "$T/$type.gguf"
	both "a model of $type" "$T/$type.gguf"
	like 'and its types are packed ones' "$(types "$T/packed.gguf" | tr '\n' ' ')" "${type}_R8"
	answers "$T/$type.gguf"
done
for type in Q4_K Q5_K Q6_K Q4_K_M; do
	make_model --shape tinyk --type $type "$T/$type.gguf"
	both "a model of $type" "$T/$type.gguf"
	like 'and its types are packed ones' "$(types "$T/packed.gguf" | tr '\n' ' ')" '_K_R8'
	answers "$T/$type.gguf"
done

make_model --shape tiny --type BF16 "$T/half.gguf"
both 'a model of a type without a packed layout' "$T/half.gguf"
is 'and it is the same file' "$(cmp "$T/packed.gguf" "$T/half.gguf" 2>&1)" ''
make_model --shape tiny --type Q4_0 --vocab-size 515 --vocab none "$T/rows.gguf"
both 'a matrix of 515 rows' "$T/rows.gguf"
like 'which stays plain' "$(llm-info -m "$T/packed.gguf" | grep token_embd)" 'Q4_0[^_]'
make_model --shape tiny --type Q4_1 --align 8 --version 2 "$T/old.gguf"
both 'a file of the older version, aligned to 8 bytes' "$T/old.gguf"
printf 'trailing bytes' >>"$T/old.gguf"
both 'a file with bytes after its data' "$T/old.gguf"
is 'a plain file is plain' "$(llm-pack -q "$T/old.gguf")" plain
is 'a packed one packed' "$(llm-pack -q "$T/packed.gguf")" packed
refuses 'which is asked of one file' 64 'wants one file' llm-pack -q -x "$T/old.gguf"
exits 'a packed file is packed again' 0 llm-pack "$T/packed.gguf" "$T/twice.gguf"
is 'to itself' "$(cmp "$T/packed.gguf" "$T/twice.gguf" 2>&1)" ''
cp "$T/old.gguf" "$T/place.gguf"
exits 'a file is packed in its place' 0 llm-pack "$T/place.gguf" "$T/place.gguf"
is 'like any other' "$(cmp "$T/place.gguf" "$T/packed.gguf" 2>&1)" ''
is 'to standard output too' "$(llm-pack "$T/old.gguf" - | cmp - "$T/packed.gguf" 2>&1)" ''

make_model --shape tinyk --type Q4_K_M --align 4096 "$T/wide.gguf"
python3 - "$T/wide.gguf" <<'END'
import re, sys
b = open(sys.argv[1], "rb").read()
assert len(re.findall(b"\0{200,}", b)) > 10
open(sys.argv[1], "wb").write(re.sub(b"\0{200,}", lambda m: m.group()[:16] + b"\xa5" * (len(m.group()) - 16), b))
END
both 'a file aligned to 4096 bytes, with padding that is not zero,' "$T/wide.gguf"
answers "$T/wide.gguf"

make_model --split 3 "$T/parts.gguf"
mkdir "$T/set"
for part in 1 2 3; do
	ok "part $part of a split model is packed" llm-pack "$T/parts-0000$part-of-00003.gguf" "$T/set/parts-0000$part-of-00003.gguf"
	is 'and comes back' "$(llm-pack -x "$T/set/parts-0000$part-of-00003.gguf" - | cmp - "$T/parts-0000$part-of-00003.gguf" 2>&1)" ''
done
is 'the parts together answer as before' \
	"$(printf 'Once' | llm-generate -m "$T/set/parts-00001-of-00003.gguf" -o -n 8 2>&1)" \
	"$(printf 'Once' | llm-generate -m "$T/parts-00001-of-00003.gguf" -o -n 8 2>&1)"

refuses 'one file is a usage error' 64 'two files' llm-pack "$T/old.gguf"
refuses 'a missing file is missing' 66 'nothing.gguf' llm-pack "$T/nothing.gguf" "$T/x.gguf"
refuses 'what is no model is refused' 65 'no GGUF file' llm-pack "$0" "$T/x.gguf"
head -c 30000 "$T/Q4_0.gguf" >"$T/cut.gguf"
refuses 'a file that is cut is refused' 65 'cut' llm-pack "$T/cut.gguf" "$T/x.gguf"
refuses 'a directory that is not there is said' 74 'nowhere' llm-pack "$T/Q4_0.gguf" "$T/nowhere/x.gguf"
refuses 'a full device is seen' 74 'cannot write' sh -c "llm-pack '$T/Q4_0.gguf' - >/dev/full"
is 'and nothing is left of what failed' "$(find "$T" -name 'x.gguf*')" ''

# A packed type on a matrix of 515 rows, by its number in the file.
python3 - "$T/rows.gguf" "$T/bad.gguf" <<'END'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
at = b.index(b"token_embd.weight") + 17 + 4 + 16
assert b[at:at + 4] == b"\x02\0\0\0"
b[at:at + 4] = b"\x02\0\x4c\x4c"
open(sys.argv[2], "wb").write(b)
END
refuses 'a packed matrix has whole units of eight rows' 65 'token_embd.weight: 515 rows, expected a multiple of 8 for Q4_0_R8' \
	llm-info -m "$T/bad.gguf"

have_model || {
	skip 'the small model is packed' 'no model: the small model could not be fetched'
	done_testing
}
both 'the small model' "$LLM_TEST_MODEL"
done_testing
