#!/usr/bin/python3
"""Networks that were split over their box, natively, beside the networks they were made of.

    tests/split.py [--cnetc=build/driver/cnetc] [--full] [--list] [NAME ...]

Each network of ../shared/data/nets that has a box, where that folder is beside the tree, and always the controller of
examples/closed_loop: compiled with `--numerics=real --leaves=N`, and its scores' winner alone; asked for random inputs of the box, for inputs
on every cut and one unit in the last place beside it, and for inputs outside of the box, infinite ones and NaN (split.c). Inside none may
be further off than certified, outside the network as written answers. --full: 10^7, 10^6 and 10^6 inputs and 4096 leaves (many minutes).
NAME runs those whose name begins with it, --list names them. Ends with `# N passed, N failed, N skipped`.
"""
import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
NETS = os.path.join(os.path.dirname(ROOT), "shared", "data", "nets")
CLOSED_LOOP = os.path.join(ROOT, "examples", "closed_loop", "controller.cnet")
QUICK, FULL = (20000, 20000, 2000), (10 ** 7, 10 ** 6, 10 ** 6)
TIMEOUT = 3600


class Failure(Exception):
    """What a case failed at."""


class Case:
    def __init__(self, source, leaves, box=None, result="value"):
        self.source, self.leaves, self.result = source, leaves, result
        self.net = os.path.basename(source).split(".")[0]
        self.name = " ".join(filter(None, [box or self.net, str(leaves), "" if result == "value" else result]))
        self.flags = [f"--box={os.path.join(NETS, 'boxes.json')}:{box}"] if box else []


def cases(full):
    few = 4096 if full else 64
    yield Case(CLOSED_LOOP, few)
    for net in ("acc_5_20", "single_pendulum", "cartpole", "vcas_01", "vdp", "tll_8", "unicycle") + full * ("tll_16",):
        source = os.path.join(NETS, net + ".onnx")
        if os.path.exists(source):
            yield Case(source, few, net)
            if net in ("cartpole", "vcas_01"):
                yield Case(source, few, net, "argmax")
    source = os.path.join(NETS, "acasxu_1_1.onnx")
    if os.path.exists(source):
        yield Case(source, 16384 if full else 32, "acasxu_prop_1")
        yield Case(source, 256 if full else 32, "acasxu_prop_1", "argmin")
        if full:
            yield Case(source, 4096, "acasxu_1_1")


# ---- the tree of a dump ----

