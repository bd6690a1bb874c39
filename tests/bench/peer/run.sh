# SPDX-License-Identifier: ISC
# shellcheck shell=sh
#
# Part "peer" of tests/bench/targets, read by it: llama.cpp's programs in $PEER and ours, in turn on the
# same files.  Ours read the packed file, as they do from the store; llama.cpp lays out for itself.

peer_lib=$BENCH_DIR/peer-lib
peer_preload=

# The names that the shared libraries ask for one another by.
peer_links() {
	mkdir -p "$peer_lib" || return
	python3 - "$PEER" "$peer_lib" <<-'END'
		import json, os, sys
		folder, lib = sys.argv[1:]
		links = json.load(open(os.path.join(folder, "_symlinks.json")))
		for name, to in links.items():
		    while to in links:
		        to = links[to]
		    path = os.path.join(lib, name)
		    if os.path.islink(path):
		        os.unlink(path)
		    os.symlink(os.path.join(folder, to), path)
	END
}

peer_run() {
	peer_program=$1
	shift
	LD_LIBRARY_PATH=$peer_lib:$PEER LD_PRELOAD=$peer_preload "$PEER/$peer_program" "$@" 2>"$BENCH_DIR/peer.log"
}

# peer_rate MODEL OPTION...: llama-bench's tokens a second of one test.
peer_rate() {
	peer_model=$1
	shift
	peer_run llama-bench -m "$peer_model" -t "$THREADS" -o jsonl "$@" |
		sed -n 's/.*"avg_ts": *\([0-9.]*\).*/\1/p' | tail -n 1
}

# Is this row among those that ROWS, a pattern, names?
peer_wanted() {
	echo "$1" | grep -Eq -e "${ROWS:-.}"
}

# peer_compare NAME SET PLAIN PACKED THEIRS OURS [TURNS]: three times in turn; the median of the ratios.
peer_compare() {
	peer_wanted "$1" || return 0
	: >"$BENCH_DIR/ratios"
	for turn in ${7-1 2 3}; do
		say "$1 $2: turn $turn"
		# shellcheck disable=SC2086 # options are words
		theirs=$(peer_rate "$3" $5)
		# shellcheck disable=SC2086
		ours=$(bench "$2" "$4" $6 -r 3 | tail -n 1 | cut -f 5)
		[ -n "$theirs" ] && [ -n "$ours" ] || {
			none "$1" "$2" "llama-bench: $(tail -n 1 "$BENCH_DIR/peer.log" | cut -c 1-120)"
			return 0
		}
		echo "$ours $theirs" >>"$BENCH_DIR/ratios"
	done
	peer_median "$1" "$2"
}

peer_median() {
	awk '{ print $1 / $2, $1, $2 }' "$BENCH_DIR/ratios" | sort -g |
		awk '{ x[NR] = $1; a[NR] = $2; b[NR] = $3 }
		END { m = int((NR + 1) / 2); printf "%.3g %.3g 0 %.4g/%.4g\n", x[m], (x[NR] - x[1]) / x[m], a[m], b[m] }' |
		{ read -r value spread zero rates && figure "$1" "$2" "$value" "$spread" "$zero" "$rates tok/s"; }
}

# Tokens a second of 16 sequences, ours and theirs.
peer_batch() {
	peer_wanted peer-batch || return 0
	: >"$BENCH_DIR/ratios"
	for turn in 1 2 3; do
		say "peer-batch $1: $turn of 3"
		theirs=$(peer_run llama-batched-bench -m "$2" -c 1024 -b 512 -ub 512 -npp 8 -ntg 16 -npl 16 \
			-t "$THREADS" --output-format jsonl | sed -n 's/.*"speed_tg": *\([0-9.]*\).*/\1/p' | tail -n 1)
		ours=$(bench "$1" "$3" -b 16 -n 16 -d 0 -r 3 | line batch 16 0 16 5)
		[ -n "$theirs" ] && [ -n "$ours" ] || {
			none peer-batch "$1" "llama-batched-bench: $(tail -n 1 "$BENCH_DIR/peer.log" | cut -c 1-120)"
			return 0
		}
		echo "$ours $theirs" >>"$BENCH_DIR/ratios"
	done
	peer_median peer-batch "$1"
}

# Its AMX code crashes where some compilers made it: it is then run without.
peer_try() {
	peer_links || return
	[ -n "$(peer_rate "$1" -p 8 -n 0 -r 1)" ] && return
	"${CC:-cc}" -O1 -shared -fPIC -o "$BENCH_DIR/noamx.so" tests/bench/peer/noamx.c 2>/dev/null || return
	peer_preload=$BENCH_DIR/noamx.so
	[ -n "$(peer_rate "$1" -p 8 -n 0 -r 1)" ] || return
	echo '# llama.cpp crashes here as it was built; it runs with its AMX kernels turned off'
}

part_peer() {
	peer_plain=$(plain 1B Q4_K_M) && peer_packed=$(packed 1B Q4_K_M) || return
	# shellcheck disable=SC2154 # targets sets it
	set=${sets##* } # the best, as llama.cpp chooses its own
	peer_try "$peer_plain" || {
		none_part peer "llama-bench does not run here: $(tail -n 1 "$BENCH_DIR/peer.log" | cut -c 1-120)"
		return 0
	}
	for type in Q4_K_M Q4_0 Q8_0; do
		from=$(plain 1B "$type") && to=$(packed 1B "$type") || return
		peer_compare "peer-pp-$type" "$set" "$from" "$to" '-p 512 -n 0 -r 1' '-p 512'
	done
	if to=$(small); then
		peer_compare peer-pp-small "$set" "$LLM_TEST_MODEL" "$to" '-p 512 -n 0 -r 3' '-p 512'
		peer_compare peer-tg-small "$set" "$LLM_TEST_MODEL" "$to" '-p 0 -n 64 -r 3' '-n 64 -d 0'
	else
		none peer-pp-small "$set" 'no small model'
		none peer-tg-small "$set" 'no small model'
	fi
	peer_compare peer-tg-Q4_K_M "$set" "$peer_plain" "$peer_packed" '-p 0 -n 32 -r 1' '-n 32 -d 0'
	peer_compare peer-depth "$set" "$peer_plain" "$peer_packed" '-p 0 -n 8 -d 4096 -r 1' '-n 8 -d 4096' 1
	peer_batch "$set" "$peer_plain" "$peer_packed"
}
