#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What can go wrong around a program: streams that are closed, full or gone, an empty environment, models
# that are missing, cut short or shrink while in use.  One line and the right status, for every program.
. tests/tap.sh
need_built mkgguf
make=$LLM_TEST_BUILD/tests/mkgguf
"$make" "$T/tiny.gguf"
model=$T/tiny.gguf
printf 'hello world, how are you?\n' >"$T/in"

# Programs, by what they are: with a model, and all.
with_model=
all=
for program in info tokenize split generate score chat fold; do
	command -v "llm-$program" >/dev/null || continue
	all="$all $program"
	[ "$program" = fold ] || with_model="$with_model $program"
done

# How each is called, without the model; sets $cmd.
call() {
	case $1 in
	generate) cmd='llm-generate -n 3' ;;
	chat) cmd='llm-chat --temp 0 --logit-bias 2=-inf -n 3 hi' ;;
	split) cmd='llm-split -n 8' ;;
	*) cmd="llm-$1" ;;
	esac
}
# The same with the model; sets $cmd, and $want: the status of a good end.
call_model() {
	call "$1"
	want=0
	case $1 in
	fold) ;;
	chat) want=2 cmd="$cmd -m $model" ;;
	*) cmd="$cmd -m $model" ;;
	esac
}

# Ways to run a command line "$1" with something about its streams; each exits with its status.
# shellcheck disable=SC2317,SC2329 # called by exits and refuses
{
	no_stdout() { sh -c "exec $1 >&-" <"$T/in"; }
	no_stderr() { sh -c "exec $1 2>&-" <"$T/in"; }
	no_stdin() { sh -c "exec $1 <&-"; }
	no_streams() { sh -c "exec $1 <&- >&- 2>&-"; }
	full_disk() { sh -c "exec $1 >/dev/full" <"$T/in"; }
	from_dir() { sh -c "exec $1 <$T"; }
	from_cron() { env -i HOME="$HOME" PATH="$LLM_TEST_BIN:/usr/bin:/bin" sh -c "exec $1" <"$T/in"; }
	no_files() { sh -c "ulimit -f 0; trap '' XFSZ; exec $1 >$T/limited" <"$T/in"; }
}

# gone CMD: a reader that went away before the first byte; the status in $status, stderr in $T/err.
mkfifo "$T/go"
gone() {
	{
		sh -c "read -r go <'$T/go'; exec $1" <"$T/in" 2>"$T/err"
		echo $? >"$T/status"
	} | {
		exec 0<&-
		echo go >"$T/go"
	}
	wait
	status=$(cat "$T/status")
}

for program in $all; do
	call_model "$program"
	name=llm-$program
	exits "$name ends well with good input" "$want" sh -c "exec $cmd" <"$T/in"
	cp "$T/out" "$T/good"
	exits "$name runs in cron's environment" "$want" from_cron "$cmd"
	same "$name prints the same there" "$T/out" "$T/good"
	exits "$name runs without a standard error" "$want" no_stderr "$cmd"
	same "$name prints the same without a standard error" "$T/out" "$T/good"
	refuses "$name: a closed standard output is status 74" 74 'standard output' no_stdout "$cmd"
	refuses "$name: a full disk is status 74" 74 'standard output: No space left' full_disk "$cmd"
	exits "$name: a file-size limit is status 74" 74 no_files "$cmd"
	exits "$name: all streams closed is status 74" 74 no_streams "$cmd"
	for way in '-h' '-V'; do
		exits "$name $way needs no model and no input" 0 env -i "$LLM_TEST_BIN/$name" "$way"
		is "$name $way says nothing on standard error" "$(cat "$T/err")" ''
		refuses "$name $way: a full disk is status 74" 74 'standard output' full_disk "$name $way"
		refuses "$name $way: a closed standard output is status 74" 74 'standard output' no_stdout "$name $way"
	done
	gone "$cmd"
	is "$name: a reader that went away ends it by SIGPIPE" "$status" 141
	is "$name: in silence" "$(cat "$T/err")" ''
	trap '' PIPE
	gone "$cmd"
	trap - PIPE
	is "$name: by SIGPIPE where its parent ignores that signal, too" "$status" 141
	refuses "$name: an unknown option is status 64" 64 "no option --nonsense.*try '$name -h'" "$name" --nonsense
	refuses "$name: an unknown letter is status 64" 64 'no option -Z' "$name" -Z
	refuses "$name: what is odd in an option is escaped" 64 'x.x1B.x0A' "$name" "$(printf -- '--x\033\n.')"
	[ "$program" = info ] && continue
	if [ "$program" != chat ]; then
		refuses "$name: an input that is missing is status 66" 66 'absent: No such file' sh -c "exec $cmd '$T/absent'"
		refuses "$name: an input that is a directory is status 66" 66 'Is a directory' sh -c "exec $cmd '$T'"
		refuses "$name: a closed standard input is status 66" 66 'standard input' no_stdin "$cmd"
	fi
	refuses "$name: a directory as standard input is status 66" 66 'standard input: Is a directory' from_dir "$cmd"
	head -c 300 /dev/urandom | tr -d '\000' >"$T/noise"
	exits "$name takes any bytes" "$want" sh -c "exec $cmd" <"$T/noise"
	printf 'caf\303 \355\240\200 \377\376 \364\220\200\200 \360\237\230' >"$T/broken"
	exits "$name takes broken UTF-8" "$want" sh -c "exec $cmd" <"$T/broken"
	case $program in
	tokenize | split | score | fold)
		exits "$name: of nothing nothing" 0 sh -c "exec $cmd" </dev/null
		is "$name: not a byte" "$(wc -c <"$T/out")" 0
		;;
	esac