def read_tree(path):
    """(coordinate, image, (left, right)) of every node, children >= 0 being nodes; key bits. None when there is no tree."""
    with open(path) as file:
        for line in file:
            found = re.match(r"const @\S+ : tree i(\d+) keys \d+ nodes (\d+) leaves \d+ classes \d+ slots \d+ = (.*)", line)
            if found:
                break
        else:
            return None, 32
    bits, n, contents = int(found[1]), int(found[2]), found[3]
    if not contents.startswith("data "):
        child = lambda text: ~int(text[1:]) if text[0] == "~" else int(text)      # noqa: E731
        return [(int(k), int(t), (child(left), child(right)))
                for k, t, right, left in re.findall(r"\[(\d+)\] > (-?\d+) \? (~?\d+) : (~?\d+)", contents)], bits
    with open(path + ".data", "rb") as file:
        file.seek(int(contents.split()[1]))
        images = np.frombuffer(file.read(n * bits // 8), f"<i{bits // 8}")
        file.seek(-(n * bits // 8) % 64, 1)
        nodes = [struct.unpack("<Iii", file.read(12)) for _ in range(n)]
    return [(k, int(image), (left, right)) for (k, left, right), image in zip(nodes, images)], bits


def read_box(path):
    """(lo, hi) of every input."""
    with open(path) as file:
        text = file.read()
    name = re.search(r"^network .*? within @(\S+?)\)", text, re.M)[1]
    ends = re.search(rf"^const @{re.escape(name)} : \S+ = \[\[(.*?)\], \[(.*?)\]\]$", text, re.M)
    return list(zip(*([float.fromhex(number) for number in end.split(", ")] for end in ends.groups())))


def number_of(image, bits):
    """The float of an order-preserving image."""
    pattern = image if image >= 0 else -image | 1 << (bits - 1)
    return struct.unpack("<f" if bits == 32 else "<d", pattern.to_bytes(bits // 8, "little"))[0]


def cuts_of(tree, bits, box):
    """A record for each node: the box that reaches it, its coordinate, its cut."""
    kind = np.float32 if bits == 32 else np.float64
    lo, hi = (np.array(end, kind) for end in zip(*box))
    free = np.flatnonzero(lo < hi)
    reach, records = {0: (lo, hi)}, []
    for number, (key, image, children) in enumerate(tree):
        lo, hi = reach.pop(number)
        coordinate, cut = int(free[key]), kind(number_of(image, bits))
        if not lo[coordinate] <= cut < hi[coordinate]:
            raise Failure(f"node {number} cuts input {coordinate} at {cut}, outside of {lo[coordinate]} … {hi[coordinate]}")
        records.append(np.concatenate([lo, hi, [coordinate, cut]]).astype(np.float64))
        left, right = hi.copy(), lo.copy()
        left[coordinate], right[coordinate] = cut, np.nextafter(cut, kind(np.inf))
        for child, ends in zip(children, ((lo, left), (right, hi))):
            if child >= 0:
                reach[child] = ends
    return np.array(records)


# ---- one case ----

class Tester:
    def __init__(self, cnetc, folder, sizes):
        self.cnetc, self.folder, self.sizes = cnetc, folder, sizes

    def run(self, *command):
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=TIMEOUT)
        if done.returncode:
            raise Failure(f"{' '.join(command)}: status {done.returncode}: {(done.stdout + done.stderr).decode(errors='replace')[-2000:]}")
        return done.stdout.decode()

    def test(self, case):
        split = [case.source, "--numerics=real", f"--leaves={case.leaves}", f"--result={case.result}", "-w", *case.flags]
        self.run(self.cnetc, *split, "--prefix=split_", "-o", "split.o")
        self.run(self.cnetc, *split, "--emit=ir", "-o", "split.cnir")
        self.run(self.cnetc, case.source, "--outside=promise", "-w", *case.flags, "--prefix=source_", "-o", "source.o")
        tree, bits = read_tree(os.path.join(self.folder, "split.cnir"))
        if not tree:
            raise Failure("no tree was made")
        cuts_of(tree, bits, read_box(os.path.join(self.folder, "split.cnir"))).tofile(os.path.join(self.folder, "cuts"))
        name = re.search(r"extern const cnet_network split_(\w+)_network", open(os.path.join(self.folder, "split.h")).read())[1]
        self.run(os.environ.get("CC", "cc"), "-O2", f"-I{ROOT}/runtime", f"-DSPLIT=split_{name}_network", f"-DSOURCE=source_{name}_network",
                 os.path.join(HERE, "split.c"), "split.o", "source.o", "-lm", "-o", "split")
        said = self.run("./split", *map(str, self.sizes), "cuts")
        return f"{len(tree)} nodes; " + "; ".join(said.splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    wanted = [case for case in cases(options.full) if not options.names or any(case.name.startswith(name) for name in options.names)]
    if options.list:
        print(*(case.name for case in wanted), sep="\n")
        return 0
    passed = failed = 0
    skipped = 0 if os.path.isdir(NETS) else 1
    if skipped:
        print(f"skipped: real networks (there is no {NETS})")
    with tempfile.TemporaryDirectory() as folder:
        tester = Tester(os.path.abspath(options.cnetc), folder, FULL if options.full else QUICK)
        for case in wanted:
            try:
                print(f"ok   {case.name}: {tester.test(case)}", flush=True)
                passed += 1
            except (Failure, subprocess.TimeoutExpired) as failure:
                print(f"FAIL {case.name}: {failure}", flush=True)
                failed += 1
    print(f"# {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
