"""What memorize.py measures, built: the harness, the rivals, compiled networks; and the harness run, its lines read.

A rival is a row of RIVALS: the source under rivals/, flags, libraries, the greatest n, what it does at first.
"""
import contextlib
import os
import statistics
import subprocess
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SOURCES = os.path.join(HERE, "rivals")

# name: (source, flags, greatest n, maker of what the source needs for these points)
RIVALS = {
    "lower_bound": ("lower_bound.cc", [], None, None),
    "eytzinger": ("eytzinger.c", [], None, None),
    "stree": ("stree.c", [], None, None),
    "bdz": ("bdz.c", ["-lcmph"], None, None),
    "gperf": ("gperf.c", [], 10 ** 4, "gperf_table"),
    "flat_hash": ("flat_hash.c", [], None, None),
    "flat_hash_ahead": ("flat_hash.c", ["-DAHEAD=16"], None, None),
    "absl": ("unordered_map.cc", ["-DABSL", "-std=c++17", "PKG:absl_flat_hash_map"], None, None),
    "unordered_map": ("unordered_map.cc", [], None, None),
    "sklearn_code": ("tree_code.c", ["-O2"], 10 ** 4, "sklearn_code"),
    "sklearn_arrays": ("tree_arrays.c", [], 10 ** 5, "sklearn_arrays"),
    "floor": ("floor.c", [], None, None),
}
TITLES = {"lower_bound": "std::lower_bound", "eytzinger": "Eytzinger + prefetch", "stree": "B+-tree by hand", "bdz": "cmph BDZ",
          "gperf": "gperf", "flat_hash": "flat hash", "flat_hash_ahead": "flat hash, 16 ahead", "absl": "absl::flat_hash_map",
          "unordered_map": "std::unordered_map", "sklearn_code": "sklearn's tree as C ifs", "sklearn_arrays": "sklearn's tree, walked",
          "sklearn_predict": "sklearn predict", "floor": "one random load", "cnet": "cnet", "cnet_loop": "cnet, a call a query",
          "cnet_before": "cnet, unseen: before", "cnet_tree": "cnet, tree", "cnet_bucket": "cnet, bucket", "cnet_binary": "cnet, binary"}
HASHES = ("flat_hash", "flat_hash_ahead", "absl", "unordered_map", "bdz", "gperf")
FORCED = ("cnet_tree", "cnet_bucket", "cnet_binary")        # from which table: --own
OURS = ("cnet", "cnet_loop", "cnet_before", *FORCED)


class Absent(Exception):
    """A contender that cannot be had here, and why."""


