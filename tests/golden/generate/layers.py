"""The layers: outputs and gradients at inference, with given weights."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import constraints, initializers, layers, regularizers
from keras.src.activations import ALL_OBJECTS_DICT

from .common import Group, in_both, normal, numpy, rng

# threshold needs arguments, glu halves the last axis: neither is an activation of a layer by its name.
ACTIVATIONS = sorted(set(ALL_OBJECTS_DICT) - {"threshold", "glu"})


def make(_folder):
    group = Group(
        "layers",
        "y = layer(x) at inference; gradient_x, gradient_weights = d sum(y * g) / d x, d weights",
    )
    draw = rng(404)
    x2 = normal(draw, (6, 5))
    x3 = normal(draw, (2, 3, 5))
    x4 = normal(draw, (2, 3, 4, 5))
    pool = normal(draw, (256,), 0.7)
    add = lambda label, layer, x: add_case(group, label, layer, x, pool)

    dense(add, x2, x3, x4)
    for name in ACTIVATIONS:
        add(f"activation/{name}", lambda name=name: layers.Activation(name), x2)
    add("activation/softmax/rank_3", lambda: layers.Activation("softmax"), x3)

    add("flatten/rank_1", lambda: layers.Flatten(), x2[:, 0])
    for rank, x in {2: x2, 3: x3, 4: x4}.items():
        add(f"flatten/rank_{rank}", lambda: layers.Flatten(), x)
        add(f"identity/rank_{rank}", lambda: layers.Identity(), x)
        add(f"dropout/rank_{rank}", lambda: layers.Dropout(0.5, seed=7), x)
        add(f"rescaling/rank_{rank}", lambda: layers.Rescaling(1.0 / 255, offset=-0.5), x)
    add("flatten/channels_first", lambda: layers.Flatten(data_format="channels_first"), x4)
    for shape in [(15,), (5, 3), (-1,), (5, -1), (-1, 5), (3, 1, 5), (-1, 1, 3)]:
        label = "x".join(map(str, shape))
        add(f"reshape/{label}", lambda shape=shape: layers.Reshape(shape), x3)
    add("reshape/rank_4", lambda: layers.Reshape((12, -1)), x4)
    add("reshape/rank_2", lambda: layers.Reshape((5, 1)), x2)
    add("rescaling/scale_only", lambda: layers.Rescaling(2.0), x2)
    add("rescaling/per_channel", lambda: layers.Rescaling([1.0, 2.0, 0.5, -1.0, 0.0],
                                                          offset=[0.0, 1.0, -1.0, 0.5, 2.0]), x2)
    add("dropout/default_seed", lambda: layers.Dropout(0.25), x2)
    add("dropout/noise_shape", lambda: layers.Dropout(0.25, noise_shape=(None, 1), seed=1), x2)
    add("dropout/rate=0", lambda: layers.Dropout(0.0), x2)
    return group


def dense(add, x2, x3, x4):
    for rank, x in {2: x2, 3: x3, 4: x4}.items():
        for use_bias in (True, False):
            add(f"dense/rank_{rank}/use_bias={use_bias}", lambda: layers.Dense(4, use_bias=use_bias), x)
            add(f"dense/rank_{rank}/use_bias={use_bias}/gelu",
                lambda: layers.Dense(4, use_bias=use_bias, activation="gelu"), x)
    for name in ACTIVATIONS:
        add(f"dense/activation={name}", lambda name=name: layers.Dense(4, activation=name), x2)
    add("dense/units=1", lambda: layers.Dense(1), x2)
    add("dense/batch=1", lambda: layers.Dense(4, activation="relu"), x2[:1])
    add(
        "dense/every_argument",
        lambda: layers.Dense(
            4,
            activation="relu",
            kernel_initializer=initializers.HeNormal(seed=3),
            bias_initializer=initializers.Constant(0.1),
            kernel_regularizer=regularizers.L2(0.01),
            bias_regularizer=regularizers.L1L2(0.02, 0.03),
            activity_regularizer=regularizers.L1(0.05),
            kernel_constraint=constraints.MaxNorm(2.0),
            bias_constraint="non_neg",
            name="the_dense",
        ),
        x2,
    )


def add_case(group, label, make_layer, x, pool):
    """`pool` is a reservoir of numbers for weights and for g."""
    keras.backend.clear_session()
    probe = make_layer()
    y_shape = numpy(probe(x)).shape
    config = keras.layers.serialize(probe)
    offset, weights = 0, []
    for weight in probe.trainable_weights:
        size = int(np.prod(weight.shape))
        weights.append(pool[offset : offset + size].reshape(weight.shape))
        offset += size
    g = np.resize(pool[::-1], y_shape)

    def compute(dtype):
        layer = make_layer()
        layer.build(x.shape)

        def call(values, inputs):
            mapping = zip(layer.trainable_variables, values)
            with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
                y = layer(inputs, training=False)
                return y, sum(layer.losses, jnp.asarray(0.0, dtype))

        values = [jnp.asarray(w.astype(dtype)) for w in weights]
        inputs = jnp.asarray(x.astype(dtype))
        total = lambda values, inputs: jnp.sum(call(values, inputs)[0] * g.astype(dtype))
        gradient_weights, gradient_x = jax.grad(total, argnums=(0, 1))(values, inputs)
        y, added = call(values, inputs)
        return {
            "y": numpy(y),
            "gradient_x": numpy(gradient_x),
            "gradient_weights": [numpy(v) for v in gradient_weights],
            "added_loss": numpy(added),
        }

    names = [w.path for w in probe.trainable_weights]
    group.case(label, config, {"x": x, "g": g, "weights": weights, **in_both(compute)}, weight_names=names)
