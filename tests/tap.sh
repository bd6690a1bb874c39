# SPDX-License-Identifier: ISC
# shellcheck shell=sh
#
# What a program test needs to speak TAP.  A test is a POSIX sh file tests/NN-name.t, run with the
# root of the tree as its directory, by `make check` or alone by `prove tests/NN-name.t`:
#
#	#!/bin/sh
#	. tests/tap.sh
#	need_model                              # the file is skipped where there is no model
#	is 'a sentence' "$(printf x | llm-tokenize -c)" 1
#	exits 'an unknown option is refused' 64 llm-tokenize --nonsense
#	like 'and named' "$(cat "$T/err")" 'nonsense'
#	done_testing
#
# Given: $T, a directory of the test's own, removed at the end; HOME inside it and no XDG_* or LLM_*
# of the caller (LLM_KERNELS stays; LLM_SOCKET names a place where nobody listens, so that no daemon
# of the caller's is used); the programs on PATH, their directory in $LLM_TEST_BIN; objects
# and unit programs in $LLM_TEST_BUILD; the small model in $LLM_TEST_MODEL and the data that is not
# in the tree in $LLM_TEST_SHARED, both empty where absent; LC_ALL=C.  Tests:
#
#	ok NAME CMD...            CMD succeeds            nok NAME CMD...      CMD fails (any status)
#	is NAME GOT WANTED        equal strings           isnt NAME GOT NOT
#	like NAME TEXT ERE        a line matches          unlike NAME TEXT ERE
#	same NAME FILE FILE       equal bytes
#	exits NAME STATUS CMD...  the status; stdout in $T/out, stderr in $T/err, status in $status
#	refuses NAME STATUS ERE CMD...   the same, and nothing on stdout, and on stderr one line that
#	                          matches ERE, begins with a program's name and has at most 300 bytes
#	skip NAME WHY             one test left out       skip_all WHY         the whole file, then exits
#	pass NAME, fail NAME [DETAIL...], diag TEXT...
#	need_model, need_encoder, need_shared [PATH...], need_cmd CMD...   skip the file where one is missing
#	need_built NAME...        the same for programs of the tests, $LLM_TEST_BUILD/tests/NAME
#	have_model, have_encoder, have_shared [PATH...]                    the same as conditions
#	under_asan                                           is this build instrumented (no timing then)?
#
# stdin of `exits` and `refuses` is the caller's: redirect it.  Tests called in a subshell or on the
# right of a pipe are not counted: do not.  Without done_testing at the end the file has failed.

LC_ALL=C
export LC_ALL
tap_n=0
tap_bad=0
tap_planned=
status=0

: "${LLM_TEST_BIN:=$PWD/bin}"
case ${LLM_TEST_SHARED-unset} in
unset) LLM_TEST_SHARED=; [ ! -d ../shared/data ] || LLM_TEST_SHARED=$(cd ../shared/data && pwd) ;;
esac
: "${LLM_TEST_BUILD:=$PWD/build}" "${LLM_TEST_MODEL=$PWD/.cache/llm/models/smollm2/model.gguf}"
[ -f "$LLM_TEST_MODEL" ] || LLM_TEST_MODEL=
: "${LLM_TEST_ENCODER=$PWD/.cache/llm/models/minilm/model.gguf}"
[ -f "$LLM_TEST_ENCODER" ] || LLM_TEST_ENCODER=
PATH=$LLM_TEST_BIN:$PATH
unset XDG_DATA_HOME XDG_DATA_DIRS XDG_CACHE_HOME XDG_STATE_HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME
unset LLM_MODEL LLM_ENCODER LLM_KV_BUDGET
T=$(mktemp -d "${TMPDIR:-/tmp}/llm-test.XXXXXX") || exit 1
trap 'tap_cleanup' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
HOME=$T/home
LLM_SOCKET=$T/no-daemon # a daemon of the user's has no part in this
mkdir "$HOME"
export LLM_SOCKET PATH HOME T LLM_TEST_BIN LLM_TEST_BUILD LLM_TEST_SHARED LLM_TEST_MODEL LLM_TEST_ENCODER

tap_cleanup() {
	tap_rc=$?
	chmod -R u+rwx "$T" 2>/dev/null
	rm -rf "$T"
	[ -n "$tap_planned" ] || echo '# the test ended before done_testing'
	exit "$tap_rc"
}

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

pass() {
	tap_n=$((tap_n + 1))
	printf 'ok %d - %s\n' "$tap_n" "$1"
}

