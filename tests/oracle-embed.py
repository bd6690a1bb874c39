#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Vectors of the sentence encoder against a forward pass in double precision by numpy, over the ids of the
package `tokenizers` and the weights of the file: what llm-embed prints points where it should.
"""
import math
import os
import subprocess
import sys

import gguf
import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SHARED = os.environ.get("LLM_TEST_SHARED", "../shared/data")
MODEL = os.environ.get("LLM_TEST_ENCODER", "")
BIN = os.environ.get("LLM_TEST_BIN", "bin")
# By general.file_type: F32, F16, Q8_0.  The weights are the file's, so what is lost is the activations'.
LEAST = {0: 0.999999, 1: 0.999999, 7: 0.999}
TEXTS = ["The disk is full.", "No space left on device", "Bananas are yellow fruit.", "xxx", "a", "", "no", "ok", "yes", "full",
         "La réunion est à 9h — bring the Schlüssel! 日本語", " ".join(["kernel: EXT4-fs error (device sda1)"] * 12)]


class Encoder:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.key = {k: f.contents() for k, f in reader.fields.items()}
        self.w = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.n_layer = self.key["bert.block_count"]
        self.n_head = self.key["bert.attention.head_count"]
        self.eps = self.key["bert.attention.layer_norm_epsilon"]
        vocab = {}
        for i, t in enumerate(self.key["tokenizer.ggml.tokens"]):
            if t.startswith("\u2581"):
                t = t[1:]
            elif not (t.startswith("[") and t.endswith("]")):
                t = "##" + t
            vocab[t] = i
        self.tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
        self.tok.normalizer = normalizers.BertNormalizer(lowercase=True)
        self.tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self.tok.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + self.eps) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def embed(self, text):
        ids = self.tok.encode(text).ids
        n, erf = len(ids), np.vectorize(math.erf)
        x = self.w["token_embd.weight"][ids] + self.w["position_embd.weight"][:n] + self.w["token_types.weight"][0]
        x = self.norm(x, "token_embd_norm")
        for layer in range(self.n_layer):
            p = f"blk.{layer}."
            q, k, v = (self.linear(x, p + "attn_" + m).reshape(n, self.n_head, -1) for m in "qkv")
            s = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[2])
            s = np.exp(s - s.max(-1, keepdims=True))
            s /= s.sum(-1, keepdims=True)
            a = np.einsum("hij,jhd->ihd", s, v).reshape(n, -1)
            x = self.norm(x + self.linear(a, p + "attn_output"), p + "attn_output_norm")
            h = self.linear(x, p + "ffn_up")
            h = 0.5 * h * (1 + erf(h / math.sqrt(2)))
            x = self.norm(x + self.linear(h, p + "ffn_down"), p + "layer_output_norm")
        return x.mean(0)


def main():
    if not os.path.isfile(MODEL):
        print("1..0 # SKIP no encoder: llm-model get minilm")
        return 0
    encoder = Encoder(MODEL)
    texts = list(TEXTS)
    path = os.path.join(SHARED, "logs", "Linux.log")
    if os.path.isfile(path):
        with open(path, encoding="utf-8", errors="replace") as f:
            texts += [line.rstrip("\n") for line in f][::50]
    out = subprocess.run([os.path.join(BIN, "llm-embed"), "-m", os.path.abspath(MODEL)], stdout=subprocess.PIPE,
                         input="".join(t + "\n" for t in texts).encode(), check=True).stdout.decode()
    lines = out.splitlines()
    worst = 1.0
    for text, line in zip(texts, lines):
        want, got = encoder.embed(text), np.array([float(v) for v in line.split("\t")])
        worst = min(worst, float(want @ got / np.linalg.norm(want) / np.linalg.norm(got)))
    least = LEAST.get(encoder.key["general.file_type"], 0.99)
    good = len(lines) == len(texts) and worst >= least
    print(f"{'' if good else 'not '}ok 1 - {len(texts)} texts have the vectors of a double-precision pass "
          f"(least cosine {worst:.9f}, wanted {least})")
    print("1..1")
    return 0 if good else 1


sys.exit(main())
