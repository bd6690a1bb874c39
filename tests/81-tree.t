#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The tree keeps its own rules: which layer may include and call which, one place for each dependency,
# names, licence lines, layout; libraries neither print, exit nor read the environment.
. tests/tap.sh
need_cmd nm objdump

if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files
else
	find . -type f ! -path './build/*' ! -path './.cache/*' | sed 's|^\./||'
fi | while read -r file; do [ ! -f "$file" ] || echo "$file"; done >"$T/files"
grep '\.[ch]$' "$T/files" >"$T/sources"

# Who may include whom; a layer that is not named here includes nothing of ours.
while read -r layer allowed; do
	grep "^$layer/" "$T/sources" | xargs -r grep -n '^[ 	]*#[ 	]*include[ 	]*"' /dev/null |
		grep -Ev "\"($allowed)/" >"$T/bad"
	is "$layer includes only $allowed, spelled from the root" "$(cat "$T/bad")" ''
done <<'END'
libcore libcore
tokenize libcore|tokenize
generate libcore|tokenize|generate
kvstore libcore|kvstore
embed libcore|tokenize|embed
bin libcore|tokenize|generate|kvstore|embed|bin
tests libcore|tokenize|generate|kvstore|embed|tests
END

bad=
while read -r file; do
	own=${file%.c}.h
	[ "$own" != "$file" ] && [ -f "$own" ] || continue
	first=$(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file" | head -n 1)
	[ "$first" = "$own" ] || bad="$bad $file"
done <"$T/sources"
is 'a source includes its own header first' "$bad" ''

for header in utf8proc.h jansson.h xxhash.h histedit.h editline/readline.h uv.h msgpack.h cblas.h mpi.h; do
	users=$(xargs grep -l "include <$header>" <"$T/sources" | grep -cv '^tests/')
	[ "$users" -le 1 ] && pass "<$header> is included in one place at most" ||
		fail "<$header> is included in one place at most" "$(xargs grep -l "include <$header>" <"$T/sources")"
done

# calls LAYER: what the layers given need and do not define, of ours.
defined() {
	for archive in "$@"; do
		nm -g --defined-only "$LLM_TEST_BUILD/$archive" 2>/dev/null
	done | awk 'NF == 3 { print $3 }' | sort -u
}
needed() {
	nm -u "$LLM_TEST_BUILD/$1" 2>/dev/null | awk '$1 == "U" || $1 == "w" { print $2 }' | sort -u
}

if [ -f "$LLM_TEST_BUILD/libcore.a" ]; then
	while read -r layer below; do
		[ -f "$LLM_TEST_BUILD/$layer" ] || continue
		# shellcheck disable=SC2086 # the layers below are words
		defined "$layer" $below >"$T/defined"
		is "$layer calls only itself and the layers below" \
			"$(needed "$layer" | grep '^llm_\|^tool_' | comm -23 - "$T/defined")" ''
	done <<-'END'
	libcore.a
	tokenize.a libcore.a
	generate.a tokenize.a libcore.a
	kvstore.a libcore.a
	embed.a tokenize.a libcore.a
	END

	upper=$(defined tokenize.a | grep '^llm_' | head -n 1)
	printf 'void %s(void);\nint\nmain(void)\n{\n\t%s();\n\treturn 0;\n}\n' "$upper" "$upper" >"$T/up.c"
	exits 'a call from libcore up to tokenize does not link' 1 \
		"${CC:-cc}" -o "$T/up" "$T/up.c" "$LLM_TEST_BUILD/libcore.a" -lm -pthread
	like 'and the linker names the call' "$(cat "$T/err")" "undefined reference to .$upper"

	is 'every symbol of a library begins with llm_' \
		"$(defined libcore.a tokenize.a generate.a kvstore.a embed.a | grep -v '^llm_[a-z0-9_]*$')" ''
	is 'every symbol that programs share begins with tool_' \
		"$(defined bin/tool.a | grep -v '^tool_[a-z0-9_]*$')" ''

	for archive in libcore.a tokenize.a generate.a kvstore.a embed.a; do
		[ -f "$LLM_TEST_BUILD/$archive" ] || continue
		is "$archive neither prints, exits nor reads the environment" "$(needed "$archive" | grep -Ex \
			'v?f?printf|f?puts?|f?putc(har)?|fwrite|perror|v?(warn|err)x?|syslog|_?_?exit|_Exit|quick_exit|(secure_)?getenv|environ|std(in|out|err)|signal|sigaction')" ''
		# Symbols of .data and .bss; what is constant but for relocation lies in .data.rel.ro.
		is "$archive keeps no state outside what its caller owns" \
			"$(objdump -t "$LLM_TEST_BUILD/$archive" | awk '
				NF >= 3 && $(NF - 2) ~ /^\.(data|bss|tbss|tdata)$/ && $NF !~ /^\./ { print $NF }')" ''
	done
else
	skip 'the layers call only downwards' "nothing is built in $LLM_TEST_BUILD"
fi

bad=
while read -r file; do
	case $file in
	LICENSE | README.md | .gitignore | .clang-format | .editorconfig | *.txt | *.pem | tests/*/corpus/* | tests/data/*) continue ;;
	.deps.debian | .shellcheckrc) continue ;;
	esac
	head -n 5 "$file" | grep -q 'SPDX-License-Identifier: ISC' || bad="$bad $file"
done <"$T/files"
is 'every source names the licence in its head' "$bad" ''
ok 'the licence is there' grep -q 'Permission to use, copy, modify' LICENSE

is 'the top level holds only the layers, the programs, their manual and their tests' \
	"$(sed 's|/.*||' "$T/files" | sort -u |
		grep -Evx 'bin|libcore|tokenize|embed|generate|kvstore|man|tests|Makefile|README\.md|LICENSE|\..*')" ''
is 'what is generated is not in the tree' "$(grep -E '\.(o|a|d|gguf|whl|pyc)$|^build/|^\.cache/' "$T/files")" ''
is 'no file ends in blanks or misses its last newline' "$(
	grep -Ev '\.(out|inp|bin|gguf)$|/corpus/|^tests/data/' "$T/files" | while read -r file; do
		! grep -qn '[ 	]$' "$file" || echo "$file"
		[ -z "$(tail -c 1 "$file")" ] || echo "$file"
	done
)" ''
if [ -f README.md ]; then
	[ "$(wc -l <README.md)" -le 150 ] && pass 'README has at most 150 lines' || fail 'README has at most 150 lines'
fi

if clang-format --version 2>/dev/null | grep -q ' version 14'; then
	is 'the sources have the form of .clang-format' \
		"$(xargs clang-format --dry-run <"$T/sources" 2>&1 | sed -n 's/: warning: code should be.*//p' | sort -u | head -n 40)" ''
else
	skip 'the sources have the form of .clang-format' 'no clang-format 14 on this machine'
fi
done_testing
