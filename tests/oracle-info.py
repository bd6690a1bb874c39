#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Model files against the Python package `gguf`, which reads and writes them by its own code.

llm-info must say the same of the small model and of made ones (our writer) as the package's reader,
and read what the package's writer wrote.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

mkgguf = os.path.join(os.environ.get("LLM_TEST_BUILD", "build"), "tests", "mkgguf")
model = os.environ.get("LLM_TEST_MODEL", "")
folder = tempfile.TemporaryDirectory()
count = failed = 0


def report(good, name, why=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    if not good and why:
        print(f"# {why}")


def same(ours, theirs):
    if isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, float):
        if not math.isfinite(theirs):
            return ours is None
        with np.errstate(over="ignore"):
            return ours == theirs or np.float32(ours) == np.float32(theirs)
    return ours == theirs


def compare(path):
    """What llm-info says of path and the package does not, or an empty string."""
    run = subprocess.run(["llm-info", "-j", path], capture_output=True, text=True)
    if run.returncode != 0:
        return run.stderr.strip()
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    keys = {r["key"]: r for r in rows if "key" in r}
    tensors = {r["tensor"]: r for r in rows if "tensor" in r}
    reader = GGUFReader(path)
    theirs = {k: f for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    if set(keys) != set(theirs):
        return f"keys differ: {sorted(set(keys) ^ set(theirs))}"
    for name, field in theirs.items():
        if not same(keys[name]["value"], field.contents()):
            return f"key {name}: {str(keys[name]['value'])[:60]!r}, expected {str(field.contents())[:60]!r}"
    if list(tensors) != [t.name for t in reader.tensors]:
        return "tensors or their order differ"
    for t in reader.tensors:
        row = tensors[t.name]
        if (row["type"], row["shape"], row["bytes"]) != (t.tensor_type.name, [int(n) for n in t.shape], t.n_bytes):
            return f"tensor {t.name}: {row}"
    return ""


if model:
    why = compare(model)
    report(not why, "the small model is described as by the package gguf", why)
else:
    count += 1
    print(f"ok {count} - the small model is described as by the package gguf # SKIP no model")

for args in (["--shape", "tiny"], ["--shape", "tinyk", "--type", "Q4_K_M"],
             ["--shape", "odd", "--version", "2"], ["--shape", "15M", "--vocab", "spm"],
             ["--vocab", "llama3", "--rope-factor", "8", "--untied"], ["--align", "128", "--type", "BF16"]):
    path = os.path.join(folder.name, "made.gguf")
    subprocess.run([mkgguf, *args, path], check=True)
    why = compare(path)
    report(not why, f"a model made by {' '.join(args)} is a GGUF file to the package", why)
    if not why and "F32" not in args:
        # The weights have the deviation that was asked for: 1 / sqrt(columns).
        from gguf.quants import dequantize
        t = next(t for t in GGUFReader(path).tensors if t.name == "blk.0.attn_q.weight")
        w = dequantize(t.data, t.tensor_type)
        ratio = float(np.std(w)) * math.sqrt(w.shape[-1])
        report(0.8 < ratio < 1.25 and abs(float(np.mean(w))) < 0.1 / math.sqrt(w.shape[-1]),
               f"and its weights of {t.tensor_type.name} spread as they should", f"ratio {ratio}")

path = os.path.join(folder.name, "theirs.gguf")
writer = GGUFWriter(path, "llama")
writer.add_name("Ünïcode ✓")
writer.add_block_count(1)
writer.add_uint8("x.u8", 200)
writer.add_int8("x.i8", -3)
writer.add_uint16("x.u16", 65535)
writer.add_int16("x.i16", -32768)
writer.add_int32("x.i32", -5)
writer.add_uint64("x.u64", 2**64 - 1)
writer.add_int64("x.i64", -2**63)
writer.add_float32("x.f32", 0.1)
writer.add_float64("x.f64", 1e300)
writer.add_bool("x.bool", True)
writer.add_array("x.strings", ["a", "", "ß"])
writer.add_array("x.ints", [1, -2, 3])
writer.add_array("x.floats", [0.5, -1.25])
rng = np.random.default_rng(3)
writer.add_tensor("one", rng.standard_normal(7, dtype=np.float32))
writer.add_tensor("four", rng.standard_normal((2, 3, 4, 5), dtype=np.float32).astype(np.float16))
writer.add_tensor("quantised", rng.integers(0, 256, (3, 34 * 2), dtype=np.uint8),
                  raw_dtype=GGMLQuantizationType.Q8_0)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
why = compare(path)
report(not why, "a file of the package's writer, with keys of every type, is read", why)
print(f"1..{count}")
sys.exit(failed != 0)
