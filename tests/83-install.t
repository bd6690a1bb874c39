#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What make install puts down works from there, and make uninstall takes all of it away.
. tests/tap.sh
need_cmd make bash

exits 'the programs, their manual and their completion are installed' 0 make install DESTDIR="$T/root" PREFIX=/usr
there=$(cd "$T/root" && find . -type f | sort)
for file in bin/llm-* bin/llmctl; do
	program=${file##*/}
	case $program in *.*) continue ;; esac
	for want in "usr/bin/$program" "usr/share/man/man1/$program.1" "usr/share/bash-completion/completions/$program"; do
		printf '%s\n' "$there" | grep -Fqx "./$want" && pass "$want is there" || fail "$want is there"
	done
done
for want in bin/llmd share/man/man8/llmd.8 share/bash-completion/completions/llmd \
	lib/systemd/user/llmd.service lib/systemd/user/llmd.socket; do
	printf '%s\n' "$there" | grep -Fqx "./usr/$want" && pass "$want is there" || fail "$want is there"
done
like 'the unit names the daemon that was installed' "$(cat "$T/root/usr/lib/systemd/user/llmd.service")" \
	'^ExecStart=/usr/bin/llmd$'
like 'and the overview' "$there" '^\./usr/share/man/man7/llm\.7$'
PATH=$T/root/usr/bin:/usr/bin:/bin
is 'an installed program runs' "$(printf 'a 1\na 2\n' | llm-fold | wc -l)" 1
printf GGUF >"$T/broken.gguf"
refuses 'an installed wrapper finds its siblings' 65 'broken\.gguf: ' llm-model add "$T/broken.gguf"

# complete WORD...: what bash offers for the last word.
complete_words() {
	bash -c '
		source "$1/usr/share/bash-completion/completions/$2"
		COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2))
		_llm_complete "$2" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$T/root" "$@"
}
like 'bash completes a long option' "$(complete_words llm-chat --see)" '^--seed$'
like 'and a short one' "$(complete_words llm-chat -)" '^-m$'
is 'and the commands of llm-model' "$(complete_words llm-model ge)" get
is 'and those of llmctl' "$(complete_words llmctl lo)" load
is 'and what an option chooses from' "$(complete_words llm-split --at p)" paragraph
mkdir -p "$HOME/.local/share/llm/models/tiny"
: >"$HOME/.local/share/llm/models/tiny/model.gguf"
is 'and the models of the store' "$(complete_words llm-generate -m t)" tiny

exits 'all of it is uninstalled' 0 make uninstall DESTDIR="$T/root" PREFIX=/usr
is 'and no file is left' "$(find "$T/root" -type f)" ''
done_testing
