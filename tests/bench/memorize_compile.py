#!/usr/bin/python3
"""What compiling a memorizer costs: time beside reading and sorting the points, memory beside the data, trees as code beside clang.

    tests/bench/memorize_compile.py [--cnetc=build/driver/cnetc] [points] [branches] [--n=1e6,1e7] [--leaves=1e3,1e4] [--pairs=5]

points    cnetc on a .cnet that memorizes n points in random order (f64 keys, i32 labels), from a .csv and from an .npz, beside a C++
          program that reads the same numbers and sorts them (rivals/read_sort.cc): wall time, and the peak of memory beside the data as
          numbers (12 bytes a point)
branches  cnetc on a balanced tree of i32 keys, as IR whose tree is to become code, beside clang -O2 on the same tree as nested ifs in C:
          CPU time

Paired runs, alternating; ratios are medians of pairs. Nothing is asserted. The clang is $CLANG, else clang-19, else clang.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import Measured, clang, table  # noqa: E402
from memorize_points import make_points  # noqa: E402
from memorize_rivals import ROOT, SOURCES  # noqa: E402

PARTS = ("points", "branches")


# ---- points ----

def write_points(folder, n):
    """The points in random order, in both forms: .csv, .npz, and the .npz's arrays for those who read no archives."""
    points = make_points("f64", "uniform", n, "keys", 1, 1)
    order = np.random.default_rng(2).permutation(n)
    keys, labels = points.keys[order], points.labels[order]
    np.savez(os.path.join(folder, "points.npz"), key=keys, label=labels)
    np.save(os.path.join(folder, "keys.npy"), keys)
    np.save(os.path.join(folder, "labels.npy"), labels)
    with open(os.path.join(folder, "points.csv"), "w") as file:
        file.write("key,label\n")
        for first in range(0, n, 1 << 16):
            rows = zip(keys[first:first + (1 << 16)].tolist(), labels[first:first + (1 << 16)].tolist())
            file.write("".join(f"{key!r},{label}\n" for key, label in rows))
    for form in ("csv", "npz"):
        with open(os.path.join(folder, form + ".cnet"), "w") as file:
            file.write(f'data points = "points.{form}" {{ input: key; label: label; }}\n\n'
                       "network net(x: f64) -> i32 = memorize(points, method: conditional);\n")


def measured(command, files):
    """A run that finds its files in memory: cnetc tells the system that it will not need them again."""
    for path in files:
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass
    return Measured(command)


def bench_points(options, folder):
    rows, reader = [], os.path.join(folder, "read_sort")
    subprocess.run([os.environ.get("CXX", "c++"), "-O3", "-march=native", os.path.join(SOURCES, "read_sort.cc"), "-o", reader], check=True)
    for n in options.n:
        write_points(folder, n)
        for form in ("csv", "npz"):
            files = ["csv", "points.csv"] if form == "csv" else ["npy", "keys.npy", "labels.npy"]
            sort = [reader, files[0], *(os.path.join(folder, f) for f in files[1:])]
            compile_ = [options.cnetc, os.path.join(folder, form + ".cnet"), "-w", "-o", os.path.join(folder, "net.o")]
            read = [os.path.join(folder, f) for f in {f"points.{form}", *files[1:]}]
            pairs = [(measured(compile_, read), measured(sort, read)) for _ in range(options.pairs)]
            ours, theirs = (statistics.median(p[i].wall for p in pairs) for i in (0, 1))
            rows.append([f"{n:.0e}".replace("e+0", "e"), form, ours, theirs, statistics.median(a.wall / b.wall for a, b in pairs),
                         max(a.peak for a, _ in pairs) / 1e6, max(a.peak for a, _ in pairs) / (12 * n),
                         os.path.getsize(os.path.join(folder, "net.o")) / 1e6])
    table("Points: wall seconds (at most 4 times reading and sorting), peak memory (at most 4 times the data)",
          ["n", "from", "cnetc s", "read, sort s", "ratio", "peak MB", "peak / data", "object MB"], rows)


# ---- branches ----

