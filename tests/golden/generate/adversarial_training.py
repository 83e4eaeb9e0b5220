"""Steps of a generative adversarial network: the weights of both models and the losses after `train_on_batch` in turn."""

import json

import keras
import numpy as np
from keras import layers, losses, optimizers

from .common import Group, double, normal, numpy, rng

STEPS, BATCH, NOISE = 4, 6, 3


def make(_folder):
    group = Group(
        "adversarial_training",
        "in each step the discriminator learns from real images (label 1) and those that the generator predicts "
        "(label 0), then the generator from the label 1 through the discriminator, whose weights stay",
    )
    draw = rng(2712)
    tensors = {"noise": normal(draw, (STEPS, 2, BATCH, NOISE)), "real": normal(draw, (STEPS, BATCH, 4, 4, 1)) + 1}
    index, found = train(tensors, np.float32)
    with double():
        _, found64 = train(tensors, np.float64)
    config = index.pop("generator")
    group.case("images", config, {**tensors, **found, **{f"{role}64": v for role, v in found64.items()}}, **index)
    return group


def models():
    generator = keras.Sequential([
        layers.Input((NOISE,)),
        layers.Dense(2 * 2 * 2, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Reshape((2, 2, 2)),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="tanh"),
    ], name="generator")
    discriminator = keras.Sequential([
        layers.Input((4, 4, 1)),
        layers.Conv2D(3, 3, strides=2, padding="same"),
        layers.LeakyReLU(0.2),
        layers.Flatten(),
        layers.Dense(1),
    ], name="discriminator")
    return generator, discriminator


def train(tensors, dtype):
    keras.backend.clear_session()
    generator, discriminator = models()
    draw = rng(808)
    initial = {}
    for model in (generator, discriminator):
        drawn = [normal(draw, w.shape, 0.5) for w in model.weights]
        drawn = [np.abs(v) + np.float32(0.3) if "variance" in w.path else v for w, v in zip(model.weights, drawn)]
        model.set_weights([v.astype(dtype) for v in drawn])
        initial[f"{model.name}_initial"] = drawn
    compiled = lambda: {"optimizer": optimizers.Adam(0.01), "loss": losses.BinaryCrossentropy(from_logits=True)}
    discriminator.compile(**compiled())
    both = keras.Sequential([layers.Input((NOISE,)), generator, discriminator])
    both.compile(**compiled())
    lost = []
    for noise, real in zip(tensors["noise"].astype(dtype), tensors["real"].astype(dtype)):
        made = generator.predict(noise[0], verbose=0)
        labels = np.concatenate([np.ones((BATCH, 1)), np.zeros((BATCH, 1))]).astype(dtype)
        discriminator.trainable = True
        of_discriminator = discriminator.train_on_batch(np.concatenate([real, made]), labels)
        discriminator.trainable = False
        # Losses are means since the metrics were reset, which `train_on_batch` does not.
        discriminator.reset_metrics()
        of_generator = both.train_on_batch(noise[1], np.ones((BATCH, 1), dtype))
        both.reset_metrics()
        lost.append([of_discriminator, of_generator])
    final = {f"{model.name}_final": [numpy(w) for w in model.weights] for model in (generator, discriminator)}
    index = {model.name: json.loads(model.to_json()) for model in (generator, discriminator)}
    return index, {**initial, **final, "losses": np.array(lost, dtype)}
