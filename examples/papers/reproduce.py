#!/usr/bin/env python3
"""The memorizers of the papers, built by the compiler from the same points, counted, timed and drawn beside what theory says.

    python3 examples/papers/reproduce.py [--cnetc=build/driver/cnetc] [--out=papers] [--most=1e6] [--quick]

n random points, n = 10^2 ... 10^6: keys of 31 bits, labels of 16. Three constructions, all exact on every point:

conditional   a balanced tree of comparisons: O(log n) operations (Koyuncu 2023, arXiv:2303.11247)
sqrt          O(sqrt n) neurons, and n operations (Yun, Sra and Jadbabaie 2019, arXiv:1810.07770)
bits          about sqrt n parameters, of many bits (Vardi, Yehudai and Shamir 2021, arXiv:2110.03187); with a bound L on the depth, n/L

`as constructed` is the network of the paper, evaluated as it stands (-O0); `compiled` is what the compiler makes of it.

Out: tables on standard output, and in the folder --out operations.svg, size.svg, depth.svg, time.svg and figures.json. The exit status
is 1 when a claim does not hold. --quick stops at n = 10^3.
"""
import argparse
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import picture  # noqa: E402

KEY_BITS, LABEL_BITS, ASKED = 31, 16, 1000
CONSTRUCTED = ["-O0"]

# name: (memorize's method, options of the compiler, the greatest n, colour)
METHODS = {
    "conditional": ("conditional", [], 10 ** 7, "#1a6b3c"),
    "sqrt, as constructed": ("sqrt", CONSTRUCTED, 10 ** 6, "#b4552d"),
    "sqrt, compiled": ("sqrt", [], 10 ** 6, "#e0a080"),
    "bits, as constructed": ("bits", CONSTRUCTED, 10 ** 6, "#1f4e8c"),
    "bits, compiled": ("bits", [], 10 ** 6, "#86b0dd"),
}
TREE, WIDE, FOUND, DEEP, READ = METHODS
DEPTHS = (5, 100, 200, 400, 800, 1600, 3200)        # bounds on the depth of bits, as far as they bind
THEORY = {"⌈log2 n⌉": "#6b7280", "√n": "#a78bba", "n": "#c4b28a"}
OTHER = "#6b7280"                           # every other dashed line


class Failed(Exception):
    """A claim that does not hold, or a command that ends badly."""


class Workplace:
    """The points of each n, in a folder, and the compiler."""

    def __init__(self, options, folder):
        self.options, self.folder, self.failed = options, folder, []

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
        return done

    def claim(self, holds, text):
        if not holds:
            self.failed.append(text)
            print("DOES NOT HOLD: " + text)

    def write_points(self, n):
        """points.csv, and a sample of queries with (queries.csv) and without (keys.csv) their labels."""
        rng = random.Random(n)
        keys = rng.sample(range(1 << KEY_BITS), n)
        points = [(key, rng.randrange(1 << LABEL_BITS)) for key in keys]
        with open(self.path("points.csv"), "w") as file:
            file.write("key,label\n" + "".join(f"{key},{label}\n" for key, label in points))
        asked = rng.sample(points, min(n, ASKED))
        for name, columns in (("queries.csv", 2), ("keys.csv", 1)):
            with open(self.path(name), "w") as file:
                file.writelines(",".join(map(str, point[:columns])) + "\n" for point in asked)
        self.answers = [label for _, label in asked]
        labels = [label for _, label in sorted(points)]
        self.runs = 1 + sum(a != b for a, b in zip(labels, labels[1:]))

    def write_network(self, method):
        with open(self.path("net.cnet"), "w") as file:
            file.write('data points = "points.csv" { input: key; label: label; }\n\n'
                       f"network net(key: i32) -> i32 = memorize(points, method: {method});\n")


# ---- one network ----

def figures(place, n, method, flags, timed=True):
    """What is counted, timed and stated of one network. Raises Failed when a command fails."""
    place.write_network(method)
    progress(f"n = {n}: {method} {' '.join(flags)}")
    cnetc = place.options.cnetc
    compiled = place.run(cnetc, "net.cnet", *flags, "--pass-stats", "-w", "-o", "net.o")
    counted = place.run(cnetc, "run", "net.cnet", *flags, "-w", "--input=keys.csv", "--output=labels.csv", "--ops=json")
    with open(place.path("labels.csv")) as file:
        labels = [int(line) for line in file]
    wrong = len(labels) != len(place.answers) or sum(a != b for a, b in zip(labels, place.answers))
    place.claim(wrong == 0, f"{method}, n = {n}: {wrong} of {len(place.answers)} labels are wrong")
    stats = compiled.stderr + compiled.stdout
    said = {"n": n, "method": method, "runs": place.runs, "ops": json.loads(counted.stdout), **stated(stats, method, place.runs),
            "passes": sorted({line.split()[0] for line in stats.splitlines() if " operations " in line})}
    if timed:
        place.run(os.environ.get("CC", "cc"), "-O2", "-I.", os.path.join(HERE, "time.c"), "net.o", "-o", "time")
        said["ns"] = float(place.run("./time", "queries.csv").stdout)
    return said


