#!/usr/bin/env python3
"""Makes the bad binary files of tests/diag/files, and the seeds of the fuzzers of the file readers.

    python3 tests/diag/make_files.py          writes what differs; the results are committed

Everything is written byte by byte here (an .onnx is a protocol buffer, an .npz a zip), so that each file is wrong in
one known place, and so that nothing but Python's library is needed.
"""
import gzip
import io
import json
import os
import struct
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))


# ---- formats ----

def npy(shape, data=b"", descr="<f4", fortran=False, version=1, header=None):
    if header is None:
        header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    header = header.encode("latin-1") if isinstance(header, str) else header
    size = 10 if version == 1 else 12
    header += b" " * (-(size + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def npz(entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, method)
    return out.getvalue()


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    """A field of a protocol buffer: an int as a varint, a float as 32 bits, text and bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, dims, raw=None, data_type=1, extra=b""):
    out = b"".join(field(1, d) for d in dims) + field(2, data_type) + field(8, name)
    return out + (field(9, raw) if raw is not None else b"") + extra


def value(name, dims, elem=1):
    shape = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, elem) + field(2, shape)))


def attribute(name, v):
    if isinstance(v, list):
        return field(1, name) + b"".join(field(8, i) for i in v) + field(20, 7)
    return field(1, name) + (field(2, v) + field(20, 1) if isinstance(v, float) else
                             field(3, v) + field(20, 2) if isinstance(v, int) else field(5, v) + field(20, 4))


def node(op, inputs, outputs, name="", domain="", **attributes):
    return (b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + (field(3, name) if name else b"") +
            field(4, op) + b"".join(field(5, attribute(k, v)) for k, v in attributes.items()) + (field(7, domain) if domain else b""))


def model(nodes, inputs, outputs, tensors=(), opset=13):
    graph = (b"".join(field(1, n) for n in nodes) + field(2, "g") + b"".join(field(5, t) for t in tensors) +
             b"".join(field(11, i) for i in inputs) + b"".join(field(12, o) for o in outputs))
    return field(1, 7) + field(2, "make_files.py") + field(7, graph) + field(8, field(2, opset))


def gemm_model(weights):
    return model([node("Gemm", ["x", "W"], ["y"], "fc")], [value("x", [1, 2])], [value("y", [1, 2])], [weights])


def external(location, **numbers):
    entries = field(13, field(1, "location") + field(2, location))
    for key, number in numbers.items():
        entries += field(13, field(1, key) + field(2, str(number)))
    return entries + field(14, 1)


def uses(weights):
    return f'weights w = "{weights}";\nnetwork n(x: f32[2]) -> f32[2] = w["a"] @ x;\n'.encode()


# ---- the bad files ----

W = floats(1, 2, 3, 4)


def bad_npy():
    good = npy("(3, 2)", floats(1, 2, 3, 4, 5, 6))
    yield "truncated-header.npy", good[:40]
    yield "truncated.npy", good[:-4]
    yield "too-long.npy", good + b"\0\0\0\0"
    yield "overflow.npy", npy("(4294967296, 4294967296, 2)")
    yield "negative.npy", npy("(-3, 2)")
    yield "objects.npy", npy("(2, 2)", descr="|O")
    yield "records.npy", npy(0, header="{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }")
    yield "seven-dims.npy", npy("(1, 1, 1, 1, 1, 1, 1)", floats(1))
    yield "no-shape.npy", npy(0, header="{'descr': '<f4', 'fortran_order': False, }")
    yield "no-npy.npy", b"PK\3\4 this is something else"
    yield "empty.npy", b""
    yield "columns.npy", npy("(2, 3)", floats(1, 2, 3, 4, 5, 6))
    yield "huge-f64.npy", npy("(2, 2)", struct.pack("<4d", 1, 2, 3, 1e300), descr="<f8")


def bad_npz():
    good = npz([("a.npy", npy("(2, 2)", W)), ("b.npy", npy("(2,)", floats(1, 2)))])
    yield "truncated.npz", good[:-30]
    yield "lying.npz", npz([("a.npy", npy("(20, 20)", W))])
    damaged = bytearray(good)
    damaged[good.index(W)] ^= 1
    yield "checksum.npz", bytes(damaged)
    yield "no-array.npz", npz([("a.npy", b"hello")])
    yield "bomb.npz", npz([("a.npy", npy("(1024, 1024)", bytes(1024 * 1024 * 4)))], zipfile.ZIP_DEFLATED)
    yield "empty.npz", b""


def bad_safetensors():
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    yield "truncated.safetensors", safetensors({"a": entry}, W)[:-4]
    yield "short.safetensors", b"\x10\0\0"
    yield "long-header.safetensors", struct.pack("<Q", 1 << 60) + b"{}"
    yield "no-json.safetensors", safetensors(b'{"a": {"dtype": ', W)
    yield "deep.safetensors", safetensors(b'{"a":' + b"[" * 2000, W)
    yield "overlap.safetensors", safetensors({"a": entry, "b": dict(entry, data_offsets=[8, 24])}, W + W)
    yield "overflow.safetensors", safetensors({"a": dict(entry, shape=[2**40, 2**40])}, W)
    yield "lying.safetensors", safetensors({"a": dict(entry, shape=[3, 2])}, W)
    yield "backwards.safetensors", safetensors({"a": dict(entry, data_offsets=[16, 0])}, W)
    yield "fp8.safetensors", safetensors({"a": dict(entry, dtype="F8_E4M3", data_offsets=[0, 4])}, W)
    yield "twice.safetensors", safetensors(b'{"a":' + json.dumps(entry).encode() + b',"a":' +
                                           json.dumps(dict(entry, data_offsets=[16, 32])).encode() + b"}", W + W)


def bad_onnx():
    good = gemm_model(tensor("W", [2, 2], W))
    yield "truncated.onnx", good[:-20]
    yield "text.onnx", b"this is no model\n"
    yield "empty.onnx", b""
    yield "no-graph.onnx", field(1, 7)
    yield "lying.onnx", gemm_model(tensor("W", [20, 2], W))
    yield "overflow.onnx", gemm_model(tensor("W", [1 << 62, 1 << 62], W))
    yield "negative.onnx", gemm_model(tensor("W", [-2, 2], W))
    yield "strings.onnx", gemm_model(tensor("W", [2, 2], data_type=8))
    yield "shapes.onnx", gemm_model(tensor("W", [3, 2], W + W[:8]))
    yield "escape.onnx", gemm_model(tensor("W", [2, 2], extra=external("../../../secret.bin")))
    yield "absolute.onnx", gemm_model(tensor("W", [2, 2], extra=external("/etc/passwd")))
    yield "beyond.onnx", gemm_model(tensor("W", [2, 2], extra=external("few-bytes.bin", offset=8, length=16)))
    yield "absent.onnx", gemm_model(tensor("W", [2, 2], extra=external("nothing-here.bin")))
    yield "few-bytes.bin", bytes(16)
    image = [value("x", [1, 1, 4, 4])], [value("y", [1, 1, 4, 4])]
    yield "conv.onnx", model([node("Conv", ["x", "K"], ["c"], "conv_3", pads=[1, 1, 1, 1]), node("MaxPool", ["c"], ["p"], "pool_4", kernel_shape=[2, 2]),
                              node("Relu", ["p"], ["r"]), node("LSTM", ["r"], ["y"])], *image, [tensor("K", [1, 1, 3, 3], bytes(36))])
    yield "domain.onnx", model([node("FusedGemm", ["x"], ["y"], "fused", domain="com.microsoft")], [value("x", [1, 2])], [value("y", [1, 2])])
    yield "undefined.onnx", model([node("Add", ["x", "nowhere"], ["y"])], [value("x", [1, 2])], [value("y", [1, 2])])
    yield "symbolic.onnx", model([node("Relu", ["x"], ["y"])], [value("x", ["N", "height"])], [value("y", ["N", "height"])])
    yield "half.onnx", model([node("Relu", ["x"], ["y"])], [value("x", [1, 2], 10)], [value("y", [1, 2], 10)])
    yield "reshape.onnx", model([node("Reshape", ["x", "s"], ["y"], "flat")], [value("x", [1, 6])], [value("y", [4])],
                                [tensor("s", [1], struct.pack("<q", 4), 7)])
    yield "broadcast.onnx", model([node("Add", ["x", "b"], ["y"], "sum")], [value("x", [1, 3])], [value("y", [1, 3])], [tensor("b", [2], floats(1, 2))])
    yield "twice.onnx", model([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"], "again")], [value("x", [1, 2])], [value("y", [1, 2])])
    yield "bomb.onnx.gz", gzip.compress(bytes(4 << 20), mtime=0)
    yield "damaged.onnx.gz", gzip.compress(good, mtime=0)[:-12]


def bad_text():
    head = "// a network\n2,2,1,2,\n2,2,1,\n0,\n-1,-1,\n1,1,\n0,0,0,\n1,1,1,\n"
    yield "word.nnet", (head + "1,2,\nx,4,\n0,\n0,\n1,1,\n0,\n").encode()
    yield "truncated.nnet", (head + "1,2,\n3,4,\n0,\n").encode()
    yield "sizes.nnet", b"2,2,1,2,\n2,2,3,\n0,\n"
    yield "range.nnet", (head.replace("1,1,1,\n", "0,1,1,\n") + "1,2,\n3,4,\n0,\n0,\n1,1,\n0,\n").encode()
    yield "cells.csv", b"a,b\n1,2\n3,four\n5,\n6,7,8\n1e60,2\n"
    yield "empty.csv", b""
    yield "boxes.json", b'{"good": [[0, 1], [0, 1]], "odd": [[0, 1], [0]], "turned": [[1, 0], [0, 1]]}\n'
    yield "two.cnet", b"network two(x: f32[2]) -> f32[2] = relu(x);\n"
    yield "pair.cnet", b"network pair(x: f32[2], z: f32[3]) -> f32[2] = relu(x);\n"
    yield "two.csv", b"1,2\n3,4\n"
    yield "three.csv", b"1,2,3\n"


def bad_tables():
    yield "cities.csv", b"name,lat,lon,id,visits\nParis,48.85,2.35,3,100\nBerlin,52.52,13.40,4,50\n\"Washington, D.C.\",38.9,-77.04,7,10\n"
    yield "contradiction.csv", b"x,y,label\n1,2,5\n3,4,6\n# again:\n1,2.0,7\n"
    yield "near.csv", b"0.1,1\n0.10000000001,2\n"
    yield "repeats.csv", b"x,label\n1,5\n2,6\n1.0,5\n0,7\n2,6\n"
    yield "repeats.cnet", b'data d = "repeats.csv" { input: x; label: label; }\nnetwork f(x: f32) -> i32 = memorize(d, method: conditional);\n'
    yield "nan.csv", b"x,label\n1,5\nnan,6\n"
    yield "weights.csv", b"x,label,w\n1,5,0\n2,6,-1\n"
    yield "ragged.csv", b"x,label,note\n1,5,a\n2,6\n3,seven,b\n,8,c\n4,300,d\n5,1.5,e\n"
    yield "names-only.csv", b"x,label\n"
    yield "quotes.csv", b'x,label,"say ""hi"""\n1,2,3\n'
    yield "keys.npy", npy("(3,)", struct.pack("<3d", 1, 2, 1), descr="<f8")
    yield "labels.npy", npy("(3,)", struct.pack("<3q", 1, 2, 3), descr="<i8")
    yield "four.npy", npy("(4,)", struct.pack("<4q", 1, 2, 3, 4), descr="<i8")
    yield "wide.npy", npy("(3, 4)", struct.pack("<12d", *range(10), 0.5, 300), descr="<f8")
    yield "scalar.npy", npy("()", struct.pack("<d", 1), descr="<f8")
    yield "zero-rows.npy", npy("(0,)", b"", descr="<f8")
    yield "many-rows.npy", npy("(2147483649,)", W, descr="<f8")
    yield "arrays.npz", npz([("keys.npy", npy("(2,)", floats(1, 2))), ("labels.npy", npy("(2,)", floats(3, 4)))])


def files():
    for make in bad_tables, bad_npy, bad_npz, bad_safetensors, bad_onnx, bad_text:
        yield from make()
    for name, _ in list(bad_npz()) + list(bad_safetensors()):
        yield name.replace(".", "-") + ".cnet", uses(name)
    for folder in "folder.npz", "folder.npy", "folder.onnx":
        yield folder + "/.keep", b""
    yield "folder-npz.cnet", uses("folder.npz")
    yield "relu.onnx", model([node("Relu", ["x"], ["y"])], [value("x", [1, 2])], [value("y", [1, 2])])


# ---- seeds for the fuzzers ----

def seeds():
    w2 = tensor("W", [2, 2], extra=field(4, W))
    yield "npy/f4", npy("(2, 2)", W)
    yield "npy/fortran", npy("(2, 3)", floats(1, 2, 3, 4, 5, 6), fortran=True)
    yield "npy/u8", npy("(2,)", struct.pack("<2Q", 1, 2), descr="<u8")
    yield "npy/f2-big", npy("(2,)", b"\x3c\x00\x40\x00", descr=">f2", version=2)
    yield "npy/scalar-v3", npy("()", b"\1", descr="|b1", version=3)
    yield "npy/lying", npy("(20, 20)", W)
    yield "npz/stored", npz([("a.npy", npy("(2, 2)", W)), ("b.npy", npy("(2,)", floats(1, 2)))])
    yield "npz/deflated", npz([("a.npy", npy("(16, 16)", bytes(1024)))], zipfile.ZIP_DEFLATED)
    yield "safetensors/two", safetensors({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"k": "v"},
                                          "b": {"dtype": "BF16", "shape": [2], "data_offsets": [16, 20]}}, W + b"\x80\x3f\0\0")
    yield "safetensors/u8", safetensors({"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}, b"\7")
    yield "onnx/gemm", gemm_model(tensor("W", [2, 2], W))
    yield "onnx/matmul", model([node("MatMul", ["x", "W"], ["m"]), node("Add", ["m", "b"], ["a"]), node("Relu", ["a"], ["y"])],
                               [value("x", ["N", 2])], [value("y", ["N", 2])], [w2, tensor("b", [2], floats(0, 1))])
    yield "onnx/conv", model([node("Conv", ["x", "K"], ["c"], kernel_shape=[1, 2]), node("Flatten", ["c"], ["y"], axis=1)],
                             [value("x", [1, 1, 1, 2])], [value("y", [1, 2])], [tensor("K", [2, 1, 1, 2], W)])
    yield "onnx/shapes", model([node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("Constant", [], ["s"], value=tensor("", [2], struct.pack("<2q", 1, -1), 7)),
                                node("Reshape", ["t", "s"], ["r"]), node("Concat", ["r", "r"], ["c"], axis=1),
                                node("Slice", ["c"], ["l"], starts=[1], ends=[5], axes=[1]), node("Softmax", ["l"], ["y"], axis=1)],
                               [value("x", [1, 2, 3])], [value("y", [1, 4])], opset=9)
    yield "onnx/reduce", model([node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=1), node("Sub", ["x", "m"], ["d"]), node("Clip", ["d"], ["c"], min=-1.0, max=1.0),
                                node("ArgMax", ["c"], ["y"], axis=1)], [value("x", [2, 3])], [value("y", [2, 1], 7)], opset=9)
    yield "onnx/batchnorm", model([node("BatchNormalization", ["x", "s", "s", "s", "s"], ["b"]), node("LeakyRelu", ["b"], ["y"], alpha=0.5)],
                                  [value("x", [1, 2])], [value("y", [1, 2])], [tensor("s", [2], floats(1, 2))])
    yield "onnx/gzip", gzip.compress(gemm_model(w2), mtime=0)
    yield "nnet/small", (b"// comment\n2,2,1,2,\n2,2,1,\n0,\n-1,-1,\n1,1,\n0,0.5,1,\n1,2,3,\n"
                         b"1,2,\n3,4,\n0,\n0.5,\n1,-1,\n0.25,\n")
    yield "data/csv", b"@key,label,w\n1,2,3\n-0,5,1\n0,5,2\n"
    yield "data/columns", b"5a;b;note\n1;2;\"x;y\"\n-3;4;\n"
    yield "data/wide", b"610,1\n-170141183460469231731687303715884105728,0\n0x7f,1\n"
    yield "data/contradiction", b"51,2,1\n1,3,1\n"
    yield "data/npy", b"H" + npy("(3, 3)", struct.pack("<9d", 3, 1, 2, 1, 5, 1, -0.0, 7, 0), descr="<f8")
    yield "data/integers", b":" + npy("(2, 3)", struct.pack("<6i", 1, 0, 1, -4, 1, 2), descr="<i4")
    yield "samples/csv", b"0a,b\n1,2\n3.5,-4e2\nnan,inf\n"
    yield "samples/blank", b"1# comment\n1\n 2.5\n-7\n"
    yield "samples/int", b"2;1\n-128\n127\n"
    yield "samples/npy", b"0" + npy("(2, 2)", struct.pack("<4d", 1, 2, 3, 4), descr="<f8")
    yield "samples/bool", b"3" + npy("(1, 3)", b"\1\0\1", descr="|b1")


def write(folder, entries):
    for name, data in entries:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path) or open(path, "rb").read() != data:
            with open(path, "wb") as out:
                out.write(data)


if __name__ == "__main__":
    write(os.path.join(HERE, "files"), files())
    write(os.path.join(HERE, "..", "fuzz", "corpus"), seeds())
