"""keras.ops on symbolic tensors: the JSON of the model that each makes, what comes out, and gradients."""

import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import ops

from .common import Group, double, normal, numpy, rng

ABOUT = (
    "`model` is the JSON of the functional model of one operation on inputs of the shapes and types of `x`; `y` is one "
    "tensor an output, `gradient_x` that of the sum of y[i] * g[i] in every float input. In float64; integers alone in "
    "Keras's default types"
)


def make(_folder):
    group = Group("operations", ABOUT)
    draw = rng(1501)
    pool = normal(draw, (256,), 0.9)
    a, b = normal(draw, (2, 3, 4)), normal(draw, (2, 3, 4))
    away = lambda x: x + np.sign(x) * np.float32(0.3)
    positive = np.abs(a) + np.float32(0.4)
    row, column, vector = normal(draw, (2, 1, 4)), normal(draw, (2, 3, 1)), normal(draw, (4,))
    square = normal(draw, (2, 4, 4))
    ids = draw.integers(-4, 5, (2, 3)).astype(np.int32)
    counts = draw.integers(0, 3, (2, 3)).astype(np.int32)
    ties = np.round(a)
    bits = (draw.uniform(size=(2, 3)) < 0.5)

    def add(label, f, *inputs):
        keras.backend.clear_session()
        symbols = [keras.Input(batch_shape=(None,) + x.shape[1:], dtype=str(x.dtype), name=f"x{i}") for i, x in enumerate(inputs)]
        out = f(*symbols)
        model = json.loads(keras.Model(symbols, out).to_json())
        floats = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

        def numbers():
            given = [jnp.asarray(x, jnp.float64 if i in floats and floats else x.dtype) for i, x in enumerate(inputs)]
            listed = lambda y: list(y) if isinstance(y, (list, tuple)) else [y]
            y = listed(f(*given))
            g = [np.resize(pool, v.shape) for v in y]
            gradients = []
            if floats and all(jnp.issubdtype(v.dtype, jnp.floating) for v in y):
                def total(values):
                    call = list(given)
                    for i, value in zip(floats, values):
                        call[i] = value
                    return sum(jnp.sum(v * w) for v, w in zip(listed(f(*call)), g))
                gradients = jax.grad(total)([given[i] for i in floats])
            return y, g, gradients

        if floats:
            with double():
                y, g, gradients = numbers()
        else:
            y, g, gradients = numbers()
        stored = lambda v: numpy(v).astype(np.int64) if numpy(v).dtype.kind in "biu" else numpy(v)
        tensors = {
            "x": [stored(x) for x in inputs],
            "y": [stored(v) for v in y],
            "g": g,
            "gradient_x": [numpy(v) for v in gradients],
        }
        group.case(label, model["config"], tensors)

    for name in ["add", "subtract", "multiply", "true_divide", "divide", "maximum", "minimum"]:
        f = getattr(ops, name)
        add(name, f, a, away(b))
        add(f"{name}/broadcast", f, row, away(column))
        add(f"{name}/number", lambda x: f(x, 1.5), a)
        add(f"{name}/array", lambda x: f(x, np.array([0.5, 1.0, -2.0, 4.0], "float32")), a)
        add(f"{name}/integers", f, ids, counts + 1)
    add("number_first", lambda x: 1 - x, a)
    add("power", ops.power, positive, b)
    add("power/two", lambda x: x**2, a)
    add("power/three", lambda x: x**3, away(a))
    add("power/root", lambda x: ops.power(x, 0.5), positive)
    add("power/integers", lambda n: n**2, ids)
    add("power/of_number", lambda x: ops.power(2.0, x), a)
    add("floor_divide", lambda x: x // 0.5, a)
    add("floor_divide/integers", lambda n: n // 2, ids)
    add("mod", lambda x: x % 0.7, a)
    add("mod/tensors", ops.mod, a, away(b))
    add("mod/integers", lambda n: n % 3, ids)
    for name in ["equal", "not_equal", "greater", "greater_equal", "less", "less_equal"]:
        f = getattr(ops, name)
        add(name, f, ties, np.round(b))
        add(f"{name}/number", lambda n: f(n, 0), ids)
    for name in ["logical_and", "logical_or", "logical_xor"]:
        add(name, getattr(ops, name), bits, ids)
    add("logical_not", ops.logical_not, ids)

    for name in ["absolute", "abs", "negative", "square"]:
        add(name, getattr(ops, name), a)
        add(f"{name}/integers", getattr(ops, name), ids)
    add("absolute/zero", ops.absolute, ties)
    for name in ["exp", "exp2", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "sign", "floor", "ceil", "trunc"]:
        add(name, getattr(ops, name), a)
    for name in ["log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal"]:
        add(name, getattr(ops, name), positive)
    for name in ["exp", "sqrt", "floor"]:
        add(f"{name}/integers", getattr(ops, name), counts)
    for name in ["isfinite", "isinf", "isnan"]:
        add(name, getattr(ops, name), a)
    add("round", ops.round, 3 * a)
    add("round/halves", ops.round, np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]], "float32"))
    add("round/decimals", lambda x: ops.round(x, 1), a)
    add("clip", lambda x: ops.clip(x, -0.5, 0.7), a)
    add("clip/bounds", lambda x: ops.clip(x, -1.0, 1.0), ties)
    add("clip/integers", lambda n: ops.clip(n, -1, 2), ids)

    nn = ["relu", "relu6", "sigmoid", "sparse_sigmoid", "softplus", "softsign", "soft_shrink", "sparse_plus", "silu",
          "squareplus", "log_sigmoid", "leaky_relu", "hard_sigmoid", "hard_silu", "elu", "selu", "gelu", "celu", "glu",
          "tanh_shrink", "hard_tanh", "hard_shrink", "softmax", "log_softmax", "sparsemax", "normalize"]
    for name in nn:
        add(name, getattr(ops, name), 2 * a)
    add("softmax/axis", lambda x: ops.softmax(x, axis=1), a)
    add("gelu/exact", lambda x: ops.gelu(x, approximate=False), a)
    add("leaky_relu/slope", lambda x: ops.leaky_relu(x, 0.3), a)
    add("elu/alpha", lambda x: ops.elu(x, 0.5), a)
    add("normalize/order", lambda x: ops.normalize(x, axis=1, order=3), a)
    add("normalize/axes", lambda x: ops.normalize(x, axis=(1, 2), order=2), a)

    for name in ["sum", "mean", "max", "min", "amax", "amin", "prod", "var", "std", "logsumexp"]:
        f = getattr(ops, name)
        add(name, f, a)
        add(f"{name}/axis", lambda x: f(x, axis=1), a)
        add(f"{name}/axes", lambda x: f(x, axis=(-1, 0), keepdims=True), a)
    for name in ["sum", "mean", "max", "prod"]:
        f = getattr(ops, name)
        add(f"{name}/integers", lambda n: f(n, axis=-1), ids)
    add("sum/bits", lambda n: ops.sum(n, axis=1), bits)
    add("max/ties", lambda x: ops.max(x, axis=1), np.sign(ties))
    add("prod/zeros", lambda x: ops.prod(x, axis=2), ties)
    for name in ["all", "any"]:
        f = getattr(ops, name)
        add(name, lambda n: f(n, axis=1), counts)
        add(f"{name}/keepdims", lambda n: f(n, axis=-1, keepdims=True), bits)
    add("count_nonzero", lambda n: ops.count_nonzero(n, axis=1), counts)
    for name in ["argmax", "argmin"]:
        f = getattr(ops, name)
        add(name, lambda x: f(x, axis=1), a)
        add(f"{name}/all", f, a)
        add(f"{name}/ties", lambda x: f(x, axis=-1, keepdims=True), np.sign(ties))
    add("cumsum", lambda x: ops.cumsum(x, axis=1), a)
    add("cumsum/all", ops.cumsum, a)
    add("cumsum/integers", lambda n: ops.cumsum(n, axis=-1), ids)
    add("norm", lambda x: ops.norm(x, axis=-1), a)
    add("norm/one", lambda x: ops.norm(x, ord=1, axis=1, keepdims=True), a)
    add("norm/three", lambda x: ops.norm(x, ord=3, axis=1), a)

    add("reshape", lambda x: ops.reshape(x, (-1, 6, 2)), a)
    add("ravel", ops.ravel, a)
    add("transpose", lambda x: ops.transpose(x, (0, 2, 1)), a)
    add("transpose/all", ops.transpose, a)
    add("swapaxes", lambda x: ops.swapaxes(x, 1, -1), a)
    add("moveaxis", lambda x: ops.moveaxis(x, 1, 2), a)
    add("moveaxis/two", lambda x: ops.moveaxis(x, (0, 1), (1, -1)), a)
    add("expand_dims", lambda x: ops.expand_dims(x, 1), a)
    add("expand_dims/two", lambda x: ops.expand_dims(x, (1, -1)), a)
    add("squeeze", lambda x: ops.squeeze(x, 1), row)
    add("squeeze/all", ops.squeeze, column)
    add("flip", lambda x: ops.flip(x, 1), a)
    add("flip/all", ops.flip, a)
    add("roll", lambda x: ops.roll(x, 2, axis=1), a)
    add("roll/axes", lambda x: ops.roll(x, (1, -1), axis=(1, 2)), a)
    add("roll/all", lambda x: ops.roll(x, 5), a)
    add("tile", lambda x: ops.tile(x, (1, 2, 3)), a)
    add("tile/rank", lambda x: ops.tile(x, (2, 1, 1, 2)), a)
    add("repeat", lambda x: ops.repeat(x, 2, axis=1), a)
    add("broadcast_to", lambda x: ops.broadcast_to(x, (2, 3, 4)), row)
    add("tril", ops.tril, square)
    add("triu", lambda x: ops.triu(x, 1), square)
    add("concatenate", lambda *x: ops.concatenate(x, axis=-1), a, column)
    add("concatenate/integers", lambda *x: ops.concatenate(x, axis=1), normal(draw, (2, 2)), ids)
    add("stack", lambda *x: ops.stack(x, axis=1), a, b)
    add("stack/last", lambda *x: ops.stack(x, axis=-1), a, b, a)
    add("split", lambda x: ops.split(x, 2, axis=-1), a)
    add("split/places", lambda x: ops.split(x, (1, 3), axis=2), a)
    add("unstack", lambda x: ops.unstack(x, axis=1), a)
    for mode in ["constant", "edge", "reflect", "symmetric", "wrap"]:
        add(f"pad/{mode}", lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 3)), mode=mode), a)
    add("pad/value", lambda x: ops.pad(x, ((0, 0), (0, 1), (2, 0)), constant_values=1.5), a)

    keys = {
        "last": np.s_[:, -1], "first": np.s_[:, 0], "range": np.s_[:, 1:3], "from": np.s_[:, 1:], "to": np.s_[:, :-1],
        "backward": np.s_[:, ::-1], "steps": np.s_[:, :, 1::2], "down": np.s_[:, :, -1:0:-2], "new": np.s_[:, None],
        "ellipsis": np.s_[..., 0], "several": np.s_[:, 1:, None, ..., ::2], "both": np.s_[:, 1, 2], "beyond": np.s_[:, 1:9],
    }
    for name, key in keys.items():
        add(f"get_item/{name}", lambda x: x[key], a)
    add("get_item/integers", lambda n: n[:, 1:], ids)
    add("take", lambda x: ops.take(x, [2, 0, 0], axis=1), a)
    add("take/negative", lambda x: ops.take(x, [[-1, 0], [1, -2]], axis=-1), a)
    add("take/one", lambda x: ops.take(x, 1, axis=1), a)
    add("take/tensor", lambda x, n: ops.take(x, n, axis=1), a, counts)
    add("take/flat", lambda x: ops.take(x, [5, 1]), a)
    add("take_along_axis", lambda x, n: ops.take_along_axis(x, n, axis=1), normal(draw, (2, 3)), counts)
    add("one_hot", lambda n: ops.one_hot(n, 3), counts)
    add("one_hot/outside", lambda n: ops.one_hot(n, 3), ids)
    add("one_hot/axis", lambda n: ops.one_hot(n, 3, axis=1, dtype="int32"), counts)
    add("where", lambda m, x, y: ops.where(m, x, y), bits, normal(draw, (2, 3)), normal(draw, (2, 1)))
    add("where/number", lambda m, x: ops.where(m, x, 0.5), bits, normal(draw, (2, 3)))
    add("where/integers", lambda m, n: ops.where(m, 0, n), bits, ids)
    add("argsort", lambda x: ops.argsort(x, axis=1), a)
    add("sort", lambda x: ops.sort(x, axis=1), a)
    add("sort/last", ops.sort, a)

    add("matmul", ops.matmul, a, square)
    add("matmul/constant", lambda x: ops.matmul(x, np.arange(8, dtype="float32").reshape(4, 2)), a)
    add("matmul/batches", ops.matmul, normal(draw, (2, 1, 3, 4)), normal(draw, (2, 5, 4, 2)))
    add("matmul/integers", lambda n: ops.matmul(n, np.array([[1, 2], [0, 1], [-1, 3]], "int32")), ids)
    add("dot", lambda x: ops.dot(x, np.arange(8, dtype="float32").reshape(4, 2)), a)
    add("tensordot", lambda x: ops.tensordot(x, np.arange(24, dtype="float32").reshape(3, 4, 2) / 9, axes=2), a)
    add("tensordot/axes", lambda x: ops.tensordot(x, np.arange(6, dtype="float32").reshape(2, 3) / 5, axes=[[1], [1]]), a)
    for name, equation in {"pairs": "btd,bsd->bts", "sum": "btd,bsd->bd", "implicit": "btd,bsd", "rest": "...td,...sd->...st"}.items():
        add(f"einsum/{name}", lambda x, y: ops.einsum(equation, x, y), a, normal(draw, (2, 5, 4)))
    add("einsum/one", lambda x: ops.einsum("btd->bd", x), a)
    add("einsum/three", lambda x, y, z: ops.einsum("btd,bde,bte->bt", x, y, z), a, square, b)

    add("cast", lambda x: ops.cast(x, "int32"), 3 * a)
    add("cast/bool", lambda n: ops.cast(n, "bool"), ids)
    add("cast/float", lambda n: ops.cast(n, "float32"), ids)
    add("zeros_like", ops.zeros_like, ids)
    add("ones_like", lambda n: ops.ones_like(n, dtype="float32"), ids)
    add("full_like", lambda n: ops.full_like(n, 7), ids)
    add("copy", ops.copy, a)
    add("stop_gradient", ops.stop_gradient, a)
    add("convert_to_tensor", ops.convert_to_tensor, a)
    return group