def balanced(first, last):
    """The nodes of a left-complete tree over leaves first ... last - 1, as (node, leaf that its right side begins with, left, right):
    children are numbers of nodes, or ~leaf. Preorder."""
    nodes = []

    def grow(lo, hi):
        if hi - lo == 1:
            return ~lo
        me, deep = len(nodes), (hi - lo - 1).bit_length() - 1
        nodes.append(None)
        half = 1 << (deep - 1) if deep else 0
        left = half + min(half, hi - lo - (1 << deep)) if deep else 1
        nodes[me] = (lo + left, grow(lo, lo + left), grow(lo + left, hi))
        return me
    grow(first, last)
    return nodes


def write_tree(folder, leaves, mark):
    """The same tree as IR and as C."""
    rng = np.random.default_rng(leaves)
    keys = np.unique(rng.integers(-(1 << 31), 1 << 31, 2 * leaves)).astype(int).tolist()
    keys = sorted(rng.choice(keys, leaves, replace=False).tolist())
    labels = rng.integers(0, 1 << 31, leaves).tolist()
    nodes = balanced(0, leaves)

    def child(c):
        return f"~{~c}" if c < 0 else str(c)
    with open(os.path.join(folder, "tree.cnir"), "w") as file:
        text = ", ".join(f"[0] > {keys[at] - 1} ? {child(right)} : {child(left)}" for at, left, right in nodes)
        file.write(f"format_version 1\n\nconst @T : tree i32 keys 1 nodes {len(nodes)} leaves {leaves} classes 1 slots {leaves} = "
                   f"[{text}], [{', '.join(f'0:{i}' for i in range(leaves))}]\n"
                   f"const @Y : stack i32[{leaves}] = [{', '.join(map(str, labels))}]\n\n"
                   "network @net(%x: i32[1]) -> (y: i32) {\n"
                   f"    %class, %slot, %depth = descend @T, %x{mark}\n    %y = row @Y[%slot]\n    return %y\n}}\n")

    def c_of(c):
        if c < 0:
            return f"return {labels[~c]};\n"
        at, left, right = nodes[c]
        return f"if (x >= {keys[at]}) {{\n{c_of(right)}}} else {{\n{c_of(left)}}}\n"
    with open(os.path.join(folder, "tree.c"), "w") as file:
        file.write("int net_eval(int x)\n{\n" + c_of(0) + "}\n")


def bench_branches(options, folder):
    rows = []
    for leaves in options.leaves:
        write_tree(folder, leaves, options.mark)
        ours = [options.cnetc, os.path.join(folder, "tree.cnir"), "-w", "-o", os.path.join(folder, "net.o")]
        theirs = [clang(), "-O2", "-c", os.path.join(folder, "tree.c"), "-o", os.path.join(folder, "tree.o")]
        pairs = [(Measured(ours), Measured(theirs)) for _ in range(options.pairs)]
        rows.append([f"{leaves}", *(statistics.median(p[i].cpu for p in pairs) for i in (0, 1)),
                     statistics.median(b.cpu / a.cpu for a, b in pairs), max(a.peak for a, _ in pairs) / 1e6])
    table("Trees of comparisons: CPU seconds (clang should take 20 times as long)",
          ["leaves", "cnetc s", "clang -O2 s", "ratio", "peak MB"], rows)


def parse(argv):
    usage, text = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=usage, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))

    def sizes(text):
        return [int(float(n)) for n in text.split(",")]
    parser.add_argument("--n", type=sizes, default=[10 ** 6, 10 ** 7])
    parser.add_argument("--leaves", type=sizes, default=[10 ** 3, 10 ** 4])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--mark", default=" !lower(branch)", help="what the op `descend` is marked with, so that it becomes code")
    options = parser.parse_args(argv)
    if set(options.parts) - set(PARTS):
        parser.error(f"there are {', '.join(PARTS)}")
    options.cnetc = os.path.abspath(options.cnetc)
    return options


def main(argv):
    options = parse(argv)
    with tempfile.TemporaryDirectory(prefix="cnet-bench-") as folder:
        for part, measure in (("points", bench_points), ("branches", bench_branches)):
            if not options.parts or part in options.parts:
                measure(options, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
