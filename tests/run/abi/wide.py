"""Writes a network 4096 wide as .cnir, with its constants in the text: relu(W x + b) and one output.

    python3 wide.py >wide.cnir
"""
n = 4096
value = lambda k: (k * 2654435761 % 2**32 / 2**31 - 1).hex()
print("format_version 1")
print("const @W : f32[%d,2] = [%s]" % (n, ", ".join("[%s, %s]" % (float(int(float.fromhex(value(2 * i)) * 256) / 256).hex(),
                                                                    float(int(float.fromhex(value(2 * i + 1)) * 256) / 256).hex()) for i in range(n))))
print("const @V : f32[1,%d] = [[%s]]" % (n, ", ".join(float(int(float.fromhex(value(9 * i)) * 256) / 256).hex() for i in range(n))))
print("""network @wide(%x: f32[2]) -> (y: f32[1]) {
    %h = affine %x, @W : f32[4096]
    %r = relu %h : f32[4096]
    %y = affine %r, @V, order = chains(8) : f32[1]
    return %y
}""")
