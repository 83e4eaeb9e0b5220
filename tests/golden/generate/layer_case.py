"""One call of a layer: outputs, masks, gradients, state, in float64, for the groups `layers_*`."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.backend import get_keras_mask, set_keras_mask

from .common import Group, double, normal, numpy, rng

ABOUT = (
    "y = layer(x), or layer([x, ..]) of several (of a recurrent layer the others are its initial state), with the weights `weights`; `gradient_x` and `gradient_weights` are "
    "those of sum(y * g) in x and in the trainable weights, `state` the others after the call; `more` are the outputs after "
    "the first, whose parts of the sum have the factors `g_more`"
)


def finalize(layer):
    """Normalization keeps constants made from its weights, and makes them anew when it is told to."""
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()


def has_states(layer):
    return isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional))


def called(layer, inputs, spread, **more):
    """All outputs, in a list."""
    if has_states(layer) and len(inputs) > 1:
        y = layer(inputs[0], initial_state=list(inputs[1:]), **more)
    elif spread:
        y = layer(*inputs, **more)
    else:
        y = layer(inputs[0] if len(inputs) == 1 else inputs, **more)
    return keras.tree.flatten(y)


def set_float32(config):
    """Of a layer and those inside it."""
    if isinstance(config, dict):
        if isinstance(config.get("config"), dict) and "dtype" in config["config"]:
            config["config"]["dtype"] = "float32"
        for value in config.values():
            set_float32(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            set_float32(value)


class LayerCases:
    """A group of cases of layers, with numbers for its weights."""

    def __init__(self, name, seed):
        self.group = Group(name, ABOUT)
        self.draw = rng(seed)
        self.pool = normal(self.draw, (1024,), 0.7)

    def normal(self, *shape):
        return normal(self.draw, shape)

    def mask(self, *shape):
        return self.draw.uniform(size=shape) < 0.6

    def weights(self, layer):
        """Numbers for each weight: variances are positive, whole numbers stay as they are."""
        values, offset = [], 0
        for weight in layer.weights:
            size = int(np.prod(weight.shape))
            value = np.resize(np.roll(self.pool, -offset), weight.shape)
            offset += size
            if "int" in str(weight.dtype):
                value = numpy(weight)
            elif "variance" in weight.path or "stddev" in weight.path:
                value = np.abs(value) + np.float32(0.3)
            values.append(value)
        return values

    def add(self, label, make_layer, *inputs, masks=None, training=False, spread=False, attention_mask=None, **flags):
        """`inputs`: the tensors; `masks`: one for each, or None; `spread`: each input is an argument of its own."""
        keras.backend.clear_session()
        with double():
            layer = make_layer()
            config = keras.layers.serialize(layer)
            single = len(inputs) == 1
            shapes = [x.shape for x in inputs]
            if spread:
                layer.build(*shapes)
            else:
                layer.build(shapes[0] if single or has_states(layer) else shapes)
            weights = self.weights(layer)
            layer.set_weights(weights)
            finalize(layer)

            def call(values, state, inputs):
                mapping = list(zip(layer.trainable_variables, values)) + list(
                    zip(layer.non_trainable_variables, state)
                )
                for x, mask in zip(inputs, masks or []):
                    if mask is not None:
                        set_keras_mask(x, jnp.asarray(mask))
                with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
                    given = {} if attention_mask is None else {"attention_mask": jnp.asarray(attention_mask)}
                    y = called(layer, inputs, spread, training=training, **given, **flags)
                    # The state of random numbers is no weight.
                    kept = [v for v in layer.weights if not v.trainable]
                    after = [scope.get_current_value(v) for v in kept]
                    return y, (y, sum(layer.losses, jnp.asarray(0.0)), after, get_keras_mask(y[0]))

            values = [jnp.asarray(v.value) for v in layer.trainable_variables]
            state = [jnp.asarray(v.value) for v in layer.non_trainable_variables]
            given = [jnp.asarray(x, x.dtype if x.dtype.kind == "i" else jnp.float64) for x in inputs]
            y, (_, added, after, y_mask) = call(values, state, given)
            g = [np.resize(np.roll(self.pool[::-1], k), part.shape) for k, part in enumerate(y)]

            def total(values, inputs):
                y, _ = call(values, state, inputs)
                return sum(jnp.sum(part * g) for part, g in zip(y, g)), None

            floats = all(x.dtype.kind == "f" for x in inputs)
            gradients = jax.grad(total, argnums=(0, 1) if floats else 0, has_aux=True)(values, given)[0]
            gradient_weights, gradient_x = gradients if floats else (gradients, [])
        tensors = {
            "x": list(inputs),
            "g": g[0],
            "weights": weights,
            "y": numpy(y[0]),
            "gradient_x": [numpy(v) for v in gradient_x],
            "gradient_weights": [numpy(v) for v in gradient_weights],
            "added_loss": numpy(added),
            "state": [numpy(v) for v in after],
        }
        if len(y) > 1:
            tensors["more"] = [numpy(part) for part in y[1:]]
            tensors["g_more"] = g[1:]
        as_numbers = lambda mask: None if mask is None else np.asarray(mask).astype(np.int64)
        if masks:
            tensors["masks"] = [as_numbers(mask) for mask in masks]
        if attention_mask is not None:
            tensors["attention_mask"] = as_numbers(attention_mask)
        if y_mask is not None:
            tensors["y_mask"] = as_numbers(y_mask)
        set_float32(config)
        names = [w.path for w in layer.weights]
        call = {"spread": spread, "flags": flags} if spread or flags else {}
        self.group.case(label, config, tensors, training=training, weight_names=names, **call)
