#!/usr/bin/python3
"""Our machine code beside OpenBLAS, oneDNN, XNNPACK and ONNX Runtime: one evaluation at a time, one thread, in one process.

    tests/bench/peers.py [--cnetc=build/driver/cnetc] [--only=acasxu_1_1,...] [--runs=5] [--quick] [--json=FILE] [--svg=FILE]

latency    every contender on acasxu_1_1, mnist_256x2, mnist_256x4, cartpole and a synthetic 1024 -> 4096 -> 1024 whose hidden layer is
           90 % zeros; then what skipping zeros must read, what the memory gives, and our share of that limit
batch      mnist_256x4, 256 inputs at once
bandwidth  reading memory in order, for a few sizes
levels     -O2 beside -O0 on every network of ../shared/data/nets (not normal_1000), on its test inputs and, for chains of dense layers,
           on a variant whose biases are raised until every relu is on; and NAME_eval_counted beside NAME_eval

In a run all contenders of a network take turns in one process (peers/main.c), in a few processes one after the other. The number of a
run is the median over all rounds; ratios are formed within a run, and the tables show the median over the runs and the range. Outputs
are compared with the reference first; whoever is wrong is named and left out (and the exit status is 1); a peer whose library is missing
is named: tests/bench/install-peers.sh.
"""
import argparse
import glob
import os
import signal
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import onnx_file  # noqa: E402
from peer_harness import OURS, ROOT, Bench, cache_sizes, find_ort  # noqa: E402
from peer_nets import BATCH, SYNTHETIC, Network, all_on, bytes_touched, load_network, synthetic_network  # noqa: E402
from peer_tables import report  # noqa: E402

CHAINS = ("acasxu_1_1", "mnist_256x2", "mnist_256x4", "cartpole")
BATCHED = "mnist_256x4"
HUGE = {"normal_1000"}
PARTS = ("latency", "batch", "bandwidth", "levels")


def latency_job(bench, network):
    limit = bytes_touched(network)
    contenders = {v: bench.object_of(network, v) for v in OURS}
    for name, path in bench.peers.items():
        contenders[name] = path + (f",{bench.options.ort}:{network.path}" if name == "ort" else "")
    contenders["sweep"] = f"{bench.read},sweep:{max(limit['union'] // 64 * 64, 64)}"
    contenders["columns"] = f"{bench.read},columns"
    return network.name, bench.problem(network), contenders


def batch_job(bench, network):
    contenders = {v: bench.object_of(network, v + "-batch") for v in OURS}
    for name, path in bench.peers.items():
        contenders[name] = path
    if "ort" in contenders:
        # Exported models fix the batch at 1: the same layers, written with another first dimension.
        path = bench.path(f"{network.name}-batch.onnx")
        onnx_file.write_chain(path, [(layer.w, layer.b, layer.relu) for layer in network.layers], BATCH)
        contenders["ort"] += f",{bench.options.ort}:{path}"
    return network.name, bench.problem(network, BATCH), contenders


