"""Training runs of models that make images of images, in the form of `functional_training`."""

import keras
import numpy as np
from keras import layers, optimizers

from .common import normal, rng
from .functional_training import ROWS, VALIDATION_ROWS, Run, training_group

SIZE, CLASSES = 8, 2


def make(_folder):
    draw = rng(2711)
    rows = ROWS + VALIDATION_ROWS
    # A disk in each image, whose pixels are one class.
    places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij"), axis=-1)
    centres = draw.uniform(1, SIZE - 1, (rows, 1, 1, 2))
    disk = ((places[None] - centres) ** 2).sum(axis=-1) < 5
    images = (disk + normal(draw, disk.shape, 0.3)).astype(np.float32)[..., None]
    accuracy = {"metrics": ["accuracy"]}
    all_runs = {
        "unet": Run(unet, compiled("sparse_categorical_crossentropy", **accuracy), [images], [disk.astype(np.int64)]),
        "autoencoder": Run(autoencoder, compiled("mse", metrics=["mae"]), [images[:, ::2, ::2]], [images[:, ::2, ::2]]),
        "frames": Run(frames, compiled("mse"), [images[:, :, :, 0].reshape(rows, SIZE, SIZE, 1)], [centres[:, 0, 0].astype(np.float32)]),
    }
    return training_group("image_models_training", all_runs)


def compiled(loss, **more):
    return lambda: {"optimizer": optimizers.SGD(0.05, momentum=0.9), "loss": loss, **more}


def normalized(h, filters, name):
    """A convolution, normalized."""
    h = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(h)
    h = layers.BatchNormalization(name=f"{name}_norm")(h)
    return layers.Activation("relu", name=f"{name}_relu")(h)


def unet():
    """Classes of pixels: halved twice and doubled twice, with what was there before each half beside it."""
    x = keras.Input((SIZE, SIZE, 1), name="x")
    skips = []
    h = x
    for i, filters in enumerate([2, 3]):
        h = normalized(h, filters, f"down_{i}")
        skips.append(h)
        h = layers.MaxPooling2D(2, name=f"half_{i}")(h)
    h = normalized(h, 4, "middle")
    for i, filters in [(1, 3), (0, 2)]:
        h = layers.Conv2DTranspose(filters, 3 - i, strides=2, padding="same", name=f"double_{i}")(h)
        h = layers.Concatenate(name=f"skip_{i}")([h, skips[i]])
        h = normalized(h, filters, f"up_{i}")
    return keras.Model(x, layers.Conv2D(CLASSES, 1, activation="softmax", name="classes")(h))


def frames():
    """The rows of an image one after the other, each through the same model."""
    row = keras.Sequential([
        layers.Input((SIZE, 1)), layers.Conv1D(2, 3, activation="tanh"), layers.GlobalMaxPooling1D(),
    ], name="row")
    x = keras.Input((SIZE, SIZE, 1), name="x")
    h = layers.TimeDistributed(row, name="rows")(x)
    return keras.Model(x, layers.Dense(2, name="place")(layers.GRU(3, name="memory")(h)))


def autoencoder():
    """Two models as layers of a third: images to codes, codes to images."""
    image = keras.Input((SIZE // 2, SIZE // 2, 1), name="image")
    h = layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh", name="conv")(image)
    encoder = keras.Model(image, layers.Dense(3, name="code")(layers.Flatten(name="flat")(h)), name="encoder")
    decoder = keras.Sequential([
        layers.Input((3,)),
        layers.Dense(2 * 2 * 3, activation="tanh"),
        layers.Reshape((2, 2, 3)),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="tanh"),
        layers.Conv2D(1, 3, padding="same"),
    ], name="decoder")
    x = keras.Input((SIZE // 2, SIZE // 2, 1), name="x")
    return keras.Model(x, decoder(encoder(x)))
