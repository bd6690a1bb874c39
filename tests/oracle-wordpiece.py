#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""WordPiece ids against the package `tokenizers`, built from the vocabulary as its publisher builds it:
every code point, thousands of random strings of all scripts, and logs.
"""
import os
import random
import subprocess
import sys
import unicodedata

import gguf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SHARED = os.environ.get("LLM_TEST_SHARED", "../shared/data")
MODEL = os.environ.get("LLM_TEST_ENCODER", "")
BUILD = os.environ.get("LLM_TEST_BUILD", "build")
count = failed = 0


def report(good, name, *why):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    for line in () if good else why:
        print(f"# {line}")


def published(path):
    """The tokenizer as published, of a file's vocabulary as llama.cpp spells it."""
    tokens = gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"].contents()
    vocab = {}
    for i, t in enumerate(tokens):
        if t.startswith("\u2581"):
            t = t[1:]
        elif not (t.startswith("[") and t.endswith("]")):
            t = "##" + t
        vocab[t] = i
    tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    return tok


def ours(texts):
    """Ids of each text; none has a NUL."""
    data = b"\0".join(t.encode() for t in texts) + b"\0"
    out = subprocess.run([BUILD + "/tests/mkpieces", MODEL], input=data, stdout=subprocess.PIPE, check=True)
    return [[int(x) for x in line.split()] for line in out.stdout.splitlines()]


def compare(name, tok, texts):
    want = [e.ids for e in tok.encode_batch(texts)]
    got = ours(texts)
    bad = [i for i in range(len(texts)) if i >= len(got) or want[i] != got[i]]
    show = [f"{texts[i][:80]!r}: {got[i][:20] if i < len(got) else None}, expected {want[i][:20]}" for i in bad[:8]]
    report(not bad, f"{name}: {len(texts)} texts have the ids of tokenizers", f"{len(bad)} differ", *show)


def main():
    if not os.path.isfile(MODEL):
        print("1..0 # SKIP no encoder: llm-model get minilm")
        return 0
    tok = published(MODEL)
    rng = random.Random(5)
    assigned = [c for c in range(1, 0x110000) if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
    compare("each code point in a word", tok, ["a" + chr(c) + "b" for c in assigned])
    blocks = {}
    for c in assigned:
        if unicodedata.category(chr(c)) != "Co":
            blocks.setdefault(c >> 8, []).append(c)
    blocks = list(blocks.values())
    ascii_ = [chr(c) for c in range(32, 127)]
    mixed = []
    for _ in range(20000):
        block = rng.choice(blocks)
        text = ""
        for _ in range(rng.randrange(1, 40)):
            kind = rng.random()
            text += (chr(rng.choice(block)) if kind < 0.5 else rng.choice(ascii_) if kind < 0.8 else
                     " " if kind < 0.9 else chr(rng.choice(rng.choice(blocks))))
        mixed.append(text)
    compare("random strings of all scripts", tok, mixed)
    letters = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789éÜñ"
    words = [" ".join("".join(rng.choice(letters) for _ in range(rng.choice((1, 3, 5, 8, 99, 100, 101, 130))))
                      for _ in range(rng.randrange(1, 9))) for _ in range(3000)]
    compare("words of any length", tok, words)
    marks = ["".join(rng.choice("aeo\u0301\u0327\u302e\u302f\u0f71\u0f74\u093c\u094d\uac00\u0344\u037e\u1fef") for _ in
                     range(rng.randrange(1, 12))) for _ in range(5000)]
    compare("letters with marks in any order", tok, marks)
    for name in ("Linux", "Apache", "OpenSSH"):
        path = os.path.join(SHARED, "logs", name + ".log")
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as f:
                compare(f"{name} log", tok, [line.rstrip("\n") for line in f][:5000])
    print(f"1..{count}")
    return 1 if failed else 0


sys.exit(main())
