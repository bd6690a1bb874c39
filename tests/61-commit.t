#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-commit: a subject of at most 72 characters, an empty line and a body; whole, or nothing.
# shellcheck disable=SC2016,SC2119,SC2120 # backquotes are text; a function is called with and without
. tests/tap.sh

# --- with a model of straw: programs that stand beside the script come first
mkdir "$T/straw"
cp "$LLM_TEST_BIN/llm-commit" "$T/straw/"
cat >"$T/straw/llm-info" <<'END'
#!/bin/sh
printf 'key\tllama.context_length\tu32\t%s\n' "${STRAW_CONTEXT:-4096}"
END
cat >"$T/straw/llm-tokenize" <<'END'
#!/bin/sh
for file; do :; done
wc -w <"$file" | tr -d ' '
END
cat >"$T/straw/llm-chat" <<'END'
#!/bin/sh
for what; do :; done
[ ! -e "$STRAW/fail" ] || { echo 'llm-chat: it broke' >&2; exit 71; }
while [ "$#" -gt 1 ]; do
	[ "$1" != -f ] || cp "$2" "$STRAW/shown"
	shift
done
case $what in
*subject*) cat "$STRAW/subject" ;;
*) cat "$STRAW/body" ;;
esac
[ ! -e "$STRAW/cut" ] || { echo 'llm-chat: the answer is cut' >&2; exit 2; }
END
chmod +x "$T"/straw/*
STRAW=$T/says
export STRAW
mkdir "$STRAW"

# says SUBJECT BODY: what the model answers.
says() {
	printf '%b' "$1" >"$STRAW/subject"
	printf '%b' "$2" >"$STRAW/body"
}
straw() {
	"$T/straw/llm-commit" "$@"
}

cat >"$T/diff" <<'END'
diff --git a/src/server.py b/src/server.py
index 3b18e51..1c2d2f1 100644
--- a/src/server.py
+++ b/src/server.py
@@ -10,3 +10,5 @@ def connect(host, port):
     sock = socket.socket()
-    sock.connect((host, port))
+    sock.settimeout(30)
+    sock.connect((host, port))
--- a word that looks like a head
     return sock
END
sed -i '/^--- a word/d' "$T/diff"

says 'Set a timeout on connections\n' 'Connections now time out after thirty seconds. Before, a silent host held them for good.\n'
is 'a message is a subject, an empty line and a body' "$(straw <"$T/diff")" \
'Set a timeout on connections

Connections now time out after thirty seconds. Before, a silent host
held them for good.'
says '\n**Subject:** "fix `connect` without end."\n\nmore\n' 'It fixes what was broken. It fixes what was broken.\n'
is 'what a model puts around a subject goes' "$(straw <"$T/diff")" \
'Fix connect without end

It fixes what was broken.'
while IFS='|' read -r why subject; do
	says "$subject" 'It changes how things are done.\n'
	is "$why is no subject" "$(straw <"$T/diff" | head -n 1)" 'Change src/server.py (connect)'
done <<'END'
a preamble|Here is a commit message:\\n
code|Add { return 0; }\\n
a line of the diff|diff --git a/x b/x\\n
a line too long|Fix this and that and everything else that there is to fix in the whole wide world at once\\n
a single word|Fix\\n
an empty line|
a statement|The server is now better\\n
END
says 'Add a timeout\n' '```c\nint x;\n```\n- a\n'
is 'where the model says nothing in prose, the files are named' "$(straw <"$T/diff" | tail -n 1)" \
	'src/server.py: 2 lines added, 1 removed'

says 'x' 'y'
cat >"$T/more" <<'END'
diff --git a/lib/new file.c b/lib/new file.c
new file mode 100644
--- /dev/null
+++ b/lib/new file.c
@@ -0,0 +1,2 @@
+int a;
+++ b;
diff --git a/lib/b.c b/lib/b.c
new file mode 100644
--- /dev/null
+++ b/lib/b.c
@@ -0,0 +1 @@
+int b;
END
is 'new files are added' "$(straw <"$T/more")" \
'Add lib/new file.c and lib/b.c

lib/new file.c: 2 lines added, 0 removed
lib/b.c: 1 line added, 0 removed'
cat "$T/more" "$T/more" "$T/diff" | sed 's|lib/b.c|lib/c/d.c|; s|src/|lib/|' >"$T/most"
is 'many files are counted' "$(straw <"$T/most" | head -n 1)" 'Change 5 files in lib'
sed 's|lib/b.c|lib/a/very/long/path/that/goes/on/and/on/until/it/ends/somewhere/far/beyond/b.c|' <"$T/more" >"$T/far"
ok 'no subject is longer than 72 characters' test "$(straw <"$T/far" | head -n 1 | wc -c)" -le 73

# --- what does not fit
says 'Add many lines\n' 'It adds many lines to it.\n'
{
	cat "$T/diff"
	printf 'diff --git a/long b/long\n--- a/long\n+++ b/long\n@@ -0,0 +1,3000 @@\n'
	i=0
	while [ "$i" -lt 3000 ]; do
		i=$((i + 1))
		echo "+line number $i is here"
	done
} >"$T/long"
STRAW_CONTEXT=1024 straw <"$T/long" >"$T/out" 2>"$T/err"
is 'a diff longer than the context is described all the same' "$(head -n 1 "$T/out")" 'Add many lines'
like 'and that is said' "$(cat "$T/err")" '^llm-commit: the diff has 150[0-9][0-9] tokens, of which 704 fit: .* 128 changed lines of each file$'
like 'the model sees what each file is' "$(cat "$T/says/shown")" '^long: 3000 lines added, 0 removed$'
is 'and the first lines of each' "$(grep -c '^+line' "$T/says/shown") $(grep -c 'settimeout' "$T/says/shown")" '128 1'
refuses 'a directory as standard input is no diff' 66 'standard input: is a directory' straw <"$T"
refuses 'nor is a standard input that is closed' 66 'standard input: closed' straw <&-
exits 'the usage text on a full device is an error' 74 sh -c "'$T/straw/llm-commit' -h >/dev/full"
exits 'so is the version' 74 sh -c "'$T/straw/llm-commit' -V >/dev/full"
printf 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-gr\374n\n+gr\303\274n\004\r\n' | straw >"$T/out"
is 'the model is shown text, of any bytes' "$(tail -n 2 "$STRAW/shown")" "$(printf -- '-gr?n\n+gr\303\274n  ')"
STRAW_CONTEXT=400 refuses 'no room for an answer is refused with both numbers' 65 '160.*400' straw -n 160 <"$T/diff"

# --- whole or nothing
touch "$STRAW/cut"
says 'Add a timeout to' 'It adds a timeout to all. And it'
is 'an answer that is too long is used up to its last sentence' "$(straw <"$T/diff")" \
'Change src/server.py (connect)

It adds a timeout to all.'
refuses 'but where -n cuts it, nothing is printed' 2 'cut after 5 tokens' straw -n 5 <"$T/diff"
rm "$STRAW/cut"
touch "$STRAW/fail"
refuses 'a stage that fails has its own status and message' 71 'llm-chat: it broke' straw <"$T/diff"
rm "$STRAW/fail"
refuses 'nothing staged is 1' 1 'nothing is staged' straw </dev/null
printf ' \n\n' >"$T/blank"
refuses 'nor are blanks anything' 1 'nothing is staged' straw <"$T/blank"
refuses 'a text is no diff' 65 'no diff' straw <tests/tap.sh
refuses 'an unknown option is a usage error' 64 'nonsense' straw --nonsense 3
refuses 'two diffs at a time are' 64 'one diff' straw a b
refuses 'a missing file is named' 66 'no-such' straw no-such
exits 'a full device is an error' 74 sh -c "'$T/straw/llm-commit' '$T/diff' >/dev/full"
head -c 20000 /dev/urandom >"$T/bytes"
{ cat "$T/diff"; printf '+'; cat "$T/bytes"; } | straw >"$T/out" 2>"$T/err"
is 'any bytes may be in a diff' "$(wc -l <"$T/out" | tr -d ' ') $(cat "$T/err")" '3 '
mkdir "$T/tmp"
TMPDIR=$T/tmp straw <"$T/diff" >"$T/out"
TMPDIR=$T/tmp straw <"$T/blank" 2>"$T/err"
is 'nothing is left behind' "$(ls "$T/tmp")" ''

# --- with the small model
if have_model; then
	LLM_MODEL=$LLM_TEST_MODEL
	export LLM_MODEL
	for diff in diff more; do
		exits "the small model describes a diff ($diff)" 0 llm-commit --seed 1 "$T/$diff"
		is 'in a subject of 1 to 72 characters, an empty line and lines of at most 72' \
			"$(awk 'NR == 1 && (length($0) < 1 || length($0) > 72) { print "subject" }
				NR == 2 && $0 != "" { print "second" } NR > 2 && length($0) > 72 { print "long" }
				END { if (NR < 3) print "short" }' "$T/out")" ''
	done
	exits 'from cron too' 0 env -i HOME="$HOME" PATH=/usr/bin:/bin LLM_MODEL="$LLM_MODEL" \
		"$LLM_TEST_BIN/llm-commit" "$T/diff"
else
	skip 'a real model writes messages' 'no model: the small model could not be fetched'
fi
done_testing