def stated(stats, method, runs):
    """Neurons, parameters, bits of weights and depth, as --pass-stats states them, `bound` being what it compares them with; of the tree
    they follow from the leaves. What is not stated is left out."""
    if method == "conditional":
        return {"neurons": runs - 1, "parameters": 2 * runs - 1, "weight_bits": KEY_BITS * (runs - 1) + LABEL_BITS * runs, "bound": {}}
    line = re.search(rf"(?m)^memorize .*?{method.split('(')[0]}: .*", stats)
    built, _, bound = (line[0] if line else "").partition("; at most ")
    layers = re.search(r"(\d+) \+ (\d+) neurons", built)
    found = {"neurons": int(layers[1]) + int(layers[2])} if layers else {}
    return {**found, **numbers(re.sub(r"\d+ \+ \d+ neurons", "", built)), "bound": numbers(bound)}


def numbers(text):
    """{"neurons": 11, ...} of `11 neurons, 21 parameters, 105 bits of weights, depth 3`."""
    patterns = {"neurons": r"(\d+) neurons", "parameters": r"(\d+) parameters", "weight_bits": r"(\d+) bits of weights",
                "depth": r"depth (\d+)"}
    return {name: int(match[1]) for name, match in ((name, re.search(p, text)) for name, p in patterns.items()) if match}


def measure(place, sizes):
    """{name: {n: figures}} and, for bits, {n: {bound on the depth: figures}}."""
    found, depths = {name: {} for name in METHODS}, {}
    for n in sizes:
        place.write_points(n)
        for name, (method, flags, most, _) in METHODS.items():
            if n <= most:
                found[name][n] = attempt(place, n, method, flags)
        if n <= place.options.most_depth:
            free = found[DEEP][n] or {}
            free = free.get("bound", {}).get("depth", free.get("depth", 0))
            depths[n] = {most: attempt(place, n, f"bits(depth: {most})", CONSTRUCTED, timed=False) for most in DEPTHS if most <= free}
    progress("")
    return found, depths


def attempt(place, n, method, flags, timed=True):
    try:
        return figures(place, n, method, flags, timed)
    except Failed as why:
        place.claim(False, f"{method}, n = {n}: {why}")
        return None


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


# ---- what the papers claim ----

def root(n):
    return math.isqrt(n - 1) + 1


def log2(n):
    return math.ceil(math.log2(n))


def parameters_of_bits(n):
    """6n/B + 26 B (p + c) at the best B: the shortest packed blocks that are worth their reading."""
    return 2 * math.sqrt(6 * 26 * n * (KEY_BITS + LABEL_BITS))


def check_claims(place, found, depths):
    """Each claim at each n. What --pass-stats does not state, and what needs a pass that the compiler lacks, is passed over."""
    def below(name, n, figure, value, most, why):
        place.claim(value is None or value <= most, f"{name}, n = {n}: {figure} {value}, more than {why} = {most}")
    for n, tree in found[TREE].items():
        if tree is None:
            continue
        below(TREE, n, "operations", bound_of(tree), log2(n), "ceil(log2 n)")
        below(TREE, n, "operations as the paper counts", ops_of(tree, "paper_ops"), 2 * log2(n), "2 ceil(log2 n)")
        wide, bridge, deep, read = (found[name].get(n) for name in (WIDE, FOUND, DEEP, READ))
        if wide:
            below(WIDE, n, "neurons", wide.get("neurons"), 4 * root(n), "4 ceil(sqrt n)")
            below(WIDE, n, "operations", bound_of(wide), 10 * n, "10 n")
        if bridge and "piecewise" in bridge["passes"]:
            below(FOUND, n, "operations", bound_of(bridge), bound_of(tree), "the tree's")
        if deep:
            below(DEEP, n, "parameters", deep.get("parameters"), math.ceil(parameters_of_bits(n) * 1.1), "1.1 * 2 sqrt(156 n (p + c))")
        if read and "read-bits" in read["passes"]:
            below(READ, n, "operations", bound_of(read), 4 * log2(n), "4 ceil(log2 n)")
    for n, by_depth in depths.items():
        for most, net in by_depth.items():
            if net:
                below(f"bits(depth: {most})", n, "depth", net.get("depth"), most, "the bound")


# ---- what is shown ----

def ops_of(net, which):
    return net["ops"][which]["total"]


def bound_of(net):
    return ops_of(net, "bound_ops")


def table(title, head, rows):
    print("\n" + title)
    cells = [head] + [[c if isinstance(c, str) else "-" if c is None else f"{c:,}" if isinstance(c, int) else f"{c:,.4g}" for c in row]
                      for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))


