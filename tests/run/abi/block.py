"""Writes a network whose weights are shared by the inputs of a batch, as .cnir with its constants in the text: 100 -> 300 -> 40.

    python3 block.py >block.cnir
"""
state = 1


def number():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (((state >> 40) / 2**23 - 1) / 4).hex()


def matrix(name, rows, cols):
    values = ("[%s]" % ", ".join(number() for _ in range(cols)) for _ in range(rows))
    print("const @%s : f32[%d,%d] = [%s]" % (name, rows, cols, ", ".join(values)))


print("format_version 1")
matrix("W", 300, 100)
matrix("V", 40, 300)
print("const @b : f32[300] = [%s]" % ", ".join(number() for _ in range(300)))
print("""network @block(%x: f32[100], %s: f32) -> (y: f32[40], best: idx[40]) {
    %h = affine %x, @W, @b : f32[300]
    %r = relu %h : f32[300]
    %z = affine %r, @V : f32[40]
    %t = splat %s : f32[40]
    %y = mul %z, %t : f32[40]
    %best = argmax %z : idx[40]
    return %y, %best
}""")
