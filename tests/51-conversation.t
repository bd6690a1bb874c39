#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-chat on a terminal, which expect plays: a conversation, its memory, its keys, its history.
# shellcheck disable=SC2016 # what stands in single quotes is for expect
. tests/tap.sh
need_model
need_cmd expect
export LLM_MODEL="$LLM_TEST_MODEL" TERM=xterm

# expects NAME SCRIPT [STATUS]: what expect does on a terminal with llm-chat; it ends with 0 where all came.
expects() {
	cat >"$T/script" <<-'END'
	log_user 0
	set timeout 60
	proc start {args} { uplevel spawn -noecho llm-chat --no-cache --temp 0 $args; uplevel {set spawn_id $spawn_id} }
	proc fail {why} {
		puts $why
		catch { close -i $::spawn_id }
		exit 1
	}
	proc see {text} {
		global expect_out spawn_id
		expect {
			-re $text { return }
			timeout { fail "no \"$text\" came" }
			eof { fail "the end came before \"$text\"" }
		}
	}
	proc status {wanted} {
		global spawn_id
		expect eof {} timeout { fail "no end came" }
		set got [lindex [wait] 3]
		if {$got != $wanted} { fail "status $got" }
	}
	proc leave {} {
		send "\004"
		status 0
	}
	END
	printf '%s\n' "$2" >>"$T/script"
	ok "$1" expect -f "$T/script"
}

expects 'a line is answered, and Ctrl-D ends with status 0' '
start -n 5
see "> "
send "Name a colour.\r"
see "\n\[^\r\n]+\r\n"
see "is cut after 5 tokens"
see "> "
leave'

expects 'an answer knows what was said before' '
start -v -n 5
see "> "
send "Name a colour.\r"
see "prompt (\[0-9]+) tokens, 0 of them"
see "> "
send "And another.\r"
see "prompt (\[0-9]+) tokens, (\[0-9]+) of them"
if {$expect_out(1,string) < 45 || $expect_out(2,string) < $expect_out(1,string) - 20} { fail "$expect_out(0,string)" }
see "> "
send "/reset\r"
see "> "
send "And another.\r"
see "prompt (\[0-9]+) tokens"
if {$expect_out(1,string) > 45} { fail "after /reset $expect_out(0,string)" }
see "> "
leave'

expects 'Ctrl-C stops an answer, and the conversation goes on' '
start --logit-bias 2=-inf --logit-bias 0=-inf
see "> "
send "Tell me a long story.\r"
see "\n\[^\r\n]{30}"
send "\003"
see "\n> "
send "Another.\r"
see "\n\[^\r\n]{30}"
send "\003"
see "\n> "
leave'

expects 'Ctrl-C drops the line that is being typed' '
start -v -n 3
see "> "
send "Nonsense that is long enough to be seen in the number of tokens"
see "tokens"
send "\003"
see "> "
send "Hi\r"
see "prompt (\[0-9]+) tokens"
if {$expect_out(1,string) > 36} { fail "$expect_out(0,string)" }
see "> "
leave'

expects 'Ctrl-D that is typed while an answer comes ends the conversation after it' '
start -n 30
see "> "
send "Tell me a story.\r"
see "\n\[^\r\n]{10}"
send "\004"
see "is cut after 30 tokens"
status 0'

expects 'a backslash joins lines' '
start -v -n 2
see "> "
send "Hi\r"
see "prompt (\[0-9]+) tokens"
set short $expect_out(1,string)
see "> "
send "/reset\r"
see "> "
send "Hi\\\r"
see "\n. "
send "Hi\r"
see "prompt (\[0-9]+) tokens"
if {$expect_out(1,string) != $short + 2} { fail "$short, then $expect_out(0,string)" }
see "> "
leave'

history=$HOME/.local/state/llm/chat_history
is 'the history has the lines that were typed' "$(head -n 3 "$history" | tr '\n' '|')" 'Name a colour.|Name a colour.|And another.|'
is 'it is its owner'\''s alone' "$(stat -c %a "$history" "${history%/*}" | tr '\n' ' ')" '600 700 '
printf 'a line of long ago\n' >>"$history"
expects 'and a later conversation calls them back' '
start -n 2
see "> "
send "\020"
see "a line of long ago"
send "\025"
leave'
awk 'BEGIN { for (i = 0; i < 2500; i++) print "line", i }' >"$history"
expects 'a long history is read' '
start -n 2
see "> "
send "\020"
see "line 2499"
send "\025"
leave'
is 'and is cut to its last thousand lines' "$(wc -l <"$history") $(head -n 1 "$history")" '1000 line 1500'
is 'still readable by its owner alone' "$(stat -c %a "$history")" 600

rm -rf "$HOME/.local"
: >"$HOME/.local"
expects 'a history that cannot be written is no error' '
start -n 2
see "> "
send "Hi\r"
see "is cut"
see "> "
leave'
rm -f "$HOME/.local"
expects 'without HOME too' '
unset env(HOME)
start -n 2
see "> "
send "Hi\r"
see "is cut"
see "> "
leave'
export XDG_STATE_HOME="$T/state"
expects 'the history is where XDG_STATE_HOME says' '
start -n 2
see "> "
send "Hi\r"
see "is cut"
see "> "
leave'
is 'and in its own directory' "$(cat "$T/state/llm/chat_history")" 'Hi'

expects 'with a prompt no data is awaited from a terminal' '
start -n 2 {Name a colour.}
see "is cut"
status 2'
expects 'the answers go to a file, the prompt to the terminal' "
spawn -noecho sh -c {exec llm-chat --temp 0 -n 2 >$T/answers}
see {> }
send \"Name a colour.\\r\"
see {is cut}
see {> }
leave"
unlike 'and the file holds answers alone' "$(cat "$T/answers")" '>|Name'

cp "$LLM_TEST_MODEL" "$T/small.gguf"
key=llama.context_length
at=$(LC_ALL=C grep -abo "$key" "$T/small.gguf" | head -n 1 | cut -d : -f 1)
printf '\200\000\000\000' | dd of="$T/small.gguf" bs=1 seek=$((at + ${#key} + 4)) conv=notrunc 2>/dev/null
export LLM_MODEL="$T/small.gguf"
expects 'a conversation that fills the context is told so, and /reset begins anew' '
start --logit-bias 2=-inf
see "> "
send "Tell me a long story.\r"
see "the context of 128 tokens is full"
see "> "
send "Go on.\r"
see "has 1\[0-9]+ tokens.*holds 128"
see "/reset"
see "> "
send "/reset\r"
see "> "
send "Tell me a story.\r"
see "the context of 128 tokens is full"
see "> "
leave'
done_testing
