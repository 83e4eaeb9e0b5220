"""Files of models: where Keras puts each variable, and archives it made, in the folder `saving/`."""

import inspect
import io
import json
import random
import zipfile

import h5py
import keras
import numpy as np
from keras import layers
from keras.src.saving import saving_lib
from keras.src.utils.naming import to_snake_case

from .common import dumps


class Saving:
    """`saving/paths.json` and the files beside it."""

    def write(self, folder):
        folder = folder / "saving"
        folder.mkdir(exist_ok=True)
        for name, model in archives().items():
            model.save(folder / f"{name}.keras")
        weights = small("float32")
        weights.load_weights(folder / "float32.keras")
        weights.save_weights(folder / "float32.weights.h5")
        (folder / "unsupported.json").write_text(dumps(unsupported()) + "\n")
        types(folder / "types.h5")
        links(folder / "links.h5")
        head = {
            "about": "Container names, trees of models with the paths of their variables, orders of "
            "functional models' layers; see README.md",
            "keras": keras.__version__,
        }
        parts = {
            "snake_case": names(),
            "trees": [tree_case(seed) for seed in range(60)],
            "orders": [order_case(seed) for seed in range(60)],
        }
        text = dumps(head)[:-1]
        for key, value in parts.items():
            items = (
                [f"{dumps(k)}: {dumps(v)}" for k, v in value.items()]
                if isinstance(value, dict)
                else [dumps(v) for v in value]
            )
            opening, closing = "{}" if isinstance(value, dict) else "[]"
            text += f', "{key}": {opening}\n' + ",\n".join(items) + f"\n{closing}"
        text += "}\n"
        json.loads(text)
        (folder / "paths.json").write_text(text)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"saving: {sum(map(len, parts.values()))} cases, {size} bytes")


def make(_):
    return Saving()


# Archives.


def archives():
    """Name -> model. Small, but with every kind of thing an archive can hold."""
    return {
        "uncompiled": small("float32", compiled=False),
        "float32": small("float32"),
        "float16": small("float16"),
        "bfloat16": small("bfloat16"),
        "mixed_float16": small("mixed_float16"),
        "nested": nested(),
    }


def small(policy, compiled=True):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    # The model's own policy decides whether `compile` wraps the optimizer in a loss scale.
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(2, name="head"),
        ]
    )
    if compiled:
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(*data(model), epochs=2, batch_size=4, verbose=0)
    keras.config.set_dtype_policy("float32")
    return model


def nested():
    keras.utils.clear_session()
    keras.utils.set_random_seed(2)
    first, second = keras.Input((4,)), keras.Input((4,), name="second")
    inner = keras.Sequential(
        [layers.Dense(4), layers.BatchNormalization(), layers.Dense(4)], name="inner"
    )
    shared = layers.Dense(4, name="shared")
    x = layers.Concatenate()([inner(shared(first)), shared(second)])
    x = layers.Bidirectional(layers.LSTM(3))(layers.Reshape((2, 4))(x))
    model = keras.Model([first, second], [layers.Dense(2, name="a")(x), layers.Dense(1, name="b")(x)])
    optimizer = keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
        momentum=0.9,
        use_ema=True,
        ema_overwrite_frequency=3,
    )
    model.compile(optimizer, ["mse", "mae"], metrics=[["mae"], None])
    model.fit(*data(model), epochs=1, batch_size=4, verbose=0)
    return model


def data(model):
    generator = np.random.default_rng(0)
    rows = [generator.standard_normal((8, *t.shape[1:])).astype("float32") for t in model.inputs]
    labels = [generator.standard_normal((8, *t.shape[1:])).astype("float32") for t in model.outputs]
    return (rows, labels) if len(rows) > 1 else (rows[0], labels[0])