fail() {
	tap_n=$((tap_n + 1))
	tap_bad=$((tap_bad + 1))
	printf 'not ok %d - %s\n' "$tap_n" "$1"
	shift
	for tap_line in "$@"; do
		diag "$tap_line"
	done
}

skip() {
	tap_n=$((tap_n + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tap_n" "$1" "$2"
}

skip_all() {
	printf '1..0 # SKIP %s\n' "$*"
	tap_planned=1
	exit 0
}

done_testing() {
	printf '1..%d\n' "$tap_n"
	tap_planned=1
	[ "$tap_bad" -eq 0 ]
	exit
}

ok() {
	tap_name=$1
	shift
	if "$@" >"$T/.ok" 2>&1; then
		pass "$tap_name"
	else
		fail "$tap_name" "status $? from: $*" "$(head -c 2000 "$T/.ok")"
	fi
}

nok() {
	tap_name=$1
	shift
	if "$@" >"$T/.ok" 2>&1; then
		fail "$tap_name" "succeeded: $*"
	else
		pass "$tap_name"
	fi
}

is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:    $(printf %s "$2" | head -c 2000)" "wanted: $(printf %s "$3" | head -c 2000)"
	fi
}

isnt() {
	if [ "$2" != "$3" ]; then
		pass "$1"
	else
		fail "$1" "got just that: $2"
	fi
}

like() {
	if printf '%s\n' "$2" | grep -Eq -e "$3"; then
		pass "$1"
	else
		fail "$1" "got:    $(printf %s "$2" | head -c 2000)" "wanted: /$3/"
	fi
}

unlike() {
	if printf '%s\n' "$2" | grep -Eq -e "$3"; then
		fail "$1" "got:      $(printf %s "$2" | head -c 2000)" "unwanted: /$3/"
	else
		pass "$1"
	fi
}

same() {
	if cmp "$2" "$3" >"$T/.ok" 2>&1; then
		pass "$1"
	else
		fail "$1" "$(cat "$T/.ok")"
	fi
}

tap_run() {
	status=0
	"$@" >"$T/out" 2>"$T/err" || status=$?
}

exits() {
	tap_name=$1
	tap_want=$2
	shift 2
	tap_run "$@"
	if [ "$status" -eq "$tap_want" ]; then
		pass "$tap_name"
	else
		fail "$tap_name" "status $status, wanted $tap_want, from: $*" "$(head -c 1000 "$T/err")"
	fi
}

refuses() {
	tap_name=$1
	tap_want=$2
	tap_ere=$3
	shift 3
	tap_run "$@"
	tap_why=
	[ "$status" -eq "$tap_want" ] || tap_why="status $status, wanted $tap_want"
	[ ! -s "$T/out" ] || tap_why="$tap_why; stdout is not empty"
	[ "$(wc -l <"$T/err")" -eq 1 ] || tap_why="$tap_why; stderr has $(wc -l <"$T/err") lines"
	[ "$(wc -c <"$T/err")" -le 301 ] || tap_why="$tap_why; the line is longer than 300 bytes"
	grep -Eq '^llm[a-z0-9-]*: ' "$T/err" || tap_why="$tap_why; no program is named"
	grep -Eq -e "$tap_ere" "$T/err" || tap_why="$tap_why; stderr does not match /$tap_ere/"
	if [ -z "$tap_why" ]; then
		pass "$tap_name"
	else
		fail "$tap_name" "$tap_why" "from: $*" "$(head -c 1000 "$T/err")"
	fi
}

have_model() {
	[ -n "$LLM_TEST_MODEL" ] && [ -f "$LLM_TEST_MODEL" ]
}

need_model() {
	have_model || skip_all 'no model: the small model could not be fetched'
}

have_encoder() {
	[ -n "$LLM_TEST_ENCODER" ] && [ -f "$LLM_TEST_ENCODER" ]
}

need_encoder() {
	have_encoder || skip_all 'no encoder: the sentence encoder could not be fetched'
}

have_shared() {
	[ -n "$LLM_TEST_SHARED" ] || return 1
	for tap_path in "$@"; do
		[ -e "$LLM_TEST_SHARED/$tap_path" ] || return 1
	done
}

need_shared() {
	have_shared "$@" || skip_all 'no shared data: ../shared/data is not there'
}

need_cmd() {
	for tap_cmd in "$@"; do
		command -v "$tap_cmd" >/dev/null || skip_all "no $tap_cmd on this machine"
	done
}

need_built() {
	for tap_made in "$@"; do
		[ -x "$LLM_TEST_BUILD/tests/$tap_made" ] || skip_all "tests/$tap_made is not built"
	done
}

under_asan() {
	[ -n "${LLM_TEST_ASAN-}" ]
}
