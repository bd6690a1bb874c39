#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-search: the line that means what was asked, the same bytes however it is asked, and an index that is
# whole or not there.
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
. tests/tap.sh
need_encoder
export LLM_ENCODER="$LLM_TEST_ENCODER"

cat >"$T/notes" <<'END'
The printer on the second floor is repaired by Mrs Okafor.
Lunch is served from noon to two.

The office closes at six on Fridays.
Passwords are changed every ninety days.
Lunch is served from noon to two.
The car park gate opens with the blue card.
Backups run at three in the morning.
END

exits 'an index is built from lines' 0 llm-search -b "$T/notes.idx" "$T/notes"
is 'and nothing is said' "$(cat "$T/out" "$T/err")" ''
is 'it is its owner'\''s alone' "$(stat -c %a "$T/notes.idx")" 600
is 'nothing else is left in the directory' "$(find "$T" -maxdepth 1 -name 'notes.idx?*')" ''
nearest() {
	llm-search -n 1 "$T/notes.idx" "$@" | cut -f 2-
}
is 'the nearest line is found without a word in common' "$(nearest Who fixes broken paper machines?)" \
	"1	The printer on the second floor is repaired by Mrs Okafor."
is 'another question finds another line' "$(nearest When can I eat?)" "2	Lunch is served from noon to two."
llm-search -n 9 "$T/notes.idx" 'food at midday' | cut -f 2 >"$T/numbers"
is 'of equal lines the earlier comes first' "$(head -n 2 "$T/numbers" | tr '\n' ' ')" '2 6 '
is 'and the empty one never' "$(sort -n "$T/numbers" | tr '\n' ' ')" '1 2 4 5 6 7 8 '
llm-search "$T/notes.idx" 'When can I eat?' >"$T/words"
echo 'When can I eat?' | llm-search "$T/notes.idx" >"$T/piped"
same 'a query may come as words or on a line' "$T/words" "$T/piped"
like 'a score, a number and a text come out' "$(head -n 1 "$T/words")" '^0\.[0-9]+	2	Lunch is served'
like 'with -j as JSON' "$(llm-search -j -n 1 "$T/notes.idx" 'When can I eat?')" \
	'^\{"query":1,"score":0\.[0-9]+,"n":2,"text":"Lunch is served from noon to two\."\}$'

: >"$T/queries"
i=0
while [ $i -lt 100 ]; do
	echo "question $i about lunch and backups" >>"$T/queries"
	i=$((i + 1))
done
llm-search -j "$T/notes.idx" <"$T/queries" | sed 's/"query":[0-9]*,//' >"$T/together"
while read -r q; do
	llm-search -j "$T/notes.idx" "$q"
done <"$T/queries" | sed 's/"query":[0-9]*,//' >"$T/alone"
same 'a hundred queries at once get what each gets alone' "$T/together" "$T/alone"
ok 'in so many words' test "$(wc -l <"$T/together")" = 700
LLM_KERNELS=generic llm-search -j -t 1 "$T/notes.idx" <"$T/queries" | sed 's/"query":[0-9]*,//' >"$T/generic"
same 'and on one thread by plain C' "$T/together" "$T/generic"
OPENBLAS_CORETYPE=Nehalem llm-search -j "$T/notes.idx" <"$T/queries" | sed 's/"query":[0-9]*,//' >"$T/nehalem"
same 'and whatever part of OpenBLAS proposes' "$T/together" "$T/nehalem"
cp "$T/notes.idx" "$T/kept.idx"
LLM_KERNELS=generic llm-search -t 1 -b "$T/generic.idx" "$T/notes"
same 'the index itself has the same bytes' "$T/notes.idx" "$T/generic.idx"

printf 'The new coffee machine is in the kitchen.\n\n' >>"$T/notes"
exits 'a grown file is added' 0 llm-search -v -a "$T/notes.idx" "$T/notes"
like 'what is there already is not computed again' "$(cat "$T/err")" '10 records read, 8 of them there before; the index has 10$'
is 'and what is new is found under its line' "$(nearest where is the espresso?)" "9	The new coffee machine is in the kitchen."
llm-search -b "$T/anew.idx" "$T/notes"
same 'an index that grew is the one built at once' "$T/notes.idx" "$T/anew.idx"

# Stopped while it waits for the rest of its input: neither change nor remains.
cp "$T/kept.idx" "$T/notes.idx"
mkfifo "$T/fifo"
llm-search -a "$T/notes.idx" <"$T/fifo" &
pid=$!
{
	echo 'One more line.'
	sleep 1
	kill -9 $pid
} >"$T/fifo"
wait $pid 2>/dev/null
same 'killed while it adds, the index is as it was' "$T/notes.idx" "$T/kept.idx"

