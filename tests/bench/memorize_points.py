"""The points that memorize.py measures: sorted distinct keys of several distributions, labels, queries; the files that hold them.

    points = make_points("f64", "uniform", 1000, "keys", 1 << 18, seed)
"""
import numpy as np

TYPES = {"f64": np.float64, "f32": np.float32, "i64": np.int64, "i32": np.int32}
DISTRIBUTIONS = ("uniform", "lognormal", "clustered", "ulp")
QUERIES = ("keys", "zipf")
MAGIC = 0x6d656d6f                          # of rivals/main.c
RUN = 32                                    # neighbours in a row, in the distribution `ulp`


class Points:
    """n keys, ascending; a label for each; queries, which are keys, and their labels."""

    def __init__(self, key_type, distribution, asked, keys, labels, picks):
        self.key_type, self.distribution, self.asked, self.n = key_type, distribution, asked, len(keys)
        self.keys, self.labels, self.queries, self.answers = keys, labels, keys[picks], labels[picks]
        self.name = f"{key_type} {distribution} {asked} {len(keys)}"

    def write(self, path):
        with open(path, "wb") as file:
            for array in (np.array([MAGIC, self.keys.itemsize, self.n, len(self.queries)], np.uint64),
                          self.keys, self.labels, self.queries, self.answers):
                data = array.tobytes()
                file.write(data + b"\0" * (-len(data) % 64))


def uniform(kind, count, rng):
    """Floats in [0, 1), integers over half of all there are."""
    most = 1 << (int(kind[1:]) - 2)
    return rng.integers(-most, most, count) if kind[0] == "i" else rng.random(count)


def lognormal(kind, count, rng):
    draws = rng.lognormal(0, 2, count)
    scale = {"i64": 1e12, "i32": 1e6}
    return (np.minimum(draws * scale[kind], 2.0 ** (int(kind[1:]) - 1) - 1025)).astype(TYPES[kind]) if kind in scale else draws


def clustered(kind, count, rng):
    """sqrt(n) normal clusters, a millionth of the whole range wide (in 32 bits: a thousandth, or there are not enough values)."""
    centres = rng.random(int(np.sqrt(count)) + 1)
    draws = rng.choice(centres, count) + rng.normal(0, 1e-3 if kind[1:] == "32" else 1e-6, count)
    return (draws * 2.0 ** (int(kind[1:]) - 4)).astype(TYPES[kind]) if kind[0] == "i" else draws


def ulp(kind, count, rng):
    """Adversarial: runs of neighbours one unit in the last place apart, over a hundred binary orders of magnitude (integers: all) and both signs."""
    starts, steps = -(-count // RUN), np.arange(RUN)
    signs = rng.choice([-1, 1], starts)
    if kind[0] == "i":
        return (signs * 2 ** rng.uniform(6, int(kind[1:]) - 3, starts)).astype(TYPES[kind]).repeat(RUN) + np.tile(steps, starts).astype(TYPES[kind])
    values = (signs * 2 ** rng.uniform(-50, 50, starts)).astype(TYPES[kind])
    bits = values.view(np.int64 if kind == "f64" else np.int32)
    return (bits.repeat(RUN) + np.tile(steps, starts).astype(bits.dtype)).view(TYPES[kind])


def distinct(kind, distribution, n, rng):
    """n distinct sorted keys: drawn until there are enough, then some are left out at random."""
    keys = np.empty(0, TYPES[kind])
    while len(keys) < n:
        count = int((n - len(keys)) * 1.1) + 100
        draws = globals()[distribution](kind, count, rng).astype(TYPES[kind])
        keys = np.unique(np.concatenate([keys, draws + TYPES[kind](0)]))
    if distribution == "ulp":               # whole runs stay together
        first = rng.integers(0, len(keys) - n + 1)
        return keys[first:first + n]
    return np.delete(keys, rng.choice(len(keys), len(keys) - n, replace=False))


def picks_of(asked, n, count, rng):
    """Which keys are asked for: all alike, or the k-th of a random order with a probability of k^-1.1."""
    if asked == "keys":
        return rng.integers(0, n, count)
    weights = np.cumsum(np.arange(1, n + 1) ** -1.1)
    ranks = np.minimum(np.searchsorted(weights, rng.random(count) * weights[-1]), n - 1)
    return rng.permutation(n)[ranks]


def make_points(kind, distribution, n, asked, n_queries, seed):
    rng = np.random.default_rng([seed, n, sorted(TYPES).index(kind), DISTRIBUTIONS.index(distribution)])
    keys = distinct(kind, distribution, n, rng)
    labels = rng.integers(0, 1 << 31, n, dtype=np.int32)
    labels[1:][labels[1:] == labels[:-1]] ^= 1
    return Points(kind, distribution, asked, keys, labels, picks_of(asked, n, n_queries, rng))
