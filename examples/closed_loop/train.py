#!/usr/bin/python3
"""Trains the controller of this folder. Needs Debian's python3-numpy; nothing is downloaded.

    /usr/bin/python3 examples/closed_loop/train.py       # rewrites controller.npz beside it, in about a minute

The network learns by imitation: the force that a hand-written controller would apply, on states drawn from the box of
controller.cnet. The teacher cancels what it knows of the pole's dynamics and adds a linear law, so it is no linear function, and its
force is limited. Out: fc1 [32, 4], fc2 [32, 32], out [1, 32] with biases, f32. One seed; no state is seen twice.
"""
import os
import zipfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, HIDDEN, STEPS, BATCH = 1, 32, 12000, 512
BOX = np.array([2.4, 3.0, 0.8, 3.5])                        # |position| m, |speed| m/s, |angle| rad, |rate| rad/s
GRAVITY, CART, POLE, HALF, LIMIT = 9.81, 1.0, 0.1, 0.5, 10.0


def teacher(state):
    """Force on the cart, N: the pole's angle is made to follow a second-order law that leans against the cart's drift."""
    x, v, angle, rate = state.T
    lean = np.clip(0.08 * x + 0.14 * v, -0.25, 0.25)          # the cart comes home by leaning the pole towards it
    turning = -30.0 * (angle + lean) - 8.0 * rate             # wanted angular acceleration
    c, s, mass = np.cos(angle), np.sin(angle), CART + POLE
    # The equations of simulate.c, solved for the force that gives this acceleration.
    push = (GRAVITY * s - turning * HALF * (4 / 3 - POLE * c * c / mass)) / c
    return np.clip(push * mass - POLE * HALF * rate * rate * s, -LIMIT, LIMIT)


def save_npz(path, arrays):
    """np.savez without the clock: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array))


def draw(rng, n):
    """Half of the states anywhere in the box, half near the upright pole, where precision counts."""
    state = rng.uniform(-1, 1, (n, 4))
    state[: n // 2] *= rng.uniform(0, 1, (n // 2, 1))
    return state


def main():
    rng = np.random.default_rng(SEED)
    sizes = [4, HIDDEN, HIDDEN, 1]
    weights = [rng.normal(0, np.sqrt(2 / a), (b, a)) for a, b in zip(sizes, sizes[1:])]
    biases = [rng.uniform(-0.5, 0.5, b) for b in sizes[1:]]
    parameters = weights + biases
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    for step in range(1, STEPS + 1):
        state = draw(rng, BATCH)
        values = [state]
        for w, b in zip(weights, biases):
            values.append(values[-1] @ w.T + b)
            if w is not weights[-1]:
                values[-1] = np.maximum(values[-1], 0)
        delta = 2 * (values[-1] - teacher(state * BOX)[:, None] / LIMIT) / BATCH
        gradients = [None] * 6
        for layer in (2, 1, 0):
            gradients[layer], gradients[3 + layer] = delta.T @ values[layer], delta.sum(0)
            delta = (delta @ weights[layer]) * (values[layer] > 0)
        rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        for p, g, m, s in zip(parameters, gradients, first, second):      # Adam (Kingma and Ba, 2015)
            m += 0.1 * (g - m)
            s += 0.001 * (g * g - s)
            p -= rate * (m / (1 - 0.9 ** step)) / (np.sqrt(s / (1 - 0.999 ** step)) + 1e-8)

    weights[0] = weights[0] / BOX                             # states in their own units
    weights[2], biases[2] = weights[2] * LIMIT, biases[2] * LIMIT
    arrays = {}
    for name, w, b in zip(("fc1", "fc2", "out"), weights, biases):
        arrays[name + ".weight"], arrays[name + ".bias"] = w.astype(np.float32), b.astype(np.float32)
    save_npz(os.path.join(HERE, "controller.npz"), arrays)

    state = draw(rng, 20000) * BOX
    h = state
    for w, b in zip(weights, biases):
        h = h @ w.T + b
        h = h if w is weights[-1] else np.maximum(h, 0)
    print(f"on {len(state)} new states: {np.sqrt(np.mean((h[:, 0] - teacher(state)) ** 2)):.3f} N off, root mean square")


if __name__ == "__main__":
    main()
