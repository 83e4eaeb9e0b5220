"""The optimizers: twelve steps with given gradients, alone and with common arguments."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.optimizers import ALL_OBJECTS_DICT

from .common import Group, aliases, double, normal, numpy, rng

STEPS = 12
# (name scope, name, shape); a scalar is a weight too.
WEIGHTS = [("dense", "kernel", (4, 3)), ("dense", "bias", (3,)), ("scale", "factor", ())]

# For the optimizers that look at shapes and paths: matrices of both forms, one of an embedding, rank 3.
MORE_WEIGHTS = [
    ("dense", "kernel", (4, 3)),
    ("dense", "bias", (3,)),
    ("wide", "kernel", (2, 5)),
    ("scale", "factor", ()),
    ("conv", "kernel", (2, 3, 4)),
    ("embedding", "embeddings", (3, 2)),
]

# Each with every common argument.
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

# Each with some of them, on more weights.
MORE_BASES = {
    "adadelta": (keras.optimizers.Adadelta, {"learning_rate": 1.0}),
    "adadelta_rho": (keras.optimizers.Adadelta, {"learning_rate": 0.5, "rho": 0.8, "epsilon": 1e-3}),
    "adafactor": (keras.optimizers.Adafactor, {}),
    "adafactor_absolute": (
        keras.optimizers.Adafactor,
        {
            "learning_rate": 0.3,
            "beta_2_decay": -0.6,
            "epsilon_1": 1e-6,
            "epsilon_2": 0.1,
            "clip_threshold": 0.5,
            "relative_step": False,
        },
    ),
    "adagrad": (keras.optimizers.Adagrad, {"learning_rate": 0.1}),
    "adagrad_initial": (
        keras.optimizers.Adagrad,
        {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-2},
    ),
    "adamax": (keras.optimizers.Adamax, {}),
    "adamax_betas": (
        keras.optimizers.Adamax,
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3},
    ),
    "ftrl": (keras.optimizers.Ftrl, {"learning_rate": 0.1}),
    "ftrl_regularized": (
        keras.optimizers.Ftrl,
        {
            "learning_rate": 0.2,
            "learning_rate_power": -0.7,
            "initial_accumulator_value": 0.3,
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.2,
            "beta": 0.5,
        },
    ),
    "ftrl_fixed": (keras.optimizers.Ftrl, {"learning_rate": 0.2, "learning_rate_power": 0.0}),
    "lamb": (keras.optimizers.Lamb, {}),
    "lamb_betas": (
        keras.optimizers.Lamb,
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
    ),
    "lion": (keras.optimizers.Lion, {}),
    "lion_betas": (keras.optimizers.Lion, {"learning_rate": 0.02, "beta_1": 0.6, "beta_2": 0.8}),
    "muon": (keras.optimizers.Muon, {"learning_rate": 0.01}),
    "muon_excluding": (
        keras.optimizers.Muon,
        {
            "learning_rate": 0.02,
            "adam_beta_1": 0.8,
            "adam_beta_2": 0.95,
            "epsilon": 1e-3,
            "adam_weight_decay": 0.1,
            "weight_decay": None,
            "exclude_layers": ["wi.e/", "conv"],
            "exclude_embeddings": False,
            "adam_lr_ratio": 0.5,
            "momentum": 0.8,
            "ns_steps": 3,
            "nesterov": False,
            "rms_rate": None,
        },
    ),
    "nadam": (keras.optimizers.Nadam, {}),
    "nadam_betas": (
        keras.optimizers.Nadam,
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
    ),
    "schedule_free_adamw": (keras.optimizers.ScheduleFreeAdamW, {}),
    "schedule_free_adamw_warmup": (
        keras.optimizers.ScheduleFreeAdamW,
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3, "warmup_steps": 5},
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

MORE_OPTIONS = {
    "alone": lambda: {},
    "clipnorm_and_decay": lambda: {"clipnorm": 1.0, "weight_decay": 0.05},
    "everything": OPTIONS["everything"],
}


def wrappers():
    """The optimizers that hold others."""
    optimizers = keras.optimizers
    yield "loss_scale", optimizers.LossScaleOptimizer, lambda: {
        "inner_optimizer": optimizers.SGD(0.05, momentum=0.9),
        "initial_scale": 4.0,
        "dynamic_growth_steps": 3,
    }
    yield "loss_scale_everything", optimizers.LossScaleOptimizer, lambda: {
        "inner_optimizer": optimizers.AdamW(name="inner", **OPTIONS["everything"]()),
        "initial_scale": 0.5,
        "dynamic_growth_steps": 2,
    }
    yield "multi", optimizers.MultiOptimizer, lambda: {
        "optimizer_map": optimizers.OptimizerMap(
            optimizers.SGD(0.05, momentum=0.9),
            {
                "wide/kernel": optimizers.RMSprop(0.01),
                "(conv|embedding)/.*": optimizers.Adam(0.02, **MORE_OPTIONS["clipnorm_and_decay"]()),
                "nowhere": optimizers.Lion(),
            },
        ),
    }
    yield "multi_everything", optimizers.MultiOptimizer, lambda: {
        "optimizer_map": optimizers.OptimizerMap(
            optimizers.Adam(name="a", **OPTIONS["everything"]()),
            {".*/kernel": optimizers.Nadam(name="b", **OPTIONS["accumulation_and_ema"]())},
        ),
        "loss_scale_factor": 2.0,
    }
    yield "loss_scale_of_multi", optimizers.LossScaleOptimizer, lambda: {
        "inner_optimizer": optimizers.MultiOptimizer(
            optimizers.OptimizerMap(optimizers.SGD(0.05), {"dense/.*": optimizers.Adam(0.02)})
        ),
        "initial_scale": 2.0,
        "dynamic_growth_steps": 4,
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
            build = lambda a=arguments, m=more: {**a, **m()}  # noqa: E731
            add(group, f"{base}/{option}", cls, build, WEIGHTS, initial, gradients)
    initial = [normal(draw, shape) for _, _, shape in MORE_WEIGHTS]
    gradients = [
        normal(draw, (STEPS, *shape)) * scale.reshape((-1,) + (1,) * len(shape))
        for _, _, shape in MORE_WEIGHTS
    ]
    gradients[0][3] = 0.0
    for base, (cls, arguments) in MORE_BASES.items():
        for option, more in MORE_OPTIONS.items():
            build = lambda a=arguments, m=more: {**a, **m()}  # noqa: E731
            steps = option == "alone"
            add(group, f"{base}/{option}", cls, build, MORE_WEIGHTS, initial, gradients, steps)
    infinite = [gradient.copy() for gradient in gradients]
    infinite[1][6, 1] = np.inf
    for label, cls, arguments in wrappers():
        scaling = cls is keras.optimizers.LossScaleOptimizer
        add(group, label, cls, arguments, MORE_WEIGHTS, initial, infinite if scaling else gradients)
    return group


def run(cls, arguments, named, initial, gradients, dtype, excluded):
    """All steps; returns the optimizer, its variables, the trajectory and the finalized weights."""
    keras.backend.clear_session()
    optimizer = cls(**arguments())
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=excluded)
    config = keras.optimizers.serialize(optimizer)
    weights = []
    for (scope, name, _), value in zip(named, initial):
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


def add(group, label, cls, arguments, named, initial, gradients, steps=True, excluded=None):
    config, variables, weights, final = run(cls, arguments, named, initial, gradients, np.float32, excluded)
    with double():
        *_, final64 = run(cls, arguments, named, initial, gradients, np.float64, excluded)
    tensors = {
        "initial": initial,
        "gradients": gradients,
        "final": final,
        "final64": final64,
        "variables": [value for _, value in variables],
    }
    if steps:
        tensors["weights"] = weights
    group.case(
        label,
        config,
        tensors,
        weight_names=[f"{scope}/{name}" for scope, name, _ in named],
        variable_names=[path for path, _ in variables],
        **({"exclude_from_weight_decay": excluded} if excluded else {}),
    )
