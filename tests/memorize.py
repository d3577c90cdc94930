#!/usr/bin/python3
"""Memorized points: every label of every key, natively.

    tests/memorize.py [--cnetc=build/driver/cnetc] [--full] [--list] [NAME ...]

Points of several distributions in random order, in a file; a network that memorizes them; its object, asked
  keys        for every key there is, by a call each and by one call for all
  neighbours  where x is one number, for the numbers next to every key, one unit in the last place below and above it, for zeros of both
              signs, subnormals, the ends of the type, infinities and NaN: the label of the greatest key that is not above
  interp      for some of all these: the interpreter's answers are the same
Answers are compared with numpy's search. --full: conditional to n = 10^7, 10^5 rows of 64 numbers, sqrt to 10^5, bits to 2^16 and a
sample of 2^20, five bounds on the depth (some minutes, 2 GB). NAME runs those whose name begins with it, --list names them.
Ends with `# N passed, N failed, N skipped`.
"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(HERE, "bench"))
from memorize_points import DISTRIBUTIONS, make_points  # noqa: E402

SEED = 4
SAMPLED = 1000                              # queries of the interpreter
TIMEOUT = 900


class Failure(Exception):
    """What a case failed at."""


class Case:
    """A table to memorize: keys in ascending order, a method, options; how many of the keys are asked for natively (None: all)."""

    def __init__(self, method, kind, points, n, flags="", asked=None, labels="distinct"):
        self.method, self.kind, self.points, self.n, self.flags, self.asked, self.labels = method, kind, points, n, flags, asked, labels
        self.name = " ".join(filter(None, [method, flags, kind, points, "" if labels == "distinct" else labels, str(n)]))
        self.columns = 64 if points == "digits" else 1
        # Other methods than these give a number that is in no row any label.
        self.answers_all = method in ("conditional", "sqrt") or method.endswith("before")

    def make(self):
        rng = np.random.default_rng([SEED, self.n])
        if self.points == "digits":
            keys = digits(self.kind, self.n, rng)
        elif self.kind == "i32":
            keys = distinct_integers(self.n, rng)
        else:
            keys = make_points(self.kind, self.points, self.n, "keys", 1, SEED).keys
        if self.labels == "classes":        # runs of equal labels
            return keys, rng.integers(0, 4, self.n, dtype=np.int32).repeat(rng.integers(1, 9, self.n))[:self.n]
        labels = rng.integers(0, 1 << (31 if self.method.startswith("conditional") else 16), self.n, dtype=np.int32)
        labels[1:][labels[1:] == labels[:-1]] ^= 1
        return keys, labels


def distinct_integers(n, rng):
    keys = np.empty(0, np.int32)
    while len(keys) < n:
        keys = np.unique(np.concatenate([keys, rng.integers(0, 1 << 31, n, dtype=np.int32)]))
    return np.sort(rng.permutation(keys)[:n])


def digits(kind, n, rng):
    """Pictures of 8 x 8 pixels, 0 ... 16: smooth blobs that differ in a few pixels."""
    places = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(64, 2)
    kept = np.empty((0, 64), np.uint8)
    while len(kept) < n:
        centres = rng.random((n, 1, 2)) * 4 + 1.5
        far = ((places - centres) ** 2).sum(2)
        ink = np.clip(16 * np.exp(-far / (2 + 6 * rng.random((n, 1)))) + rng.normal(0, 1.5, (n, 64)), 0, 16)
        kept = np.unique(np.concatenate([kept, ink.round().astype(np.uint8)]), axis=0)
    kept = kept[np.sort(rng.permutation(len(kept))[:n])]
    return kept.astype({"f32": np.float32, "i8": np.int8}[kind])


# ---- the cases ----

def small_cases():
    for kind in ("f64", "i64", "f32"):
        for points in DISTRIBUTIONS:
            yield Case("conditional", kind, points, 1000)
    yield Case("conditional", "f64", "uniform", 20000, labels="classes")
    for kind in ("f64", "i64", "f32"):      # thresholds of few bits, and tables that hold no more of them
        yield Case("conditional, unseen: any", kind, "uniform", 20000)
    for kind in ("i8", "f32"):
        yield Case("conditional", kind, "digits", 500)
    yield from constructed("sqrt", "i32", "uniform", 300)
    yield from constructed("sqrt", "f32", "ulp", 100)
    yield from constructed("sqrt, unseen: any", "i32", "uniform", 300)
    yield from constructed("bits", "i32", "uniform", 300)
    yield from constructed("bits, unseen: before", "i32", "uniform", 300)
    yield from constructed("bits(depth: 5)", "i32", "uniform", 100)


def full_cases():
    for n in (10 ** 3, 10 ** 5, 10 ** 6, 10 ** 7):
        for kind in ("f64", "i64"):
            for points in DISTRIBUTIONS:
                yield Case("conditional", kind, points, n)
    yield Case("conditional", "f64", "uniform", 10 ** 7, labels="classes")
    for n in (10 ** 5, 10 ** 6, 10 ** 7):
        for kind in ("f64", "i64"):
            yield Case("conditional, unseen: any", kind, "uniform", n)
    for n in (1797, 10 ** 4, 10 ** 5):
        for kind in ("i8", "f32"):
            yield Case("conditional", kind, "digits", n)
    for n in (10 ** 3, 10 ** 4, 10 ** 5):
        yield from constructed("sqrt", "i32", "uniform", n)
    yield from constructed("sqrt, unseen: any", "i32", "uniform", 10 ** 4)
    for points in ("uniform", "ulp"):
        yield Case("sqrt", "f64", points, 10 ** 4, "-O0")
    for n in (1 << 10, 1 << 14, 1 << 16):
        yield from constructed("bits", "i32", "uniform", n)
    yield from constructed("bits, unseen: before", "i32", "uniform", 1 << 14)
    yield from constructed("bits", "i32", "uniform", 1 << 20, asked=1000)
    for depth in (5, 100, 200, 300, 400):
        yield from constructed(f"bits(depth: {depth})", "i32", "uniform", 1 << 14)


def constructed(method, kind, points, n, asked=None):
    """As constructed, and compiled."""
    for flags in ("-O0", ""):
        yield Case(method, kind, points, n, flags, asked)


# ---- one case ----

class Tester:
    def __init__(self, cnetc, folder):
        self.cnetc, self.folder, self.count = cnetc, folder, 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *command):
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TIMEOUT)
        if done.returncode:
            raise Failure(f"{' '.join(command)}: status {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}")

    def library(self, case, keys, labels):
        """The network of the points in random order, with the functions of memorize.c."""
        order = np.random.default_rng(SEED).permutation(case.n)
        np.savez(self.path("points.npz"), key=keys[order], label=labels[order])
        shape = f"[{case.columns}]" if case.columns > 1 else ""
        with open(self.path("net.cnet"), "w") as file:
            file.write('data points = "points.npz" { input: key; label: label; }\n\n'
                       f"network net(x: {case.kind}{shape}) -> i32 = memorize(points, method: {case.method});\n")
        self.count += 1
        shared = self.path(f"net{self.count}.so")
        self.run(self.cnetc, "net.cnet", *case.flags.split(), "-w", "-o", "net.o")
        self.run(os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-I.", os.path.join(HERE, "memorize.c"), "net.o", "-o", shared)
        return ctypes.CDLL(shared)

    def interpreted(self, case, queries):
        np.save(self.path("queries.npy"), queries)
        self.run(self.cnetc, "run", "net.cnet", *case.flags.split(), "-w", "--engine=interp", "--input=queries.npy", "--output=said.npy")
        return np.load(self.path("said.npy")).reshape(-1)

    def test(self, case):
        keys, labels = case.make()
        library = self.library(case, keys, labels)
        rng = np.random.default_rng(SEED)
        picked = np.arange(case.n) if case.asked is None else np.sort(rng.choice(case.n, case.asked, replace=False))
        wrong = count_wrong(library, keys[picked], labels[picked])
        said = f"{len(picked)} keys: {wrong[0]} wrong alone, {wrong[1]} together"
        queries, answers = keys[picked], labels[picked]
        if case.columns == 1 and case.answers_all:
            near = neighbours(keys, picked)
            found = labels[np.maximum(np.searchsorted(keys, near, "right") - 1, 0)]
            found = np.where(near != near, labels[0], found)
            if expensive(case):
                some = rng.choice(len(near), min(len(near), 2 * SAMPLED), replace=False)
                near, found = near[some], found[some]
            also = count_wrong(library, near, found)
            said += f"; {len(near)} others: {also[0]} wrong alone, {also[1]} together"
            wrong += also
            queries, answers = np.concatenate([queries, near]), np.concatenate([answers, found])
        some = rng.choice(len(queries), min(len(queries), SAMPLED // 20 if expensive(case) else SAMPLED), replace=False)
        odd = int((self.interpreted(case, queries[some]) != answers[some]).sum())
        said += f"; interpreter: {odd} of {len(some)} differ"
        release(library)
        if any(wrong) or odd:
            raise Failure(said)
        return said


def expensive(case):
    """Networks that evaluate everything: some neighbours, and few for the interpreter."""
    return case.method != "conditional" and case.n > 1000


def count_wrong(library, keys, labels):
    keys, labels = np.ascontiguousarray(keys), np.ascontiguousarray(labels)
    n, size = ctypes.c_long(len(keys)), ctypes.c_size_t(keys.nbytes // max(1, len(keys)))
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (keys, labels)]
    for name in ("wrong_alone", "wrong_together"):
        getattr(library, name).restype = ctypes.c_long
    return [library.wrong_alone(n, pointers[0], size, pointers[1]), library.wrong_together(n, *pointers)]


def neighbours(keys, picked):
    """What is next to keys, and the odd numbers of their type."""
    near = keys[picked]
    if near.dtype.kind == "f":
        infinite, tiny, most = near.dtype.type(np.inf), np.finfo(near.dtype).smallest_subnormal, np.finfo(near.dtype).max
        odd = [0.0, -0.0, tiny, -tiny, most, -most, infinite, -infinite, np.nan]
        below, above = np.nextafter(near, -infinite), np.nextafter(near, infinite)
    else:
        ends = np.iinfo(near.dtype)
        odd = [ends.min, ends.min + 1, -1, 0, 1, ends.max - 1, ends.max]
        below, above = np.where(near > ends.min, near - 1, near), np.where(near < ends.max, near + 1, near)
    return np.concatenate([below, above, np.array(odd, near.dtype)])


def release(library):
    """The tables of ten million points go before the next ones come."""
    import _ctypes
    _ctypes.dlclose(library._handle)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(argv)
    cases = [case for case in (full_cases if options.full else small_cases)()
             if not options.names or any(case.name.startswith(name) for name in options.names)]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="cnet-memorize-") as folder:
        tester = Tester(os.path.abspath(options.cnetc), folder)
        for case in cases:
            if options.list:
                print(case.name)
                continue
            try:
                said = tester.test(case)
                print(f"{case.name}: {said}" if options.full else f"passed {case.name}", flush=True)
            except (Failure, subprocess.TimeoutExpired, OSError) as why:
                failed += 1
                print(f"FAIL {case.name}: {why}", flush=True)
    if not options.list:
        print(f"# {len(cases) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
