#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The manual is true: every program has a page, every option that -h prints stands in it, every example
# of the pages and of the README runs.
. tests/tap.sh
need_cmd bash

# The commands of a page's EXAMPLES: .Dl lines, and `$ ' lines of literal blocks, as troff prints them.
examples() {
	awk '
	function plain(s) {
		gsub(/\\&/, "", s); gsub(/\\\(aq/, "\047", s); gsub(/\\\(dq/, "\"", s)
		gsub(/\\\(ha/, "^", s); gsub(/\\\(ti/, "~", s); gsub(/\\\(ga/, "`", s)
		gsub(/\\-/, "-", s); gsub(/\\\(rs|\\e/, "\\", s)
		sub(/^\$ /, "", s)
		return s
	}
	# The arguments of a macro line: a quote that begins a word is not printed, nor the one that ends it.
	function args(s,   out, c, i, quoted, start) {
		start = 1
		for (i = 1; i <= length(s); i++) {
			c = substr(s, i, 1)
			if (c == "\"" && (start || quoted)) {
				if (quoted && substr(s, i + 1, 1) == "\"") { out = out c; i++; continue }
				quoted = !quoted; start = 0; continue
			}
			start = c == " "
			out = out c
		}
		return out
	}
	/^\.Sh / { on = /EXAMPLES/ }
	!on { next }
	/^\.Dl / { print plain(args(substr($0, 5))); next }
	/^\.Bd / { block = 1; next }
	/^\.Ed/ { block = 0; next }
	block && /^\$ / { print plain($0) }' "$1"
}

# The options that -h prints, one a line: the rows that begin with a dash.
options() {
	"$1" -h | sed -n 's/^  *\(-.*\)$/\1/p' |
		sed -n 's/^\(-[A-Za-z0-9]\)\{0,1\}\(, \)\{0,1\}\(--[a-z][a-z-]*\)\{0,1\}.*/\1 \3/p' | tr ' ' '\n' | sort -u | grep .
}

programs=
for file in bin/llm-* bin/llmctl.c bin/daemon/llmd.c; do
	case $file in *.h | *.o) continue ;; esac
	program=${file##*/}
	program=${program%.c}
	case " $programs " in *" $program "*) ;; *) programs="$programs $program" ;; esac
done

for program in $programs; do
	page=man/$program.1
	[ -f "$page" ] || page=man/$program.8
	[ -f "$page" ] || {
		fail "$program has a manual page"
		continue
	}
	pass "$program has a manual page"
	sections=$(sed -n 's/^\.Sh //p' "$page" | tr '\n' '/')
	like "$program's page has its sections" "$sections" \
		'^NAME/SYNOPSIS/DESCRIPTION/.*ENVIRONMENT/(FILES/)?.*EXIT STATUS/EXAMPLES/.*SEE ALSO/'
	command -v mandoc >/dev/null || {
		skip "every option of $program -h stands in its page" 'no mandoc on this machine'
		continue
	}
	mandoc -T ascii -O width=1000 "$page" | sed 's/.\x08//g' >"$T/page"
	absent=
	for option in $(options "$program"); do
		grep -Eq -e "(^|[^-a-zA-Z0-9])$option([^-a-zA-Z0-9]|\$)" "$T/page" || absent="$absent $option"
	done
	is "every option of $program -h stands in its page" "$absent" ''
	is "$program prints the version that all print" "$("$program" -V)" "$program $(llm-model -V | cut -d ' ' -f 2)"
	[ "$(examples "$page" | wc -l)" -gt 0 ] && pass "$program's page has examples" || fail "$program's page has examples"
done

# A place where the examples find what they speak of: a model, some texts, a log, a repository.
sandbox() {
	mkdir -p "$T/box/bin" "$HOME/.local/share/llm/models/smollm2"
	ln -s "$LLM_TEST_MODEL" "$HOME/.local/share/llm/models/smollm2/model.gguf"
	ln -s smollm2 "$HOME/.local/share/llm/models/default"
	if have_encoder; then
		mkdir -p "$HOME/.local/share/llm/models/minilm"
		ln -s "$LLM_TEST_ENCODER" "$HOME/.local/share/llm/models/minilm/model.gguf"
		ln -s minilm "$HOME/.local/share/llm/models/default-encoder"
	fi
	i=0
	while [ "$i" -lt 40 ]; do
		i=$((i + 1))
		echo "Nov 21 09:14:$((10 + i)) host sshd[$((100 + i))]: Failed password for root from 10.0.0.$i port $((4000 + i)) ssh2"
	done >"$T/box/app.log"
	echo 'Nov 21 09:15:01 host kernel: EXT4-fs error (device sda1): disk is full' >>"$T/box/app.log"
	for name in system.log messages auth.log log old.log new.log; do
		cp "$T/box/app.log" "$T/box/$name"
	done
	printf 'The cat sat on the mat.\nIt was a  long day, and nobody came.\n' >"$T/box/notes.txt"
	for name in f text.txt file.txt report.txt page.txt letter.txt prompt.txt question.txt input.txt README.md; do
		cp "$T/box/notes.txt" "$T/box/$name"
	done
	printf '1\n504\n' >"$T/box/ids"
	"$LLM_TEST_BUILD/tests/mksafetensors" "$T/made" && cp -r "$T/made/good" "$T/box/all-MiniLM-L6-v2"
	cp "$T/box/ids" "$T/box/ids.txt"
	ln -s "$LLM_TEST_MODEL" "$T/box/model.gguf"
	ln -s "$LLM_TEST_MODEL" "$T/box/SmolLM2.gguf"
	printf '#!/bin/sh\ncat "%s/box/app.log"\n' "$T" >"$T/box/bin/journalctl"
	cp "$T/box/bin/journalctl" "$T/box/bin/dmesg"
	chmod +x "$T/box/bin/"*
	(
		cd "$T/box" && git init -q . && git config user.email a@example.org && git config user.name a &&
			git add notes.txt && git commit -q -m 'Add notes' && echo 'And then it rained.' >>notes.txt &&
			git add notes.txt
	) >/dev/null 2>&1
}

# An example has run when no stage of its last pipe failed: 0, a true "no", an answer cut by -n, or
# a reader that had enough.
try() {
	case $2 in
	*llm-embed* | *llm-search* | *minilm*)
		have_encoder || {
			skip "$1: $2" 'no encoder: the sentence encoder could not be fetched'
			return
		}
		;;
	esac
	echo none >"$T/status"
	(
		cd "$T/box" && PATH=$T/box/bin:$PATH && export PATH &&
			timeout 300 bash -c "$2
			echo \"\${PIPESTATUS[*]}\" >'$T/status'" >"$T/out" 2>"$T/err" </dev/null
	)
	# shellcheck disable=SC2013 # words
	for status in $(cat "$T/status") $?; do
		case $status in
		0 | 1 | 2 | 141) ;;
		*)
			fail "$1: $2" "status $status" "$(head -c 500 "$T/err")"
			return
			;;
		esac
	done
	pass "$1: $2"
}

# What the pages of the daemon speak of is one that is there.
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; tap_cleanup' EXIT
daemon_start() {
	tap_socket=$LLM_SOCKET
	LLM_SOCKET=$T/llm/sock
	llmd 2>/dev/null &
	daemon=$!
	tap_wait=0
	until llmctl status >/dev/null 2>&1 || [ $((tap_wait += 1)) -gt 200 ]; do sleep 0.05; done
}
daemon_stop() {
	kill "$daemon"
	wait "$daemon"
	daemon=
	LLM_SOCKET=$tap_socket
}

if have_model; then
	sandbox
	for page in man/*.[1578]; do
		[ -f "$page" ] || continue
		examples "$page" >"$T/examples"
		[ "$page" != man/llmctl.1 ] || daemon_start
		[ "$page" != man/llmd.8 ] || LLM_SOCKET=$T/llmd.sock
		while read -r line; do
			try "${page#man/}" "$line"
		done <"$T/examples"
		[ -z "$daemon" ] || daemon_stop
	done
	awk '/^```/ { on = /^```sh run$/; next } on' README.md >"$T/examples"
	while read -r line; do
		[ -z "$line" ] || try README.md "$line"
	done <"$T/examples"
else
	skip 'the examples of the pages and of the README run' 'no model: the small model could not be fetched'
fi
done_testing
