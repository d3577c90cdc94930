#!/usr/bin/python3
"""Real trained networks, from the file to the answer.

    tests/nets.py [--cnetc=build/driver/cnetc] [--quick] [NAME ...]

Where ../shared/data/nets is beside the tree, for every NAME.onnx (or .onnx.gz) there:
  reference   `cnetc run` natively and with the interpreter agree with NAME.y.npy (f64 arithmetic on the same weights) within
              1e-4 + 1e-4 of the output's range (normal_1000 with --compute=f64: its values pass through 1e8), at -O0, -O1 and -O2, and
              the two are bit-identical to each other
  ops         --ops=json has all its fields; the interpreter's counters = the native ones; mean <= max <= bound; dense networks: all equal
  saving      the mean over the reference inputs is as many times less than dense as it was measured to be (SAVING)
  bits        -O0, -O1, -O2 and every forced lowering, under both contractions, at every x86-64 level this CPU has, and the interpreter
              of -O0 and -O2: bit for bit the same
  one scalar  under --numerics=real on its box a network of one input becomes a search: operations, bytes, and an error of at most
              that of the dense network (ONE_SCALAR)
  text        --emit=ir reads back and prints the same text; --passes= runs on that dump
and always, on examples/: the same without a reference, and the accuracy of the digits.
--quick takes fewer rows and one level, and leaves out the network whose file unpacks to 336 MB (for sanitized builds).
Ends with `# N passed, N failed, N skipped`.
"""
import concurrent.futures
import glob
import json
import os
import shlex
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NETS = os.path.join(os.path.dirname(ROOT), "shared", "data", "nets")
TIMEOUT = 600
KINDS = ("add", "mul", "cmp", "other", "total")
OPS_FIELDS = ("dense_ops", "nonzero_ops", "mean_ops", "max_ops", "bound_ops", "guard_ops", "paper_ops")
BYTE_FIELDS = ("model_bytes", "fallback_bytes", "dense_bytes")

# What one dense evaluation takes, by hand: mk multiplications and mk additions for m rows and k columns, 1 comparison for a ReLU.
# acasxu: 5-50-50-50-50-50-50-5 and 5 subtractions of the mean.
DENSE = {"acasxu_1_1": {"mul": 13000, "add": 13000 + 5, "cmp": 300, "total": 26305},
         "acasxu_2_3": {"mul": 13000, "add": 13000 + 5, "cmp": 300, "total": 26305}}
# How many times less than dense, at least: mean operations, counted exactly, input-zero tests included.
SAVING = {"acasxu_1_1": 3.4, "acasxu_2_3": 3.1, "mnist_256x4": 6.8, "mnist_256x2": 6.2, "vcas_01": 2.1, "cartpole": 1.65, "tll_16": 69,
          "tll_8": 21, "lindex": 4}
# Networks of one scalar: most operations of an evaluation, most bytes of constants for a thousand dense ones.
ONE_SCALAR = {"lindex": (9, 10)}
COMPUTE = {"normal_1000": ["--compute=f64"]}
HUGE = {"normal_1000"}
LOWERINGS = ("dense", "mask", "list", "branch", "gather")


class Failure(Exception):
    """What a network failed at."""


