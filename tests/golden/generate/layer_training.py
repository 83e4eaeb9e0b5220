"""Training runs of models with the layers of the groups `layers_*`, in the form of `functional_training`."""

import keras
import numpy as np
from keras import layers, optimizers
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from .common import normal, rng
from .functional_training import CLASSES, ROWS, VALIDATION_ROWS, Run, training_group

SPARSE = "sparse_categorical_crossentropy"


def make(_folder):
    return training_group("layer_training", runs(Data(rng(1302))))


class Data:
    def __init__(self, draw):
        rows = ROWS + VALIDATION_ROWS
        self.labels = draw.integers(0, CLASSES, rows)
        centres = normal(draw, (CLASSES, 6), 1.5)
        self.x = centres[self.labels] + normal(draw, (rows, 6))
        self.other = (self.x[::-1] + normal(draw, (rows, 6), 0.1)).astype(np.float32)
        self.real = normal(draw, (rows, 1))
        self.images = (normal(draw, (rows, 4, 4, 3)) + self.labels[:, None, None, None]).astype(np.float32)


def compiled(loss=SPARSE, **more):
    more.setdefault("metrics", ["accuracy"] if loss == SPARSE else None)
    return lambda: {"optimizer": optimizers.SGD(0.05, momentum=0.9), "loss": loss, **more}


def stack(*body, shape=(6,), units=CLASSES, activation="softmax"):
    """A Sequential of layers that are made afresh each time."""
    return lambda: keras.Sequential(
        [layers.Input(shape), *(make() for make in body), layers.Dense(units, activation=activation)]
    )


def dense(units=5, activation="tanh", **more):
    return lambda: layers.Dense(units, activation=activation, **more)


def normalized(units=5, norm=layers.BatchNormalization):
    return [lambda: layers.Dense(units, use_bias=False), lambda: norm(), lambda: layers.ReLU()]


def residual():
    """Blocks whose inputs are added to their outputs."""
    x = keras.Input((6,), name="x")
    h = layers.Dense(5, name="first")(x)
    for block in range(2):
        y = layers.LayerNormalization(name=f"norm_{block}")(h)
        y = layers.Dense(5, activation="gelu", name=f"body_{block}")(y)
        h = layers.Add(name=f"add_{block}")([h, y])
    h = CustomScaleLayer(0.3, name="scaled")([h, layers.Dense(5, activation="tanh", name="last")(h)])
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(h))


def siamese():
    """One encoder for both inputs; their cosine and their difference."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    encoder = keras.Sequential([
        layers.Input((6,)), layers.Dense(5, use_bias=False), layers.BatchNormalization(), layers.PReLU(), layers.Dense(4),
    ], name="encoder")
    a, b = encoder(left), encoder(right)
    cosine = layers.Dot(axes=1, normalize=True, name="cosine")([a, b])
    difference = layers.Subtract(name="difference")([a, b])
    return keras.Model([left, right], [cosine, layers.Dense(CLASSES, activation="softmax", name="a")(difference)])


def merged():
    """Everything that merges, of two inputs, for two outputs."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    a = layers.Dense(4, activation="tanh", name="body_a")(left)
    b = layers.Dense(4, activation="tanh", name="body_b")(right)
    kinds = ["Multiply", "Average", "Maximum", "Minimum"]
    all_of = layers.Concatenate(name="all")([getattr(layers, kind)(name=kind.lower())([a, b]) for kind in kinds])
    return keras.Model([left, right], [
        layers.Dense(CLASSES, activation="softmax", name="a")(all_of),
        layers.Dense(1, name="b")(layers.Dot(axes=-1, name="dot")([a, b])),
    ])


def images():
    """Layers of images without a convolution."""
    x = keras.Input((4, 4, 3), name="x")
    h = layers.ZeroPadding2D(1, name="pad")(x)
    h = layers.Cropping2D(((1, 2), (1, 1)), name="crop")(h)
    h = layers.UpSampling2D((1, 2), name="up")(h)
    h = layers.UpSampling2D(2, interpolation="bilinear", name="between")(h)
    h = layers.EinsumDense("abcd,de->abce", (6, 16, 4), bias_axes="e", name="mix")(h)
    h = layers.GroupNormalization(2, name="group")(h)
    h = layers.LeakyReLU(name="leaky")(h)
    h = layers.BatchNormalization(axis=1, name="batch")(h)
    h = layers.Permute((3, 1, 2), name="permute")(h)
    h = layers.SpatialDropout2D(0.0, name="spatial")(h)
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(layers.Flatten(name="flat")(h)))


