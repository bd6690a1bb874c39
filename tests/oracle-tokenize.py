#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Token ids against independent tokenizers, on thousands of random and multilingual strings.

The Llama 3 vocabulary against `tiktoken`, built from the published ranks; the small model's against
`tokenizers`, built from its file as its publisher builds it; a SentencePiece vocabulary, trained
here, against `tokenizers` with byte fallback.  Code points are those that are assigned in the
oldest of the Unicode tables involved: Python's own is older than utf8proc's and the regex crates',
and where the package `regex` gives a code point another class than Python does, it is left out.
"""
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import gguf
import regex
import tiktoken
import tiktoken.load
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SHARED = os.environ.get("LLM_TEST_SHARED", "../shared/data")
RANKS = os.path.join(SHARED, "llama3", "tokenizer.model")
TEXT = os.path.join(SHARED, "text", "wikitext2-test.txt")
MODEL = os.environ.get("LLM_TEST_MODEL", "")
BUILD = os.environ.get("LLM_TEST_BUILD", "build")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
count = failed = 0


def report(good, name, *why):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    for line in () if good else why:
        print(f"# {line}")


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}", flush=True)


def assigned():
    """Code points by class; those whose class depends on the table's age are in none."""
    classes = {"L": [], "N": [], "S": [], "O": []}
    tests = [("L", regex.compile(r"\p{L}")), ("N", regex.compile(r"\p{N}")), ("S", regex.compile(r"\s"))]
    for cp in range(1, 0x110000):
        c = chr(cp)
        category = unicodedata.category(c)
        if category in ("Cn", "Cs", "Co"):
            continue
        kind = category[0] if category[0] in "LN" else "S" if category[0] == "Z" or cp in (
            9, 10, 11, 12, 13, 0x85) else "O"
        newer = next((k for k, r in tests if r.match(c)), "O")
        if kind == newer:
            classes[kind].append(c)
    return classes


CLASSES = assigned()
SPACES = [c for c in CLASSES["S"]] + [" "] * 20 + ["\n", "\r", "\r\n", "\t", "  ", "   ", "\n\n"] * 4
CONTRACTIONS = [q + c for q in "'\u2019" for w in ("s", "t", "re", "ve", "m", "ll", "d", "k", "st", "x")
                for c in (w, w.upper(), w.title(), w[0] + w[1:].upper())] + ["'\u017f", "'\u212a", "'\u017ft", "'"]
