"""The regularizers: value and gradient."""

import jax
import jax.numpy as jnp
import keras
from keras import regularizers
from keras.src.regularizers import ALL_OBJECTS_DICT

from .common import Group, aliases, in_both, normal, numpy, rng

orthogonal = regularizers.OrthogonalRegularizer
TABLE = {
    "l1": lambda: regularizers.L1(),
    "l1/0.3": lambda: regularizers.L1(0.3),
    "l2": lambda: regularizers.L2(),
    "l2/0.3": lambda: regularizers.L2(0.3),
    "l1l2": lambda: regularizers.L1L2(),
    "l1l2/both": lambda: regularizers.L1L2(l1=0.1, l2=0.2),
    "l1l2/l1": lambda: regularizers.L1L2(l1=0.1),
    "orthogonal_regularizer": lambda: orthogonal(),
    "orthogonal_regularizer/rows": lambda: orthogonal(0.5, "rows"),
    "orthogonal_regularizer/columns": lambda: orthogonal(0.5, "columns"),
}


def make(_folder):
    group = Group("regularizers", "value = regularizer(w); gradient = d value / d w",
                  aliases(ALL_OBJECTS_DICT))
    draw = rng(1111)
    weights = {str(rank): normal(draw, shape) for rank, shape in {1: (5,), 2: (4, 3), 4: (2, 2, 3, 4)}.items()}
    weights["2_zeros"] = weights["2"].copy()
    weights["2_zeros"][1, :2] = 0.0
    weights["2_zeros"][2, 1] = -0.0
    for label, build in TABLE.items():
        for rank, w in weights.items():
            if label.startswith("orthogonal") and w.ndim != 2:
                continue
            add(group, f"{label}/rank_{rank}", build, w)
    return group


def add(group, label, build, w):
    def compute(dtype):
        regularizer = build()
        weight = jnp.asarray(w.astype(dtype))
        return {
            "value": numpy(regularizer(weight)).astype(dtype),
            "gradient": numpy(jax.grad(lambda v: jnp.sum(regularizer(v)))(weight)).astype(dtype),
        }

    config = keras.regularizers.serialize(build())
    group.case(label, config, {"w": w, **in_both(compute)})
