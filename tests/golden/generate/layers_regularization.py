"""Layers against overfitting: at inference, since random numbers are not Keras's."""

from keras import layers
from keras.src.applications.convnext import StochasticDepth

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_regularization", 1306)
    add = cases.add
    x2, x3, x4, x5 = cases.normal(6, 5), cases.normal(2, 3, 5), cases.normal(2, 3, 4, 5), cases.normal(2, 2, 3, 2, 3)
    add("spatial_dropout_1d", lambda: layers.SpatialDropout1D(0.5, seed=1), x3)
    add("spatial_dropout_2d", lambda: layers.SpatialDropout2D(0.5, "channels_first"), x4)
    add("spatial_dropout_3d", lambda: layers.SpatialDropout3D(0.5), x5)
    add("gaussian_dropout", lambda: layers.GaussianDropout(0.3, seed=2), x2)
    add("gaussian_noise", lambda: layers.GaussianNoise(0.3), x2)
    add("alpha_dropout", lambda: layers.AlphaDropout(0.3, noise_shape=(None, 1)), x2)
    add("stochastic_depth", lambda: StochasticDepth(0.3), x3)
    for training in (False, True):
        mode = "training" if training else "inference"
        add(f"activity_regularization/{mode}", lambda: layers.ActivityRegularization(0.1, 0.2), x3, training=training)
        # A rate of 0 leaves everything as it is.
        add(f"gaussian_dropout/0/{mode}", lambda: layers.GaussianDropout(0.0), x2, training=training)
        add(f"gaussian_noise/0/{mode}", lambda: layers.GaussianNoise(0.0), x2, training=training)
        add(f"alpha_dropout/0/{mode}", lambda: layers.AlphaDropout(0.0), x2, training=training)
    return cases.group