def types(path):
    """What h5py makes of every type, and forms of storage that Keras does not use but h5py does."""
    with h5py.File(path, "w") as file:
        for dtype in "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64".split():
            values = np.arange(6).reshape(2, 3) % 2 if dtype == "bool" else np.arange(6).reshape(2, 3)
            file[f"{dtype}/2x3"] = values.astype(dtype)
            file[f"{dtype}/scalar"] = values.astype(dtype)[1, 2]
            file[f"{dtype}/empty"] = values.astype(dtype)[:0]
            if dtype not in ("bool", "uint8", "int8"):
                file[f"{dtype}/big_endian"] = values.astype(np.dtype(dtype).newbyteorder(">"))
        rows = np.arange(60, dtype="float32").reshape(20, 3)
        file.create_dataset("storage/gzip", data=rows, chunks=(7, 2), compression="gzip", shuffle=True)
        file.create_dataset("storage/unwritten", shape=(2, 3), dtype="float32", fillvalue=4.0)
        file.create_dataset("storage/compact", data=rows, track_times=False)
        file.create_group("group").attrs["name"] = "a näme"
        file.create_group("bytes").attrs["name"] = np.bytes_("fixed")
        file.create_group("number").attrs["name"] = 7


def links(path):
    """Links that must not be followed out of the file or for ever."""
    with h5py.File(path, "w") as file:
        file["a/vars/0"] = np.float32(1)
        file["a/soft"] = h5py.SoftLink("/a/vars")
        file["a/external"] = h5py.ExternalLink("/etc/passwd", "/")
        file["a/cycle"] = file["/"]


# Container names.


def names():
    classes = {
        name
        for module in (keras.layers, keras.optimizers, keras.models)
        for name, value in vars(module).items()
        if inspect.isclass(value)
    }
    return {name: to_snake_case(name) for name in sorted(classes | {"Functional", "MyHTTPLayer2D"})}


# Trees of models: [None, 4] -> [None, 4].


def tree_case(seed):
    """A random model, as a tree, and where Keras put each of its variables."""
    keras.utils.clear_session()
    generator = random.Random(seed)
    pool = []
    model = random_model(generator, depth=0, pool=pool)
    variables, seen = [], {}
    tree = describe(model, variables, seen)
    for number, variable in enumerate(variables):
        variable.assign(np.full(variable.shape, number))
    buffer = io.BytesIO()
    saving_lib.save_model(model, buffer)
    with zipfile.ZipFile(buffer) as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    groups, placed = {}, {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset):
            placed[path] = int(np.max(item[()]))
        elif path.split("/")[-1] == "vars":
            groups[path] = item.attrs["name"]

    weights.visititems(visit)
    return {"seed": seed, "tree": tree, "groups": groups, "variables": placed}


def random_model(generator, depth, pool):
    if generator.random() < 0.5:
        model = keras.Sequential([keras.Input((4,))] if generator.random() < 0.7 else [])
        for _ in range(generator.randint(1, 5)):
            layer = random_layer(generator, depth, pool)
            if all(layer is not other for other in model.layers):
                model.add(layer)
        model.build((None, 4))
        return model
    first = keras.Input((4,))
    tensors = [first]
    for _ in range(generator.randint(1, 6)):
        if len(tensors) > 1 and generator.random() < 0.3:
            tensors.append(layers.Add()(generator.sample(tensors, 2)))
        else:
            tensors.append(random_layer(generator, depth, pool)(generator.choice(tensors)))
    several = depth == 0 and generator.random() < 0.5
    return keras.Model(first, tensors[1:] if several else tensors[-1])


def random_layer(generator, depth, pool):
    """A new layer, or one that the model, or a model inside it, has already."""
    if pool and generator.random() < 0.15:
        return generator.choice(pool)
    kind = generator.randrange(10 if depth < 2 else 9)
    if kind < 3:
        layer = layers.Dense(4, use_bias=generator.random() < 0.7)
    elif kind == 3:
        layer = layers.Dropout(0.5)
    elif kind == 4:
        layer = layers.BatchNormalization(scale=generator.random() < 0.5)
    elif kind == 5:
        layer = layers.Activation("relu")
    elif kind == 6:
        layer = layers.ReLU()
    elif kind == 7:
        wrapped = layers.TimeDistributed(layers.Dense(2))
        layer = keras.Sequential([layers.Reshape((2, 2)), wrapped, layers.Flatten()])
    elif kind == 8:
        recurrent = generator.choice([layers.LSTM(2), layers.RNN([layers.GRUCell(2), layers.GRUCell(2)])])
        layer = keras.Sequential([layers.Reshape((2, 2)), layers.Bidirectional(recurrent)])
    else:
        layer = random_model(generator, depth + 1, pool)
    if not isinstance(layer, keras.Model):
        pool.append(layer)
    return layer


