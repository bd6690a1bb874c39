#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Models that are broken in one field each: every one is refused by a program in one line that says
# why, with the right status, in 128 MiB of memory and in no time.
. tests/tap.sh
need_built mkbroken
mkbroken=$LLM_TEST_BUILD/tests/mkbroken
mkdir "$T/set"
"$mkbroken" "$T/set" >"$T/list"

# A program in 128 MiB of address space, mapped files included.
# shellcheck disable=SC2317,SC2329 # called by refuses
small() {
	if under_asan; then
		"$@"
	else
		# shellcheck disable=SC3045 # every sh of note has it
		(ulimit -v 131072 && exec "$@")
	fi
}

escaped() {
	# shellcheck disable=SC2016 # a set of characters, no expansion
	printf '%s\n' "$1" | sed 's/[][\\.*^$(){}+?|]/\\&/g'
}

tab=$(printf '\t')
echo 'Once upon a time' >"$T/in"
start=$(date +%s)
n=0
while IFS=$tab read -r stage want path reason name; do
	n=$((n + 1))
	why=$(escaped "$reason")
	# A reason that has been escaped for the message is escaped but once.
	case $stage in
	file) refuses "llm-info refuses: $name" "$want" "$why" small llm-info "$path" ;;
	model | vocab)
		exits "llm-info reads: $name" 0 small llm-info "$path"
		like 'and says why it is not usable' "$(sed -n '/^usable/{s/\\\\/\\/g;p;}' "$T/out")" "^usable${tab}no${tab}.*$why"
		;;
	esac
	case $stage in
	run) refuses "llm-generate gives no answer: $name" "$want" "$why" llm-generate -m "$path" -n 1 "$T/in" ;;
	*) refuses "llm-generate refuses: $name" "$want" "$why" small llm-generate -m "$path" -n 1 "$T/in" ;;
	esac
done <"$T/list"
took=$(($(date +%s) - start))
[ "$n" -ge 60 ] && pass "$n broken models were tried" || fail "$n broken models were tried"

# 300 and more runs of a program; each with its shell around it.
if under_asan; then
	skip 'a refusal takes less than 100 ms' 'an instrumented build has its own pace'
else
	[ "$took" -lt $((n / 5)) ] && pass 'a refusal takes less than 100 ms' ||
		fail 'a refusal takes less than 100 ms' "$n models, two runs each, took $took s"
fi

"$LLM_TEST_BUILD/tests/mkgguf" --type Q4_1 "$T/good.gguf"
exits 'the model that all were made from answers' 0 llm-generate -m "$T/good.gguf" -n 4 "$T/in"
done_testing
