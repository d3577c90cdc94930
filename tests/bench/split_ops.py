#!/usr/bin/python3
"""What splitting saves: operations of real networks over their boxes, beside what it costs in bytes and in compile time.

    tests/bench/split_ops.py [--cnetc=build/driver/cnetc] [--outside=promise|dense] [NAME ...]

For each network and budget: operations as written over the mean over the reference inputs (uniform ones where the box is only a part of
the network's), `x` being how many times fewer; the same goal by goal; the worst case proven; constants over those as written; the
certified error; seconds of CPU to compile. Counts repeat exactly; seconds do not. Exit status 1 when a goal is missed.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETS = os.path.join(os.path.dirname(ROOT), "shared", "data", "nets")

# network, box, options, goals: times fewer operations, times as many bytes at most
CASES = (
    ("acc_5_20", None, "--leaves=4096", 50, None),
    ("single_pendulum", None, "--leaves=4096", 70, None),
    ("cartpole", None, "--leaves=4096", 24, None),
    ("vcas_01", None, "--leaves=4096", 20, None),
    ("vdp", None, "--leaves=4096", 22, None),
    ("tll_8", None, "--leaves=4096", 1800, None),
    ("tll_16", None, "--leaves=4096", 20000, None),
    ("acasxu_1_1", "acasxu_prop_1", "--leaves=16384", 200, None),
    ("acasxu_1_1", "acasxu_prop_1", "--leaves=256", 75, 8),
    ("cartpole", None, "--result=argmax --leaves=4096", 130, None),
    ("vcas_01", None, "--result=argmax --leaves=4096", 110, None),
    ("acasxu_1_1", "acasxu_prop_1", "--result=argmin --leaves=256", 2000, 1),
    ("acc_5_20", None, "--max-bytes=10x", 11, 10),
    ("acc_5_20", None, "--max-bytes=25x", 20, 25),
)


def box_of(boxes, name):
    ends = boxes[name]
    return np.array([ends["each"]] * ends["repeat"] if isinstance(ends, dict) else ends)


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        with open(os.path.join(NETS, "boxes.json")) as file:
            self.boxes = json.load(file)

    def inputs(self, net, box):
        path = os.path.join(NETS, net + ".x.npy")
        if box is None:
            return path
        shape = np.load(path).shape
        lo, hi = box_of(self.boxes, box).astype(np.float32).T
        x = lo + (hi - lo) * np.random.default_rng(1).random((4000, len(lo)), dtype=np.float32)
        path = os.path.join(self.folder, "x.npy")
        np.save(path, np.clip(x, lo, hi).astype(np.float32).reshape((-1,) + shape[1:]))
        return path

    def measure(self, net, box, flags):
        source = os.path.join(NETS, net + ".onnx")
        common = [source, "--numerics=real", f"--outside={self.options.outside}", f"--box={NETS}/boxes.json:{box or net}", *flags, "-w"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([self.options.cnetc, *common, "-o", os.path.join(self.folder, "net.o")], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        said = subprocess.run([self.options.cnetc, "run", *common, "--input", self.inputs(net, box), f"--output={self.folder}/y.npy", "--ops=json"], check=True,
                              stdout=subprocess.PIPE).stdout
        return json.loads(said), seconds

    def flags(self, net, options):
        """Budgets of bytes in multiples of the network's own."""
        dense = sum(np.prod(shape) for shape in self.shapes(net)) if "x" in options.split("=")[-1] else 0
        return [f"--max-bytes={int(float(flag[12:-1]) * dense)}" if flag.startswith("--max-bytes") else flag for flag in options.split()]

    def shapes(self, net):
        said = subprocess.run([self.options.cnetc, os.path.join(NETS, net + ".onnx"), "-O0", "--emit=json", "-o", "-", "-w"], check=True,
                              stdout=subprocess.PIPE).stdout
        return [(json.loads(said)["dense_bytes"],)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--outside", default="promise")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if not os.path.isdir(NETS):
        sys.exit(f"there is no {NETS}")
    missed = 0
    print(f"{'network':<14} {'options':<28} {'dense':>7} {'nonzero':>7} {'mean':>8} {'x':>8} {'goal':>6} {'bound':>6} {'bytes x':>8} {'certified':>9} {'s':>6}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        for net, box, flags, goal, most_bytes in CASES:
            name = box or net
            if options.names and not any(name.startswith(n) for n in options.names):
                continue
            ops, seconds = bench.measure(net, box, bench.flags(net, flags))
            mean, dense = ops["mean_ops"]["total"], ops["dense_ops"]["total"]
            size = (ops["model_bytes"]) / ops["dense_bytes"]
            fine = dense / mean >= goal and (most_bytes is None or size <= most_bytes)
            missed += not fine
            print(f"{name:<14} {flags:<28} {dense:>7} {ops['nonzero_ops']['total']:>7} {mean:>8.1f} {dense / mean:>8.1f} {goal:>6}{' ' if fine else '!'}"
                  f"{ops['bound_ops']['total']:>6} {size:>8.1f} {ops.get('certified_error', 0):>9.2g} {seconds:>6.1f}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