EMOJI = ["😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "✅", "😶‍🌫️", "#️⃣", "☺", "🦙"]
WORDS = """the and you tokenizer of Hello WORLD world's don't I'll we'VE naïve Ærø straße ſs ﬁne Кириллица
привет мир Ελληνικά γειά العربية السلام עברית שלום हिन्दी नमस्ते বাংলা தமிழ் ไทย สวัสดี ລາວ မြန်မာ ខ្មែរ 汉字 漢字 日本語
ひらがな カタカナ 한국어 안녕 ქართული Հայերեն አማርኛ ᏣᎳᎩ Việt Nguyễn Çöp İstanbul ǅ ʰ ª º x86_64 foo.bar() {} [] != -> =>
:= /* */ // <<< 3.14 1,000,000 v1.2.3 ½ Ⅷ ² ④ ٣٤٥ १२३ ๔๕ 1234567 0x1F <|begin_of_text|> <|im_start|> <s> ``` ### --- ... \\n""".split()
MARKS = [c for c in CLASSES["O"] if unicodedata.category(c)[0] == "M"]
PLACES = [chr(c) for c in range(33, 127)]


def random_string(rng):
    kind = rng.randrange(6)
    out = []
    for _ in range(rng.randrange(1, 24)):
        pick = rng.randrange(12)
        if kind == 0:
            out.append(rng.choice(rng.choice(list(CLASSES.values()))))
        elif kind == 1:
            out.append(rng.choice([rng.choice(SPACES), rng.choice("aZ5.'é٣"), rng.choice(SPACES)]))
        elif pick < 4:
            out.append(rng.choice(WORDS))
        elif pick < 7:
            out.append(rng.choice(SPACES) if kind == 2 else " ")
        elif pick == 7:
            out.append(rng.choice(CONTRACTIONS))
        elif pick == 8:
            out.append(rng.choice(EMOJI) if rng.random() < 0.5 else rng.choice("aeiouЖक") + rng.choice(MARKS))
        elif pick == 9:
            out.append("".join(rng.choice(CLASSES["N"] if rng.random() < 0.3 else "0123456789")
                               for _ in range(rng.randrange(1, 8))))
        elif pick == 10:
            out.append(rng.choice(PLACES) * rng.randrange(1, 9))
        else:
            out.append(rng.choice(CLASSES[rng.choice("LNO")]))
    return "".join(out)


def strings(seed, n):
    rng = random.Random(seed)
    fixed = ["a  5", "a 5", " 5", "  ", "\n", " \n ", "'s", "'\u017f", "x'\u017f y'\u212a", "'Ll'lL", "don't DON'T",
             "\u00a0a", "\u2003\u2003b", "\r\n\r\n", "a\r\n  b", "é\u0301", "12345", "!\n\n", " !\r\n", "\t\tx"]
    return fixed + [random_string(rng) for _ in range(n)]


def ours(model, texts, *options):
    """Ids of each text; all go through one call, as NUL-ended records."""
    data = "".join(t + "\0" for t in texts).encode()
    run = subprocess.run(["llm-tokenize", "-m", model, "-0", *options], input=data, capture_output=True)
    if run.returncode != 0:
        sys.exit(f"Bail out! llm-tokenize: {run.stderr.decode()}")
    lines = run.stdout.decode().split("\n")[:-1]
    return [[int(i) for i in line.split()] for line in lines]


def text_back(model, ids):
    data = "".join(" ".join(map(str, i)) + "\n" for i in ids).encode()
    run = subprocess.run(["llm-tokenize", "-m", model, "-0", "-d"], input=data, capture_output=True, check=True)
    return run.stdout


def compare(name, model, texts, encode):
    got = ours(model, texts)
    if len(got) != len(texts):
        report(False, name, f"{len(got)} records of {len(texts)}")
        return
    bad = [(t, g, w) for t, g in zip(texts, got) if g != (w := encode(t))]
    report(not bad, f"{len(texts)} {name}", f"{len(bad)} differ, the first three:",
           *(f"{t!r}: ours {g}, theirs {w}" for t, g, w in bad[:3]))
    back = text_back(model, got)
    report(back == "".join(t + "\0" for t in texts).encode(), f"{len(texts)} of them come back byte for byte")


def llama3(folder, seed):
    path = os.path.join(folder, "llama3.gguf")
    subprocess.run([os.path.join(BUILD, "tests", "mkvocab"), RANKS, path], check=True)
    peer = tiktoken.Encoding(name="llama3", pat_str=LLAMA3, special_tokens={},
                             mergeable_ranks=tiktoken.load.load_tiktoken_bpe(RANKS))
    compare("random and multilingual strings have tiktoken's ids in the Llama 3 vocabulary", path,
            strings(seed, 8000), peer.encode_ordinary)
    if os.path.exists(TEXT):
        with open(TEXT, encoding="utf-8") as f:
            compare("lines of English have tiktoken's ids", path, f.read().splitlines(True), peer.encode_ordinary)


def smollm(seed):
    fields = gguf.GGUFReader(MODEL).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    peer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    peer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    spelt = {c for c in alphabet if c in set(tokens)}
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def has_bytes(text):
        return all(c in spelt for word, _ in level.pre_tokenize_str(text) for c in word)

    texts = [t for t in strings(seed, 9000) if has_bytes(t)]
    compare("random and multilingual strings have the ids of tokenizers in the small model's vocabulary",
            MODEL, texts, lambda t: peer.encode(t, add_special_tokens=False).ids)
    if os.path.exists(TEXT):
        with open(TEXT, encoding="utf-8") as f:
            compare("lines of English have the ids of tokenizers", MODEL,
                    [line for line in f.read().splitlines(True) if has_bytes(line)],
                    lambda t: peer.encode(t, add_special_tokens=False).ids)


def spm_vocabulary():
    """Pieces of a BPE trained on English with U+2581 for spaces, best first."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=4000, show_progress=False,
                                  initial_alphabet=list("éüñжд汉字\u2581"))
    with open(TEXT, encoding="utf-8") as f:
        trained.train_from_iterator(f, trainer)
    vocab = trained.get_vocab()
    pieces = sorted(vocab, key=vocab.get)
    return [p for p in pieces if len(p) > 1] + ["\u2581" * n for n in (16, 8, 4, 2)], [p for p in pieces if len(p) == 1]


def spm_write(path, tokens, types, scores):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def spm(folder, seed):
    merged, single = spm_vocabulary()
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + merged + single
    types = [2, 3, 3] + [6] * 256 + [1] * (len(merged) + len(single))
    scores = [0.0] * 259 + [float(-i) for i in range(len(merged) + len(single))]
    path = os.path.join(folder, "spm.gguf")
    spm_write(path, tokens, types, scores)
    ids = {t: i for i, t in enumerate(tokens)}
    # Every way to make a piece of two, best score first, as converters of such models list them.
    merges = [(p[:i], p[i:]) for p in merged for i in sorted(range(1, len(p)), key=lambda i: (
        ids.get(p[:i], 0), ids.get(p[i:], 0))) if p[:i] in ids and p[i:] in ids]
    peer = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    peer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    # A U+2581 in the text is kept apart from a space, which the package does not do.
    texts = [t for t in strings(seed, 4000) if "\u2581" not in t]
    compare("strings have the ids of tokenizers in a SentencePiece vocabulary", path, texts,
            lambda t: peer.encode(t, add_special_tokens=False).ids)
    with open(TEXT, encoding="utf-8") as f:
        compare("lines of English have the ids of tokenizers with SentencePiece", path,
                f.read().splitlines(True)[:1500], lambda t: peer.encode(t, add_special_tokens=False).ids)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 20240418
    with tempfile.TemporaryDirectory() as folder:
        if os.path.exists(RANKS):
            llama3(folder, seed)
        else:
            skip("strings have tiktoken's ids", "no shared data: the published ranks are not there")
        if MODEL:
            smollm(seed + 1)
        else:
            skip("strings have the ids of tokenizers", "no model: the small model could not be fetched")
        if os.path.exists(TEXT):
            spm(folder, seed + 2)
        else:
            skip("strings have the ids of a SentencePiece vocabulary", "no shared data: no text to train on")
    print(f"1..{count}")
    return failed != 0


sys.exit(main())
