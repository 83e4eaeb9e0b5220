"""Activation functions as layers."""

import numpy as np
from keras import layers

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_activation", 1307)
    add = cases.add
    x2, x3, x4 = 4 * cases.normal(6, 5), 2 * cases.normal(3, 4, 5), cases.normal(2, 3, 4, 5)
    x2, x3 = x2.astype(np.float32), x3.astype(np.float32)
    add("relu", lambda: layers.ReLU(), x2)
    add("relu/6", lambda: layers.ReLU(6.0), x2)
    add("relu/every_argument", lambda: layers.ReLU(3.0, negative_slope=0.1, threshold=0.5), x2)
    add("leaky_relu", lambda: layers.LeakyReLU(), x2)
    add("leaky_relu/slope", lambda: layers.LeakyReLU(negative_slope=0.01), x2)
    add("elu", lambda: layers.ELU(), x2)
    add("elu/alpha", lambda: layers.ELU(alpha=0.5), x2)
    add("prelu", lambda: layers.PReLU(), x2)
    add("prelu/shared", lambda: layers.PReLU(shared_axes=[1, 2], alpha_initializer="ones"), x4)
    add("prelu/one_shared", lambda: layers.PReLU(shared_axes=[2], alpha_regularizer="l2", alpha_constraint="non_neg"), x4)
    add("softmax", lambda: layers.Softmax(), x2)
    add("softmax/axis_1", lambda: layers.Softmax(axis=1), x3)
    add("softmax/axes", lambda: layers.Softmax(axis=[1, 2]), x3)
    add("softmax/axes_apart", lambda: layers.Softmax(axis=(1, 3)), x4)
    add("softmax/mask", lambda: layers.Softmax(), x3, masks=[cases.mask(3, 4, 5)])
    add("softmax/mask_axes", lambda: layers.Softmax(axis=[1, 2]), x3, masks=[cases.mask(3, 4, 5)])
    row = cases.mask(2, 5)
    row[1] = False
    add("softmax/all_masked", lambda: layers.Softmax(), x2[:2], masks=[row])
    return cases.group
