#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llmctl: what the daemon says of itself in each form, the live view, loading and stopping; and what it says where
# there is no daemon.  Forms are tried on a server of a few lines that says what a daemon seldom does.
. tests/tap.sh

S=$T/sock
refuses 'no daemon is said in one line' 69 "no daemon at $S: No such file" llmctl -s "$S" status
refuses 'and to stop one that is not there' 69 'no daemon' llmctl -s "$S" stop
LLM_SOCKET=$T/other refuses 'the socket is that of LLM_SOCKET' 69 "$T/other" llmctl status
LLM_SOCKET='' XDG_RUNTIME_DIR=$T refuses 'else in XDG_RUNTIME_DIR' 69 "$T/llm/llmd.sock" llmctl status
LLM_SOCKET='' refuses 'else where the user has it' 69 "/run/user/$(id -u)/llm/llmd.sock" llmctl status
refuses 'a socket has a path that is not too long' 64 '108 bytes.*107' llmctl -s "$(printf '%0108d' 0)" status
refuses 'something is to be done' 64 'status, stats, top' llmctl
refuses 'something that there is' 64 "'restart'" llmctl restart
refuses 'load wants a model' 64 'which model' llmctl load
refuses 'one model' 64 'operand' llmctl load a b
refuses '--now goes with stop' 64 'how to stop' llmctl --now status
refuses '--prometheus goes with stats' 64 'stats' llmctl --prometheus status
refuses 'top is for a terminal' 64 'top is for eyes' llmctl -j top

python=
for p in /usr/bin/python3 python3; do
	[ -n "$python" ] || ! $p -c 'import msgpack' 2>/dev/null || python=$p
done

# serve NAME: a server that answers one connection, as its name says.
cat >"$T/serve.py" <<'END'
import msgpack, os, socket, struct, sys
how, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(1)
s.settimeout(60)
print("ready", flush=True)
c, _ = s.accept()
c.settimeout(None)
f = c.makefile("rwb")
def put(m):
    b = msgpack.packb(m)
    f.write(struct.pack(">I", len(b)) + b)
    f.flush()
def get():
    head = f.read(4)
    if len(head) < 4:
        sys.exit(0)
    return msgpack.unpackb(f.read(struct.unpack(">I", head)[0]))
get()
put({"hello": 2 if how == "later" else 1, "numeric": 99, "server": "x", "pid": 4711})
times = lambda *ms: list(ms)
while True:
    m = get()
    i, op = m["id"], m["op"]
    with open(path + ".log", "a") as log:
        print(op, m.get("model", "-"), m.get("now", "-"), file=log)
    if how == "dies":
        f.write(b"\0\0\0\x40\x81")
        f.flush()
        sys.exit(0)
    if how == "refuses":
        put({"id": i, "error": {"code": 75, "name": "BUSY", "text": "9 bytes, of 4\nfree"}})
    elif how == "odd":
        put({"id": i, "done": {"models": [{"name": 5}], "classes": 7}})
    elif op == "status":
        put({"id": i + 1, "done": {}})
        put({"id": i, "queue": 3})
        put({"id": i, "done": {"pid": 4711, "uptime_ms": 93784500, "memory_bytes": 2**33, "budget_bytes": 2**34,
            "models": [{"name": "small\tone", "path": "/m/a\"b\\c\nd.gguf", "id": b"\0" * 16, "bytes": 100 << 20,
                "kv_bytes": 5 << 20, "locked": True, "shared": "file", "state": "ready", "jobs": 2},
                {"name": "other", "path": "/m/other.gguf", "bytes": 7, "shared": "memory", "state": "opening"}],
            "clients": [{"pid": 12, "name": b"evil\x1b[31m\xff", "class": "interactive", "jobs": 1, "tokens": 42}],
            "queue": 3, "running": 2, "tok_s": 31.25, "later": [1]}})
    elif op == "stats":
        put({"id": i, "done": {"classes": [
            {"class": "interactive", "n": 12, "tokens": 240, "queue": times(0.5, 1, 2.25), "prefill": times(10, 20, 30),
                "decode": times(4, 5, 6)},
            {"class": "batch", "n": 0, "tokens": 0, "queue": [0, 0, 0], "prefill": [], "decode": None}],
            "counters": {"connections": 2**40, "bad-frames": 3, "requests": 4}}})
    elif op == "load":
        put({"id": i, "progress": {"done": 1 << 20, "of": 4 << 20}})
        put({"id": i, "done": {"bytes": 4 << 20}})
    elif op == "stop":
        put({"id": i, "done": {}})
        sys.exit(0)
    else:
        put({"id": i, "done": {"bytes": 1}})