class Builder:
    """Shared objects, built at first need; `absent` says why some are not there."""

    def __init__(self, options, folder):
        self.options, self.folder, self.absent, self.built, self.notes = options, folder, {}, {}, []
        self.harness = {kind: self.compile("main.c", f"harness-{kind}", kind, ["-ldl"], shared=False) for kind in options.types}

    def path(self, name):
        return os.path.join(self.folder, name)

    def compile(self, source, out, kind, flags, shared=True):
        flags = [f for flag in flags for f in (package_flags(flag[4:]) if flag.startswith("PKG:") else [flag])]
        compiler = [os.environ.get("CXX", "c++")] if source.endswith(".cc") else [os.environ.get("CC", "cc"), "-std=gnu11"]
        command = [*compiler, "-O3", "-march=native", "-w", f"-DKEY_{kind.upper()}", os.path.join(SOURCES, source), "-o", self.path(out),
                   *(["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-Bsymbolic,-z,max-page-size=0x200000"] if shared else []), *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = next((line for line in done.stderr.splitlines() if "error" in line or "cannot find" in line), "it does not compile")
            if not shared:
                raise SystemExit(f"{source}: {why}")
            raise Absent(why)
        return self.path(out)

    def rival(self, name, points):
        """NAME's part of the harness's command line. Raises Absent."""
        source, flags, most, maker = RIVALS[name]
        if most and points.n > most:
            raise Absent(None)
        if maker:
            return MAKERS[maker](self, name, source, flags, points)
        key = (name, points.key_type)
        if key not in self.built:
            try:
                self.built[key] = self.compile(source, f"{name}-{points.key_type}.so", points.key_type, flags)
            except Absent as why:
                self.built[key] = why
        if isinstance(self.built[key], Absent):
            raise self.built[key]
        return self.built[key]

    def contenders(self, names, points):
        """{name: what the command line says}; who is absent is noted once."""
        out = {}
        for name in names:
            try:
                if name in OURS:
                    out[name] = self.network(name, points)
                else:
                    out[name] = self.rival(name, points)
            except Absent as why:
                if why.args[0]:
                    self.note(f"no {TITLES[name]}{'' if name in RIVALS and not RIVALS[name][3] else ' for ' + points.name}: {why}")
        return out

    def network(self, name, points):
        """Compiled from the points, and linked with ours.c."""
        forced = name[len("cnet_"):] if name in FORCED else ""
        unseen = "before" if name == "cnet_before" else "any"
        stem = self.path("net" + unseen + forced)
        if self.built.get(stem) is not points:
            write_network(stem, points, self.options.form, forced, unseen)
            source = stem + (".cnet" if self.options.form == "data" else ".cnir")
            start = time.monotonic()
            done = subprocess.run([self.options.cnetc, source, "-w", "-o", stem + ".o", "--prefix=b_", *self.options.cnetc_flags],
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise Absent((done.stderr.splitlines() or ["cnetc fails"])[0])
            self.built[stem] = points
            self.note(f"{points.name}: compiled in {time.monotonic() - start:.2f} s")
        return self.compile("ours.c", name + ".so", points.key_type, ["-DEVAL=b_net_eval", "-DEVAL_BATCH=b_net_eval_batch", stem + ".o",
                                                                      *(["-DLOOP"] if name == "cnet_loop" else [])])

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)


# ---- compiled networks ----

def elements(array):
    return ", ".join(map(float.hex, array.tolist()) if array.dtype.kind == "f" else map(str, array.tolist()))


def write_network(stem, points, form, forced="", unseen="any"):
    """data: a .cnet that memorizes a file of points, as a user writes it; hash tables know the keys alone, so other numbers may
    get any label, or that of the key before them. search: the IR that becomes of it, by hand; `forced`: the table."""
    t, lower = points.key_type, f" !lower({forced})" if forced else ""
    if form == "data":
        np.savez(stem + ".npz", key=points.keys, label=points.labels)
        with open(stem + ".cnet", "w") as file:
            file.write(f'data points = "{os.path.basename(stem)}.npz" {{ input: key; label: label; }}\n\n'
                       f"network net(x: {t}) -> i32 = memorize(points, method: conditional, unseen: {unseen});\n")
        return
    with open(stem + ".cnir", "w") as file:
        file.write(f"format_version 1\n\nconst @keys : {t}[{points.n - 1}] = [{elements(points.keys[1:])}]\n"
                   f"const @labels : stack i32[{points.n}] = [{elements(points.labels)}]\n\n"
                   f"network @net(%x: {t}) -> (y: i32) {{\n    %slot, %depth = search @keys, %x{lower}\n    %y = row @labels[%slot]\n"
                   "    return %y\n}\n")


# ---- rivals that need a file of these points ----

def gperf_table(builder, name, source, flags, points):
    """gperf's C of the keys' bytes."""
    raw = points.keys.tobytes()
    size, table = points.keys.itemsize, builder.path("gperf.table")
    with open(table, "w") as file:
        file.write("struct entry { const char *bytes; Label label; };\n%%\n")
        for i in range(points.n):
            escaped = "".join(f"\\{byte:03o}" for byte in raw[i * size:(i + 1) * size])
            file.write(f'"{escaped}", {points.labels[i]}\n')
    command = ["gperf", "-t", "-l", "-C", "-L", "ANSI-C", "-N", "gperf_find", "-H", "gperf_hash", "-K", "bytes", table]
    with open(builder.path("gperf_found.c"), "w") as file:
        try:
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, timeout=builder.options.gperf_limit)
        except FileNotFoundError:
            raise Absent("there is no gperf") from None
        except subprocess.TimeoutExpired:
            raise Absent(f"no function within {builder.options.gperf_limit} s") from None
    if done.returncode:
        raise Absent(done.stderr.strip().splitlines()[-1])
    return builder.compile(source, f"{name}.so", points.key_type, [*flags, f'-DFOUND_C="{file.name}"'])


def fit_tree(builder, points):
    """scikit-learn's tree of these points, fitted once. It rounds keys to f32; a regression, as labels are many."""
    if builder.built.get("tree of") is not points:
        try:
            from sklearn.tree import DecisionTreeRegressor
        except ImportError:
            raise Absent("there is no scikit-learn") from None
        model = DecisionTreeRegressor(random_state=0).fit(points.keys.astype(np.float32)[:, None], points.labels.astype(np.float64))
        builder.built.update({"tree of": points, "tree": model})
    return builder.built["tree"]