def print_tables(found, sizes):
    def rows(nets, value):
        return [[name, *(value(by_n[n]) if by_n.get(n) else None for n in sizes)] for name, by_n in nets.items()]
    head = ["", *(f"n = {n:,}" for n in sizes)]
    def theory(*curves):
        return [["theory: " + name, *(math.ceil(curve(n)) for n in sizes)] for name, curve in curves]
    built = {name: by_n for name, by_n in found.items() if "compiled" not in name}
    table("Operations an evaluation, at most", head, rows(found, bound_of) + theory(("ceil(log2 n)", log2)))
    table("The same as the papers count (a neuron of the tree: an addition and a comparison)", head,
          rows(found, lambda f: ops_of(f, "paper_ops")))
    for key, title, *curves in (("neurons", "Neurons", ("4 sqrt n", lambda n: 4 * root(n))),
                                ("parameters", "Parameters", ("2 sqrt(156 n (p + c))", parameters_of_bits)),
                                ("weight_bits", "Bits of all weights", ("n (p + c)", bits_of_points))):
        table(title, head, rows(built, lambda f, key=key: f.get(key)) + theory(*curves))
    table("Nanoseconds an evaluation, one after the other", head, rows(found, lambda f: f.get("ns")))


def print_depths(depths):
    for n, by_depth in depths.items():
        rows = [[f"L = {most}", *(net and net.get(key) for key in ("depth", "neurons", "parameters", "weight_bits")), net and bound_of(net)]
                for most, net in by_depth.items()]
        if rows:
            table(f"bits(depth: L), n = {n:,}, as constructed",
                  ["", "depth", "neurons", "parameters", "bits of weights", "operations"], rows)


def bits_of_points(n):
    return n * (KEY_BITS + LABEL_BITS)


def line(by_n, value):
    return [(n, value(f)) for n, f in by_n.items() if f and value(f)]


def write_pictures(out, found, depths, sizes):
    def lines(value, *theory):
        # Of a construction, size is that of the network as constructed.
        return [(name, line(by_n, value), METHODS[name][3], False) for name, by_n in found.items()] + \
            [(label, [(n, curve(n)) for n in sizes], THEORY.get(label, OTHER), True) for label, curve in theory]

    def size(key, *theory):
        return [(name.split(",")[0], *rest) for name, *rest in lines(lambda f: f.get(key), *theory) if "compiled" not in name]
    pictures = {
        "operations": ("Operations an evaluation, at most", "n",
                       [("operations", lines(bound_of, ("⌈log2 n⌉", log2), ("√n", math.sqrt), ("n", float)))]),
        "size": ("The size of the networks, as constructed", "n", [
            ("neurons", size("neurons", ("√n", math.sqrt), ("n", float))),
            ("parameters", size("parameters", ("2√(156 n (p + c))", parameters_of_bits), ("n", float))),
            ("bits of weights", size("weight_bits", ("n (p + c)", bits_of_points)))]),
        "time": ("Time of an evaluation, one after the other", "n", [("ns", lines(lambda f: f.get("ns"), ("⌈log2 n⌉", log2)))]),
        "depth": ("bits(depth: L): fewer layers, more parameters", "L", [
            (f"parameters, n = {n:,}", [
                ("as constructed", line(by_depth, lambda f: f.get("parameters")), METHODS[DEEP][3], False),
                ("6 n (p + c) / L", [(most, 6 * bits_of_points(n) / most) for most in by_depth if most > DEPTHS[0]], OTHER, True)])
            for n, by_depth in depths.items() if len(by_depth) > 2]),
    }
    for name, (title, x_title, panels) in pictures.items():
        panels = [panel for panel in panels if any(points for _, points, _, dashed in panel[1] if not dashed)]
        if panels:
            with open(os.path.join(out, name + ".svg"), "w") as file:
                file.write(picture.curves(title, x_title, panels))


def parse(argv):
    usage, text = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=usage, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cnetc", default=os.path.join(ROOT, "build", "driver", "cnetc"))
    parser.add_argument("--out", default="papers", help="the folder of the pictures")
    parser.add_argument("--most", type=lambda s: int(float(s)), default=10 ** 6, help="the greatest n")
    parser.add_argument("--quick", action="store_true", help="n to 10^3")
    options = parser.parse_args(argv)
    if options.quick:
        options.most = min(options.most, 1000)
    options.most_depth = min(options.most, 10 ** 5)
    options.cnetc = shutil.which(options.cnetc) or parser.error(f"no compiler {options.cnetc}: build it, or --cnetc=FILE")
    options.cnetc = os.path.abspath(options.cnetc)
    return options


def main(argv):
    options = parse(argv)
    sizes = [10 ** k for k in range(2, 8) if 10 ** k <= options.most]
    os.makedirs(options.out, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cnet-papers-") as folder:
        place = Workplace(options, folder)
        found, depths = measure(place, sizes)
    check_claims(place, found, depths)
    print_tables(found, sizes)
    print_depths(depths)
    write_pictures(options.out, found, depths, sizes)
    with open(os.path.join(options.out, "figures.json"), "w") as file:
        json.dump({"format_version": 1, "methods": found, "depths": depths}, file, indent=1)
    print(f"\npictures in {options.out}/; " + (f"{len(place.failed)} claims do not hold" if place.failed else "every claim holds"))
    return 1 if place.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
