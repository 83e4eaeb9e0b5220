"""One call of a layer: outputs, masks, gradients, state, in float64, for the groups `layers_*`."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.backend import get_keras_mask, set_keras_mask

from .common import Group, double, normal, numpy, rng

ABOUT = (
    "y = layer(x), or layer([x, ..]) of several, with the weights `weights`; `gradient_x` and `gradient_weights` are "
    "those of sum(y * g) in x and in the trainable weights, `state` the others after the call"
)


def finalize(layer):
    """Normalization keeps constants made from its weights, and makes them anew when it is told to."""
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()


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
            layer.build(*shapes) if spread else layer.build(shapes[0] if single else shapes)
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
                    positional = inputs if spread else [inputs[0] if single else inputs]
                    given = {} if attention_mask is None else {"attention_mask": jnp.asarray(attention_mask)}
                    y = layer(*positional, training=training, **given, **flags)
                    scores = None
                    if isinstance(y, (tuple, list)):
                        y, scores = y
                    # The state of random numbers is no weight.
                    kept = [v for v in layer.weights if not v.trainable]
                    after = [scope.get_current_value(v) for v in kept]
                    return y, (y, sum(layer.losses, jnp.asarray(0.0)), after, get_keras_mask(y), scores)

            values = [jnp.asarray(v.value) for v in layer.trainable_variables]
            state = [jnp.asarray(v.value) for v in layer.non_trainable_variables]
            given = [jnp.asarray(x, x.dtype if x.dtype.kind == "i" else jnp.float64) for x in inputs]
            y, (_, added, after, y_mask, scores) = call(values, state, given)
            g = np.resize(self.pool[::-1], y.shape)
            total = lambda values, inputs: (lambda y, rest: (jnp.sum(y * g), None))(*call(values, state, inputs))
            floats = all(x.dtype.kind == "f" for x in inputs)
            gradients = jax.grad(total, argnums=(0, 1) if floats else 0, has_aux=True)(values, given)[0]
            gradient_weights, gradient_x = gradients if floats else (gradients, [])
        tensors = {
            "x": list(inputs),
            "g": g,
            "weights": weights,
            "y": numpy(y),
            "gradient_x": [numpy(v) for v in gradient_x],
            "gradient_weights": [numpy(v) for v in gradient_weights],
            "added_loss": numpy(added),
            "state": [numpy(v) for v in after],
        }
        as_numbers = lambda mask: None if mask is None else np.asarray(mask).astype(np.int64)
        if masks:
            tensors["masks"] = [as_numbers(mask) for mask in masks]
        if scores is not None:
            tensors["scores"] = numpy(scores)
        if attention_mask is not None:
            tensors["attention_mask"] = as_numbers(attention_mask)
        if y_mask is not None:
            tensors["y_mask"] = as_numbers(y_mask)
        config["config"]["dtype"] = "float32"
        names = [w.path for w in layer.weights]
        call = {"spread": spread, "flags": flags} if spread or flags else {}
        self.group.case(label, config, tensors, training=training, weight_names=names, **call)