done

# Long and odd names: what is wrong is said whole, the name shortened to its end and escaped.
long=$(printf '%0200d' 0)
deep=$T/$long/$long
mkdir -p "$deep"
printf 'a\0b' >"$deep/end"
cp "$model" "$deep/model.gguf"
for program in $all; do
	call_model "$program"
	name=llm-$program
	case $program in
	info) refuses "$name: of a long path its end is named" 66 '\.\.\.0+/absent: No such' llm-info "$deep/absent" ;;
	chat) refuses "$name: of a long path its end is named" 66 '\.\.\.0+/absent: No such' sh -c "exec $cmd -f '$deep/absent'" <"$T/in" ;;
	*) refuses "$name: of a long path its end is named" 66 '\.\.\.0+/absent: No such' sh -c "exec $cmd '$deep/absent'" ;;
	esac
done
refuses 'a fault in a file of a long path is told' 65 '/end: a NUL at byte 1, where' \
	llm-split -m "$model" -n 8 "$deep/end"
refuses 'a fault in ids of a long path too' 65 "/end, line 1: '.*' is no token id" \
	llm-generate -m "$model" -i "$deep/end"
refuses 'and when ids are made text' 65 '/end, line 1: found' llm-tokenize -m "$model" -d "$deep/end"
refuses 'a model of a long path is named where its context is full' 65 '/model\.gguf holds ' \
	sh -c "yes hello | head -n 9000 | llm-generate -m '$deep/model.gguf'"
refuses 'by llm-score too' 65 '/model\.gguf holds ' \
	sh -c "yes hello | head -n 9000 | llm-score -m '$deep/model.gguf'"
refuses 'an odd value of an option is escaped' 64 'not .x.x1B.xFF.; try' \
	llm-split -m "$model" -n 8 --at "$(printf 'x\033\377')" "$T/in"
printf 'a\0b' >"$T/$(printf 'x\033\377')"
refuses 'an odd name is escaped too' 65 '/x.x1B.xFF: a NUL' \
	llm-split -m "$model" -n 8 "$T/$(printf 'x\033\377')"
# shellcheck disable=SC2016 # expanded there
refuses 'no place for a temporary file is status 74, and the place is named' 74 '/nowhere: a temporary file' \
	sh -c 'yes "a line of a log" | head -n 700000 | TMPDIR="$1/nowhere" llm-fold -r 1' sh "$T"

# CPU time of so many runs in milliseconds, from the two lines of times.
cpu_ms() {
	awk 'function s(t) { split(t, p, /[ms]/); return p[1] * 60 + p[2] } NR == 2 { print int((s($1) + s($2)) * 1000) }'
}
for program in $all; do
	under_asan && continue
	ms=$(sh -c "i=0; while [ \$i -lt 40 ]; do i=\$((i + 1)); llm-$program -h >/dev/null; done; times" | cpu_ms)
	ok "llm-$program -h takes less than 5 ms" test "$ms" -lt 200
done

