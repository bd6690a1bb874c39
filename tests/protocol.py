# SPDX-License-Identifier: ISC
#
# Speaks llm-protocol(5) to a daemon, well and badly; tests/57-protocol.t calls it:
#	protocol.py SOCKET MODEL PID
# One line a test, "ok ..." or "not ok ...", others are diagnostics.
import array, msgpack, os, random, socket, struct, sys, time

PATH, MODEL, PID = sys.argv[1:]
# Under a sanitizer, which keeps what is freed and takes its time, neither memory nor time says anything.
INSTRUMENTED = "LLM_TEST_ASAN" in os.environ
SECOND = 20 if INSTRUMENTED else 1
HELLO = {"hello": 1, "numeric": 1, "client": "protocol.py"}


def report(good, name, *why):
    print(("ok " if good else "not ok ") + name, flush=True)
    if not good:
        print(*("%.300r" % (w,) for w in why), flush=True)


def frame(m):
    b = msgpack.packb(m)
    return struct.pack(">I", len(b)) + b


class Client:
    def __init__(self, hello=True):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        self.s.connect(PATH)
        if hello:
            self.put(HELLO)
            self.get()

    def send(self, b):
        try:
            self.s.sendall(b)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def put(self, m):
        self.send(frame(m))

    def read(self, n):
        b = b""
        while len(b) < n:
            try:
                more = self.s.recv(min(n - len(b), 1 << 16))
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            b += more
        return b

    def get(self):
        """The next message; None at the end."""
        head = self.read(4)
        b = head and self.read(struct.unpack(">I", head)[0])
        return b and msgpack.unpackb(b, raw=False, unicode_errors="replace")

    def ask(self, **m):
        """What ends a request, with all that came before it under "all"."""
        m.setdefault("id", 1)
        self.put(m)
        before = []
        while True:
            r = self.get()
            if r is None or "done" in r or "error" in r:
                return r and dict(r, all=before)
            before.append(r)

    def close(self):
        self.s.close()


def next_client():
    """Seconds until a new client has its answer."""
    at = time.monotonic()
    c = Client()
    r = c.ask(op="status")
    c.close()
    return time.monotonic() - at if r and "done" in r else 1e9


def n_fd():
    return len(os.listdir("/proc/%s/fd" % PID))


def rss():
    with open("/proc/%s/status" % PID) as f:
        return [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]


# ---- what is asked well

