"""The learning rate schedules: their value at small and large steps."""

import keras
import numpy as np
from keras.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

from .common import Group, in_both, numpy

STEPS = [*range(21), 25, 30, 50, 99, 100, 101, 999, 1000, 1001, 12345, 100_000, 1_000_000]

CASES = {
    "exponential_decay": (ExponentialDecay, [
        dict(initial_learning_rate=0.1, decay_steps=5, decay_rate=0.9),
        dict(initial_learning_rate=0.1, decay_steps=5, decay_rate=0.9, staircase=True),
        dict(initial_learning_rate=0.01, decay_steps=1000, decay_rate=0.96),
        dict(initial_learning_rate=0.01, decay_steps=1000, decay_rate=0.96, staircase=True, name="lr"),
    ]),
    "cosine_decay": (CosineDecay, [
        dict(initial_learning_rate=0.1, decay_steps=10),
        dict(initial_learning_rate=0.1, decay_steps=1000),
        dict(initial_learning_rate=0.1, decay_steps=10, alpha=0.25),
        dict(initial_learning_rate=0.0, decay_steps=10, warmup_target=0.1, warmup_steps=5),
        dict(initial_learning_rate=0.02, decay_steps=1000, alpha=0.01, warmup_target=0.5, warmup_steps=100),
        # Without a target the warm-up steps are ignored.
        dict(initial_learning_rate=0.1, decay_steps=10, warmup_steps=5),
    ]),
    "piecewise_constant_decay": (PiecewiseConstantDecay, [
        dict(boundaries=[5, 10, 100], values=[0.1, 0.05, 0.01, 0.001]),
    ]),
    "polynomial_decay": (PolynomialDecay, [
        dict(initial_learning_rate=0.1, decay_steps=10, end_learning_rate=0.01),
        dict(initial_learning_rate=0.1, decay_steps=10, end_learning_rate=0.01, power=0.5),
        dict(initial_learning_rate=0.1, decay_steps=10, end_learning_rate=0.01, power=2.0, cycle=True),
    ]),
    "inverse_time_decay": (InverseTimeDecay, [
        dict(initial_learning_rate=0.1, decay_steps=5, decay_rate=0.5),
        dict(initial_learning_rate=0.1, decay_steps=5, decay_rate=0.5, staircase=True),
    ]),
    "cosine_decay_restarts": (CosineDecayRestarts, [
        dict(initial_learning_rate=0.1, first_decay_steps=4),
        dict(initial_learning_rate=0.1, first_decay_steps=4, t_mul=1.0, m_mul=0.9, alpha=0.1),
    ]),
}


def make(_folder):
    group = Group("schedules", "learning_rates[i] = the schedule at steps[i]")
    for base, (cls, calls) in CASES.items():
        for number, arguments in enumerate(calls):
            # The optimizer calls its schedule with the int32 variable of iterations.
            def compute(dtype):
                schedule = cls(**arguments)
                values = [numpy(schedule(keras.ops.array(step, "int32"))) for step in STEPS]
                return {"learning_rates": np.array(values, dtype)}

            config = keras.optimizers.schedules.serialize(cls(**arguments))
            group.case(f"{base}/{number}", config, {"steps": np.array(STEPS), **in_both(compute)})
    return group
