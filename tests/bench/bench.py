#!/usr/bin/python3
"""What compiling costs and how fast the evaluators are: measured, printed as tables, nothing asserted.

    tests/bench/bench.py [--cnetc=build/driver/cnetc] [compile] [size] [latency]

compile  CPU time of `cnetc NET -o net.o` beside `clang -O2 -c` on the same dense network as C with tables
         (paired runs, alternating; median of the ratios). ../shared/data/nets, else a random network of acasxu's shape.
size     models of 8, 16, 32 and 64 MB (random weights, Gemm and Relu): wall time beside copying the file, CPU time
         per MB (linear: a constant column), peak memory beside the file's size. At -O0 and at the default.
latency  nanoseconds for an evaluation through the generated object, beside clang's code for the C with tables:
         -O2 (sums in order, as C asks) and -O3 -march=native -ffast-math (sums in any order).

Use a release build (meson setup -Dbuildtype=release); the clang is $CLANG, else clang-19, else clang.
"""
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import onnx_file  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETS = os.path.join(os.path.dirname(ROOT), "shared", "data", "nets")
PAIRS = 11


# Runs argv[1:] and prints wall and CPU seconds and peak bytes. A process of its own: the peak of a child includes the memory of
# the process that it was forked from.
LAUNCH = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
"""


class Measured:
    """One run of a command: wall and CPU seconds, peak bytes."""

    def __init__(self, command):
        said = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCH, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, check=True).stdout.split()
        self.wall, self.cpu, self.peak, status = map(float, said[-4:])
        if status:
            raise SystemExit(f"exit status {status:.0f}: {' '.join(command)}")


def table(title, head, rows):
    print("\n" + title)
    cells = [head] + [[c if isinstance(c, str) else f"{c:.4g}" for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
    sys.stdout.flush()


def clang():
    for name in (os.environ.get("CLANG"), "clang-19", "clang"):
        if name and shutil.which(name):
            return name
    raise SystemExit("no clang: apt-get install clang-19, or CLANG=...")


def random_chain(shapes, seed=0):
    rng = np.random.default_rng(seed)
    out = []
    for k, m in zip(shapes, shapes[1:]):
        out += [("affine", ((rng.standard_normal((m, k)) / np.sqrt(k)).astype(np.float32), np.zeros(m, np.float32))),
                ("relu", None)]
    return out[:-1]


def c_table(name, array):
    def row(values):
        return "{" + ", ".join(f"{float(v)!r}f" for v in values) + "}"       # repr always has a point or an exponent
    text = "{" + ",\n ".join(map(row, array)) + "}" if array.ndim == 2 else row(array)
    return f"static const float {name}{''.join(f'[{d}]' for d in array.shape)} = {text};\n"


def c_program(chain, name):
    """The dense network as a C programmer writes it: tables, and loops over them."""
    tables, body, value, width = [], [], "x", None
    for i, (kind, array) in enumerate(chain):
        if kind == "affine":
            w, b = array
            tables += [c_table(f"w{i}", w), c_table(f"b{i}", b)]
            body.append(f"    float v{i}[{w.shape[0]}];\n    for (int r = 0; r < {w.shape[0]}; r++) {{ float s = b{i}[r]; "
                        f"for (int c = 0; c < {w.shape[1]}; c++) s += w{i}[r][c] * {value}[c]; v{i}[r] = s; }}\n")
            value, width = f"v{i}", w.shape[0]
        elif kind == "sub":
            tables.append(c_table(f"m{i}", array))
            body.append(f"    float v{i}[{len(array)}];\n"
                        f"    for (int c = 0; c < {len(array)}; c++) v{i}[c] = {value}[c] - m{i}[c];\n")
            value, width = f"v{i}", len(array)
        else:
            body.append(f"    for (int r = 0; r < {width}; r++) {value}[r] = {value}[r] <= 0 ? 0 : {value}[r];\n")
    return ("".join(tables) + f"int {name}_eval(const float *x, float *y)\n{{\n" + "".join(body)
            + f"    for (int r = 0; r < {width}; r++) y[r] = {value}[r];\n    return 0;\n}}\n")


def as_layers(chain):
    """The chain as (W, b, relu?) for write_chain."""
    return [(*array, i + 1 < len(chain) and chain[i + 1][0] == "relu")
            for i, (kind, array) in enumerate(chain) if kind == "affine"]


def networks(folder):
    """[(name, model file, chain)], the real ones where they are."""
    found = []
    for path in sorted(glob.glob(os.path.join(NETS, "*.onnx"))):
        chain = onnx_file.read_chain(path)
        if chain:
            found.append((os.path.basename(path)[:-5], path, chain))
    if not found:
        chain = random_chain([5, 50, 50, 50, 50, 50, 50, 5])
        path = os.path.join(folder, "random.onnx")
        onnx_file.write_chain(path, as_layers(chain))
        found.append(("random", path, chain))
    return found


def bench_compile(cnetc, folder):
    rows, cc = [], clang()
    for name, path, chain in networks(folder):
        if name not in ("acasxu_1_1", "random", "tll_16", "mnist_256x2", "vdp"):
            continue
        c_path, out = os.path.join(folder, name + ".c"), os.path.join(folder, "out.o")
        with open(c_path, "w") as file:
            file.write(c_program(chain, name))
        ours, theirs = [], []
        for _ in range(PAIRS):
            ours.append(Measured([cnetc, path, "-O0", "-o", out]).cpu)
            theirs.append(Measured([cc, "-O2", "-c", c_path, "-o", out]).cpu)
        default = [Measured([cnetc, path, "-o", out]).cpu for _ in range(PAIRS)]
        portable = [Measured([cnetc, path, "-O0", "--no-dispatch", "-o", out]).cpu for _ in range(PAIRS)]
        rows.append([name, *(1000 * statistics.median(v) for v in (ours, portable, default, theirs)),
                     statistics.median(a / b for a, b in zip(ours, theirs))])
    table(f"CPU time to compile, ms (median of {PAIRS} paired runs)",
          ["network", "cnetc -O0", "-O0 --no-dispatch", "cnetc", "clang -O2", "cnetc -O0 / clang"], rows)


def bench_size(cnetc, folder):
    rows = []
    # What any compilation takes, LLVM's own pages above all: peaks are given beyond it.
    tiny, out = os.path.join(folder, "tiny.onnx"), os.path.join(folder, "tiny.o")
    onnx_file.write_chain(tiny, as_layers(random_chain([2, 2])))
    base = Measured([cnetc, tiny, "-o", out]).peak
    base_ir = Measured([cnetc, tiny, "--emit=ir", "-o", out]).peak
    for megabytes in (8, 16, 32, 64):
        layers = megabytes // 8
        chain = random_chain([1024, 2048] + [1024 if i % 2 else 2048 for i in range(1, layers)])
        path, out = os.path.join(folder, "big.onnx"), os.path.join(folder, "big.o")
        onnx_file.write_chain(path, as_layers(chain))
        del chain
        size = os.path.getsize(path)
        copies = [Measured(["cp", path, os.path.join(folder, "copy")]).wall for _ in range(5)]
        for level in ("-O0", "-O2"):
            runs = [Measured([cnetc, path, level, "-o", out]) for _ in range(5)]
            best = min(runs, key=lambda r: r.wall)
            ir = Measured([cnetc, path, level, "--emit=ir", "-o", os.path.join(folder, "big.cnir")])
            rows.append([f"{size / 1e6:.1f} MB {level}", 1000 * best.wall, 1000 * min(copies), best.wall / min(copies),
                         1000 * best.cpu / (size / 1e6), (best.peak - base) / size, (ir.peak - base_ir) / size])
    table(f"Compiling big models (best of 5; copying: cp of the model's file; peaks beyond the {base / 1e6:.0f} MB, {base_ir / 1e6:.0f} MB "
          "to the IR, that a 2 x 2 network takes)",
          ["model", "wall ms", "copy ms", "ratio", "CPU ms/MB", "peak/file", "peak/file to the IR"], rows)


HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int %(name)s_eval(const float *x, float *y);
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
int main(void)
{
    static float x[%(rows)d][%(k)d], y[%(m)d];
    double best = 1e300;
    volatile float sink = 0;
    FILE *f = fopen("%(x)s", "rb");
    if (f == NULL || fread(x, sizeof x, 1, f) != 1) return 1;
    for (int round = 0; round < 30; round++) {
        int runs = 0;
        double start = now(), t;
        do {
            for (int r = 0; r < %(rows)d; r++) { %(name)s_eval(x[r], y); sink += y[0]; }
            runs += %(rows)d;
        } while ((t = now() - start) < 10e6);
        if (t / runs < best) best = t / runs;
    }
    printf("%%g\n", best);
}
"""