def operations():
    c = Client(hello=False)
    c.put(HELLO)
    r = c.get()
    report(r["hello"] == 1 and r["numeric"] == 1 and r["server"].startswith("llmd ") and r["pid"] == int(PID),
           "hellos are exchanged", r)
    r = c.ask(op="tokenize", model=MODEL, text="hello there", bos=False)
    ids = r["done"]["ids"]
    report(len(ids) > 0 and r["id"] == 1, "tokenize: text to ids", r)
    r = c.ask(op="detokenize", model=MODEL, ids=ids)
    report(r["done"]["text"] == b"hello there", "detokenize: and back", r)
    r = c.ask(op="generate", model=MODEL, ids=ids, n=5, temp=0, later=[{"unknown": 1}])
    parts = [m["part"] for m in r["all"] if "part" in m]
    done = r["done"]
    report(done["n_out"] == sum(len(p["ids"]) for p in parts) and done["n_prompt"] == len(ids)
           and done["stop"] in ("limit", "end") and all(isinstance(p["text"], bytes) for p in parts),
           "generate: parts of ids and text, then how it went", r)
    again = c.ask(op="generate", model=MODEL, text=b"hello there", n=5, id=2**32 - 1)
    report([m["part"]["ids"] for m in again["all"] if "part" in m] != [] and again["id"] == 2**32 - 1,
           "generate: text as well, and an id of 32 bits", again)
    r = c.ask(op="score", model=MODEL, ids=ids, top=2)
    items = sum((m["items"] for m in r["all"] if "items" in m), [])
    report(r["done"]["n"] == len(items) == len(ids) and items[0][1] is None
           and abs(sum(i[1] for i in items if i[1] is not None) - r["done"]["nats"]) < 1e-4
           and all(len(i[2]) in (0, 2) for i in items),
           "score: a line for each token, with the likeliest others, and their sum", r)
    r = c.ask(op="labels", model=MODEL, prefix=ids[:1], labels=[[0, ids[:1]], [1, ids[-1:]]], n_label=2, prompts=[ids, ids[:1]])
    report(sorted(m["at"] for m in r["all"] if "at" in m) == [0, 1] and all(len(m["nats"]) == 2 for m in r["all"] if "at" in m),
           "labels: for each prompt a number for each label", r)
    c.put({"id": 1, "op": "generate", "model": MODEL, "ids": ids, "n": -1, "temp": 2, "class": "batch"})
    c.put({"id": 2, "op": "cancel", "target": 1})
    c.put({"id": 3, "op": "cancel", "target": 77})
    ends = {}
    while len(ends) < 3:
        r = c.get()
        if "done" in r or "error" in r:
            ends[r["id"]] = r
    report(ends[2]["done"]["found"] is True and ends[1]["done"]["stop"] == "cancel" and ends[3]["done"]["found"] is False,
           "cancel: what is under way ends; what is not is not found", ends)
    r = c.ask(op="status")["done"]
    report([m["path"] for m in r["models"] if m["path"] == os.path.realpath(MODEL)] != []
           and "protocol.py" in [p["name"] for p in r["clients"]] and r["memory_bytes"] > 0,
           "status: the model and the client are there", r)
    c.put({"id": 5, "op": "weights", "model": MODEL})
    b, fds, _, _ = socket.recv_fds(c.s, 1 << 16, 4)
    r = msgpack.unpackb(b[4:])
    size = os.fstat(fds[0]).st_size if fds else 0
    report(len(fds) == 1 and r["done"]["bytes"] <= size and os.pread(fds[0], 4, 0) == b"GGUF",
           "weights: a descriptor of the model comes along", r, fds, size)
    for fd in fds:
        try:
            os.pwrite(fd, b"x", 0)
            wrote = True
        except OSError:
            wrote = False
        os.close(fd)
    report(fds and not wrote, "which cannot be written to")
    r = c.ask(op="stats")["done"]
    report([x["class"] for x in r["classes"]] == ["interactive", "pipe", "batch"]
           and r["classes"][1]["n"] >= 2 and all(len(x["queue"]) == 3 for x in r["classes"]) and len(r["counters"]) > 3,
           "stats: what was done is counted", r)
    r = c.ask(op="unload", model=MODEL)
    r = c.ask(op="load", model=MODEL)
    report(r["done"]["bytes"] > 0, "load: a model, and its bytes", r)
    c.close()


# ---- what has fields that are wrong

VALID = {
    "tokenize": {"text": b"a", "bos": True, "special": False},
    "detokenize": {"ids": [1], "special": False},
    "generate": {"ids": [1], "n": 1, "draft": 0, "temp": 0.5, "top_k": 1, "top_p": 0.5, "min_p": 0.1, "repeat_penalty": 1.0,
                 "bias": [[1, -1.0]], "seed": 1, "choice": 0, "stop": [b"x"], "end": [2], "drop_space": True, "kv": "f16",
                 "precise": False, "cache": False, "keep": 0, "class": "pipe", "n_ctx": 64, "ident": b"0123456789abcdef"},
    "chat": {"messages": [{"role": "user", "text": b"a"}], "template": "chatml", "date": "x", "n": 1},
    "score": {"ids": [1, 2], "from": 1, "top": 1},
    "labels": {"prefix": [1], "labels": [[0, [1]]], "n_label": 1, "prompts": [[1]]},
    "embed": {"texts": [b"a"], "pooling": "mean", "plain": True, "cut": True, "precise": False},
    "load": {}, "unload": {}, "weights": {}, "cancel": {"target": 5},
    "stop": {"now": None}, "status": {}, "stats": {},
}
WRONG = [True, -1, -2**63, 2**64 - 1, 2**31, 0.5, float("nan"), float("inf"), "secret", b"secret\xff\0", "", [], {}, [[]], [None],
         [-1], [2**40], [[0, []]], [[0, [2**31]]], [{"role": "tool", "text": b"x"}], {"role": "user"}, [[[[[[1]]]]]], [b"", 1],
         ["x"] * 2000, b"x" * 100000]


