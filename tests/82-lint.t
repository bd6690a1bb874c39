#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What the tools that read sources have to say: shellcheck, mandoc, cppcheck, and clang as a second
# compiler.  Each is skipped where it is not installed.
. tests/tap.sh

if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files
else
	find . -type f ! -path './build/*' ! -path './.cache/*' | sed 's|^\./||'
fi | while read -r file; do [ ! -f "$file" ] || echo "$file"; done >"$T/files"

if command -v shellcheck >/dev/null; then
	while read -r file; do
		case $file in
		*.t | *.sh | *.bash) echo "$file" ;;
		*) ! head -n 1 "$file" | grep -Eq '^#!.*[/ ](ba)?sh$' || echo "$file" ;;
		esac
	done <"$T/files" >"$T/scripts"
	xargs shellcheck -x -f gcc <"$T/scripts" >"$T/out" 2>&1
	is 'shellcheck has nothing to say' "$(cat "$T/out")" ''
else
	skip 'shellcheck has nothing to say' 'no shellcheck on this machine'
fi

if command -v mandoc >/dev/null; then
	# Each to its own file: lines of two streams would mix.
	grep '^man/' "$T/files" | xargs -r mandoc -T lint -W style >"$T/out" 2>"$T/err"
	cat "$T/err" >>"$T/out"
	is 'mandoc has nothing to say of the pages' "$(grep -Ev 'referenced manual not found|mandoc\.db|possible typo in section name' "$T/out")" ''
else
	skip 'mandoc has nothing to say of the pages' 'no mandoc on this machine'
fi

# cppcheck does not know _Noreturn, takes hexadecimal floats for zero (incorrectLogicOperator), and
# thinks that memory which holds several arrays was meant as one (invalidPointerCast).
if command -v cppcheck >/dev/null; then
	mkdir -p build/cppcheck
	cppcheck --quiet --std=c11 --language=c -I. -D__x86_64__ '-D_Noreturn=__attribute__((noreturn))' \
		-j 2 --cppcheck-build-dir=build/cppcheck \
		--enable=warning,portability,performance --inline-suppr --suppress=missingIncludeSystem \
		--suppress=incorrectLogicOperator --suppress=invalidPointerCast \
		--template='{file}:{line}: {id}: {message}' \
		libcore tokenize generate bin >"$T/out" 2>&1
	is 'cppcheck has nothing to say' "$(cat "$T/out")" ''
else
	skip 'cppcheck has nothing to say' 'no cppcheck on this machine'
fi

if command -v clang >/dev/null; then
	ok 'clang builds the tree without a warning' \
		make -j2 Q=@ CC=clang BUILD=build/clang BINDIR=build/clang/bin all units
else
	skip 'clang builds the tree without a warning' 'no clang on this machine'
fi
done_testing