def bench_latency(cnetc, folder):
    rows, cc = [], clang()
    for name, path, chain in networks(folder):
        affine = [a for k, a in chain if k == "affine"]
        k, m = affine[0][0].shape[1], affine[-1][0].shape[0]
        x_path = os.path.join(NETS, name + ".x.npy")
        x = np.load(x_path).astype(np.float32).reshape(-1, k) if os.path.exists(x_path) else \
            np.random.default_rng(1).standard_normal((200, k)).astype(np.float32)
        x.tofile(os.path.join(folder, "x.f32"))
        with open(os.path.join(folder, name + ".c"), "w") as file:
            file.write(c_program(chain, name))
        with open(os.path.join(folder, "harness.c"), "w") as file:
            file.write(HARNESS % {"name": name, "rows": len(x), "k": k, "m": m, "x": os.path.join(folder, "x.f32")})

        def time_of(build):
            subprocess.run(build, check=True, cwd=folder)
            subprocess.run([cc, "-O2", "harness.c", "net.o", "-o", "harness"], check=True, cwd=folder)
            return float(subprocess.run(["./harness"], check=True, cwd=folder, stdout=subprocess.PIPE, text=True).stdout)
        dense = time_of([cnetc, path, "-O0", "-o", "net.o"])
        default = time_of([cnetc, path, "-o", "net.o"])
        fused = time_of([cnetc, path, "-O0", "-march=native", "--fp-contract=fma", "-o", "net.o"])
        c = time_of([cc, "-O2", "-c", name + ".c", "-o", "net.o"])
        fast = time_of([cc, "-O3", "-march=native", "-ffast-math", "-c", name + ".c", "-o", "net.o"])
        rows.append([name, dense, default, fused, c, fast, c / dense, fast / dense])
    table("Latency, ns an evaluation (best of 30 rounds over the network's test inputs)",
          ["network", "cnetc -O0", "cnetc", "-O0 native fma", "clang -O2", "clang fast-math", "speed-up on -O2", "on fast-math"], rows)


def main(argv):
    parts = {"compile": bench_compile, "size": bench_size, "latency": bench_latency}
    cnetc = os.path.join(ROOT, "build", "driver", "cnetc")
    chosen = []
    for arg in argv:
        if arg.startswith("--cnetc="):
            cnetc = arg.split("=", 1)[1]
        elif arg in parts:
            chosen.append(arg)
        else:
            print(__doc__, file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="cnet-bench-") as folder:
        for part in chosen or parts:
            parts[part](os.path.abspath(cnetc), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
