"""Convolution and pooling layers."""

import numpy as np
from keras import constraints, layers, regularizers

from .layer_case import LayerCases

SHAPES = {1: (7,), 2: (5, 6), 3: (3, 4, 3)}
KINDS = {
    "Conv": {"filters": 3},
    "Transpose": {"filters": 3},
    "DepthwiseConv": {},
    "SeparableConv": {"filters": 3},
}


def make(_folder):
    cases = LayerCases("layers_images", 1303)
    inputs = {rank: cases.normal(2, *shape, 2) for rank, shape in SHAPES.items()}
    for rank, x in inputs.items():
        convolutions(cases.add, rank, x)
        pooling(cases.add, rank, x)
    arguments(cases.add, inputs[2])
    ties(cases.add)
    masks(cases, inputs[1])
    return cases.group


def first(x):
    """The same images with the channels first."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def named(kind, rank):
    name = f"Conv{rank}DTranspose" if kind == "Transpose" else f"{kind}{rank}D"
    return name, getattr(layers, name, None)


def convolutions(add, rank, x):
    for kind, required in KINDS.items():
        name, layer = named(kind, rank)
        if layer is None:
            continue
        variants = {
            "plain": {},
            "same": {"padding": "same"},
            "strides": {"strides": 2},
            "strides_same": {"strides": 2, "padding": "same", "activation": "relu"},
            "dilation": {"dilation_rate": 2, "kernel_size": 2},
            "dilation_same": {"dilation_rate": 2, "padding": "same", "use_bias": False},
            "channels_first": {"data_format": "channels_first", "padding": "same", "activation": "softmax"},
            "one_place": {"kernel_size": 1, "activation": "relu"},
        }
        if rank == 1:
            variants["strides_3"] = {"strides": 3, "kernel_size": 2}
        if kind == "Conv":
            variants["groups"] = {"groups": 2, "filters": 4}
        if name == "Conv1D":
            variants["causal"] = {"padding": "causal", "dilation_rate": 2}
        if kind in ("DepthwiseConv", "SeparableConv"):
            variants["depth_multiplier"] = {"depth_multiplier": 2, "padding": "same"}
        if kind == "Transpose":
            variants["output_padding"] = {"strides": 2, "output_padding": 1}
            variants["output_padding_same"] = {"strides": 3, "output_padding": 2, "padding": "same"}
            variants["no_output_padding_same"] = {"strides": 2, "output_padding": 0, "padding": "same"}
            variants["short"] = {"strides": 3, "kernel_size": 2, "padding": "same"}
        if rank == 3:
            for left_out in ("dilation", "dilation_same", "output_padding_same", "short"):
                variants.pop(left_out, None)
            variants["strides"]["kernel_size"] = 2
        for variant, more in variants.items():
            size = {"kernel_size": 3 if rank < 3 else 2}
            config = {**required, **size, **more}
            inputs = first(x) if variant == "channels_first" else x
            add(f"{name}/{variant}", lambda layer=layer, config=config: layer(**config), inputs)


def pooling(add, rank, x):
    for kind in ("Max", "Average"):
        name = f"{kind}Pooling{rank}D"
        layer = getattr(layers, name)
        for variant, config in {
            "plain": {"pool_size": 2},
            "strides": {"pool_size": 3, "strides": 1},
            "same": {"pool_size": 3, "strides": 2, "padding": "same"},
            "apart": {"pool_size": 2, "strides": 3, "padding": "same"},
            "channels_first": {"pool_size": 2, "data_format": "channels_first"},
        }.items():
            inputs = first(x) if variant == "channels_first" else x
            add(f"{name}/{variant}", lambda layer=layer, config=config: layer(**config), inputs)
        for data_format in ("channels_last", "channels_first"):
            inputs = x if data_format == "channels_last" else first(x)
            config = {"data_format": data_format}
            name = f"Global{kind}Pooling{rank}D"
            layer = getattr(layers, name)
            for keepdims in (False, True) if rank == 2 else (rank == 3,):
                make = lambda layer=layer, keepdims=keepdims, config=config: layer(keepdims=keepdims, **config)
                add(f"{name}/{data_format}/keepdims={keepdims}", make, inputs)
            name = f"Adaptive{kind}Pooling{rank}D"
            layer = getattr(layers, name)
            for size in (2, 3) if data_format == "channels_last" else (2,):
                make = lambda layer=layer, size=size, config=config: layer(size, **config)
                add(f"{name}/{data_format}/{size}", make, inputs)
    if rank == 1:
        add("AdaptiveAveragePooling1D/longer", lambda: layers.AdaptiveAveragePooling1D(10), x)
        add("AdaptiveMaxPooling1D/longer", lambda: layers.AdaptiveMaxPooling1D(10), x)


def arguments(add, x):
    add("Conv2D/two_sizes", lambda: layers.Conv2D(2, (2, 3), strides=(2, 1), padding="same"), x)
    add("MaxPooling2D/two_sizes", lambda: layers.MaxPooling2D((2, 3), strides=(1, 2), padding="same"), x)
    add("AdaptiveMaxPooling2D/two_sizes", lambda: layers.AdaptiveMaxPooling2D((4, 2)), x)
    add(
        "Conv2D/every_argument",
        lambda: layers.Conv2D(
            4, (3, 2), strides=(1, 2), padding="same", groups=2, activation="gelu",
            kernel_initializer="he_normal", bias_initializer="ones",
            kernel_regularizer=regularizers.L2(0.01), bias_regularizer=regularizers.L1(0.02),
            activity_regularizer=regularizers.L2(0.05), kernel_constraint=constraints.MaxNorm(2.0),
            bias_constraint="non_neg", name="the_convolution",
        ),
        x,
    )
    add(
        "SeparableConv2D/every_argument",
        lambda: layers.SeparableConv2D(
            3, (2, 3), depth_multiplier=2, activation="tanh",
            depthwise_regularizer=regularizers.L2(0.01), pointwise_regularizer=regularizers.L1(0.02),
            bias_regularizer=regularizers.L2(0.03), depthwise_constraint=constraints.MaxNorm(2.0),
        ),
        x,
    )


def ties(add):
    """Equal maxima: which of them have the gradient."""
    x = np.array([1, 2, 2, 0, 2, 2, 1, 1, 2, 0, 2, 2], np.float32).reshape(1, 3, 4, 1)
    add("MaxPooling2D/ties", lambda: layers.MaxPooling2D((3, 2), strides=1), x)
    add("GlobalMaxPooling2D/ties", lambda: layers.GlobalMaxPooling2D(), x)
    add("AdaptiveMaxPooling2D/ties", lambda: layers.AdaptiveMaxPooling2D((2, 2)), x)


def masks(cases, x):
    """The average of the steps that a mask keeps."""
    mask = np.array([[1, 0, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]], bool)
    layer = layers.GlobalAveragePooling1D
    cases.add("GlobalAveragePooling1D/mask", lambda: layer(), x, masks=[mask])
    cases.add("GlobalAveragePooling1D/mask/keepdims", lambda: layer(keepdims=True), x, masks=[mask])
    config = {"data_format": "channels_first"}
    cases.add("GlobalAveragePooling1D/mask/channels_first", lambda: layer(**config), first(x), masks=[mask])