def bandwidth_job(bench):
    caches = cache_sizes(bench.options.cpu)
    sizes = [(name, size // 2) for name, size in caches]
    for (_, size), (name, beyond) in zip(caches[1:], caches[2:]):
        # A cache that others share is seldom as large as it says: a few sizes just beyond the one before.
        sizes += [(name, size * k) for k in (2, 4, 8) if size * k < beyond // 2]
    sizes.append(("memory", max(4 * caches[-1][1] if caches else 0, 256 << 20)))
    sizes.sort(key=lambda s: s[1])
    contenders = {}
    for name, size in sizes:
        contenders[f"{name}:{size}"] = f"{bench.read},sweep:{size}"
        contenders[f"{name}:{size}/huge"] = f"{bench.read},sweep:{size}/huge"
    nothing = Network("nothing", None, None, np.zeros((1, 1), np.float32), None, 1)
    return "bandwidth", bench.problem(nothing), contenders


def level_job(bench, network):
    variants = OURS if network.name.endswith("_on") else (*OURS, "O2-off-counted", "O2-fma-counted")
    return network.name, bench.problem(network), {v: bench.object_of(network, v) for v in variants}


def all_networks(options):
    names = sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(options.nets, "*.onnx")))
    return [n for n in names if n not in HUGE and (not options.only or n in options.only)]


def make_jobs(bench, options):
    """[(part, name, problem, contenders)] and the networks of `latency`."""
    jobs, networks = [], {}
    names = [n for n in all_networks(options) if n in CHAINS]
    for name in names:
        networks[name] = load_network(options.nets, name)
    if not options.only or SYNTHETIC in options.only:
        networks[SYNTHETIC] = synthetic_network(bench.folder, 4 if options.quick else 16)
    if "latency" in options.parts:
        jobs += [("latency", *latency_job(bench, n)) for n in networks.values()]
    if "batch" in options.parts and BATCHED in networks:
        jobs.append(("batch", *batch_job(bench, networks[BATCHED])))
    if "bandwidth" in options.parts:
        jobs.append(("bandwidth", *bandwidth_job(bench)))
    if "levels" in options.parts:
        for network in [load_network(options.nets, n) for n in all_networks(options)] + \
                [n for n in networks.values() if n.name == SYNTHETIC]:
            jobs.append(("levels", *level_job(bench, network)))
            if network.layers is None:
                bench.note(f"{network.name}: not a chain of dense layers, so there is no variant with every neuron on")
            elif any(layer.relu for layer in network.layers):
                jobs.append(("levels", *level_job(bench, all_on(bench.folder, network))))
    return jobs, networks


def measure(bench, jobs, options):
    """{(part, name): {contender: [ns of each run]}}. Runs are the outer loop: what changes in minutes is in the spread."""
    results = {(part, name): {} for part, name, _, _ in jobs}
    for run in range(options.runs):
        for i, (part, name, problem, contenders) in enumerate(jobs):
            progress(f"run {run + 1} of {options.runs}: {part} {name} ({i + 1} of {len(jobs)})")
            for contender, ns in bench.run(part, name, problem, contenders).items():
                results[part, name].setdefault(contender, []).append(ns)
    progress("")
    return results


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


def parse(argv):
    usage, text = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=usage, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--nets", default=os.path.join(os.path.dirname(ROOT), "shared", "data", "nets"), help="folder of the networks")
    parser.add_argument("--only", type=lambda s: s.split(","), default=[], help=f"these networks ({SYNTHETIC} is the synthetic one)")
    parser.add_argument("--parts", type=lambda s: s.split(","), default=PARTS, help=",".join(PARTS))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--quick", action="store_true", help="one run of few rounds: to see that everything works")
    parser.add_argument("--ort", default=find_ort(), help="libonnxruntime.so.1")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU to stay on")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    options = parser.parse_args(argv)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options.runs = options.runs or (1 if options.quick else 5)
    # Processes and rounds in each. Where a few per cent count, many draws of where the weights lie; elsewhere, libraries are slow to open.
    options.processes = {part: (1, 3) if options.quick else (15, 1) if part == "levels" else (5, 3) for part in PARTS}
    options.slice = 1 if options.quick else 3
    options.cnetc = os.path.abspath(options.cnetc)
    known = {SYNTHETIC, *(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(options.nets, "*.onnx")))}
    if set(options.only) - known:
        parser.error(f"no network {', '.join(set(options.only) - known)}; there are {', '.join(sorted(known - HUGE))}")
    if not os.path.exists(options.cnetc):
        parser.error(f"no compiler {options.cnetc}: build it, or --cnetc=FILE")
    return options


def main(argv):
    options = parse(argv)
    # Ended from outside, too, the temporary folder goes.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="cnet-bench-") as folder:
        bench = Bench(options, folder)
        progress("compiling")
        jobs, networks = make_jobs(bench, options)
        if not jobs:
            print(f"nothing to measure: no networks in {options.nets}", file=sys.stderr)
            return 1
        report(bench, networks, measure(bench, jobs, options), options)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
