# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# Completion in bash for all llm programs: options are those that the program's own -h prints, models
# those that llm-model lists, the rest are files.  Sourced, or found by name where bash-completion
# looks (make install puts it there once for each program).

_llm_complete() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
	COMPREPLY=()
	case $prev in
	-m | --model) words=$(llm-model list 2>/dev/null | cut -f 1) ;;
	--template) words='chatml llama2 llama3 mistral' ;;
	--at) words='line paragraph' ;;
	--seed) words=random ;;
	--cache) words='all prompt system' ;;
	--session | --forget) words=$(llm-chat --sessions 2>/dev/null | cut -f 1) ;;
	--kv) words='f16 q8_0' ;;
	--pooling) words='mean first last' ;;
	--type) words='f32 f16 q8_0' ;;
	esac
	if [[ -z $words && ${1##*/} == llm-model && $cur != -* ]]; then
		case $COMP_CWORD:$prev in
		1:*) words='get add export list path default rm' ;;
		2:get) words='smollm2 minilm' ;;
		2:export | 2:path | 2:default | 2:rm) words=$(llm-model list 2>/dev/null | cut -f 1) ;;
		esac
	fi
	[[ ${1##*/} == llm-cache && $COMP_CWORD == 1 && $cur != -* ]] && words='list size trim wipe'
	if [[ ${1##*/} == llmctl && $cur != -* ]]; then
		case $COMP_CWORD:$prev in
		1:*) words='status stats top load unload stop' ;;
		2:load) words=$(llm-model list 2>/dev/null | cut -f 1) ;;
		2:unload) words=$(llmctl status 2>/dev/null | awk -F '\t' '$1 == "model" { print $2 }') ;;
		esac
	fi
	if [[ -z $words && $cur == -* ]]; then
		words=$("$1" -h 2>/dev/null | grep -oE '(^|[ ,[])--?[a-zA-Z0-9][a-z-]*' | tr -d ' ,[' | sort -u)
	fi
	if [[ -n $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}

complete -o bashdefault -o default -F _llm_complete llm-tokenize llm-generate llm-chat llm-score \
	llm-info llm-split llm-fold llm-model llm-pack llm-summarize llm-commit llm-bench llm-classify \
	llm-grep llm-embed llm-search llm-convert llm-cache llmctl llmd
