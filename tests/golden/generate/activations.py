"""Every function of keras.activations: values and gradients, at kinks and far out too."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.activations import ALL_OBJECTS_DICT

from .common import Group, aliases, in_both, normal, numpy, rng

# Points where some activation changes its piece, and their neighbours' neighbours.
KINKS = [
    [0.0, -0.0, 0.5, -0.5, 1.0, -1.0],
    [2.5, -2.5, 3.0, -3.0, 6.0, -6.0],
    [0.2, -0.2, 2.0, -2.0, 4.0, -4.0],
    [1.5, 1.5, 1.5, -1.5, -1.5, -1.5],  # ties, for softmax and sparsemax
]
LARGE = [20.0, -20.0, 40.0, -40.0, 60.0, -60.0]
# Where a careless formula overflows.
EXTREME = [
    [-1e4, -1e3, -100.0, -88.8, -30.0, 1e-8],
    [1e4, 1e3, 100.0, 88.8, 30.0, -1e-8],
]

PARAMETRISED = {
    "relu": [
        {"negative_slope": 0.25},
        {"max_value": 2.0},
        {"max_value": 6.0},
        {"threshold": 0.5},
        {"negative_slope": 0.25, "max_value": 2.0},
        {"negative_slope": 0.25, "threshold": 0.5},
        {"max_value": 2.0, "threshold": 0.5},
        {"negative_slope": 0.25, "max_value": 2.0, "threshold": 0.5},
        {"negative_slope": 0.25, "max_value": 6.0, "threshold": -0.5},
    ],
    "leaky_relu": [{"negative_slope": 0.01}, {"negative_slope": 0.5}],
    "elu": [{"alpha": 0.5}, {"alpha": 2.0}],
    "celu": [{"alpha": 0.5}, {"alpha": 2.0}],
    "gelu": [{"approximate": True}, {"approximate": False}],
    "hard_shrink": [{"threshold": 1.0}, {"threshold": 0.0}],
    "soft_shrink": [{"threshold": 1.0}, {"threshold": 0.0}],
    "threshold": [
        {"threshold": 0.5, "default_value": 0.0},
        {"threshold": -1.0, "default_value": -7.5},
    ],
    "squareplus": [{"b": 1}, {"b": 0.5}],
    "softmax": [{"axis": 0}, {"axis": 1}],
    "log_softmax": [{"axis": 0}, {"axis": 1}],
    "sparsemax": [{"axis": 0}, {"axis": 1}],
    "glu": [{"axis": 0}, {"axis": 1}],
}
RANK_3 = ["softmax", "log_softmax", "sparsemax", "glu"]


def make(_folder):
    group = Group("activations", "y = f(x); gradient = d sum(y * g) / d x",
                  aliases(ALL_OBJECTS_DICT))
    draw = rng(101)
    x = np.concatenate([normal(draw, (5, 6), 2.0), np.float32(KINKS), np.float32([LARGE])])
    cube = normal(draw, (3, 4, 6), 2.0)
    extreme = np.float32(EXTREME)
    g = normal(draw, (64,))

    for name, fn in sorted(ALL_OBJECTS_DICT.items()):
        calls = list(PARAMETRISED.get(name, []))
        if name != "threshold":  # the one function without defaults
            calls.insert(0, {})
        for arguments in calls:
            label = "/".join([name] + [f"{k}={v}" for k, v in arguments.items()])
            add(group, label, fn, arguments, x, g)
            if not arguments:
                add(group, f"{name}/extreme", fn, arguments, extreme, g)
        if name in RANK_3:
            for axis in (-1, -2):
                add(group, f"{name}/rank_3/axis={axis}", fn, {"axis": axis}, cube, g)
    return group


def add(group, label, fn, arguments, x, g):
    def compute(dtype):
        xs = jnp.asarray(x.astype(dtype))
        y = fn(xs, **arguments)
        weights = np.resize(g, y.shape).astype(dtype)
        gradient = jax.grad(lambda v: jnp.sum(fn(v, **arguments) * weights))(xs)
        return {"y": numpy(y), "gradient": numpy(gradient)}

    both = in_both(compute)
    tensors = {"x": x, "g": np.resize(g, both["y"].shape), **both}
    config = keras.activations.serialize(fn)
    group.case(label, config, tensors, arguments=arguments)
