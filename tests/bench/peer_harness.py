"""The contenders built, the harness (peers/main.c) run and its lines read."""
import contextlib
import glob
import os
import platform
import statistics
import subprocess

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = {"openblas": "OpenBLAS", "onednn": "oneDNN", "xnnpack": "XNNPACK", "ort": "ONNX Runtime"}
OURS = ("O0-off", "O0-fma", "O2-off", "O2-fma")
MAGIC = 0x626e6368                          # of peers/main.c


class Bench:
    """What is built once and used by every measurement: shared objects of the contenders, of the compiler, and the problem files."""

    def __init__(self, options, folder):
        self.options, self.folder, self.objects = options, folder, {}
        self.absent, self.versions, self.notes = {}, {}, []
        self.failed = False                     # somebody was wrong, or the same network gave different bits
        self.disturbed = [0, 0]                 # slices that another process cut into, and all of them
        self.cc = os.environ.get("CC", "cc")
        self.harness = self.build("main.c", "harness", ["-ldl", "-lm"], True)
        self.ours, self.read = (self.build(n + ".c", n + ".so", ["-shared", "-fPIC"], True) for n in ("ours", "read"))
        self.peers = {name: path for name in PEERS if (path := self.build_peer(name))}

    def path(self, name):
        return os.path.join(self.folder, name)

    def build(self, source, out, flags, needed=False):
        """The path of what was built, or None and a line in `absent`."""
        command = [self.cc, "-std=gnu11", "-O3", "-march=native", "-w", os.path.join(HERE, "peers", source), "-o", self.path(out), *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return self.path(out)
        why = next((line for line in done.stderr.splitlines() if "error" in line or "cannot find" in line), "it does not compile")
        if needed:
            raise SystemExit(f"{source}: {why}")
        self.absent[source[:-2]] = why
        return None

    def build_peer(self, name):
        flags = {"openblas": openblas_flags(), "onednn": ["-ldnnl"], "ort": ["-ldl"],
                 "xnnpack": ["-lXNNPACK", "-lm", f'-DXNNPACK_VERSION="{package_version("libxnnpack0")}"']}[name]
        if name == "ort" and not self.options.ort:
            self.absent[name] = "no libonnxruntime.so.1 (--ort=FILE says where one is)"
            return None
        return self.build(name + ".c", name + ".so", ["-shared", "-fPIC", *flags])

    def object_of(self, network, variant):
        """The argument that ours.c wants for O2-fma-counted and the like, compiled at first need."""
        level, contract, *kind = variant.split("-")
        kind = kind[0] if kind else "eval"
        key = (network.name, level, contract, kind == "counted")
        if key not in self.objects:
            out = self.path("-".join(map(str, key)) + ".so")
            command = [self.options.cnetc, network.path, "-" + level, "--fp-contract=" + contract, "--emit=shared", "--prefix=b_", "-w",
                       "-o", out, *(["--count-ops"] if kind == "counted" else [])]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
            self.objects[key] = out
        return f"{self.ours},{self.objects[key]}:{network.symbol()}:{kind}"

    def problem(self, network, batch=1):
        """The file that the harness reads. Batches: four of them, the inputs over and over."""
        path = self.path(f"{network.name}-{batch}.problem")
        if os.path.exists(path):
            return path
        take = np.arange(4 * batch) % len(network.x) if batch > 1 else np.arange(len(network.x))
        known = network.y is not None
        y = network.y if known else np.zeros((len(network.x), network.n_out))
        tolerance = 1e-4 + 1e-4 * float(np.ptp(y)) if known else -1.0
        layers = network.layers or []
        with open(path, "wb") as file:
            def block(array):
                data = array.tobytes()
                file.write(data + b"\0" * (-len(data) % 64))
            block(np.array([MAGIC, len(layers), network.x.shape[1], network.n_out, len(take), batch], np.uint64))
            block(np.array([tolerance], np.float64))
            for layer in layers:
                block(np.array([layer.w.shape[1], layer.w.shape[0], layer.relu], np.uint64))
                block(layer.w)
                block(layer.b)
            block(network.x[take])
            block(y[take].astype(np.float64))
        return path

    def run(self, part, name, problem, contenders):
        """One run: {contender: median ns}, over the rounds of a few processes. Who opens first, and so gets memory first, rotates."""
        times, what = {}, f"{part} {name}"
        processes, rounds = self.options.processes[part]
        order = list(contenders.items())
        for i in range(processes):
            first = i * len(order) // processes
            for name, ns in self.run_process(what, rounds, problem, dict(order[first:] + order[:first])).items():
                times.setdefault(name, []).extend(ns)
        return {name: statistics.median(ns) for name, ns in times.items()}

    def run_process(self, what, rounds, problem, contenders):
        """{contender: [ns of each round]}. Who is absent, wrong or different in bits is noted."""
        o, got, bits = self.options, {}, {}
        command = [self.harness, str(o.cpu), str(rounds), str(o.slice), problem, *(f"{n}={s}" for n, s in contenders.items())]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        for line in done.stdout.splitlines():
            word, name, *rest = line.split(" ", 2)
            rest = rest[0] if rest else ""
            if word == "times":
                got[name] = list(map(float, rest.split()))
            elif word == "version":
                self.versions.setdefault(name if name in PEERS else "cnetc", rest)
            elif word == "bits":
                bits[name] = rest
            elif word == "elsewhere" and float(name) > 0.01 * float(rest.split()[1]):
                self.note(f"{what}: some library's threads worked beside the one that measures: {name} {rest} s")
            elif word == "disturbed":
                self.disturbed[0] += int(name)
                self.disturbed[1] += int(rest.split()[1])
            elif word == "wrong":
                self.fail(f"WRONG, LEFT OUT: {what}: {name}: {rest}")
            elif word == "absent":
                self.note(f"{what}: no {name}: {rest}")
        if done.returncode:
            self.fail(f"THE HARNESS FAILED: {what}: status {done.returncode}")
        for contract in ("off", "fma"):
            different = {n for n in bits if n.startswith("O") and f"-{contract}" in n and bits[n] != bits.get("O0-" + contract, bits[n])}
            if different:
                self.fail(f"DIFFERENT BITS: {what}: {', '.join(sorted(different))} beside O0-{contract}")
        return got

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def fail(self, text):
        self.failed = True
        self.note(text)


def openblas_flags():
    """The build without threads where it is installed: it does not even ask whether it should use one."""
    for library in glob.glob("/usr/lib/*/openblas-serial/libopenblas.so"):
        folder = os.path.dirname(library)
        return ["-I" + folder.replace("/lib/", "/include/"), "-L" + folder, "-Wl,-rpath," + folder, "-lopenblas"]
    return ["-lopenblas"]


def package_version(package):
    """What Debian says of a library that does not say it itself."""
    with contextlib.suppress(OSError):
        done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
        if done.returncode == 0:
            return f"{package} {done.stdout}"
    return "version unknown"


def find_ort():
    """libonnxruntime.so.1 where install-peers.sh puts it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "unknown")
    found = glob.glob(os.path.join(cache, "cnet-bench", "node_modules", "onnxruntime-node", "bin", "*", "linux", machine,
                                   "libonnxruntime.so.1"))
    return found[0] if found else None


def cache_sizes(cpu):
    """[(name, bytes)] of the data caches of a CPU, the smallest first."""
    sizes = []
    for folder in sorted(glob.glob(f"/sys/devices/system/cpu/cpu{cpu}/cache/index*")):
        def read(name):
            with open(os.path.join(folder, name)) as file:  # noqa: B023
                return file.read().strip()
        if read("type") != "Instruction":
            sizes.append(("L" + read("level"), int(read("size").rstrip("K")) * 1024))
    return sizes


def cpu_name():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
