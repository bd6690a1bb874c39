#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What programs keep of a model beside it or in the cache: the same answers with it, without it, and
# with whatever else lies there.
. tests/tap.sh
need_model
folder=$HOME/.cache/llm
text='An unbelievably long word, 12345 of them: <|im_start|> antidisestablishmentarianism'
ids() {
	printf '%s\n' "$text" | llm-tokenize -m "$LLM_TEST_MODEL" | tr '\n' ' '
}
index() {
	find "$folder/vocab" -type f
}

wanted=$(XDG_CACHE_HOME=/proc/nowhere HOME=/proc/nowhere ids)
like 'without a place for an index text has its ids' "$wanted" '^[0-9 ]+$'
is 'and nothing is said' "$(HOME=/proc/nowhere ids 2>&1)" "$wanted"
is 'nor without a home at all' "$(env -u HOME LLM_TEST_MODEL="$LLM_TEST_MODEL" llm-tokenize -m "$LLM_TEST_MODEL" <"$0" 2>&1 >/dev/null)" ''
is 'looking made no cache' "$([ -e "$folder" ] && echo made)" ''
is 'the first run gives the same' "$(ids)" "$wanted"
is 'and leaves one index' "$(index | wc -l)" 1
is 'for the user alone' "$(stat -c %a "$folder" "$folder/vocab" "$(index)" | tr '\n' ' ')" '700 700 600 '
is 'with which the ids are the same' "$(ids)" "$wanted"
cp "$(index)" "$T/good"
stat -c %i "$(index)" >"$T/inode"
ids >/dev/null
is 'and which stays as it is' "$(stat -c %i "$(index)")" "$(cat "$T/inode")"
XDG_CACHE_HOME=$T/other
export XDG_CACHE_HOME
is 'another cache serves likewise' "$(ids; find "$T/other/llm/vocab" -type f | wc -l)" "$wanted"1
unset XDG_CACHE_HOME

# spoil WHAT: the index is what it should not be; the program notices, and makes it anew.
spoilt() {
	is "with an index that is $1 the ids are the same" "$(ids 2>&1)" "$wanted"
	same 'and it is made anew' "$(index)" "$T/good"
}
: >"$(index)"
spoilt empty
head -c 100000 "$T/good" >"$(index)"
spoilt cut
for at in 8 100 300000 3000000; do
	printf '\252\125\252' | dd of="$(index)" bs=1 seek=$at conv=notrunc 2>/dev/null
	spoilt "wrong at byte $at"
done
head -c 5000000 /dev/zero >"$(index)"
spoilt 'all zeros'
chmod 666 "$(index)"
spoilt 'open to all'
name=$(index)
rm "$name"
mkfifo "$name"
is 'with a FIFO in its place they are the same, and it is not waited for' "$(ids 2>&1)" "$wanted"
rm -rf "$name"
mkdir "$name"
is 'with a directory in its place likewise' "$(ids 2>&1)" "$wanted"
rmdir "$name"
chmod 500 "$folder/vocab"
is 'a cache that cannot be written to is left alone' "$(ids 2>&1)" "$wanted"
chmod 700 "$folder/vocab"
rm -rf "$folder/vocab"
for i in 1 2 3 4 5 6; do
	{ ids && echo; } >"$T/together.$i" 2>&1 &
done
wait
is 'six at once give the same ids' "$(sort -u "$T"/together.*)" "$wanted"
same 'and leave a good index' "$(index)" "$T/good"
for i in 1 2 3 4 5 6 7 8 9; do
	: >"$folder/vocab/$i"
	touch -d "2001-01-0$i" "$folder/vocab/$i"
done
rm "$folder/vocab/$(basename "$name")"
ids >/dev/null
is 'where there are too many the oldest goes' "$([ -e "$folder/vocab/1" ] && echo there)" ''
is 'and no other' "$(index | wc -l)" 9
is 'decoding needs the same table' "$(ids | llm-tokenize -m "$LLM_TEST_MODEL" -d)" "$text"
"$LLM_TEST_BUILD/tests/mkgguf" --type Q4_1 "$T/small.gguf"
rm -rf "$folder"
echo a | llm-tokenize -m "$T/small.gguf" >/dev/null
is 'a small vocabulary has no index' "$([ -e "$folder" ] && echo made)" ''

# The identity of a model.
id=$(llm-info --id "$LLM_TEST_MODEL")
like 'a model has an identity' "$id" '^[0-9a-f]{32}$'
is 'which is kept for the user alone' "$(stat -c %a "$folder/models")" 600
is 'under what tells the file from others' "$(cut -d ' ' -f 2 "$folder/models")" "$id"
sed -i 's/ .*/ 0123456789abcdef0123456789abcdef/' "$folder/models"
is 'so that the file is not read again' "$(llm-info --id "$LLM_TEST_MODEL")" 0123456789abcdef0123456789abcdef
cp "$LLM_TEST_MODEL" "$T/copy.gguf"
is 'a copy is read, and is the same model' "$(llm-info --id "$T/copy.gguf")" "$id"
llm-pack "$T/copy.gguf" "$T/copy.gguf"
is 'a file that has changed is read again; packed it is the same model' "$(llm-info --id "$T/copy.gguf")" "$id"
echo 'no record' >"$folder/models"
is 'a damaged record says nothing' "$(llm-info --id "$LLM_TEST_MODEL")" "$id"
is 'nor does one that cannot be made' "$(HOME=/proc/nowhere llm-info --id "$LLM_TEST_MODEL" 2>&1)" "$id"
is 'in JSON' "$(llm-info -j --id "$LLM_TEST_MODEL")" "{\"id\":\"$id\"}"
refuses 'a file that is no model has none' 65 'no GGUF file' llm-info --id "$0"
refuses '--id is asked alone' 64 'exclude each other' llm-info --id -k general.name "$LLM_TEST_MODEL"
# What lies beside a file that is not in the store says nothing of it.
printf '%032d %032d\n' 1 2 >"$T/model.id"
is 'a record beside a bare file is not read' "$(llm-info --id "$T/copy.gguf")" "$id"
done_testing
