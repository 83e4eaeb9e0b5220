"""Layers that normalize."""

import numpy as np
from keras import constraints, layers, regularizers
from keras.src.applications.convnext import LayerScale

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_normalization", 1303)
    add = cases.add
    x2, x3, x4 = cases.normal(6, 5), cases.normal(4, 3, 5), cases.normal(2, 3, 4, 6)
    batch = layers.BatchNormalization
    calls = [
        ("rank_2", lambda: batch(), x2),
        ("axis_1", lambda: batch(axis=1, momentum=0.9, epsilon=0.01), x4),
        ("plain", lambda: batch(center=False, scale=False), x3),
        ("every_argument", lambda: batch(
            momentum=0.5, beta_initializer="ones", gamma_initializer="zeros",
            moving_mean_initializer="ones", moving_variance_initializer="zeros",
            beta_regularizer=regularizers.L2(0.1), gamma_regularizer=regularizers.L1(0.1),
            beta_constraint=constraints.MaxNorm(1.0), gamma_constraint="non_neg"), x4),
    ]
    only_training = [
        ("axis_2", lambda: batch(axis=-2), x4),
        ("no_scale", lambda: batch(scale=False), x3),
        ("no_center", lambda: batch(center=False), x3),
        ("frozen", lambda: batch(trainable=False), x3),
    ]
    for label, make_layer, x in calls:
        add(f"batch_normalization/{label}/inference", make_layer, x)
    for label, make_layer, x in calls + only_training:
        add(f"batch_normalization/{label}/training", make_layer, x, training=True)
    for training in (False, True):
        mode = "training" if training else "inference"
        masks = [cases.mask(4, 3)]
        add(f"batch_normalization/mask/{mode}", lambda: batch(), x3, masks=masks, training=training)

    layer = layers.LayerNormalization
    add("layer_normalization", lambda: layer(), x3)
    add("layer_normalization/wide", lambda: layer(), cases.normal(3, 37))
    add("layer_normalization/axis_1", lambda: layer(axis=1), x4)
    add("layer_normalization/axes", lambda: layer(axis=[1, 2, 3]), x4)
    add("layer_normalization/axes_apart", lambda: layer(axis=[1, 3]), x4)
    add("layer_normalization/epsilon", lambda: layer(epsilon=0.1), x2)
    add("layer_normalization/no_scale", lambda: layer(scale=False), x2)
    add("layer_normalization/no_center", lambda: layer(center=False), x2)
    add("layer_normalization/rms_scaling", lambda: layer(rms_scaling=True), x3)
    add("layer_normalization/rms_scaling_axes", lambda: layer(rms_scaling=True, axis=[1, 3]), x4)
    add("layer_normalization/penalties", lambda: layer(
        beta_regularizer="l2", gamma_regularizer="l1", beta_constraint="non_neg", gamma_constraint="unit_norm"), x2)

    group = layers.GroupNormalization
    add("group_normalization", lambda: group(groups=2), x4)
    add("group_normalization/axis_1", lambda: group(groups=3, axis=1), x4)
    add("group_normalization/axis_2", lambda: group(groups=2, axis=2), x4)
    add("group_normalization/one", lambda: group(groups=1), x4)
    add("group_normalization/instance", lambda: group(groups=-1), x4)
    add("group_normalization/rank_3", lambda: group(groups=5, epsilon=0.1), x3)
    add("group_normalization/plain", lambda: group(groups=2, center=False, scale=False), x4)

    rms = layers.RMSNormalization
    add("rms_normalization", lambda: rms(), x3)
    add("rms_normalization/axes", lambda: rms(axis=[1, 2]), x3)
    add("rms_normalization/epsilon", lambda: rms(epsilon=0.1), x4)

    unit = layers.UnitNormalization
    add("unit_normalization", lambda: unit(), x3)
    add("unit_normalization/axis_1", lambda: unit(axis=1), x4)
    add("unit_normalization/axes", lambda: unit(axis=[1, 2]), x4)

    spectral = layers.SpectralNormalization
    image = cases.normal(2, 4, 5, 3)
    for training in (False, True):
        mode = "training" if training else "inference"
        add(f"spectral_normalization/dense/{mode}", lambda: spectral(layers.Dense(4, activation="tanh")), x3,
            training=training)
        add(f"spectral_normalization/conv_2d/{mode}", lambda: spectral(layers.Conv2D(4, 3, padding="same"), power_iterations=3),
            image, training=training)
    add("spectral_normalization/depthwise", lambda: spectral(layers.DepthwiseConv2D(2), power_iterations=2), image,
        training=True)
    add("spectral_normalization/embeddings", lambda: spectral(layers.Embedding(7, 4)),
        np.abs(cases.normal(3, 5)), training=True)

    add("layer_scale", lambda: LayerScale(0.5, 6), x4)
    return cases.group