class Tester:
    """One network: `source`, its inputs `x` (a .npy) and what was said about it."""

    def __init__(self, cnetc, source, x, folder, options):
        self.cnetc, self.source, self.x, self.folder, self.options = cnetc, source, x, folder, options
        self.passed, self.failures = 0, []
        self.said = {}                                      # by level: what --ops=json said natively

    def cnetc_run(self, *args):
        """stdout of one cnetc command, which must succeed."""
        command = [self.cnetc, *args]
        self.last = " ".join(shlex.quote(a) for a in command)
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Failure(f"no end after {TIMEOUT} s") from None
        if done.returncode:
            raise Failure(f"exit status {done.returncode}\n{done.stderr.decode(errors='replace')[-3000:]}")
        return done.stdout

    def path(self, name):
        return os.path.join(self.folder, name)

    def evaluate(self, engine, *more):
        """(outputs [rows, n], what --ops=json said)."""
        out = self.path(f"y-{engine}.npy")
        said = self.cnetc_run("run", self.source, "--input", self.x, "--output", out, f"--engine={engine}", "--ops=json",
                              *self.options, *more)
        y = np.load(out)
        try:
            return y.reshape(len(y), -1), json.loads(said)
        except ValueError as error:
            raise Failure(f"--ops=json is not JSON: {error}\n{said[:500]!r}") from None

    def part(self, name, function, *args):
        try:
            self.last = ""
            function(*args)
            self.passed += 1
        except Failure as failure:
            self.failures.append((f"{os.path.basename(self.source)} {name}", f"{self.last}\n{failure}"))

    def agree(self, level, reference, by_hand):
        native, native_ops = self.evaluate("jit", level)
        interpreted, interpreted_ops = self.evaluate("interp", level)
        unsigned = {4: np.uint32, 8: np.uint64}[native.dtype.itemsize]
        if native.shape != interpreted.shape or native.dtype != interpreted.dtype:
            raise Failure(f"shapes differ: {native.dtype}{native.shape} and {interpreted.dtype}{interpreted.shape}")
        differ = np.argwhere(native.view(unsigned) != interpreted.view(unsigned))
        if len(differ):
            at = tuple(differ[0])
            raise Failure(f"native and interpreter differ in {len(differ)} of {native.size} outputs, first at {list(at)}: "
                          f"{float(native[at]).hex()} and {float(interpreted[at]).hex()}")
        if reference is not None:
            wanted = reference.reshape(len(reference), -1)
            if wanted.shape != native.shape:
                raise Failure(f"the output's shape is {native.shape}, the reference's {wanted.shape}")
            off = np.abs(native.astype(np.float64) - wanted)
            allowed = 1e-4 + 1e-4 * (wanted.max() - wanted.min())
            if not (off <= allowed).all():
                at = np.unravel_index(np.nanargmax(off), off.shape)
                raise Failure(f"differs from the reference by {off[at]:g} at {[int(i) for i in at]}, allowed {allowed:g}")
        self.check_ops(native_ops, interpreted_ops, level, len(native), by_hand)
        self.said[level] = native_ops

    def outputs(self, *options):
        """Outputs as bit patterns."""
        out = self.path("bits.npy")
        self.cnetc_run("run", self.source, "--input", self.x, "--output", out, *self.options, *options)
        y = np.load(out)
        return y.view({4: np.uint32, 8: np.uint64}[y.dtype.itemsize])

    def bits(self, contract, runs):
        """Every run against the interpreter of -O0."""
        contraction = f"--fp-contract={contract}"
        wanted = self.outputs("-O0", contraction, "--engine=interp")
        for run in runs:
            differ = np.argwhere(self.outputs(contraction, *run) != wanted)
            if len(differ):
                raise Failure(f"{len(differ)} of {wanted.size} outputs are not those of the interpreter at -O0, first at {differ[0].tolist()}")

    def saving(self, times):
        for level in ("-O1", "-O2"):
            dense, mean = (self.said[level][field]["total"] for field in ("dense_ops", "mean_ops"))
            if mean * times > dense:
                raise Failure(f"{level}: {mean} operations in the mean, {dense} dense: {dense / mean:.3f} times less, not {times}")

    def one_scalar(self, reference, most, per_mille):
        box, policies = f"--box={os.path.join(NETS, 'boxes.json')}:{os.path.basename(self.source).split('.onnx')[0]}", ("promise", "dense")
        dense, _ = self.evaluate("jit", "-O0")
        allowed = np.abs(dense.astype(np.float64) - reference.reshape(dense.shape)).max()
        for policy in policies:
            for engine in ("jit", "interp"):
                y, said = self.evaluate(engine, "--numerics=real", box, f"--outside={policy}")
                off = np.abs(y.astype(np.float64) - reference.reshape(y.shape)).max()
                if off > allowed:
                    raise Failure(f"off by {off:g}, the dense network by {allowed:g}")
                if said["max_ops"]["total"] > most + (2 if policy == "dense" else 0):
                    raise Failure(f"{said['max_ops']['total']} operations, not {most} (and 2 for the box)")
                if said["model_bytes"] * 1000 > said["dense_bytes"] * per_mille:
                    raise Failure(f"{said['model_bytes']} bytes of {said['dense_bytes']} dense: more than {per_mille} per mille")
                if (said["fallback_bytes"] > 0) != (policy == "dense") or (policy == "promise" and said["bound_ops"]["total"] > most):
                    raise Failure(f"--outside={policy}: fallback_bytes {said['fallback_bytes']}, bound {said['bound_ops']['total']}")

    def check_ops(self, native, interpreted, level, rows, by_hand):
        for said in native, interpreted:
            lacking = [f for f in ("format_version", "network", "inputs", *OPS_FIELDS, *BYTE_FIELDS) if f not in said]
            lacking += [f"{f}.{k}" for f in OPS_FIELDS if f in said for k in KINDS if k not in said[f]]
            if lacking:
                raise Failure(f"--ops=json lacks {' '.join(lacking)}")
            if said["inputs"] != rows:
                raise Failure(f"--ops=json: inputs {said['inputs']}, rows {rows}")
            for field in OPS_FIELDS:
                # No one path need reach the bound of every kind, so the total of a bound may be less than their sum.
                total, kinds = said[field]["total"], sum(said[field][k] for k in KINDS[:4])
                if total - kinds > 1e-5 or kinds - total > 1e-5 and field not in ("bound_ops", "paper_ops"):
                    raise Failure(f"{field}.total is not the sum: {said[field]}")
            for kind in KINDS:
                mean, most, bound = (said[f][kind] for f in ("mean_ops", "max_ops", "bound_ops"))
                if kind == "total" and not mean <= most <= bound:
                    raise Failure(f"not mean <= max <= bound: {kind} {mean} {most} {bound}")
                # Unconditional networks: the static figure is what is executed, to the last operation.
                dense = said["dense_ops"][kind] + said["guard_ops"][kind]
                if level == "-O0" and not mean == most == bound == dense:
                    raise Failure(f"-O0: mean {mean}, max {most}, bound {bound}, dense with the box's check {dense}: {kind}")
        for field in OPS_FIELDS:
            if native[field] != interpreted[field]:
                raise Failure(f"{field}: native {native[field]}, interpreter {interpreted[field]}")
        for kind, count in (by_hand or {}).items():
            if native["dense_ops"][kind] != count:
                raise Failure(f"dense_ops.{kind} is {native['dense_ops'][kind]}, by hand {count}")

    def text(self):
        first, second = self.path("a.cnir"), self.path("b.cnir")
        self.cnetc_run(self.source, "--emit=ir", "-o", first)
        self.cnetc_run(first, "--emit=ir", "-o", second, "--passes=")
        # --passes= (empty) on the dump: printing what was read. Side files with big constants are part of the text.
        for path in glob.glob(first + "*"):
            other = second + path[len(first):]
            if not os.path.exists(other):
                continue
            with open(path, "rb") as a, open(other, "rb") as b:
                if a.read().replace(b"a.cnir", b"") != b.read().replace(b"b.cnir", b""):
                    raise Failure(f"{path} and {other} differ after reading back")
        self.cnetc_run(first, "--passes=fold-constants,dead-code", "--emit=ir", "-o", self.path("c.cnir"))
        if os.path.getsize(self.path("c.cnir")) == 0:
            raise Failure("--passes= printed nothing")


