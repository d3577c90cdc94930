#!/usr/bin/python3
"""The models that define ONNX's operators, from Debian's package libonnx-testdata.

    tests/conformance.py [--cnetc=build/driver/cnetc] [FOLDER ...]

Each folder holds a model.onnx with inputs and outputs. A model is either refused, with a reason and exit status 1, or its outputs
agree within 1e-4, absolute and relative. Most are refused (images, strings, sequences, open shapes); how many are taken may only
grow. With FOLDERs only those are run, and what was said about them is printed. Ends with `# N passed, N failed, N skipped`.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np

DATA = "/usr/share/libonnx-testdata/data"
LEAST_TAKEN = 260
# TensorProto.DataType: the numpy type, and the field that holds numbers one by one
TYPES = {1: ("<f4", 4), 3: ("i1", 5), 5: ("<i2", 5), 6: ("<i4", 5), 7: ("<i8", 7), 9: ("?", 5), 11: ("<f8", 10)}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a protocol buffer; bytes stay bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            if kind == 2:
                size, at = varint(data, at)
            else:
                size = 8 if kind == 1 else 4
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def tensor(path):
    """A TensorProto as an array; None when its type is none of TYPES."""
    with open(path, "rb") as file:
        found = list(fields(file.read()))
    dims = [value for number, value in found if number == 1]
    code, numbers = TYPES.get(dict(found).get(2), (None, 0))
    if code is None:
        return None
    raw = [value for number, value in found if number == 9]
    single = [value for number, value in found if number == numbers]
    if raw:
        return np.frombuffer(raw[0], code).reshape(dims)
    if numbers in (4, 10):
        return np.frombuffer(b"".join(single), code).reshape(dims)
    values = []
    for value in single:
        at = 0
        while isinstance(value, bytes) and at < len(value):
            one, at = varint(value, at)
            values.append(one)
        if isinstance(value, int):
            values.append(value)
    return np.array(values, "<u8").astype("<i8").astype(code).reshape(dims)


def run(command):
    return subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)


def check(cnetc, folder):
    """("taken" | "refused" | "failed", what was said)"""
    model = os.path.join(folder, "model.onnx")
    with tempfile.TemporaryDirectory(prefix="cnet-onnx-") as scratch:
        # What a network is called here can be seen in its IR; inputs and outputs keep the order of the model.
        done = run([cnetc, model, "--passes=", "--emit=ir", "-o", "-"])
        said = done.stderr.decode(errors="replace")
        if done.returncode == 1 and "error:" in said:
            return "refused", said
        if done.returncode != 0:
            return "failed", f"exit status {done.returncode}\n{said}"
        line = next(l for l in done.stdout.decode().splitlines() if l.startswith("network @"))
        inputs, outputs = line.split(") -> (")
        names = [[port.split(":")[0].strip(" %") for port in split_ports(ports)]
                 for ports in (inputs.split("(", 1)[1], outputs.split(")")[0])]
        command, wanted = [cnetc, "run", model, "--engine=interp"], []
        for i, name in enumerate(names[0]):
            array = tensor(f"{folder}/test_data_set_0/input_{i}.pb")
            if array is None:
                return "failed", f"no input {i} of a type that was taken"
            np.save(f"{scratch}/{i}.npy", array.reshape(1, -1))
            command += ["--input", f"{name}={scratch}/{i}.npy"]
        for i, name in enumerate(names[1]):
            wanted.append((f"{scratch}/y{i}.npy", tensor(f"{folder}/test_data_set_0/output_{i}.pb")))
            command += ["--output", f"{name}={scratch}/y{i}.npy"]
        done = run(command)
        if done.returncode != 0:
            return "failed", f"{' '.join(command)}\nexit status {done.returncode}\n{done.stderr.decode(errors='replace')}"
        for path, reference in wanted:
            if not os.path.exists(path):
                return "failed", " ".join(command) + "\nwrote no output"
            found = np.load(path).ravel()
            if found.dtype != reference.dtype or found.size != reference.size:
                return "failed", f"found {found.size} {found.dtype}, expected {reference.size} {reference.dtype}"
            if not np.allclose(found, reference.ravel(), rtol=1e-4, atol=1e-4, equal_nan=True):
                return "failed", f"found {found[:8]}, expected {reference.ravel()[:8]}"
    return "taken", ""


def split_ports(text):
    """Splits at the commas between ports, not at those within brackets."""
    ports, depth = [""], 0
    for c in text:
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            ports.append("")
        else:
            ports[-1] += c
    return [port for port in ports if port.strip()]


def main():
    cnetc, folders = "build/driver/cnetc", []
    for argument in sys.argv[1:]:
        if argument.startswith("--cnetc="):
            cnetc = argument.split("=", 1)[1]
        else:
            folders.append(argument)
    cnetc = os.path.abspath(cnetc)
    chosen = bool(folders)
    folders = folders or sorted(os.path.dirname(path) for path in glob.glob(DATA + "/*/*/model.onnx"))
    if not folders:
        print("skipped: the models of libonnx-testdata are not installed")
        print("# 0 passed, 0 failed, 1 skipped")
        return 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda folder: check(cnetc, folder), folders))
    for folder, (result, said) in zip(folders, results):
        if result == "failed" or chosen:
            print(f"{result.upper()} {folder}\n{said}")
    count = {what: sum(result == what for result, _ in results) for what in ("taken", "refused", "failed")}
    print(f"{count['taken']} taken, {count['refused']} refused")
    if not chosen and count["taken"] < LEAST_TAKEN:
        print(f"FAILED: at least {LEAST_TAKEN} were taken before")
        count["failed"] += 1
    print(f"# {count['taken'] + count['refused']} passed, {count['failed']} failed, 0 skipped")
    return count["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
