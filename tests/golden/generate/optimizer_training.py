"""Whole training runs of every optimizer and schedule that the group training does not have."""

from keras import optimizers
from keras.optimizers.schedules import (
    CosineDecayRestarts,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

from .common import Group, rng
from .training import Data, Run, add, compile_with, mlp

OPTIMIZERS = {
    "adadelta": lambda: optimizers.Adadelta(1.0, clipnorm=0.5),
    "adafactor": lambda: optimizers.Adafactor(0.1, weight_decay=0.1),
    "adafactor_accumulation": lambda: optimizers.Adafactor(
        InverseTimeDecay(0.3, 4, 0.5), gradient_accumulation_steps=2
    ),
    "adagrad": lambda: optimizers.Adagrad(PolynomialDecay(0.2, 10, 0.05, power=2.0), clipvalue=0.05),
    "adamax": lambda: optimizers.Adamax(0.02, use_ema=True, ema_momentum=0.9),
    "ftrl": lambda: optimizers.Ftrl(
        0.2, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.01, global_clipnorm=0.5
    ),
    "lamb": lambda: optimizers.Lamb(0.05, weight_decay=0.1, clipnorm=0.5),
    "lion": lambda: optimizers.Lion(
        PiecewiseConstantDecay([4, 9], [0.02, 0.01, 0.002]), weight_decay=0.1, gradient_accumulation_steps=2
    ),
    "muon": lambda: optimizers.Muon(0.05, exclude_layers=["dense_1"], clipnorm=0.5),
    "nadam": lambda: optimizers.Nadam(
        CosineDecayRestarts(0.05, 5, m_mul=0.8), use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
    ),
    "nadam_accumulation": lambda: optimizers.Nadam(0.02, gradient_accumulation_steps=3, weight_decay=0.1),
    "schedule_free_adamw": lambda: optimizers.ScheduleFreeAdamW(0.05, warmup_steps=4, weight_decay=0.1),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.1, momentum=0.9, clipnorm=0.5), initial_scale=1024.0, dynamic_growth_steps=5
    ),
    "multi": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.SGD(0.1, clipnorm=0.5),
            {".*dense_1/.*": optimizers.AdamW(0.02, use_ema=True, ema_momentum=0.9)},
        ),
        loss_scale_factor=8.0,
    ),
}


def make(_folder):
    group = Group("optimizer_training", "as the group training")
    data = Data(rng(505))
    for name, optimizer in OPTIMIZERS.items():
        add(group, name, Run(mlp(), compile_with(optimizer), data.x, data.labels))
    return group
