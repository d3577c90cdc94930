"""The networks that peers.py measures: real ones, a synthetic one, and variants whose neurons are all on.

A network that is a chain of dense layers is also there as numpy arrays: for the peers, which get their weights from us, and to
compute what an evaluation has to touch.
"""
import os
import re

import numpy as np

import onnx_file

SYNTHETIC = "ffn_1024_4096"
BATCH = 256


class Layer:
    """y = w x + b, then relu if it says so."""

    def __init__(self, w, b, relu):
        self.w, self.b, self.relu = np.ascontiguousarray(w, np.float32), np.ascontiguousarray(b, np.float32), relu


class Network:
    """A model, its inputs, the outputs it should have (None: unknown) and, if it is a chain, its layers (else None)."""

    def __init__(self, name, path, layers, x, y, n_out):
        self.name, self.path, self.layers, self.x, self.y, self.n_out = name, path, layers, x, y, n_out

    def symbol(self):
        return "b_" + re.sub(r"\W", "_", self.name)


def layers_of(chain):
    """read_chain's steps as layers; a subtracted mean goes into the bias of the layer after it. None if that is not possible."""
    layers, mean = [], 0.0
    for kind, array in chain or ():
        if kind == "sub":
            mean = mean + array.astype(np.float64)
        elif kind == "affine":
            w, b = array
            layers.append(Layer(w, b - w.astype(np.float64) @ np.broadcast_to(mean, w.shape[1]), False))
            mean = 0.0
        elif layers and not layers[-1].relu and np.all(mean == 0):
            layers[-1].relu = True
        else:
            return None
    return layers or None


def values_of(layers, x):
    """The input of every layer, and the output: [rows, width] each, in double precision."""
    values = [x.astype(np.float64)]
    for layer in layers:
        z = values[-1] @ layer.w.astype(np.float64).T + layer.b
        values.append(np.maximum(z, 0) if layer.relu else z)
    return values


def load_network(folder, name):
    """A network of the folder with its test inputs in a shuffled order, always the same."""
    path = os.path.join(folder, name + ".onnx")
    x = np.load(path[:-5] + ".x.npy").astype(np.float32)
    y = np.load(path[:-5] + ".y.npy").reshape(len(x), -1)
    order = np.random.default_rng(1).permutation(len(x))
    return Network(name, path, layers_of(onnx_file.read_chain(path)), x.reshape(len(x), -1)[order], y[order], y.shape[1])


def synthetic_network(folder, rows):
    """1024 -> 4096 -> 1024, random; the hidden biases are one number: that which leaves 10 % of the neurons on, on these inputs."""
    rng = np.random.default_rng(7)
    w1 = (rng.standard_normal((4096, 1024)) / 32).astype(np.float32)
    w2 = (rng.standard_normal((1024, 4096)) / 20).astype(np.float32)
    x = rng.standard_normal((rows, 1024)).astype(np.float32)
    z = x.astype(np.float64) @ w1.astype(np.float64).T
    b1 = np.full(4096, -np.quantile(z, 0.9), np.float32)
    layers = [Layer(w1, b1, True), Layer(w2, rng.standard_normal(1024), False)]
    path = os.path.join(folder, SYNTHETIC + ".onnx")
    onnx_file.write_chain(path, [(layer.w, layer.b, layer.relu) for layer in layers])
    return Network(SYNTHETIC, path, layers, x, values_of(layers, x)[-1], 1024)


def all_on(folder, network):
    """The chain with hidden biases raised until every relu is on for all the inputs."""
    value, layers = network.x.astype(np.float64), []
    for layer in network.layers:
        z = value @ layer.w.astype(np.float64).T + layer.b
        if layer.relu:
            # Margin: single precision must see it positive, too.
            raised = layer.b + np.maximum(0, 0.01 * np.abs(z).max(axis=0) + 1e-3 - z.min(axis=0))
            layers.append(Layer(layer.w, raised, True))
            value = value @ layer.w.astype(np.float64).T + layers[-1].b
        else:
            layers.append(layer)
            value = z
    if not all((v > 0).all() for v, layer in zip(values_of(layers, network.x)[1:], layers) if layer.relu):
        raise SystemExit(f"{network.name}: not every neuron could be switched on")
    name = network.name + "_on"
    path = os.path.join(folder, name + ".onnx")
    onnx_file.write_chain(path, [(layer.w, layer.b, layer.relu) for layer in layers])
    return Network(name, path, layers, network.x, None, network.n_out)


def bytes_touched(network):
    """Bytes of weights: all; mean over the inputs of the columns whose input is not zero; of the columns that any input needs."""
    dense = mean = union = 0
    for layer, value in zip(network.layers, values_of(network.layers, network.x)):
        column = 4 * len(layer.w)
        dense += column * layer.w.shape[1]
        mean += column * np.count_nonzero(value) / len(value)
        union += column * np.count_nonzero((value != 0).any(axis=0))
    return {"dense": dense, "touched": mean, "union": union}
