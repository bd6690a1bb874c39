# SPDX-License-Identifier: ISC
"""tiktoken's rate with the ranks argv[1] on the text argv[2]: MB/s of processor time, and its ids."""
import sys
import time

import tiktoken
import tiktoken.load

RULE = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
peer = tiktoken.Encoding(name="llama3", pat_str=RULE, special_tokens={},
                         mergeable_ranks=tiktoken.load.load_tiktoken_bpe(sys.argv[1]))
with open(sys.argv[2], encoding="utf-8") as f:
    text = f.read()
best = 1e9
for _ in range(5):
    start = time.thread_time()
    ids = peer.encode_ordinary(text)
    best = min(best, time.thread_time() - start)
print(len(text.encode()) / best / 1e6, len(ids))