def levels_here(cnetc, source, x):
    """--isa options that this CPU has; [()] where levels are not known."""
    levels = [f"--isa=v{n}" for n in (1, 2, 3, 4)]
    fine = [level for level in levels
            if subprocess.run([cnetc, "run", source, "--input", x, level], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0]
    return [(level,) for level in fine] or [()]


def forced_pipelines(cnetc):
    """-O1 with each lowering forced, as --passes."""
    said = subprocess.run([cnetc, "--print-passes"], capture_output=True, text=True, check=True).stdout
    passes = next(line.split()[1] for line in said.splitlines() if line.startswith("-O1:"))
    return [(f"--passes={passes},lower(force={lowering})",) for lowering in LOWERINGS]


def bit_runs(cnetc, name, quick, levels):
    """[(contraction, [options of a run])]: everything, but for what huge networks and sanitized builds take too long for."""
    forced, chosen, interpreted = forced_pipelines(cnetc), ("-O2",), ("-O2", "--engine=interp")
    if name in HUGE:
        return [("off", [(*variant, *levels[-1]) for variant in (chosen, *forced[:3])])]
    if quick:
        return [("off", [(*variant, *levels[-1]) for variant in (("-O1",), chosen, *forced)]), ("fma", [interpreted])]
    fused = [level for level in levels if level not in (("--isa=v1",), ("--isa=v2",))]
    return [(contract, [interpreted] + [(*variant, *level) for variant in (("-O0",), ("-O1",), chosen, *forced) for level in use])
            for contract, use in (("off", levels), ("fma", fused))]


def test_net(cnetc, source, x, y, quick, name, levels):
    with tempfile.TemporaryDirectory(prefix="cnet-nets-") as folder:
        reference = np.load(y) if y else None
        if quick:
            rows = np.load(x)[:20]
            reference = reference[:20] if reference is not None else None
            x = os.path.join(folder, "x.npy")
            np.save(x, rows)
        tester = Tester(cnetc, source, x, folder, COMPUTE.get(name, []))
        for level in ("-O0", "-O2") if name in HUGE else ("-O0", "-O1", "-O2"):
            tester.part(f"values and counts {level}", tester.agree, level, reference, DENSE.get(name))
        if name in SAVING and not quick and "-O2" in tester.said and "-O1" in tester.said:
            tester.part("saving", tester.saving, SAVING[name])
        if name in ONE_SCALAR and reference is not None:
            tester.part("one scalar", tester.one_scalar, reference, *ONE_SCALAR[name])
        for contract, runs in bit_runs(cnetc, name, quick, levels):
            tester.part(f"bits {contract}", tester.bits, contract, runs)
        tester.part("text", tester.text)
        return tester.passed, tester.failures


def test_digits(cnetc):
    """The committed digits: at least 97 in 100 of the held-out pictures are read right."""
    folder = os.path.join(ROOT, "examples", "digits")
    with tempfile.TemporaryDirectory(prefix="cnet-nets-") as scratch:
        tester = Tester(cnetc, os.path.join(folder, "digits.cnet"), os.path.join(folder, "test_x.npy"), scratch, [])

        def accuracy():
            y, _ = tester.evaluate("jit")
            right = np.mean(y[:, 0] == np.load(os.path.join(folder, "test_y.npy")))
            if right < 0.97:
                raise Failure(f"{right:.2%} right")
        tester.part("accuracy", accuracy)
        return tester.passed, tester.failures


def main(argv):
    cnetc, quick, names = os.path.join(ROOT, "build", "driver", "cnetc"), False, []
    for arg in argv:
        if arg.startswith("--cnetc="):
            cnetc = os.path.abspath(arg.split("=", 1)[1])
        elif arg == "--quick":
            quick = True
        elif arg.startswith("-"):
            print(__doc__, file=sys.stderr)
            return 2
        else:
            names.append(arg)
    passed, failures, skipped = 0, [], 0
    jobs = []
    with tempfile.TemporaryDirectory(prefix="cnet-nets-") as folder:
        small = os.path.join(ROOT, "examples", "small")
        digits = os.path.join(ROOT, "examples", "digits")
        inputs = {"xor": [[0, 0], [0, 1], [1, 0], [1, 1], [0.25, 0.5]],
                  "balance": [[0, 0], [0.5, 0], [-0.5, -1], [3.2, -10], [0.125, 0.0625]]}
        for name, rows in inputs.items():
            np.save(os.path.join(folder, name + ".npy"), np.array(rows, np.float32))
            jobs.append((name, os.path.join(small, name + ".cnet"), os.path.join(folder, name + ".npy"), None))
        jobs.append(("digits", os.path.join(digits, "digits.cnet"), os.path.join(digits, "test_x.npy"), None))
        if os.path.isdir(NETS):
            for source in sorted(glob.glob(os.path.join(NETS, "*.onnx")) + glob.glob(os.path.join(NETS, "*.onnx.gz"))):
                name = os.path.basename(source).split(".onnx")[0]
                base = os.path.join(NETS, name)
                jobs.append((name, source, base + ".x.npy", base + ".y.npy"))
        else:
            print(f"skipped: the real networks ({os.path.relpath(NETS, ROOT)} is not there)")
            skipped += 1
        jobs = [j for j in jobs if not names or j[0] in names]
        if quick:
            skipped += sum(j[0] in HUGE for j in jobs)
            jobs = [j for j in jobs if j[0] not in HUGE]
        jobs.sort(key=lambda j: j[0] not in HUGE)               # the longest first
        levels = levels_here(cnetc, os.path.join(small, "xor.cnet"), os.path.join(folder, "xor.npy"))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(test_net, cnetc, source, x, y, quick, name, levels) for name, source, x, y in jobs]
            if not names or "digits" in names:
                futures.append(pool.submit(test_digits, cnetc))
            for future in futures:
                p, f = future.result()
                passed += p
                failures += f
    for what, why in failures:
        print(f"FAIL {what}\n" + "\n".join("  " + line for line in why.splitlines()))
    print(f"# {passed} passed, {len(failures)} failed, {skipped} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