def wrong_types():
    c = Client()
    bad, n, refused = [], 0, 0
    for op, fields in VALID.items():
        for key in ["model", *fields]:
            for value in WRONG:
                m = dict(fields, model=MODEL, op=op, id=n)
                m[key] = value
                if op == "stop" and (key != "now" or value is True):
                    continue
                n += 1
                r = c.ask(**m)
                if r is None or r.get("id") != m["id"]:
                    bad.append((op, key, value, r))
                    c = Client()
                elif "error" in r:
                    e = r["error"]
                    refused += 1
                    if not (64 <= e["code"] <= 76 and e["name"].isupper() and 0 < len(e["text"]) <= 255 and "\n" not in e["text"]):
                        bad.append((op, key, value, r))
    report(bad == [] and n > 500 and refused > n // 2, "a field of another type or out of range: one error, and the connection goes on",
           n, refused, *bad[:5])
    for name, m in [("an op that is none", {"id": 1, "op": "dance"}),
                    ("no model", {"id": 1, "op": "generate", "ids": [1]}), ("a relative path", {"id": 1, "op": "load", "model": "./x.gguf"}),
                    ("nothing there", {"id": 1, "op": "load", "model": "/nothing/there"}), ("a directory", {"id": 1, "op": "load", "model": "/tmp"}),
                    ("a device", {"id": 1, "op": "load", "model": "/dev/zero"}), ("a fifo", {"id": 1, "op": "load", "model": PATH + ".fifo"}),
                    ("a socket", {"id": 1, "op": "load", "model": PATH}), ("no model file", {"id": 1, "op": "load", "model": __file__ if __file__[0] == "/" else os.path.abspath(__file__)}),
                    ("a way out of the store", {"id": 1, "op": "load", "model": "../../../etc/passwd"}),
                    ("text and ids", {"id": 1, "op": "generate", "model": MODEL, "ids": [1], "text": b"x", "n": 1}),
                    ("another model's identity", {"id": 1, "op": "generate", "model": MODEL, "ids": [1], "n": 1, "ident": b"0123456789abcdef"}),
                    ("an id that the model lacks", {"id": 1, "op": "generate", "model": MODEL, "ids": [10**9], "n": 1}),
                    ("more ids than the context", {"id": 1, "op": "generate", "model": MODEL, "ids": [1] * 600, "n": 1})]:
        r = c.ask(**m)
        report(r is not None and "error" in r and r["id"] == 1, "refused: " + name, r)
    for name, m in [("no id", {"op": "status"}), ("an id that is none", {"id": "x", "op": "status"}), ("a negative id", {"id": -1, "op": "status"}),
                    ("an id of 33 bits", {"id": 2**32, "op": "status"}), ("no op", {"id": 1}), ("an op that is no name", {"id": 1, "op": 5}),
                    ("an id that is under way", {"id": 0, "op": "status"})]:
        x = Client()
        x.put({"id": 0, "op": "generate", "model": MODEL, "ids": [1], "n": -1, "bias": [[2, -100]]})
        x.put(m)
        while (r := x.get()) is not None and "error" not in r:
            pass
        report(r is not None and "id" not in r and r["error"]["code"] == 76 and x.get() is None, "refused, and closed: " + name, r)
        x.close()
    c.close()


# ---- what is no message

def deep(n, inner=b"\x01"):
    return b"\x81\xa1a" + b"\x91" * (n - 1) + inner


