#!/usr/bin/python3
"""Networks that the pass split makes trees of, beside the same networks as they are (-O2, the same bits as written).

    tests/bench/split.py [--cnetc=build/driver/cnetc] [--only=cartpole,tll_8] [--leaves=4096] [--quick] [--cpu=1]

one    one evaluation after the other, 20,000 random inputs in the box
batch  NAME_eval_batch, 1000 inputs at once

Both are compiled with --box=…:NAME --outside=promise; the tree with --numerics=real --leaves=N. They take turns in one process
(peers/main.c: see peers.py), in a few processes one after the other; ratios are formed within a run. The table shows the median over the
runs of both times, of their ratio, and [least, greatest] of it. More inputs than a branch predictor learns by heart: nets that
branch must not seem faster than they are.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peer_harness import ROOT, Bench  # noqa: E402
from peer_nets import Network  # noqa: E402

NETS = os.path.join(os.path.dirname(ROOT), "shared", "data", "nets")
ALL = ("cartpole", "acc_5_20", "single_pendulum", "tll_8", "lindex", "vcas_01")
ROWS, BATCH, SEED = 20000, 1000, 20260501


def random_inputs(box, rows):
    """Uniform in the box, in f32 and not beyond its ends."""
    lo, hi = np.array(box, np.float64).T
    x = lo + (hi - lo) * np.random.default_rng(SEED).random((rows, len(lo)))
    return np.clip(x.astype(np.float32), lo.astype(np.float32), hi.astype(np.float32))


def compile_variant(options, folder, name, variant):
    """The path of the shared object."""
    out = os.path.join(folder, f"{name}-{variant}.so")
    flags = ["--numerics=real", f"--leaves={options.leaves}"] if variant == "split" else []
    command = [options.cnetc, os.path.join(options.nets, name + ".onnx"), "-O2", f"--box={options.boxes}:{name}", "--outside=promise",
               "--prefix=b_", "-w", *flags]
    done = subprocess.run([*command, "--emit=shared", "-o", out], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return out


def outputs_of(path):
    return int(np.load(path, mmap_mode="r").reshape(-1).shape[0])


def measure(bench, options, name, box):
    """{part: [(exact ns, split ns) of each run]}"""
    source = os.path.join(options.nets, name)
    x = random_inputs(box, ROWS)
    rows = len(np.load(source + ".x.npy", mmap_mode="r"))
    network = Network(name, source + ".onnx", None, x, None, outputs_of(source + ".y.npy") // rows)
    objects = {v: compile_variant(options, bench.folder, name, v) for v in ("exact", "split")}
    times = {}
    for part, batch, kind in (("one", 1, "eval"), ("batch", BATCH, "batch")):
        contenders = {v: f"{bench.ours},{path}:{network.symbol()}:{kind}" for v, path in objects.items()}
        problem = bench.problem(network, batch)
        for _ in range(options.runs):
            got = bench.run(part, name, problem, contenders)
            if len(got) == 2:
                times.setdefault(part, []).append((got["exact"] / batch, got["split"] / batch))
    return times


def line_of(name, part, pairs):
    ratios = [exact / split for exact, split in pairs]
    exact, split = (statistics.median(column) for column in zip(*pairs))
    return f"{name:<18}{part:<8}{exact:>9.1f}{split:>9.1f}{statistics.median(ratios):>9.2f}   [{min(ratios):.2f}, {max(ratios):.2f}]"


def parse(argv):
    usage, text = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=usage, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--nets", default=NETS, help="where the networks and boxes.json are")
    parser.add_argument("--only", type=lambda s: s.split(","), default=list(ALL))
    parser.add_argument("--leaves", type=int, default=4096)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--slice", type=float, default=5, metavar="MS")
    parser.add_argument("--quick", action="store_true", help="one short run: to see that everything works")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU to stay on")
    options = parser.parse_args(argv)
    options.boxes = os.path.join(options.nets, "boxes.json")
    options.runs = options.runs or (1 if options.quick else 5)
    options.processes = {part: (1, 3) if options.quick else (3, 5) for part in ("one", "batch")}
    options.ort = None
    return options


def main():
    options = parse(sys.argv[1:])
    with open(options.boxes) as file:
        boxes = json.load(file)
    with tempfile.TemporaryDirectory(prefix="cnet-split-") as folder:
        bench = Bench(options, folder)
        print(f"{'ns an evaluation':<26}{'exact':>9}{'split':>9}{'times':>9}")
        for name in options.only:
            for part, pairs in measure(bench, options, name, boxes[name]).items():
                print(line_of(name, part, pairs), flush=True)
        print(f"slices disturbed by other processes: {bench.disturbed[0]} of {bench.disturbed[1]}")
        for note in bench.notes:
            if "no " not in note:
                print(note)
    return bench.failed


if __name__ == "__main__":
    sys.exit(main())