def sklearn_arrays(builder, name, source, flags, points):
    tree = fit_tree(builder, points).tree_
    nodes = np.zeros(tree.node_count, [("threshold", "f8"), ("left", "i4"), ("right", "i4"), ("label", "i4"), ("padding", "i4")])
    nodes["threshold"], nodes["left"], nodes["right"] = tree.threshold, tree.children_left, tree.children_right
    nodes["label"] = tree.value[:, 0, 0]
    nodes.tofile(builder.path("tree.nodes"))
    return builder.compile(source, f"{name}.so", points.key_type, flags) + "," + builder.path("tree.nodes")


def sklearn_code(builder, name, source, flags, points):
    """The same tree as nested ifs; written with a stack, as it can be deep."""
    tree = fit_tree(builder, points).tree_
    lines, stack = ["static Label tree_find(Key key)\n{\n    double x = (double)(float)key;\n"], [0]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            lines.append(node)
        elif tree.children_left[node] < 0:
            lines.append(f"return {int(tree.value[node, 0, 0])};\n")
        else:
            lines.append(f"if (x <= {float(tree.threshold[node]).hex()}) {{\n")
            stack += ["}\n", int(tree.children_right[node]), "} else {\n", int(tree.children_left[node])]
    path = builder.path("tree.c")
    with open(path, "w") as file:
        file.writelines([*lines, "}\n"])
    return builder.compile(source, f"{name}.so", points.key_type, [*flags, f'-DTREE_C="{path}"'])


MAKERS = {"gperf_table": gperf_table, "sklearn_arrays": sklearn_arrays, "sklearn_code": sklearn_code}


def predict_times(builder, points, rounds):
    """Nanoseconds a query of scikit-learn's own predict on all queries at once, or None: absent, or not always right."""
    if points.n > RIVALS["sklearn_arrays"][2]:
        return None
    with contextlib.suppress(Absent):
        model, x = fit_tree(builder, points), points.queries.astype(np.float32)[:1 << 16, None]
        if np.array_equal(model.predict(x), points.answers[:len(x)]):
            return [timed(model.predict, x) * 1e9 / len(x) for _ in range(rounds)]
    return None


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def package_flags(package):
    done = subprocess.run(["pkg-config", "--cflags", "--libs", package], capture_output=True, text=True)
    if done.returncode:
        raise Absent(f"there is no {package}")
    return done.stdout.split()


# ---- the harness ----

class Outcome:
    """What one process of the harness measured: {contender: [ns of each round]} for both kinds, bytes, and who was wrong or absent."""

    def __init__(self):
        self.ns = {"latency": {}, "throughput": {}}
        self.bytes, self.wrong, self.absent, self.disturbed, self.huge, self.status = {}, {}, {}, [0, 0], [0, 0], 0


def run_harness(builder, points, path, pages, contenders):
    o, out = builder.options, Outcome()
    command = [builder.harness[points.key_type], str(o.cpu), str(o.rounds), str(o.slice), pages, path,
               *(f"{n}={s}" for n, s in contenders.items())]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    out.status = done.returncode
    for line in done.stdout.splitlines():
        word, name, *rest = line.split(" ", 2)
        rest = rest[0] if rest else ""
        if word in out.ns:
            out.ns[word][name] = list(map(float, rest.split()))
        elif word == "bytes":
            out.bytes[name] = int(rest)
        elif word in ("disturbed", "huge"):
            setattr(out, word, [int(name), int(rest.split()[1])])
        elif word in ("wrong", "absent"):
            getattr(out, word)[name] = rest
    return out


def median_times(outcomes, kind):
    """{contender: median over all rounds}, of those that were measured in every process."""
    names = [n for n in outcomes[0].ns[kind] if all(n in o.ns[kind] for o in outcomes)]
    return {n: statistics.median(v for o in outcomes for v in o.ns[kind][n]) for n in names}


def ratios(outcomes, kind, over, under):
    """Of every round, `over` (the least of several) beside `under`: [ratios], or [] when one is not there."""
    out = []
    for o in outcomes:
        ns = o.ns[kind]
        there = [n for n in over if n in ns]
        if there and under in ns:
            out += [min(ns[n][r] for n in there) / ns[under][r] for r in range(len(ns[under]))]
    return out
