#!/usr/bin/python3
"""Trains the digits network of this folder. Needs Debian's python3-sklearn (and numpy); nothing is downloaded.

    /usr/bin/python3 examples/digits/train.py       # rewrites the four files beside it, in a few seconds

In:  scikit-learn's bundled `load_digits`: 1,797 pictures of 8 x 8 grey pixels (0 ... 16), the test part of the UCI
     "Optical Recognition of Handwritten Digits" data (E. Alpaydin, C. Kaynak, 1998), prepared with NIST's programs.
Out: digits.npz    the trained weights, f32: fc1.weight [32, 64], fc1.bias [32], out.weight [10, 32], out.bias [10]
     test_x.npy    f32 [450, 64]: the held-out pictures, pixels divided by 16, so from 0 to 1
     test_y.npy    i32 [450]: what the writer meant
     test.txt      the same 450 rows as text, label first, pixels 0 ... 16: what main.c reads

One split and one seed, fixed before training; the held-out quarter takes no part in training, nor in choosing anything.
"""
import os
import zipfile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 1
HIDDEN = 32


def save_npz(path, arrays):
    """np.savez without the clock: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array))


def main():
    grey, label = load_digits(return_X_y=True)                  # [1797, 64] of 0 ... 16, [1797]
    train_grey, test_grey, train_label, test_label = train_test_split(
        grey, label, test_size=450, random_state=SEED, stratify=label)

    net = MLPClassifier((HIDDEN,), activation="relu", solver="adam", alpha=1e-2, batch_size=64,
                        learning_rate_init=2e-3, max_iter=400, tol=0, n_iter_no_change=400, random_state=SEED)
    net.fit((train_grey / 16).astype(np.float32), train_label)

    # scikit-learn keeps [in, out]; files of trained weights commonly hold [out, in], so that y = W @ x + b.
    w1, w2 = (w.T.astype(np.float32) for w in net.coefs_)
    b1, b2 = (b.astype(np.float32) for b in net.intercepts_)
    save_npz(os.path.join(HERE, "digits.npz"),
             {"fc1.weight": w1, "fc1.bias": b1, "out.weight": w2, "out.bias": b2})

    x = (test_grey / 16).astype(np.float32)
    np.save(os.path.join(HERE, "test_x.npy"), x)
    np.save(os.path.join(HERE, "test_y.npy"), test_label.astype(np.int32))
    with open(os.path.join(HERE, "test.txt"), "w") as text:
        for y, row in zip(test_label, test_grey.astype(int)):
            print(y, *row, file=text)

    predicted = np.argmax(np.maximum(x @ w1.T + b1, 0) @ w2.T + b2, axis=1)
    train_accuracy = net.score((train_grey / 16).astype(np.float32), train_label)
    print(f"training pictures: {train_accuracy:.2%} right; "
          f"held out: {np.sum(predicted == test_label)} of {len(test_label)} ({np.mean(predicted == test_label):.2%})")


if __name__ == "__main__":
    main()