def not_messages():
    rnd = random.Random(5)
    whole = msgpack.packb({"id": 1, "op": "tokenize", "model": MODEL, "text": "secret", "list": [1, [2, {"a": None}]], "x": 1.5})
    cases = [("random bytes %d" % i, rnd.randbytes(rnd.randrange(1, 3000)), False) for i in range(30)]
    # As a frame, and as just so many bytes: the head is random too then.
    cases += [("random bytes in a frame", rnd.randbytes(200), True), ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
              ("no bytes", b"", True), ("nil", b"\xc0", True), ("a list", b"\x91\x01", True), ("a string", b"\xa1x", True),
              ("a byte never used", b"\x81\xa1a\xc1", True), ("a key that is a number", b"\x81\x01\x01", True),
              ("a key that is bytes", b"\x81\xc4\x01a\x01", True), ("a key twice", b"\x82\xa1a\x01\xa1a\x01", True),
              ("an extension", b"\x81\xa1a\xd4\x00\x00", True), ("bytes after it", whole + b"\x00", True),
              ("two maps", whole + whole, True),
              ("33 deep", deep(33), True), ("a thousand deep", deep(1000), True), ("a million deep", deep(10**6), True),
              ("a million maps deep", b"\x81\xa1a" * 10**6 + b"\x01", True),
              ("a map of 4 milliards", b"\xdf\xff\xff\xff\xff", True), ("a list of 4 milliards", b"\x81\xa1a\xdd\xff\xff\xff\xff", True),
              ("a list of 16 million that are not there", b"\x81\xa1a\xdd\x00\xff\xff\xff" + b"\x01" * 1000, True),
              ("lists of lists", b"\x81\xa1a" + b"\xdd\x00\x0f\xff\xff" * 100000, True),
              ("a million items and more", b"\x81\xa1a\xdd\x00\x11\x00\x00" + b"\x01" * 0x110000, True),
              ("a string of 4 GiB", b"\x81\xa1a\xdb\xff\xff\xff\xffx", True), ("bytes of 2 GiB", b"\x81\xa1a\xc6\x7f\xff\xff\xffx", True),
              ("an extension of 4 GiB", b"\x81\xa1a\xc9\xff\xff\xff\xff\x00", True),
              ("200,000 keys, the last one twice", b"\xdf" + struct.pack(">I", 200001) + b"".join(
                  b"\xa6%06d\x01" % i for i in range(200000)) + b"\xa6000000\x01", True)]
    cases += [("a frame of 16 MiB and a byte", struct.pack(">I", (16 << 20) + 1), False),
              ("a frame of 4 GiB", b"\xff\xff\xff\xff" + b"x" * 1000, False)]
    cases += [("cut at byte %d" % i, whole[:i], True) for i in range(0, len(whole), 3)]
    slow = []
    for greeted in (False, True):
        bad = []
        for name, b, framed in cases:
            for _ in range(3):
                c = Client(greeted)
                before = time.monotonic()
                c.send(struct.pack(">I", len(b)) + b if framed else b)
                # Of bytes that could be the beginning of a frame more is expected: nothing more comes.
                c.s.shutdown(socket.SHUT_WR)
                replies = []
                while (r := c.get()) is not None:
                    replies.append(r)
                c.close()
                t = next_client()
                if t < SECOND:
                    break
            else:
                slow.append((name, t, time.monotonic() - before))
            if len(replies) > 1 or (replies and "error" not in replies[0]):
                bad.append((name, replies))
        report(bad == [], "no message %s the hello: one error or none, and the end" % ("after" if greeted else "before"), *bad[:5])
    report(slow == [], "and the next client has its answer within a second", *slow[:5])
    c = Client(False)
    c.put({"id": 1, "op": "status"})
    r = c.get()
    report("error" in r and r["error"]["code"] == 76 and c.get() is None, "a request before the hello is refused", r)
    for version in (0, 2, -1, 2**31, "1", None, [1]):
        c = Client(False)
        c.put(dict(HELLO, hello=version))
        r = c.get()
        if not (r and r.get("error", {}).get("code") == 76 and c.get() is None):
            report(False, "a hello of version %r is refused" % (version,), r)
            break
    else:
        report(True, "hellos of other versions are refused")
    c = Client(False)
    c.put(dict(HELLO, client="x" * 70000))
    r = c.get()
    report(r is None or "error" in r, "a hello of more than 64 KiB is refused", r)
    c = Client(False)
    c.put(dict(HELLO, numeric=7, client="\x1b[2J\nllmd: forged"))
    report("hello" in c.get(), "another numeric version is for the client to judge")
    other = Client()
    name = [p["name"] for p in other.ask(op="status")["done"]["clients"] if "forged" in p["name"]]
    report(name and all(ch >= " " for ch in name[0]), "the name of a client is escaped", name)


# ---- what is slow, half, or too much

def slow_and_half():
    held = [Client(i % 2 == 0) for i in range(40)]
    for i, c in enumerate(held):
        c.send(frame({"id": 1, "op": "status"} if i % 2 == 0 else HELLO)[:5 + i % 7])
    report(min(next_client() for _ in range(3)) < SECOND, "half a message of forty clients keeps nobody waiting")
    c = Client(False)
    for b in frame(HELLO) + frame({"id": 9, "op": "stats"}):
        c.send(bytes([b]))
        time.sleep(0.002)
    report("hello" in (c.get() or {}) and "done" in (c.get() or {}), "what comes byte by byte is answered when it is whole")
    for c in held:
        c.close()
    c = Client()
    c.send(frame({"id": 1, "op": "status"}) + frame({"id": 2, "op": "status"}) + frame({"id": 3, "op": "status"})[:-1])
    report([c.get()["id"], c.get()["id"]] == [1, 2], "requests that come together are answered each")
    c.send(frame({"id": 3, "op": "status"})[-1:])
    report(c.get()["id"] == 3, "and the last when its last byte came")
    # Announced, and half of it sent: kept as it comes.
    before = rss()
    big = [Client() for _ in range(20)]
    for x in big:
        x.send(struct.pack(">I", 16 << 20) + b"\x81")
    next_client()
    report(INSTRUMENTED or rss() - before < 20 * 1024, "what is announced takes no memory", before, rss())
    for x in big:
        x.close()
    c = Client()
    r = c.ask(op="tokenize", model=MODEL, text=b"x" * ((16 << 20) - 200))
    report(r is not None, "a request of 16 MiB is answered", r if r is None or "error" in r else "")
    report(next_client() < 5 * SECOND, "and others after it")
    c.close()


