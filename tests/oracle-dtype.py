#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Weights of every type against the Python package `gguf`, which dequantises by its own code.

Random blocks, scales of all halves included.  Bit-equal for every type: the package rounds no
more often than we do (a product of scale, sub-scale and quant is exact in f32 there as well, and
the minimum is added once).  NaN counts as equal to NaN.
"""
import os
import subprocess
import sys
import warnings

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

program = os.path.join(os.environ.get("LLM_TEST_BUILD", "build"), "tests", "mkdequant")
names = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
         "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
count = failed = 0


def report(good, name, why=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    if not good and why:
        print(f"# {why}")


def compare(name, blocks):
    kind = GGMLQuantizationType[name]
    out = subprocess.run([program, name], input=blocks.tobytes(), capture_output=True, check=True)
    ours = np.frombuffer(out.stdout, dtype="<f4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in ("F32", "F16"):
            theirs = blocks.view("<f4" if name == "F32" else "<f2").astype(np.float32)
        else:
            theirs = dequantize(blocks, kind)
    theirs = np.ascontiguousarray(theirs, dtype="<f4").ravel()
    if ours.size != theirs.size:
        return f"{ours.size} values, the package has {theirs.size}"
    nan = np.isnan(ours) & np.isnan(theirs)
    bad = np.flatnonzero((ours.view("<u4") != theirs.view("<u4")) & ~nan)
    if bad.size:
        return f"{bad.size} of {ours.size} differ, first at {bad[0]}: {ours[bad[0]]!r} {theirs[bad[0]]!r}"
    return ""


rng = np.random.default_rng(20240717)
for name in names:
    block, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    n = 65536 if block == 1 else 4096
    why = compare(name, rng.integers(0, 256, (n, n_bytes), dtype=np.uint8))
    report(not why, f"{n} random blocks of {name} have the values that the package gguf gives them", why)

listed = {}
for line in subprocess.run([program, "names"], capture_output=True, check=True,
                           text=True).stdout.splitlines():
    number, name, block, n_bytes = line.split()
    listed[int(number)] = (name, int(block), int(n_bytes))
wrong = [t.name for t in GGMLQuantizationType if listed.get(t.value, ("",))[0] != t.name]
report(not wrong, "every type that the package knows has its name here", " ".join(wrong))
wrong = [n for n in names
         if listed[GGMLQuantizationType[n].value][1:] != tuple(GGML_QUANT_SIZES[GGMLQuantizationType[n]])]
report(not wrong, "and its block the same size", " ".join(wrong))
print(f"1..{count}")
sys.exit(failed != 0)
