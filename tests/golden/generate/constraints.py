"""The constraints: the projected weight."""

import keras
import numpy as np
from keras import constraints
from keras.src.constraints import ALL_OBJECTS_DICT

from .common import Group, aliases, in_both, normal, numpy, rng

TABLE = {
    "max_norm": lambda **axis: constraints.MaxNorm(**axis),
    "max_norm/1": lambda **axis: constraints.MaxNorm(1.0, **axis),
    "min_max_norm": lambda **axis: constraints.MinMaxNorm(**axis),
    "min_max_norm/rate": lambda **axis: constraints.MinMaxNorm(0.8, 1.2, rate=0.5, **axis),
    "unit_norm": lambda **axis: constraints.UnitNorm(**axis),
}
AXES = {1: [None, 0], 2: [None, 0, 1, -1, [0, 1]], 4: [None, [0, 1, 2], 3]}


def make(_folder):
    group = Group("constraints", "projected = constraint(w)", aliases(ALL_OBJECTS_DICT))
    draw = rng(1212)
    weights = {1: normal(draw, (5,)), 2: normal(draw, (4, 3)), 4: normal(draw, (2, 2, 3, 4))}
    weights[2][:, 1] *= 0.1  # a column below every bound, and one above
    weights[2][:, 2] *= 5.0
    for rank, w in weights.items():
        for label, build in TABLE.items():
            for axis in AXES[rank]:
                arguments = {} if axis is None else {"axis": axis}
                add(group, f"{label}/rank_{rank}/axis={axis}", lambda: build(**arguments), w)
        add(group, f"non_neg/rank_{rank}", constraints.NonNeg, w)
    zeros = np.zeros((4, 3), np.float32)
    for label, build in TABLE.items():
        add(group, f"{label}/zeros", build, zeros)
    return group


def add(group, label, build, w):
    compute = lambda dtype: {"projected": numpy(build()(keras.ops.convert_to_tensor(w.astype(dtype))))}
    group.case(label, keras.constraints.serialize(build()), {"w": w, **in_both(compute)})
