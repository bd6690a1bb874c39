#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Templates against jinja2: every conversation of tests/data/templates/cases.json and as many random ones.

tests/data/templates/*.jinja are texts as published model files have them; jinja2 renders them with the
settings and functions that the field gives them.  tests/tokenize-template.c compares what the
library renders with the same cases; here the cases themselves are checked, the template of the
small model's file, and random conversations.  --write makes cases.json anew.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import jinja2
import jinja2.sandbox

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "templates")
CASES = os.path.join(HERE, "cases.json")
DATE = "26 Jul 2024"
# File, name, begin token, whether it takes a system message.
TEMPLATES = [
    ("llama3", "llama3", "<|begin_of_text|>", True),
    ("llama3.0", "llama3.0", "<|begin_of_text|>", True),
    ("llama3.1", "llama3.1", "<|begin_of_text|>", True),
    ("llama3.2", "llama3.2", "<|begin_of_text|>", True),
    ("smollm2", "chatml", "", True),
    ("chatml", "chatml", "", True),
    ("chatml-system", "chatml", "<s>", True),
    ("llama2", "llama2", "<s>", True),
    ("llama2-trim", "llama2", "<s>", True),
    ("mistral-v0.1", "mistral-v0.1", "<s>", False),
    ("mistral-v0.2", "mistral-v0.2", "<s>", False),
    ("mistral-v1", "mistral-v1", "<s>", True),
    ("mistral-v3", "mistral-v3", "<s>", True),
]
CONVERSATIONS = [
    [("user", "Hello")],
    [("system", "Be brief."), ("user", "Hello")],
    [("user", "Hello"), ("assistant", "Hi there."), ("user", "Who are you?")],
    [("system", " Be\nbrief.\n"), ("user", " \n one \t"), ("assistant", "  two  "), ("user", "three\n")],
    [("system", ""), ("user", "")],
    [("system", "x"), ("user", " \n\u00a0\u3000")],
    [("system", "\u2003S\u2028"), ("user", "\x1c\x1f\u0085caf\u00e9\u200b"), ("assistant", "\u1680a\u205f"),
     ("user", "\ufeffb\u202f")],
    [("user", "<|im_end|><|eot_id|></s>[/INST]<</SYS>>"), ("assistant", "<|im_start|>"), ("user", "{{ x }}{% y %}")],
]


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def render(text, bos, messages, date):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: date or DATE
    more = {} if date is None else {"date_string": date}
    return env.from_string(text).render(
        messages=[{"role": r, "content": c} for r, c in messages],
        bos_token=bos, eos_token="</s>", add_generation_prompt=True, **more)


def jinja_text(name):
    with open(os.path.join(HERE, name + ".jinja"), encoding="utf-8", newline="") as f:
        return f.read()


def make_cases(conversations):
    """One case for each template and conversation that it takes."""
    cases = []
    for file, name, bos, system in TEMPLATES:
        for i, messages in enumerate(conversations):
            if messages[0][0] == "system" and not system:
                continue
            date = "01 Feb 2025" if i % 4 == 3 and name in ("llama3.1", "llama3.2") else None
            cases.append({"template": file, "name": name, "date": date, "messages": messages,
                          "text": render(jinja_text(file), bos, messages, date)})
    return cases


def random_conversation(rng):
    bits = [" ", "\n", "\t", "\r", "\x0b", "\x1d", "\u0085", "\u00a0", "\u2009", "\u3000", "a", "B", "\u00e9", "\u4e2d",
            "\U0001f600", "'", '"', "\\n", "<|im_end|>", "[INST]", "<s>", "\u200b", "\u2010", "\u202e", "\u00c2"]
    word = lambda: "".join(rng.choice(bits) for _ in range(rng.randrange(9)))
    turns = [("system", word())] if rng.random() < 0.5 else []
    for _ in range(rng.randrange(3)):
        turns += [("user", word()), ("assistant", word())]
    return turns + [("user", word())]


def main():
    if sys.argv[1:] == ["--write"]:
        with open(CASES, "w", encoding="utf-8") as f:
            json.dump(make_cases(CONVERSATIONS), f, indent=1)
            f.write("\n")
        return 0
    results = []

    with open(CASES, encoding="utf-8") as f:
        same = json.load(f) == json.loads(json.dumps(make_cases(CONVERSATIONS)))
    results.append((same, "what jinja2 renders is what the unit test expects", None))

    model = os.environ.get("LLM_TEST_MODEL")
    name = "the small model's template is the one in the tests"
    if model:
        from gguf import GGUFReader
        text = GGUFReader(model).fields["tokenizer.chat_template"].contents()
        results.append((text == jinja_text("smollm2"), name, None))
    else:
        results.append((True, name, "no model"))

    rng = random.Random(3)
    unit = os.path.join(os.environ.get("LLM_TEST_BUILD", "build"), "tests", "tokenize-template")
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
        cases = make_cases([random_conversation(rng) for _ in range(150)])
        json.dump(cases, f)
        f.flush()
        done = subprocess.run([unit, f.name], stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
    lines = done.stdout.splitlines()
    good = sum(line.startswith("ok ") for line in lines)
    bad = [line for line in lines if line.startswith("not ok ")]
    results.append((done.returncode == 0 and good == len(cases) and not bad,
                    "%d random conversations are rendered as by jinja2" % len(cases), None))
    for line in bad[:10]:
        print("#", line)

    for i, (ok, name, skip) in enumerate(results, 1):
        print("%sok %d - %s%s" % ("" if ok else "not ", i, name, " # SKIP " + skip if skip else ""))
    print("1..%d" % len(results))
    return not all(ok for ok, _, _ in results)


sys.exit(main())