def descriptors():
    with open("/dev/null") as f:
        fds = array.array("i", [f.fileno()] * 200)
        before = n_fd()
        c = Client(False)
        for m in (HELLO, {"id": 1, "op": "status"}):
            c.s.sendmsg([frame(m)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        report("hello" in c.get() and "done" in c.get(), "descriptors that are passed along change no answer")
        report(n_fd() <= before + 1, "and are not kept", before, n_fd())
        c.close()


def not_reading():
    c = Client()
    c.s.settimeout(0.5)
    m = frame({"id": 1, "op": "status"}) * 1000
    try:
        for _ in range(2000):
            c.s.sendall(m)
    except (socket.timeout, BrokenPipeError, ConnectionResetError):
        pass
    report(min(next_client() for _ in range(3)) < SECOND, "who does not read keeps nobody waiting")
    report(INSTRUMENTED or rss() < start_rss + 200 * 1024, "and fills no memory without end", start_rss, rss())
    c.close()


def at_the_limits():
    c = Client()
    for i in range(64):
        c.put({"id": i, "op": "generate", "model": MODEL, "ids": [1, 2, 3], "n": -1, "class": "batch"})
    c.put({"id": 64, "op": "cancel", "target": 63})
    r = c.get()
    while r is not None and r.get("id") != 64:
        r = c.get()
    report(r == {"id": 64, "done": {"found": True}}, "with 64 requests under way one can still be cancelled", r)
    c.close()

    c = Client()
    for i in range(40):
        c.put({"id": i, "op": "weights", "model": MODEL})
    time.sleep(0.2)
    b, n_fds, said = b"", 0, []
    while len(said) < 40:
        more, fds, _, _ = socket.recv_fds(c.s, 1 << 16, 16)
        if not more:
            break
        b += more
        n_fds += len(fds)
        for fd in fds:
            os.close(fd)
        while len(b) >= 4 and len(b) - 4 >= struct.unpack(">I", b[:4])[0]:
            n = struct.unpack(">I", b[:4])[0]
            said.append(msgpack.unpackb(b[4:4 + n]))
            b = b[4 + n:]
    n_done = sum("done" in r for r in said)
    report(len(said) == 40 and n_done == n_fds > 0, "no descriptor is promised and not passed", said, n_fds)
    c.close()

    c = Client()
    r = c.ask(op="tokenize", model=MODEL, text=b"\x01" * (1100 << 10))
    report(r is not None and r.get("id") == 1 and "too large" in r["error"]["text"], "an answer that is too large is an error", r)
    r = c.ask(op="tokenize", model=MODEL, text=b"a")
    report(r is not None and "done" in r, "of its request alone", r)
    c.close()

    held = [Client() for _ in range(33)]
    for x in held:
        x.send(struct.pack(">I", 16 << 20) + bytes(9 << 20))
    c = Client()
    r = c.ask(op="tokenize", model=MODEL, text=b"a")
    report(r is not None and "done" in r, "large halves of messages leave room for small ones", r)
    for x in held + [c]:
        x.close()


os.mkfifo(PATH + ".fifo")
warm = Client()
warm.ask(op="load", model=MODEL)
warm.close()
start_fd, start_rss = n_fd(), rss()
operations()
wrong_types()
not_messages()
slow_and_half()
descriptors()
not_reading()
at_the_limits()
for _ in range(100):
    if n_fd() <= start_fd + 2:
        break
    time.sleep(0.05)
report(n_fd() <= start_fd + 2, "at the end no descriptor is left over", start_fd, n_fd())
report(INSTRUMENTED or rss() < start_rss + 120 * 1024, "nor much memory", start_rss, rss())
