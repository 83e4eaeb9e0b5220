"""Weight decay with excluded weights, which configurations do not hold."""

import keras

from .common import Group, normal, rng
from .optimizers import MORE_WEIGHTS, STEPS, add


def make(_folder):
    group = Group("optimizer_exclusions", "as optimizers, after exclude_from_weight_decay(var_names=..)")
    draw = rng(304)
    initial = [normal(draw, shape) for _, _, shape in MORE_WEIGHTS]
    gradients = [normal(draw, (STEPS, *shape)) for _, _, shape in MORE_WEIGHTS]
    decaying = lambda: {"learning_rate": 0.05, "weight_decay": 0.5}  # noqa: E731
    for names in (["bias"], ["bi.s", "embed"]):
        label = f"adamw/excluded={','.join(names)}"
        add(group, label, keras.optimizers.AdamW, decaying, MORE_WEIGHTS, initial, gradients, excluded=names)
    return group
