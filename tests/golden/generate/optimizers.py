"""The optimizers: twelve steps with given gradients, alone and with each common argument."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.optimizers import ALL_OBJECTS_DICT

from .common import Group, aliases, double, normal, numpy, rng

STEPS = 12
# (name scope, name, shape); a scalar is a weight too.
WEIGHTS = [("dense", "kernel", (4, 3)), ("dense", "bias", (3,)), ("scale", "factor", ())]

BASES = {
    "sgd": (keras.optimizers.SGD, {}),
    "sgd_momentum": (keras.optimizers.SGD, {"learning_rate": 0.05, "momentum": 0.9}),
    "sgd_nesterov": (keras.optimizers.SGD, {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "rmsprop": (keras.optimizers.RMSprop, {}),
    "rmsprop_rho": (keras.optimizers.RMSprop, {"learning_rate": 0.02, "rho": 0.7, "epsilon": 1e-3}),
    "rmsprop_momentum": (keras.optimizers.RMSprop, {"learning_rate": 0.01, "momentum": 0.9}),
    "rmsprop_centered": (keras.optimizers.RMSprop, {"learning_rate": 0.01, "centered": True}),
    "rmsprop_centered_momentum": (
        keras.optimizers.RMSprop,
        {"learning_rate": 0.01, "centered": True, "momentum": 0.5},
    ),
    "adam": (keras.optimizers.Adam, {}),
    "adam_betas": (
        keras.optimizers.Adam,
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
    ),
    "adam_amsgrad": (keras.optimizers.Adam, {"learning_rate": 0.01, "amsgrad": True}),
    "adamw": (keras.optimizers.AdamW, {}),
    "adamw_amsgrad": (
        keras.optimizers.AdamW,
        {"learning_rate": 0.01, "weight_decay": 0.1, "amsgrad": True},
    ),
}

schedules = keras.optimizers.schedules
# The common arguments. A schedule is made afresh for each case.
OPTIONS = {
    "alone": lambda: {},
    "clipnorm": lambda: {"clipnorm": 1.0},
    "global_clipnorm": lambda: {"global_clipnorm": 1.5},
    "clipvalue": lambda: {"clipvalue": 0.5},
    "weight_decay": lambda: {"weight_decay": 0.05},
    "ema": lambda: {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": lambda: {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5},
    "accumulation": lambda: {"gradient_accumulation_steps": 3},
    "accumulation_unfinished": lambda: {"gradient_accumulation_steps": 5},
    "loss_scale": lambda: {"loss_scale_factor": 8.0},
    "exponential_decay": lambda: {"learning_rate": schedules.ExponentialDecay(0.1, 4, 0.5)},
    "exponential_decay_staircase": lambda: {
        "learning_rate": schedules.ExponentialDecay(0.1, 4, 0.5, staircase=True)
    },
    "cosine_decay": lambda: {"learning_rate": schedules.CosineDecay(0.1, 8, alpha=0.1)},
    "cosine_decay_warmup": lambda: {
        "learning_rate": schedules.CosineDecay(0.01, 6, alpha=0.1, warmup_target=0.1, warmup_steps=4)
    },
    "accumulation_and_ema": lambda: {
        "gradient_accumulation_steps": 2,
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 2,
    },
    "everything": lambda: {
        "learning_rate": schedules.ExponentialDecay(0.1, 4, 0.5),
        "gradient_accumulation_steps": 2,
        "clipnorm": 1.0,
        "weight_decay": 0.05,
        "use_ema": True,
        "ema_momentum": 0.8,
    },
}


def make(_folder):
    group = Group(
        "optimizers",
        "weights[i] = weight i after each of the steps, stacked; gradients[i] likewise",
        aliases(ALL_OBJECTS_DICT),
    )
    draw = rng(303)
    initial = [normal(draw, shape) for _, _, shape in WEIGHTS]
    # From small to large, so that clipping acts in some steps only.
    scale = np.geomspace(0.05, 3.0, STEPS).astype(np.float32)
    draw.shuffle(scale)
    gradients = [
        normal(draw, (STEPS, *shape)) * scale.reshape((-1,) + (1,) * len(shape))
        for _, _, shape in WEIGHTS
    ]
    gradients[1][4] = 0.0  # a norm of zero
    gradients[2][0] = 0.0
    for base, (cls, arguments) in BASES.items():
        for option, more in OPTIONS.items():
            add(group, f"{base}/{option}", cls, lambda a=arguments, m=more: {**a, **m()}, initial, gradients)
    return group


def run(cls, arguments, initial, gradients, dtype):
    """All steps; returns the optimizer, its variables, the trajectory and the finalized weights."""
    keras.backend.clear_session()
    optimizer = cls(**arguments())
    config = keras.optimizers.serialize(optimizer)
    weights = []
    for (scope, name, _), value in zip(WEIGHTS, initial):
        with keras.name_scope(scope):
            weights.append(keras.Variable(value.astype(dtype), dtype=dtype.__name__, name=name))
    optimizer.build(weights)
    apply = jax.jit(optimizer.stateless_apply)  # as fit does
    trajectory = [[] for _ in weights]
    for step in range(STEPS):
        values, slots = apply(
            [v.value for v in optimizer.variables],
            [jnp.asarray(g[step].astype(dtype)) for g in gradients],
            [w.value for w in weights],
        )
        for variable, value in zip(optimizer.variables + weights, slots + values):
            variable.assign(value)
        for past, weight in zip(trajectory, weights):
            past.append(numpy(weight))
    variables = [(v.path, numpy(v)) for v in optimizer.variables]
    optimizer.finalize_variable_values(weights)
    stacked = [np.stack(past) for past in trajectory]
    return config, variables, stacked, [numpy(w) for w in weights]


def add(group, label, cls, arguments, initial, gradients):
    config, variables, weights, final = run(cls, arguments, initial, gradients, np.float32)
    with double():
        *_, final64 = run(cls, arguments, initial, gradients, np.float64)
    tensors = {
        "initial": initial,
        "gradients": gradients,
        "weights": weights,
        "final": final,
        "final64": final64,
        "variables": [value for _, value in variables],
    }
    group.case(
        label,
        config,
        tensors,
        weight_names=[f"{scope}/{name}" for scope, name, _ in WEIGHTS],
        variable_names=[path for path, _ in variables],
    )