head -c 700 "$T/notes.idx" >"$T/short.idx"
refuses 'an index cut short is refused' 65 'short.idx: .*700 bytes; expected [0-9]+' llm-search "$T/short.idx" x
refuses 'a file that is no index too' 65 'notes: no index' llm-search "$T/notes" x
refuses 'and one that is not there' 66 'none.idx' llm-search "$T/none.idx" x
refuses 'which cannot be added to either' 66 'none.idx' llm-search -a "$T/none.idx" "$T/notes"
refuses 'a directory that is not there' 74 'none/x.idx' llm-search -b "$T/none/x.idx" "$T/notes"
cp "$T/notes" "$T/notes.kept"
refuses 'notes are not replaced by an index' 65 'notes: there already, and no index' llm-search -b "$T/notes" "$T/notes.idx"
same 'they are as they were' "$T/notes" "$T/notes.kept"
refuses 'nor is a device' 65 'null: there already' llm-search -b /dev/null "$T/notes"
is 'a million hits of many queries are no more than there are records' \
	"$(head -n 70 "$T/queries" | llm-search -n 1000000 "$T/notes.idx" | wc -l)" 490
if have_model; then
	refuses 'an index of another model is refused' 65 'another model' llm-search -m "$LLM_TEST_MODEL" "$T/notes.idx" x
	refuses 'and not added to' 65 'another model' llm-search -m "$LLM_TEST_MODEL" -a "$T/notes.idx" "$T/notes"
	exits 'a chat model serves too' 0 llm-search -m "$LLM_TEST_MODEL" -b "$T/chat.idx" "$T/notes"
	exits 'and is asked' 0 llm-search -m "$LLM_TEST_MODEL" -n 2 "$T/chat.idx" lunch
	is 'for its nearest' "$(wc -l <"$T/out")" 2
	llm-search -n 2 "$T/notes.idx" 'Who repairs the printer?' | cut -f 2- >"$T/found"
	exits 'a chat model answers from the lines found' 2 \
		llm-chat -m "$LLM_TEST_MODEL" --temp 0 -n 12 'Answer from these notes: Who repairs the printer?' <"$T/found"
else
	skip 'a chat model answers from the lines found' 'no model'
fi
exits 'where nothing is near enough the status is 1' 1 llm-search --min 0.99 "$T/notes.idx" lunch
is 'and nothing is printed' "$(cat "$T/out")" ''
exits 'no query is no error' 0 llm-search "$T/notes.idx" </dev/null
printf 'lunch\n\nbackups\n' >"$T/three"
exits 'an empty query is told by its number' 65 llm-search -n 1 "$T/notes.idx" <"$T/three"
is 'and the others are answered' "$(cut -f 2 "$T/out" | tr '\n' ' ')" '2 8 '
like 'by its number' "$(cat "$T/err")" 'record 2: an empty query'
{
	cat "$T/notes"
	yes 'a long line' | head -n 400 | tr '\n' ' '
	echo
} >"$T/long"
exits 'a line longer than the model takes is told' 65 llm-search -b "$T/long.idx" "$T/long"
like 'by its number' "$(cat "$T/err")" 'record 11: [0-9]+ tokens, and the model takes [0-9]+'
is 'the other lines are found' "$(llm-search -n 1 "$T/long.idx" breakfast | cut -f 2)" 2
exits 'or its head is kept' 0 llm-search --fit head -b "$T/long.idx" "$T/long"
like 'and said' "$(cat "$T/err")" '1 of 11 records were longer'
refuses 'an index is a file, and not the standard output' 64 'an index is a file' llm-search -b - "$T/notes"
refuses 'building and adding at once is refused' 64 'one of them' llm-search -a "$T/x" -b "$T/x"
refuses 'no index is refused' 64 'no index' llm-search
exits 'a full disk is an output error' 74 sh -c 'llm-search "$1" lunch >/dev/full' - "$T/notes.idx"
printf '{"id":1,"text":"tea"}\n{"id":2}\n{"id":3,"text":"coffee"}\n' >"$T/json"
exits 'a field of JSON Lines may be the text' 65 llm-search --field text -b "$T/json.idx" "$T/json"
like 'and what lacks it is told' "$(cat "$T/err")" 'record 2'
is 'under their numbers' "$(llm-search -n 1 "$T/json.idx" espresso)" "$(llm-search -n 1 "$T/json.idx" espresso | cut -f 1)	3	coffee"

# The page's examples.
q='Who repairs the printer?'
is 'the page'\''s recipe finds its line' "$(llm-search -n 3 "$T/notes.idx" "$q" | cut -f 2- | head -n 1 | cut -c 1-13)" '1	The printer'
done_testing