def describe(layer, variables, seen):
    """A layer as a tree: what the saving code must know of it."""
    own = layer._trainable_variables + layer._non_trainable_variables
    number = seen.setdefault(id(layer), len(seen))
    node = {"id": number, "class_name": type(layer).__name__, "name": layer.name, "weights": []}
    for variable in own:
        known = [i for i, v in enumerate(variables) if v is variable]
        if not known:
            variables.append(variable)
        number = known[0] if known else len(variables) - 1
        node["weights"].append({"number": number, "trainable": variable.trainable})
    children = {}
    if isinstance(layer, keras.Sequential):
        # Stated as in the configuration, with the input layer that Keras leaves out of the file.
        children["layers"] = layer._layers
    elif isinstance(layer, keras.Model):
        children["layers"] = layer.layers
    for attribute in ("layer", "cell", "forward_layer", "backward_layer"):
        if getattr(layer, attribute, None) is not None:
            children[attribute] = getattr(layer, attribute)
    if isinstance(layer, layers.StackedRNNCells):
        children["cells"] = layer.cells
    node["children"] = {
        attribute: [describe(one, variables, seen) for one in child]
        if isinstance(child, (list, tuple))
        else describe(child, variables, seen)
        for attribute, child in children.items()
    }
    return node


# Orders of functional models.


def order_case(seed):
    """A random graph: its layers shuffled, their calls, and the order Keras gives the layers."""
    keras.utils.clear_session()
    generator = random.Random(seed)
    inputs = [keras.Input((4,)) for _ in range(generator.randint(1, 3))]
    tensors, pool = list(inputs), []
    for _ in range(generator.randint(1, 12)):
        if generator.random() < 0.35:
            chosen = [generator.choice(tensors) for _ in range(generator.randint(2, 3))]
            tensors.append(layers.Concatenate()(chosen))
            tensors.append(layers.Dense(4)(tensors.pop()))
        else:
            if not pool or generator.random() < 0.7:
                pool.append(layers.Dense(4))
            tensors.append(generator.choice(pool)(generator.choice(tensors)))
    outputs = generator.sample(tensors, generator.randint(1, min(3, len(tensors))))
    model = keras.Model(inputs, outputs)
    config = model.get_config()
    order = [layer.name for layer in model.layers]
    generator.shuffle(config["layers"])
    return {
        "seed": seed,
        "layers": [
            {"name": layer["name"], "calls": [histories(node["args"]) for node in layer["inbound_nodes"]]}
            for layer in config["layers"]
        ],
        "inputs": ends(config["input_layers"]),
        "outputs": ends(config["output_layers"]),
        "order": order,
    }


def histories(value):
    """The [layer, call] of every tensor in the arguments of a call."""
    if isinstance(value, dict):
        return [value["config"]["keras_history"][:2]]
    return [history for item in value for history in histories(item)]


def ends(value):
    """Keras writes a single input or output without the outer list."""
    value = value if isinstance(value[0], (list, tuple)) else [value]
    return [list(end[:2]) for end in value]


# What cannot be used.


def unsupported():
    """A model with everything that cannot be read from a file, as JSON."""
    keras.utils.clear_session()

    @keras.saving.register_keras_serializable(package="mine")
    class OwnDense(layers.Dense):
        pass

    class Unregistered(layers.Dense):
        pass

    @keras.saving.register_keras_serializable(package="mine")
    def own_function(x):
        return x

    def own_loss(y_true, y_pred):
        return keras.ops.mean(y_true - y_pred)

    def code(text):
        """A lambda that does not carry the path of this file."""
        return eval(compile(text, "model.py", "eval"))

    inputs = keras.Input((4,))
    x = layers.Dense(4, activation=own_function, name="function")(inputs)
    x = layers.Dense(4, activation=code("lambda z: z"), name="activation")(x)
    x = layers.Lambda(code("lambda z: z * 2"), name="lambda")(x)
    x = OwnDense(4, name="own")(x)
    x = keras.Sequential([layers.Dense(4), Unregistered(4, name="inside")], name="inner")(x)
    x = keras.ops.relu(x + 1)
    x = layers.Reshape((2, 2))(x)
    x = layers.TimeDistributed(Unregistered(3, name="wrapped"), name="wrapper")(x)
    x = layers.Bidirectional(layers.GRU(2), name="both")(x)
    model = keras.Model(inputs, x)
    model.compile("sgd", own_loss, metrics=[code("lambda y_true, y_pred: y_true")])
    return keras.saving.serialize_keras_object(model)
