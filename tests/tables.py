#!/usr/bin/python3
"""Tables of data, read by cnetc, against the same in Python.

    tests/tables.py [--cnetc=build/driver/cnetc] [--tables=300] [--seed=1]

Random tables, as text and as arrays, of every type of key, with repeated keys, -0 and +0, columns that nobody asks for, weights or
none. The constants that `memorize` gets (--emit=ir) must be the rows in ascending order, each key once, weights added; a table that
gives one key two labels must be refused with the places of both rows.
Ends with `# N passed, N failed, N skipped`.
"""
import argparse
import math
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np

KEYS = ["f32", "f64", "i1", "i2", "i8", "i13", "i16", "i32", "i53", "i64", "i65", "i100", "i128", "i200", "i1000"]
LABELS = ["i1", "i8", "i32", "i64", "i100", "f32", "f64"]
ARRAY = {"f32": "<f4", "f64": "<f8", "i1": "|b1", "i8": "|i1", "i16": "<i2", "i32": "<i4", "i64": "<i8"}


def single(value):
    """The nearest f32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def some_value(rng, kind, pool):
    """A number of a type; a small pool makes many of them equal."""
    if kind.startswith("f"):
        choice = rng.randrange(6)
        value = (rng.choice([0.0, -0.0]) if choice == 0 else rng.choice([math.inf, -math.inf]) if choice == 1 and rng.random() < 0.1
                 else rng.randrange(-pool, pool) / 8 if choice < 4 else rng.randrange(1, 4) * 5e-324 if choice == 4 and kind == "f64"
                 else rng.randrange(-pool, pool) * 1e30)
        return single(value) if kind == "f32" else value
    bits = int(kind[1:])
    if bits == 1:
        return rng.randrange(2)
    top = 1 << bits - 1
    if rng.random() < 0.3:
        return rng.choice([-top, top - 1, top - 2, -top + 1, 0, -1])
    return max(-top, min(top - 1, rng.randrange(-pool, pool) * rng.choice([1, 1, top // pool + 1])))


def text_of(value):
    return repr(value) if isinstance(value, float) else str(value)


def bits_of(row):
    """Labels are equal when their bits are."""
    return tuple(struct.pack("<d", v) if isinstance(v, float) else v for v in row)


def expected(keys, labels, weights):
    """(keys, labels, weights) in order, or the pair of rows that contradict each other, the first found in order of keys."""
    order = sorted(range(len(keys)), key=lambda i: keys[i])
    out = [], [], []
    kept = None
    for i in order:
        if kept is not None and keys[kept] == keys[i]:
            if bits_of(labels[kept]) != bits_of(labels[i]):
                return None, (kept, i)
            out[2][-1] += weights[i]
            continue
        kept = i
        out[0].append(keys[i])
        out[1].append(labels[i])
        out[2].append(weights[i])
    return out, None


class Table:
    """One random table and the files that hold it."""

    def __init__(self, rng, folder):
        self.rng, self.folder = rng, folder
        self.key, self.label = rng.choice(KEYS), rng.choice(LABELS)
        self.width, self.label_width = rng.choice([1, 1, 1, 2, 3]), rng.choice([1, 1, 2])
        n, pool = rng.choice([1, 2, 3, 10, 100, 3000]), rng.choice([2, 30, 10**6])
        self.keys = [tuple(some_value(rng, self.key, pool) for _ in range(self.width)) for _ in range(n)]
        if rng.random() < 0.2:
            self.keys.sort()
        label_of = {}
        self.labels = [label_of.setdefault(k, tuple(some_value(rng, self.label, 5) for _ in range(self.label_width))) for k in self.keys]
        if rng.random() < 0.2:
            self.labels[rng.randrange(n)] = tuple(some_value(rng, self.label, 5) for _ in range(self.label_width))
        self.weights = [float(rng.choice([0, 1, 0.5, 3, 1e9])) for _ in range(n)] if rng.random() < 0.5 else None
        self.place = None                                    # row number -> what a message begins with

    def write(self):
        """Files, and the declaration that names them."""
        if self.key in ARRAY and self.label in ARRAY and self.rng.random() < 0.5:
            return self.write_arrays()
        return self.write_text()

    def write_text(self):
        separator = self.rng.choice([",", ";", "\t", ", ", " "])
        columns = [f"k{i}" for i in range(self.width)] + [f"l {i}" if separator == "," else f"l{i}" for i in range(self.label_width)]
        columns += ["w"] if self.weights else []
        columns += ["other"] if self.rng.random() < 0.5 else []
        shuffled = self.rng.sample(columns, len(columns))
        named = self.rng.random() < 0.6
        lines, self.place = [], []
        if named:
            lines.append(separator.join(f'"{c}"' if self.rng.random() < 0.3 else c for c in shuffled))
        for i, key in enumerate(self.keys):
            if self.rng.random() < 0.02:
                lines.append(self.rng.choice(["", "# a note, with a comma", "   "]))
            row = dict(zip(columns, [text_of(v) for v in key + self.labels[i]]))
            if self.weights:
                row["w"] = text_of(self.weights[i])
            row["other"] = '"x, ""y"" z"' if separator != " " else "7"
            if not named and i == 0:
                row["other"] = "7"
            lines.append(separator.join(row[c] for c in shuffled))
            self.place.append(f"t.csv:{len(lines)}:")
        end = self.rng.choice(["\n", "\r\n"])
        with open(os.path.join(self.folder, "t.csv"), "w", newline="", encoding="utf-8") as f:
            f.write(end.join(lines) + self.rng.choice(["", end]))
        def taken(names):
            if not named:
                return ", ".join(str(shuffled.index(c)) for c in names)
            return ", ".join(c if c.isidentifier() else f'"{c}"' for c in names)
        label = taken(columns[self.width:self.width + self.label_width])
        weight = f" weight: {taken(['w'])};" if self.weights else ""
        return f'data t = "t.csv" {{ input: {taken(columns[:self.width])}; label: {self.label}({label});{weight} }}'

    def write_arrays(self):
        keys = np.array(self.keys, dtype=ARRAY[self.key])
        labels = np.array(self.labels, dtype=ARRAY[self.label])
        if self.width == 1 and self.rng.random() < 0.5:
            keys = keys[:, 0]
        if self.label_width == 1 and self.rng.random() < 0.5:
            labels = labels[:, 0]
        if self.rng.random() < 0.2:
            keys = np.asfortranarray(keys)
        self.place = [f"row {i + 1}: " for i in range(len(self.keys))]
        if self.rng.random() < 0.5:
            arrays = {"keys": keys, "the labels": labels}
            if self.weights:
                arrays["w"] = np.array(self.weights)
            np.savez(os.path.join(self.folder, "t.npz"), **arrays)
            weight = " weight: w;" if self.weights else ""
            return f'data t = "t.npz" {{ input: keys; label: "the labels";{weight} }}'
        np.save(os.path.join(self.folder, "k.npy"), keys)
        np.save(os.path.join(self.folder, "l.npy"), labels)
        weight = ""
        if self.weights:
            np.save(os.path.join(self.folder, "w.npy"), np.array(self.weights, dtype="<f4"))
            weight = ' weight: "w.npy";'
        columns = f"[0:{self.width}]" if self.rng.random() < 0.5 else ""
        return f'data t {{ input: "k.npy"{columns}; label: "l.npy";{weight} }}'


def number(kind, word):
    if kind.startswith("f"):
        return float.fromhex(word)
    value, bits = int(word, 0), int(kind[1:])
    return value - (1 << bits) if bits > 1 and value >> bits - 1 == 1 else value


def constant(text, name):
    """The elements of a constant of a dump, in order."""
    found = re.search(rf"^const @t\.{name} : (\w+)\[[\d,]+\] = (.*)$", text, re.M)
    return found and [number(found.group(1), word) for word in re.findall(r"[^\s\[\],]+", found.group(2))]


def same(a, b):
    """Element by element, zeros with their signs."""
    if a is None or len(a) != len(b):
        return False
    return all(x == y and math.copysign(1, x) == math.copysign(1, y) if isinstance(y, float) else x == y for x, y in zip(a, b))


def flat(rows):
    return [v for row in rows for v in row]


def check(cnetc, rng, folder):
    """What is wrong with a random table, or None."""
    table = Table(rng, folder)
    declaration = table.write()
    dims = f"[{table.width}]" if table.width > 1 else ""
    out_dims = f"[{table.label_width}]" if table.label_width > 1 else ""
    path = os.path.join(folder, "t.cnet")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{declaration}\nnetwork f(x: {table.key}{dims}) -> {table.label}{out_dims} = memorize(t, method: conditional);\n")
    command = [cnetc, path, "--emit=ir", "--inline-constants", "-O0", "--passes="]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    rows, pair = expected(table.keys, table.labels, table.weights or [1.0] * len(table.keys))
    if pair:
        good = ran.returncode == 1 and table.place[pair[1]] in ran.stderr.split("note:")[0] and table.place[pair[0]] in ran.stderr
        return None if good else f"expected a report of rows {pair}\n{ran.stderr}"
    if ran.returncode != 0:
        return f"refused\n{ran.stderr}"
    for name, want in (("keys", flat(rows[0])), ("labels", flat(rows[1])), ("weights", rows[2] if table.weights else None)):
        got = constant(ran.stdout, name)
        if want is not None and not same(got, want):
            return f"{name} differ: {str(got)[:300]}\nexpected {str(want)[:300]}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cnetc", default="build/driver/cnetc")
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failed = 0
    for i in range(options.tables):
        seed = options.seed * 1000003 + i
        with tempfile.TemporaryDirectory() as folder:
            wrong = check(os.path.abspath(options.cnetc), random.Random(seed), folder)
            if wrong:
                failed += 1
                with open(os.path.join(folder, "t.cnet"), encoding="utf-8") as f:
                    print(f"FAIL --seed={options.seed} table {i}: {wrong}\n{f.read()}")
    print(f"# {options.tables - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
