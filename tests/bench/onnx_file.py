"""Just enough of ONNX's wire format (onnx.proto, protocol buffers) for the measurements: chains of dense layers, in and out.

    layers, inputs = read_chain(path)     # [(W [m, k], b [m], relu?)], with a subtracted mean as a first layer's "mean"
    write_chain(path, layers)             # Gemm and Relu nodes, weights as raw_data

The compiler's own reader is frontend/onnx.c; this one shares nothing with it.
"""
import gzip
import struct

import numpy as np


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, value):
    """One field: integers as varints, text and bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    array = np.ascontiguousarray(array, np.float32)
    return b"".join(field(1, d) for d in array.shape) + field(2, 1) + field(8, name) + field(9, array.tobytes())


def value_info(name, n, batch=1):
    shape = field(1, field(1, batch)) + field(1, field(1, n))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def node(op, inputs, outputs, attributes=()):
    """Attributes: (name, integer)."""
    return (b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, outputs[0])
            + field(4, op) + b"".join(field(5, field(1, n) + field(3, v) + field(20, 2)) for n, v in attributes))


def write_chain(path, layers, batch=1):
    """layers: [(W, b, relu?)]. Written piece by piece, so that big models fit small machines."""
    graph, value = [], "x"
    for i, (w, b, relu) in enumerate(layers):
        graph.append(field(1, node("Gemm", [value, f"w{i}", f"b{i}"], [f"z{i}"], [("transB", 1)])))
        value = f"z{i}"
        if relu:
            graph.append(field(1, node("Relu", [value], [f"h{i}"])))
            value = f"h{i}"
    graph.append(field(2, "chain"))
    for i, (w, b, _) in enumerate(layers):
        graph += [field(5, tensor(f"w{i}", w)), field(5, tensor(f"b{i}", b))]
    graph += [field(11, value_info("x", layers[0][0].shape[1], batch)), field(12, value_info(value, layers[-1][0].shape[0], batch))]
    size = sum(map(len, graph))
    with open(path, "wb") as file:
        file.write(field(1, 7) + field(8, field(1, "") + field(2, 13)) + varint(7 << 3 | 2) + varint(size))
        for piece in graph:
            file.write(piece)


def fields(data):
    """[(number, value)]: integers, or the bytes of a nested message."""
    at, out = 0, []

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n
    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            value = number()
        elif kind == 2:
            size = number()
            value = data[at:at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[kind]
            value = data[at:at + size]
            at += size
        out.append((key >> 3, value))
    return out


def texts(message, number):
    return [bytes(v).decode() for n, v in message if n == number]


def read_tensor(data):
    message = fields(data)
    dims = [v for n, v in message if n == 1]                 # proto2: not packed
    raw = b"".join(bytes(v) for n, v in message if n in (4, 9))
    kind = dict((n, v) for n, v in message if n == 2)[2]
    dtype = {1: np.float32, 7: np.int64, 11: np.float64}.get(kind)
    if dtype is None or not raw:
        return (texts(message, 8) or [""])[0], None
    return (texts(message, 8) or [""])[0], np.frombuffer(raw, dtype).reshape(dims)


def read_chain(path):
    """The model as [(kind, array or None)] with kinds affine (W, b), sub, relu; None when it is another kind of graph."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        data = file.read()
    graph = next(fields(v) for n, v in fields(memoryview(data)) if n == 7)
    constants = dict(read_tensor(v) for n, v in graph if n == 5)
    chain, value = [], None
    for n, v in graph:
        if n != 1:
            continue
        message = fields(v)
        op, ins = texts(message, 4)[0], texts(message, 1)
        attributes = {}
        for m, a in message:
            if m == 5:
                a = fields(a)
                attributes[texts(a, 1)[0]] = next((x for k, x in a if k in (2, 3, 5)), None)
        if op == "Constant":
            constants[texts(message, 2)[0]] = read_tensor(attributes["value"])[1]
            continue
        known = [constants[i] for i in ins if constants.get(i) is not None]
        unknown = [i for i in ins if i not in constants]
        if len(unknown) != 1 or (value is not None and unknown[0] != value):
            return None
        value = texts(message, 2)[0]
        if op in ("Flatten", "Reshape", "Identity", "Squeeze", "Unsqueeze"):
            continue
        if op == "Relu":
            chain.append(("relu", None))
        elif op == "Sub" and ins[1] in constants:
            chain.append(("sub", known[0].ravel()))
        elif op == "MatMul" and known and known[0].ndim == 2:
            w = known[0].T if ins[1] in constants else known[0]
            chain.append(("affine", (w, np.zeros(len(w), np.float32))))
        elif op == "Gemm" and attributes.get("alpha", None) in (None, b"\0\0\x80?"):
            w = known[0] if attributes.get("transB") else known[0].T
            chain.append(("affine", (w, known[1].ravel() if len(known) > 1 else np.zeros(len(w), np.float32))))
        elif op == "Add" and chain and chain[-1][0] == "affine" and known:
            w, b = chain[-1][1]
            chain[-1] = ("affine", (w, b + known[0].ravel()))
        else:
            return None
    return chain