def spectral():
    """Kernels over their spectral norms."""
    x = keras.Input((4, 4, 3), name="x")
    h = layers.SpectralNormalization(layers.Conv2D(4, 3, padding="same", name="conv"), name="spectral_conv")(x)
    h = layers.Flatten(name="flat")(layers.ReLU(name="relu")(h))
    h = layers.SpectralNormalization(layers.Dense(5, activation="tanh", name="wide"), power_iterations=3, name="spectral")(h)
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(h))


def lora():
    """Kernels that stay, each with a change of low rank."""
    x = keras.Input((4, 4, 3), name="x")
    h = layers.Conv2D(3, 2, activation="relu", kernel_regularizer="l2", lora_rank=2, lora_alpha=3, name="conv")(x)
    h = layers.Dense(5, activation="tanh", name="wide")(layers.Flatten(name="flat")(h))
    model = keras.Model(x, layers.Dense(CLASSES, activation="softmax", lora_rank=1, name="a")(h))
    model.get_layer("wide").enable_lora(2, lora_alpha=5)
    return model


def volumes():
    x = keras.Input((4, 4, 3), name="x")
    h = layers.Reshape((2, 2, 4, 3), name="volume")(x)
    h = layers.ZeroPadding3D((0, 1, 0), name="pad")(h)
    h = layers.Cropping3D(((0, 0), (1, 0), (1, 0)), name="crop")(h)
    h = layers.UpSampling3D((2, 1, 1), name="up")(h)
    h = layers.SpatialDropout3D(0.0, name="spatial")(h)
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(layers.Flatten(name="flat")(h)))


def steps():
    x = keras.Input((6,), name="x")
    h = layers.RepeatVector(3, name="repeat")(x)
    h = layers.ZeroPadding1D((1, 0), name="pad")(h)
    h = layers.Cropping1D((1, 0), name="crop")(h)
    h = layers.UpSampling1D(2, name="up")(h)
    h = layers.SpatialDropout1D(0.0, name="spatial")(h)
    h = layers.BatchNormalization(name="batch")(h)
    h = layers.Masking(name="masking")(h)
    h = layers.Dense(4, activation="tanh", name="body")(h)
    h = LayerScale(0.5, 4, name="scale")(h)
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(layers.Flatten(name="flat")(h)))


def runs(d):
    y = [d.labels]
    both, targets = [d.x, d.other], [d.labels, d.real]
    cosine = compiled(["mse", SPARSE], metrics=[["mae"], ["accuracy"]])
    return {
        "preprocessing/normalization": Run(stack(lambda: layers.Normalization(), dense()), compiled(), [d.x], y),
        "normalization/batch": Run(stack(*normalized(), *normalized()), compiled(), [d.x], y),
        "normalization/rms": Run(stack(*normalized(norm=layers.RMSNormalization)), compiled(), [d.x], y),
        "normalization/unit": Run(stack(dense(), lambda: layers.UnitNormalization(), dense()), compiled(), [d.x], y),
        "regularization": Run(
            stack(
                dense(),
                lambda: layers.ActivityRegularization(0.01, 0.02),
                lambda: layers.GaussianDropout(0.0),
                lambda: layers.GaussianNoise(0.0),
                lambda: layers.AlphaDropout(0.0),
            ),
            compiled(), [d.x], y,
        ),
        "activation": Run(
            stack(dense(activation=None), lambda: layers.PReLU(), dense(activation=None), lambda: layers.ELU(0.5),
                  dense(activation=None), lambda: layers.ReLU(6.0), lambda: layers.Dense(CLASSES),
                  lambda: layers.Softmax()),
            compiled(), [d.x], y,
        ),
        "residual": Run(residual, compiled(), [d.x], y),
        "siamese": Run(siamese, cosine, both, [d.real, d.labels]),
        "merged": Run(merged, compiled([SPARSE, "mse"], metrics=["accuracy", "mae"]), both, targets),
        "images": Run(images, compiled(), [d.images], y),
        "volumes": Run(volumes, compiled(), [d.images], y),
        "steps": Run(steps, compiled(), [d.x], y),
        "spectral": Run(spectral, compiled(), [d.images], y),
        "lora": Run(lora, compiled(), [d.images], y),
    }