# Models.
printf 'GGUF' >"$T/four.gguf"
: >"$T/empty.gguf"
head -c 100000 "$T/tiny.gguf" >"$T/half.gguf"
head -c $(($(wc -c <"$T/tiny.gguf") - 1)) "$T/tiny.gguf" >"$T/less.gguf"
head -c 100000 /dev/urandom >"$T/noise.gguf"
mkfifo "$T/pipe.gguf"
cp "$T/tiny.gguf" "$T/locked.gguf" && chmod 000 "$T/locked.gguf"
touch "$T/beside.gguf"
for program in $with_model; do
	call "$program"
	name=llm-$program
	with() {
		refuses "$name: $1" "$2" "$3" sh -c "exec $cmd -m '$4'" <"$T/in"
	}
	with 'a model that is missing is status 66' 66 'absent.gguf: ' "$T/absent.gguf"
	with 'a directory as a model is status 66' 66 'directory' "$T/"
	with 'a device as a model is status 66' 66 '/dev/zero' /dev/zero
	with 'a pipe as a model is status 66' 66 'pipe.gguf' "$T/pipe.gguf"
	with 'an empty model is status 65' 65 'empty.gguf' "$T/empty.gguf"
	with 'a model of four bytes is status 65' 65 'four.gguf' "$T/four.gguf"
	with 'half a model is status 65' 65 'half.gguf' "$T/half.gguf"
	with 'a model without its last byte is status 65' 65 'less.gguf' "$T/less.gguf"
	with 'noise as a model is status 65' 65 'noise.gguf' "$T/noise.gguf"
	with 'text as a model is status 65' 65 '91-badinput.t' "$PWD/tests/91-badinput.t"
	with 'a name that the store lacks is status 66' 66 "no model 'nosuch' in the store" nosuch
	with 'an empty name is no name' 66 "no model's name" ''
	with 'nor is one that begins with a dot' 66 "no model's name" ..
	refuses "$name: no model named is status 66, with the next step" 66 \
		"no model: set LLM_MODEL or run 'llm-model get smollm2'" sh -c "exec $cmd" <"$T/in"
	refuses "$name: without HOME too" 66 'no model: neither HOME' env -u HOME sh -c "exec $cmd" <"$T/in"
	refuses "$name: LLM_MODEL is looked up" 66 "'nosuch'" env LLM_MODEL=nosuch sh -c "exec $cmd" <"$T/in"
	refuses "$name: a file beside is told from a name" 66 'say ./beside.gguf' \
		sh -c "cd '$T' && exec $cmd -m beside.gguf" <"$T/in"
	if [ "$(id -u)" -ne 0 ]; then
		with 'a model that may not be read is status 66' 66 'locked.gguf: Permission' "$T/locked.gguf"
	else
		skip "$name: a model that may not be read is status 66" 'root may read all'
	fi
done

# The store.
store=$HOME/.local/share/llm/models
mkdir -p "$store/one" "$store/parts" "$T/sys/llm/models/shared"
cp "$T/tiny.gguf" "$store/one/model.gguf"
cp "$T/tiny.gguf" "$T/sys/llm/models/shared/model.gguf"
"$make" --split 2 "$store/parts/x.gguf"
ln -s one "$store/default"
llm-generate -m "$model" -n 8 "$T/in" >"$T/good"
for way in '-m one' '-m parts' '' '-m default'; do
	# shellcheck disable=SC2086
	exits "the store has a model for: ${way:-nothing}" 0 llm-generate $way -n 8 "$T/in"
	same "which answers: ${way:-nothing}" "$T/out" "$T/good"
done
exits 'a model of the machine is found' 0 env XDG_DATA_DIRS="/nonexistent:$T/sys" llm-generate -m shared -n 8 "$T/in"
exits 'XDG_DATA_HOME moves the store' 0 env XDG_DATA_HOME="$T/sys" llm-generate -m shared -n 8 "$T/in"
refuses 'and then it is not where it was' 66 "no model 'one'" env XDG_DATA_HOME="$T/sys" llm-generate -m one "$T/in"
exits 'a relative XDG_DATA_HOME is ignored' 0 env XDG_DATA_HOME=sys llm-generate -m one -n 8 "$T/in"

# Memory that cannot be had, where the shell can say so and the build does not need it.
# shellcheck disable=SC3045 # what sh is here has it, or the test is left out
if ! under_asan && (ulimit -v 30000) 2>/dev/null; then
	"$make" --vocab-size 60000 --ctx 4096 "$T/wide.gguf"
	for program in generate score; do
		# shellcheck disable=SC3045
		exits "llm-$program: memory that cannot be had is status 71" 71 \
			sh -c "ulimit -v 30000; exec llm-$program -m '$T/wide.gguf' '$T/in'"
		is "llm-$program: and one line" "$(wc -l <"$T/err")" 1
	done
fi

# A model that shrinks while it is in use: cut when the first bytes of the answer are there.
"$make" --ctx 100000 --layers 4 --embd 256 --heads 4 --heads-kv 4 --ff 1024 "$T/cut.gguf"
mkfifo "$T/answer"
{
	llm-generate -m "$T/cut.gguf" --logit-bias 2=-inf -n 90000 "$T/in" >"$T/answer" 2>"$T/err"
	echo $? >"$T/status"
} &
{
	head -c 1 >/dev/null
	"$make" --shape tiny --seed 2 "$T/other.gguf"
	dd if=/dev/null of="$T/cut.gguf" bs=1 seek=4096 2>/dev/null
	cat >/dev/null
} <"$T/answer"
wait
is 'a model that shrinks while in use is status 74' "$(cat "$T/status")" 74
like 'and one line names it' "$(cat "$T/err")" '^llm-generate: .*/cut\.gguf: .*shrank'
is 'one' "$(wc -l <"$T/err")" 1
done_testing