END
serve() {
	rm -f "$S" "$S.log"
	rm -f "$T/ready"
	mkfifo "$T/ready"
	"$python" "$T/serve.py" "$1" "$S" >"$T/ready" & # which ends with its one connection
	read -r _ <"$T/ready"
}

if [ -n "$python" ]; then
	LLM_SOCKET=$S
	export LLM_SOCKET
	serve says
	is 'status: the daemon, its models, its clients' "$(llmctl status)" "$(
		printf 'daemon\t4711\t93784.5\t8589934592\t17179869184\t2\t3\t31.2\n'
		printf 'model\tsmall\\tone\t104857600\t5242880\tfile\tlocked\tready\t2\t/m/a"b\\\\c\\nd.gguf\n'
		printf 'model\tother\t7\t0\tmemory\t-\topening\t0\t/m/other.gguf\n'
		printf 'client\t12\tevil\\x1B[31m\\xFF\tinteractive\t1\t42\n'
	)"
	serve says
	exits 'as JSON, all of it' 0 llmctl -j status
	"$python" - "$T/out" >"$T/got" 2>&1 <<-'END'
	import json, sys
	lines = open(sys.argv[1], encoding="utf-8").read().split("\n")
	m = json.loads(lines[0])
	print(len(lines), m["pid"], m["models"][0]["path"], m["clients"][0]["tokens"], m["tok_s"], m["later"])
	END
	is 'in one line that parses' "$(cat "$T/got")" "$(printf '2 4711 /m/a"b\\c\nd.gguf 42 31.25 [1]')"
	serve says
	is 'stats: classes with p50, p90 and p99 of three times, counters' "$(llmctl stats)" "$(
		printf 'class\tinteractive\t12\t240\t0.500\t1.000\t2.250\t10.000\t20.000\t30.000\t4.000\t5.000\t6.000\n'
		printf 'class\tbatch\t0\t0\t-\t-\t-\t-\t-\t-\t-\t-\t-\n'
		printf 'counter\tconnections\t1099511627776\n'
		printf 'counter\tbad-frames\t3\n'
		printf 'counter\trequests\t4\n'
	)"
	serve says
	like 'as JSON' "$(llmctl -j stats)" '^\{"classes":\[\{"class":"interactive","n":12,.*"counters":\{"connections":1099511627776,"bad-frames":3,"requests":4\}\}$'
	serve says
	exits 'for Prometheus' 0 llmctl --prometheus stats
	like 'times in seconds, by class and quantile' "$(cat "$T/out")" '^llmd_queue_seconds\{class="interactive",quantile="0\.99"\} 0\.00225$'
	like 'NaN where nothing was measured' "$(cat "$T/out")" '^llmd_decode_seconds\{class="batch",quantile="0\.5"\} NaN$'
	like 'counts' "$(cat "$T/out")" '^llmd_queue_seconds_count\{class="interactive"\} 12$'
	like 'counters under their names' "$(cat "$T/out")" '^llmd_bad_frames_total 3$'
	like 'labels are escaped' "$(cat "$T/out")" '^llmd_model_bytes\{model="/m/a\\"b\\\\c\\nd\.gguf"\} 104857600$'
	like 'gauges' "$(cat "$T/out")" '^llmd_budget_bytes 17179869184$'

	# The format, line by line: a family begins with HELP, then TYPE, once; its samples follow, each once.
	is 'all of it is as the format has it' "$(awk '
		/^# HELP [a-zA-Z_:][a-zA-Z0-9_:]* ./ { if (seen[$3]++) print "again: " $0; f = $3; next }
		/^# TYPE / { if ($3 != f || $4 !~ /^(counter|gauge|summary)$/) print "type: " $0; type = $4; next }
		{
			if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) { print "no sample: " $0; next }
			name = substr($0, 1, RLENGTH)
			if (name != f && !(type == "summary" && (name == f "_count" || name == f "_sum"))) print "astray: " $0
			if (type == "counter" && name !~ /_total$/) print "counter: " $0
			rest = substr($0, RLENGTH + 1)
			if (rest !~ /^(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*",?)+\})? (NaN|[-+]?[0-9.]+(e[-+]?[0-9]+)?)$/) print "sample: " $0
			sub(/ [^ ]*$/, "", rest)
			if (once[name rest]++) print "twice: " $0
			n++
		}
		END { if (n < 20) print n " samples" }' "$T/out")" ''

	serve later
	refuses 'a daemon of another protocol is none' 76 'version 2 of the protocol' llmctl status
	serve dies
	refuses 'one that dies is gone' 69 'daemon' llmctl status
	serve refuses
	refuses 'what it refuses is said, in one line' 75 '9 bytes, of 4.free' llmctl load /bin/sh
	serve odd
	refuses 'a status that is none is no status' 76 "field 'name': found 5, expected a string" llmctl status
	serve odd
	refuses 'nor are such stats' 76 "field 'classes'" llmctl stats

	mkdir -p "$HOME/.local/share/llm/models/tiny" "$T/there"
	echo x >"$T/there/file.gguf"
	ln -s "$T/there/file.gguf" "$HOME/.local/share/llm/models/tiny/model.gguf"
	serve says
	exits 'a model is loaded' 0 llmctl load tiny
	is 'without a word' "$(cat "$T/out" "$T/err")" ''
	is 'by the path of its file' "$(cat "$S.log")" "load $(realpath "$T/there/file.gguf") -"
	serve says
	exits 'a relative path means a file here' 0 env -C "$T/there" "$LLM_TEST_BIN/llmctl" -j load ./file.gguf
	is 'its bytes are told as JSON' "$(cat "$T/out")" '{"bytes":4194304}'
	is 'by its absolute path' "$(cat "$S.log")" "load $(realpath "$T/there/file.gguf") -"
	serve says
	refuses 'what is not in the store is not loaded' 66 "no model 'nothing'" llmctl load nothing
	serve says
	refuses 'nor a path of nothing' 66 'no such file' llmctl load ./nothing
	serve says
	exits 'what is gone from the store is unloaded by its name' 0 llmctl unload nothing
	is 'as it was given' "$(cat "$S.log")" 'unload nothing -'
	serve says
	exits 'the daemon stops' 0 llmctl stop
	is 'after what it has' "$(cat "$S.log")" 'stop - -'
	serve says
	exits 'or at once' 0 llmctl stop --now
	is 'where asked' "$(cat "$S.log")" 'stop - True'

	if command -v expect >/dev/null; then
		serve says
		cat >"$T/script" <<-'END'
		log_user 0
		set timeout 30
		proc see {text} {
			global expect_out spawn_id
			expect {
				-re $text { return }
				timeout { puts "no \"$text\" came"; exit 1 }
				eof { puts "the end came before \"$text\""; exit 1 }
			}
		}
		spawn -noecho sh -c {
			stty rows 20 columns 120
			stty -a >"$T/before"
			TERM=xterm llmctl top
			echo "status $?"
			stty -a >"$T/after"
		}
		# The other screen, a head, models and clients, no byte that the terminal would obey.
		see {\e\[\?1049h\e\[\?25l}
		see {llmd 4711, up 26:03:04   31\.2 tok/s   2 running, 3 waiting   8\.0 GiB of 16 GiB   1 clients}
		see {small\?one +100 MiB +5\.0 MiB +2  ready, file, locked}
		see {interactive +12 +240  0\.5 / 1\.0 / 2\.2 +10 / 20 / 30 +4\.0 / 5\.0 / 6\.0}
		see {batch +0 +0  - / - / -}
		see {evil\?\[31m}
		see {q quits}
		# It is drawn anew, and by the new size: forty columns, eight rows.
		exec stty rows 8 columns 40 <$spawn_out(slave,name)
		see {llmd 4711, up 26:03:04   31\.2 tok/s   2 \e\[K}
		see {q quits}
		if {[regexp {evil} $expect_out(buffer)]} { puts "more rows than there are"; exit 1 }
		send "x"
		see {llmd 4711}
		send "q"
		see {\e\[\?25h\e\[\?1049l}
		see {status 0}
		expect eof
		END
		ok 'top shows all of it on a terminal, by its size, until q' expect -f "$T/script"
		is 'and leaves the terminal as it was' "$(sed 's/rows [0-9]*; columns [0-9]*//' "$T/after")" \
			"$(sed 's/rows [0-9]*; columns [0-9]*//' "$T/before")"
		serve says
		sed -e '/exec stty/,$d' "$T/script" >"$T/script2"
		cat >>"$T/script2" <<-'END'
		send "\003"
		see {\e\[\?25h\e\[\?1049l}
		expect eof
		END
		sed -i 's/echo "status $?"/trap : INT; echo "status $?"/' "$T/script2"
		ok 'Ctrl-C ends it as well, and restores the screen' expect -f "$T/script2"
	else
		skip 'top shows all of it on a terminal' 'no expect on this machine'
	fi
	serve says
	refuses 'top draws on nothing but a terminal' 64 'terminal' llmctl top
	LLM_SOCKET=$T/no-daemon
else
	skip 'what the daemon says, in each form' 'no python3 with msgpack on this machine'
fi
# --- with llmd itself
if [ -x "$LLM_TEST_BIN/llmd" ]; then
	LLM_SOCKET=$T/llm/sock
	export LLM_SOCKET
	daemon=
	trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; tap_cleanup' EXIT
	mkdir -p "$HOME/.local/share/llm/models/made"
	"$LLM_TEST_BUILD/tests/mkgguf" --shape tinyk --ctx 512 "$HOME/.local/share/llm/models/made/model.gguf" || exit
	llmd 2>"$T/log" &
	daemon=$!
	n=0
	until llmctl status >/dev/null 2>&1 || [ $((n += 1)) -gt 200 ]; do sleep 0.05; done
	like 'a daemon without models has a status' "$(llmctl status)" "^daemon	$daemon	"
	exits 'llmctl loads one' 0 llmctl load made
	like 'which is there by its name then' "$(llmctl status)" "^model	made	[1-9][0-9]*	[0-9]+	[a-z]+	(locked|-)	ready	0	$(realpath "$HOME")/.local/share/llm/models/made/model\.gguf$"
	like 'with its memory' "$(llmctl status)" '^daemon	[0-9]+	[0-9.]+	[1-9][0-9]*	[1-9][0-9]*	0	0	'
	echo 'Once upon a time' | llm-generate --daemon -m made -n 5 >/dev/null
	like 'what was asked for stands in the stats' "$(llmctl stats)" '^class	pipe	1	5	[0-9.]+	'
	like 'and nothing where nothing was' "$(llmctl stats)" '^class	batch	0	0	-	'
	exits 'all of it for Prometheus' 0 llmctl stats --prometheus
	is 'each family once' "$(grep '^# TYPE' "$T/out" | sort | uniq -d)" ''
	like 'with its tokens' "$(cat "$T/out")" '^llmd_answer_tokens_total\{class="pipe"\} 5$'
	exits 'a full disk is told' 74 sh -c 'llmctl status >/dev/full'
	exits 'llmctl unloads it' 0 llmctl unload made
	# What it kept is given back by a worker.
	n=0
	while llmctl status | grep -q '^model' && [ $((n += 1)) -lt 200 ]; do sleep 0.05; done
	unlike 'and it is gone' "$(llmctl status)" '^model'
	refuses 'what is not loaded is not unloaded' 66 'made|loaded' llmctl unload made
	refuses 'what is no model is not loaded' 65 'not a GGUF|GGUF' llmctl load ./tests/58-ctl.t
	exits 'llmctl stops it' 0 llmctl stop
	nok 'and ends after it: the socket is gone' test -e "$LLM_SOCKET"
	wait "$daemon"
	is 'with status 0' $? 0
	daemon=
	refuses 'then there is none' 69 'no daemon' llmctl status
else
	skip 'llmctl with llmd itself' 'llmd is not built'
fi
done_testing
