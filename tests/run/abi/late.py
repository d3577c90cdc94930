"""Writes a network with weights of more than 16 KiB, which are written into the object when LLVM is done, and inputs for it.

    python3 late.py DIR          DIR/late.cnir, DIR/x.npy, DIR/t.npy

One sum of 5001 columns in chains, and 1501 rows of 3 columns: both are made where they are used, at constant addresses.
"""
import sys

import numpy as np

rows = 20
random = np.random.default_rng(4)


def matrix(name, shape):
    values = random.integers(-512, 512, shape) / 256.0
    print("const @%s : f32[%s] = [%s]" % (name, ",".join(map(str, shape)),
                                          ", ".join("[%s]" % ", ".join(float(v).hex() for v in row) for row in values)), file=text)


with open(sys.argv[1] + "/late.cnir", "w") as text:
    print("format_version 1", file=text)
    matrix("W", (1, 5001))
    matrix("V", (1501, 3))
    print("""network @late(%x: f32[5001], %t: f32[3]) -> (y: f32[1], z: f32[1501]) {
    %y = affine %x, @W, order = chains(8) : f32[1]
    %z = affine %t, @V : f32[1501]
    return %y, %z
}""", file=text)
np.save(sys.argv[1] + "/x.npy", random.standard_normal((rows, 5001), dtype=np.float32))
np.save(sys.argv[1] + "/t.npy", random.standard_normal((rows, 3), dtype=np.float32))
