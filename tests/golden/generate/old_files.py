"""Files of older Keras, what they predict, and where training goes on to. See make_old_golden.py."""

import copy
import json

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from .group import Group

FOLDER = "old_files"
ROWS = 5
rng = np.random.default_rng(1501)


def normal(shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def make(folder):
    group = Group(
        "old_files",
        "old_files/FILE was saved by an older Keras, or made by hand as one did (`by`). Loaded it predicts "
        "`predictions` (one an output) of `x` (one an input); where there is `y`, fit(x, y, shuffle=False, **fit) "
        "takes it to `final`. `weights_of`: the file holds weights for the model of that JSON",
        packages=("keras", "tensorflow-cpu", "numpy"),
    )
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for make_case in CASES:
        keras.backend.clear_session()
        make_case(group, place)
    return group


def randomize(model):
    """Weights without a pattern, so that no exchange of two goes unseen; variances stay positive."""
    values = []
    for weight in model.weights:
        value = normal(weight.shape, 0.5)
        values.append(np.abs(value) + 0.5 if "variance" in weight.name else value)
    model.set_weights(values)
    return model


def add(group, name, model, xs, file, by="keras 2.15.0", **extra):
    predictions = model.predict(xs if len(xs) > 1 else xs[0], verbose=0)
    predictions = predictions if isinstance(predictions, list) else [predictions]
    tensors = {"x": xs, "predictions": predictions, **extra.pop("tensors", {})}
    group.case(name, None, tensors, file=f"{FOLDER}/{file}", by=by, **extra)


def save_and_add(group, place, name, model, xs, ending="h5", **extra):
    file = f"{name}.{ending}"
    model.save(place / file)
    add(group, name, model, xs, file, **extra)


# ---- whole models of Keras 2.15 ----


def trained(group, place):
    """Compiled with optimizers of the old and the new kind, and trained on with."""
    old, new = keras.optimizers.legacy, keras.optimizers
    optimizers = {
        "adam_legacy": old.Adam(0.02, amsgrad=True),
        "sgd_legacy": old.SGD(0.05, momentum=0.9, nesterov=True, decay=0.1),
        "rmsprop_legacy": old.RMSprop(0.01, momentum=0.5, centered=True),
        "adagrad_legacy": old.Adagrad(0.05),
        "adam": new.Adam(0.02),
        "rmsprop": new.RMSprop(0.01, momentum=0.5),
        "adamax": new.Adamax(0.02),
    }
    train_with(group, place, optimizers)


def trained_more(group, place):
    """The other optimizers that Keras 3 has too."""
    new = keras.optimizers
    train_with(group, place, {
        "sgd": new.SGD(0.05, momentum=0.9),
        "nadam": new.Nadam(0.02),
        "adadelta": new.Adadelta(0.5),
        "adagrad": new.Adagrad(0.05),
        "adamw": new.AdamW(0.02, weight_decay=0.01),
        "ftrl": new.Ftrl(0.05),
        "lion": new.Lion(0.01),
        "adamax_legacy": new.legacy.Adamax(0.02),
        "adadelta_legacy": new.legacy.Adadelta(0.5),
        "ftrl_legacy": new.legacy.Ftrl(0.05),
    })


def train_with(group, place, optimizers):
    x, y = normal((12, 3)), normal((12, 2))
    for name, optimizer in optimizers.items():
        keras.backend.clear_session()
        inputs = keras.Input((3,))
        hidden = layers.Dense(3, activation="tanh", name="hidden")(inputs)
        model = randomize(keras.Model(inputs, layers.Dense(2, name="out")(hidden)))
        # In a graph, Nadam of Keras 2.15 multiplies its product once a weight, not once a step.
        model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=name == "nadam")
        fit = {"batch_size": 4, "epochs": 2}
        model.fit(x, y, shuffle=False, verbose=0, **fit)
        for ending in ["h5", "keras"] if name == "adam" else ["h5"]:
            model.save(place / f"trained_{name}.{ending}")
        # Not the model that Keras opens, whose Nadam begins its product anew.
        predictions = model.predict(x, verbose=0)
        model.fit(x, y, shuffle=False, verbose=0, **fit)
        for ending in ["h5", "keras"] if name == "adam" else ["h5"]:
            tensors = {"x": [x], "predictions": [predictions], "y": y, "final": model.get_weights()}
            group.case(
                f"trained_{name}_{ending}",
                None,
                tensors,
                file=f"{FOLDER}/trained_{name}.{ending}",
                by="keras 2.15.0",
                fit=fit,
            )


def convolutions(group, place):
    """Kernels of every kind, `groups` where Keras 3 has none, and batch normalization over a list of axes."""
    model = keras.Sequential([
        layers.Input((6, 6, 2)),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(2, depth_multiplier=2),
        layers.LeakyReLU(0.1),
        layers.SeparableConv2D(3, 2, activation="elu"),
        layers.Conv2DTranspose(2, 2, strides=2),
        layers.UpSampling2D(),
        layers.MaxPooling2D(),
        layers.ThresholdedReLU(0.3),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ])
    save_and_add(group, place, "convolutions", randomize(model), [normal((ROWS, 6, 6, 2))])


def nested(group, place):
    """A model in a model, frozen in part: its weights stand in another order in the file."""
    inner = keras.Sequential(
        [layers.Input((5,)), layers.Dense(4, name="a"), layers.BatchNormalization(name="b"),
         layers.Dense(4, name="c"), layers.BatchNormalization(name="d")],
        name="inner",
    )
    x1, x2 = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    inner.get_layer("b").trainable = False
    inner.get_layer("c").trainable = False
    merged = layers.Concatenate()([inner(x1), inner(x2), layers.Dense(2, activation="hard_sigmoid")(x1)])
    outputs = [layers.Dense(2, name="one")(merged), layers.Activation("hard_sigmoid", name="two")(merged)]
    model = randomize(keras.Model([x1, x2], outputs))
    xs = [normal((ROWS, 5), 2.0), normal((ROWS, 5), 2.0)]
    save_and_add(group, place, "nested", model, xs)
    save_and_add(group, place, "nested_archive", model, xs, "keras")


def operations(group, place):
    """Operations of TensorFlow as layers."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    y = (a + b) * 2.0 - a / (b * b + 1.0)
    model = keras.Model([a, b], layers.Dense(2)(-y))
    save_and_add(group, place, "operations", randomize(model), [normal((ROWS, 4)), normal((ROWS, 4))])


def functions(group, place):
    """Further operations of TensorFlow: slices, types, comparisons, choices, and what is called otherwise today."""
    a, ids = keras.Input((6, 4), name="a"), keras.Input((6,), dtype="int32", name="ids")
    last = a[:, -1]
    number = lambda x: tf.cast(x, "float32")
    outputs = [
        last, a[..., 1:3], a[:, ::2, tf.newaxis, 0], number(ids), tf.clip_by_value(a, -0.5, 1.0),
        tf.nn.gelu(last), tf.nn.gelu(last, approximate=True), tf.nn.leaky_relu(last), tf.nn.leaky_relu(last, alpha=0.1),
        tf.where(a > 0, a, 0.5), tf.math.l2_normalize(last, axis=-1), tf.one_hot(ids, 5), tf.tile(last, [1, 2]),
        tf.gather(a, [0, 2], axis=1), tf.split(a, 2, axis=-1)[1], tf.split(a, [1, 3], axis=-1)[1],
        number(tf.reduce_any(a > 1, axis=-1)), number(tf.logical_not(tf.not_equal(ids, 0))),
        number(tf.logical_and(ids > 1, ids <= 3)), tf.pad(last, [[0, 0], [1, 2]]), tf.math.rsqrt(tf.square(last) + 1.0),
        1.0 - last, last**2.0, tf.reshape(a, [-1, 24]), tf.transpose(a, [0, 2, 1]), tf.ones_like(last), tf.zeros_like(last),
        number(ids // 2), number(ids % 2), number(tf.argmax(last, axis=-1)), number(tf.argmin(a, axis=1)),
        tf.identity(last), tf.math.erf(last), tf.cumsum(a, axis=1), tf.add_n([last, last]), tf.unstack(a, axis=2)[1],
        tf.repeat(last, 2, axis=1), tf.reverse(a, axis=[1]), tf.nn.silu(last), tf.nn.elu(last), tf.nn.selu(last),
        tf.nn.log_softmax(last), tf.nn.softmax(a, axis=1), tf.reduce_logsumexp(a, axis=1),
        tf.math.reduce_variance(a, axis=1), tf.math.reduce_std(a, axis=[1, 2]), tf.reduce_prod(a, axis=1, keepdims=True),
        tf.matmul(a, a, transpose_b=True), tf.matmul(a, a, transpose_a=True), tf.concat([a, a], axis=2),
        tf.stack([last, last], axis=1), tf.expand_dims(last, 1), tf.squeeze(a[:, :1], axis=1), tf.roll(a, 1, axis=1),
        tf.sign(last), tf.floor(last), tf.math.ceil(last), tf.round(last * 3.0), tf.math.softsign(last),
    ]
    model = keras.Model([a, ids], outputs)
    ids = rng.integers(0, 5, (ROWS, 6)).astype(np.int32)
    save_and_add(group, place, "functions", model, [normal((ROWS, 6, 4)), ids])


def sequence_to_sequence(group, place):
    """Padded sequences and states handed over, whose masks Keras 2 uses beside them."""
    words, asked = keras.Input((5,), name="words"), keras.Input((4,), name="asked")
    _, *state = layers.LSTM(3, return_state=True, name="encoder")(layers.Embedding(7, 3, mask_zero=True, name="vectors")(words))
    steps = layers.Embedding(6, 3, mask_zero=True, name="others")(asked)
    steps = layers.LSTM(3, return_sequences=True, name="decoder")(steps, initial_state=state)
    steps = layers.GRU(2, return_sequences=True, name="second")(steps, initial_state=layers.Dense(2, name="start")(state[0]))
    model = randomize(keras.Model([words, asked], layers.Dense(6, activation="softmax", name="out")(steps)))
    padded = lambda steps, count: np.where(np.arange(steps) < rng.integers(1, steps + 1, (ROWS, 1)),
                                           rng.integers(1, count, (ROWS, steps)), 0).astype(np.float32)
    save_and_add(group, place, "sequence_to_sequence", model, [padded(5, 7), padded(4, 6)])


def weights_alone(group, place):
    """Weights in the older format, those of objects, and the model beside them."""
    model = randomize(keras.Sequential([layers.Input((3,)), layers.Dense(4, name="first"), layers.Dense(2, name="last")]))
    (place / "weights_alone.json").write_text(model.to_json())
    x = normal((ROWS, 3))
    for name in ["weights_alone.h5", "weights_alone.weights.h5"]:
        model.save_weights(place / name)
        add(group, name, model, [x], name, weights_of=f"{FOLDER}/weights_alone.json")


# ---- made by hand ----


def by_hand(place, name, config, version, weights, backend=b"tensorflow", chunks=False):
    """A file of a whole model: `weights` is {layer: [(name, array)]} in order."""
    with h5py.File(place / name, "w") as file:
        # Python's byte strings are attributes of fixed length, `str` of variable length.
        file.attrs["model_config"] = json.dumps(config).encode()
        if version:
            file.attrs["keras_version"] = version
            file.attrs["backend"] = backend
        group = file.create_group("model_weights")
        layer_names = [layer.encode() for layer in weights]
        if chunks:
            for i, part in enumerate(np.array_split(np.array(layer_names), 2)):
                group.attrs[f"layer_names{i}"] = part
        else:
            group.attrs["layer_names"] = layer_names
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [weight.encode() for weight, _ in arrays]
            for weight, array in arrays:
                options = {"compression": "gzip", "shuffle": True} if chunks and array.ndim else {}
                inner.create_dataset(weight, data=array, **options)


def layer(cls, name, **config):
    return {"class_name": cls, "config": {"name": name, "trainable": True, **config}}


def keras_1(group, place):
    """The words of Keras 1.2 for a Sequential, kernels of its Convolution1D, a regularizer by name."""
    model = randomize(keras.Sequential([
        layers.Input((6, 3)),
        layers.Conv1D(4, 2, strides=2, padding="same", activation="relu"),
        layers.Dropout(0.3),
        layers.MaxPooling1D(2, 1),
        layers.Flatten(),
        layers.Dense(3, activation="tanh", use_bias=False),
        layers.BatchNormalization(epsilon=1e-3),
        layers.Dense(2, activation="softmax"),
    ]))
    kernel, bias, dense, gamma, beta, mean, variance, last, last_bias = model.get_weights()
    l2 = {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}
    config = {"class_name": "Sequential", "keras_version": "1.2.2", "config": [
        layer("Convolution1D", "convolution1d_1", batch_input_shape=[None, 6, 3], input_dtype="float32", nb_filter=4,
              filter_length=2, subsample_length=2, border_mode="same", init="glorot_uniform", activation="relu",
              W_regularizer=l2, b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None,
              bias=True, input_dim=3, input_length=6),
        layer("Dropout", "dropout_1", p=0.3),
        layer("MaxPooling1D", "maxpooling1d_1", pool_length=2, stride=1, border_mode="valid"),
        layer("Flatten", "flatten_1"),
        layer("Dense", "dense_1", output_dim=3, init="he_normal", activation="tanh", W_regularizer=None,
              b_regularizer=None, activity_regularizer=None, W_constraint={"name": "MaxNorm", "m": 3, "axis": 0},
              b_constraint=None, bias=False, input_dim=None),
        layer("BatchNormalization", "batchnormalization_1", epsilon=1e-3, mode=0, axis=-1, momentum=0.99,
              gamma_regularizer=None, beta_regularizer=None),
        layer("Dense", "dense_2", output_dim=2, init="uniform", activation="softmax", W_regularizer=None,
              b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True,
              input_dim=None),
    ]}
    weights = {
        "convolution1d_1": [("convolution1d_1_W", kernel[:, None]), ("convolution1d_1_b", bias)],
        "dropout_1": [], "maxpooling1d_1": [], "flatten_1": [],
        "dense_1": [("dense_1_W", dense)],
        "batchnormalization_1": [
            ("batchnormalization_1_gamma", gamma), ("batchnormalization_1_beta", beta),
            ("batchnormalization_1_running_mean", mean), ("batchnormalization_1_running_std", variance)],
        "dense_2": [("dense_2_W", last), ("dense_2_b", last_bias)],
    }
    by_hand(place, "keras_1.h5", config, "1.2.2", weights)
    add(group, "keras_1", model, [normal((ROWS, 6, 3))], "keras_1.h5", by="hand, as keras 1.2.2")


def keras_1_theano(group, place):
    """Channels first, kernels as Theano kept them, a functional model with a Merge."""
    inputs = keras.Input((5, 5, 2))
    a = layers.Conv2D(3, (2, 3), activation="relu", name="a")(inputs)
    b = layers.Conv2D(3, (2, 3), name="b")(inputs)
    merged = layers.Concatenate(axis=-1)([a, b])
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(merged))
    model = randomize(keras.Model(inputs, outputs))
    values = dict(zip(["a", "a_b", "b", "b_b", "dense", "dense_b"], model.get_weights()))
    convolution = {
        "nb_filter": 3, "nb_row": 2, "nb_col": 3, "subsample": [1, 1], "border_mode": "valid", "dim_ordering": "th",
        "init": "glorot_uniform", "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None,
        "W_constraint": None, "b_constraint": None, "bias": True}
    node = lambda config, *inbound: {
        **config, "name": config["config"]["name"], "inbound_nodes": [[[name, 0, 0] for name in inbound]] if inbound else []}
    config = {"class_name": "Model", "config": {
        "name": "model_1",
        "layers": [
            node({"class_name": "InputLayer", "config": {
                "name": "input_1", "batch_input_shape": [None, 2, 5, 5], "input_dtype": "float32", "sparse": False}}),
            node(layer("Convolution2D", "a", activation="relu", **convolution), "input_1"),
            node(layer("Convolution2D", "b", activation="linear", **convolution), "input_1"),
            node({"class_name": "Merge", "config": {
                "name": "merge_1", "mode": "concat", "mode_type": "raw", "concat_axis": 1, "dot_axes": -1,
                "output_shape": None, "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw",
                "arguments": {}}}, "a", "b"),
            node(layer("GlobalAveragePooling2D", "pool", dim_ordering="th"), "merge_1"),
            node(layer("Dense", "dense_1", output_dim=2, init="glorot_uniform", activation="linear",
                       W_regularizer=None, b_regularizer=None, activity_regularizer=None, W_constraint=None,
                       b_constraint=None, bias=True, input_dim=None), "pool"),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["dense_1", 0, 0]],
    }}
    kernel = lambda name: values[name][::-1, ::-1].transpose(3, 2, 0, 1)
    weights = {
        "input_1": [],
        "a": [("a_W", kernel("a")), ("a_b", values["a_b"])],
        "b": [("b_W", kernel("b")), ("b_b", values["b_b"])],
        "merge_1": [], "pool": [],
        "dense_1": [("dense_1_W", values["dense"]), ("dense_1_b", values["dense_b"])],
    }
    by_hand(place, "keras_1_theano.h5", config, "1.2.0", weights, backend=b"theano")
    x = normal((ROWS, 5, 5, 2))
    predictions = model.predict(x, verbose=0)
    tensors = {"x": [x.transpose(0, 3, 1, 2)], "predictions": [predictions]}
    group.case("keras_1_theano", None, tensors, file=f"{FOLDER}/keras_1_theano.h5", by="hand, as keras 1.2.0")


def keras_2_0(group, place):
    """A list as the configuration of a Sequential, names of layers in two attributes, chunked and packed data."""
    model = randomize(keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)]))
    initializer = {"class_name": "VarianceScaling", "config": {
        "scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": None, "dtype": "float32"}}
    zeros = {"class_name": "Zeros", "config": {"dtype": "float32"}}
    dense = {"use_bias": True, "kernel_initializer": initializer, "bias_initializer": zeros,
             "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}},
             "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None}
    config = {"class_name": "Sequential", "config": [
        layer("Dense", "dense_1", batch_input_shape={"class_name": "__tuple__", "items": [None, 4]}, dtype="float32",
              units=3, activation="relu", **dense),
        layer("Dense", "dense_2", units=2, activation="linear", **copy.deepcopy(dense)),
    ]}
    k1, b1, k2, b2 = model.get_weights()
    weights = {"dense_1": [("dense_1/kernel:0", k1), ("dense_1/bias:0", b1)],
               "dense_2": [("dense_2/kernel:0", k2), ("dense_2/bias:0", b2)]}
    by_hand(place, "keras_2_0.h5", config, "2.0.8", weights, chunks=True)
    add(group, "keras_2_0", model, [normal((ROWS, 4))], "keras_2_0.h5", by="hand, as keras 2.0.8")


def keras_1_merge(group, place):
    """A Sequential that starts with a Merge of two others, as Keras 1 wrote models of two inputs."""
    a, b = keras.Input((4,)), keras.Input((3,))
    left, right = layers.Dense(3, activation="tanh")(a), layers.Dense(2)(b)
    model = randomize(keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([left, right]))))
    dense = lambda name, units, activation, **more: layer(
        "Dense", name, output_dim=units, init="glorot_uniform", activation=activation, W_regularizer=None,
        b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True, **more)
    branch = lambda *inside: {"class_name": "Sequential", "config": list(inside)}
    config = {"class_name": "Sequential", "keras_version": "1.2.2", "config": [
        {"class_name": "Merge", "config": {
            "name": "merge_1", "mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1,
            "output_shape": None, "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw",
            "arguments": {}, "layers": [
                branch(dense("dense_1", 3, "tanh", batch_input_shape=[None, 4], input_dtype="float32", input_dim=4)),
                branch(dense("dense_2", 2, "linear", batch_input_shape=[None, 3], input_dtype="float32", input_dim=3)),
            ]}},
        dense("dense_3", 2, "linear", input_dim=None),
    ]}
    values = model.get_weights()
    names = ["dense_1", "dense_2", "dense_3"]
    of = {name: [(f"{name}_W", values[2 * i]), (f"{name}_b", values[2 * i + 1])] for i, name in enumerate(names)}
    by_hand(place, "keras_1_merge.h5", config, "1.2.2", of)
    add(group, "keras_1_merge", model, [normal((ROWS, 4)), normal((ROWS, 3))], "keras_1_merge.h5", by="hand, as keras 1.2.2")


def recurrent(group, place):
    """Recurrent layers, with the two forms of a GRU and the wrappers around them."""
    model = randomize(keras.Sequential([
        layers.Input((5, 3)),
        layers.GRU(4, return_sequences=True),
        layers.GRU(3, reset_after=False, recurrent_activation="hard_sigmoid", return_sequences=True),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum"),
        layers.TimeDistributed(layers.Dense(4, activation="tanh")),
        layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True)),
        layers.Reshape((5, 2, 2, 1)),
        layers.ConvLSTM2D(2, 2, padding="same", recurrent_activation="hard_sigmoid"),
        layers.Flatten(),
        layers.Dense(2),
    ]))
    x = [normal((ROWS, 5, 3))]
    save_and_add(group, place, "recurrent", model, x)
    save_and_add(group, place, "recurrent_archive", model, x, "keras")


def keras_1_recurrent(group, place):
    """A weight for each gate, as Keras 1 had them: i, c, f, o of an LSTM, z, r, h of a GRU."""
    model = randomize(keras.Sequential([
        layers.Input((6,)),
        layers.Embedding(9, 3),
        layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
        layers.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False, return_sequences=True, go_backwards=True),
        layers.SimpleRNN(2),
    ]))
    vectors, *values = model.get_weights()
    common = {"init": "glorot_uniform", "inner_init": "orthogonal", "activation": "tanh", "W_regularizer": None,
              "U_regularizer": None, "b_regularizer": None, "dropout_W": 0.0, "dropout_U": 0.0, "stateful": False,
              "unroll": False, "consume_less": "cpu", "input_dim": None, "input_length": None}
    gated = {"inner_activation": "hard_sigmoid", **common}
    config = {"class_name": "Sequential", "keras_version": "1.2.2", "config": [
        layer("Embedding", "embedding_1", batch_input_shape=[None, 6], input_dtype="int32", input_dim=9, output_dim=3,
              init="uniform", mask_zero=False, input_length=6, W_regularizer=None, activity_regularizer=None,
              W_constraint=None, dropout=0.0),
        layer("LSTM", "lstm_1", output_dim=4, forget_bias_init="one", return_sequences=True, go_backwards=False, **gated),
        layer("GRU", "gru_1", output_dim=3, return_sequences=True, go_backwards=True, **gated),
        layer("SimpleRNN", "simplernn_1", output_dim=2, return_sequences=False, go_backwards=False, **common),
    ]}
    by_gate = lambda name, arrays, gates, order: [
        (f"{name}_{letter}_{gate}", np.split(array, len(gates), axis=-1)[gates.index(gate)])
        for gate in order for letter, array in zip("WUb", arrays)]
    weights = {
        "embedding_1": [("embedding_1_W", vectors)],
        "lstm_1": by_gate("lstm_1", values[:3], "ifco", "icfo"),
        "gru_1": by_gate("gru_1", values[3:6], "zrh", "zrh"),
        "simplernn_1": [(f"simplernn_1_{letter}", array) for letter, array in zip("WUb", values[6:])],
    }
    by_hand(place, "keras_1_recurrent.h5", config, "1.2.2", weights)
    ids = rng.integers(0, 9, (ROWS, 6)).astype(np.float32)
    add(group, "keras_1_recurrent", model, [ids], "keras_1_recurrent.h5", by="hand, as keras 1.2.2")


def cudnn(group, place):
    """The layouts of cuDNN's layers, by the inverse of `_convert_rnn_weights`, and a GRU as it was by default."""
    model = randomize(keras.Sequential([
        layers.Input((5, 3)),
        layers.LSTM(4, return_sequences=True),
        layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.GRU(2, recurrent_activation="hard_sigmoid", reset_after=False),
    ]))
    values = model.get_weights()
    each = lambda array, function, gates: np.hstack([function(part) for part in np.hsplit(array, gates)])
    turned = lambda kernel: kernel.T.reshape(kernel.shape, order="C")
    of_lstm = lambda k, r, b: [each(k, turned, 4), each(r, np.transpose, 4), np.concatenate([0.25 * b, 0.75 * b])]
    of_gru = lambda k, r, b: [each(k, turned, 3), each(r, np.transpose, 3), b.reshape(-1)]
    initializer = lambda name, **config: {"class_name": name, "config": config}
    kernel = initializer("VarianceScaling", scale=1.0, mode="fan_avg", distribution="uniform", seed=None)
    inner, zeros = initializer("Orthogonal", gain=1.0, seed=None), initializer("Zeros")
    common = {"return_sequences": True, "return_state": False, "go_backwards": False, "stateful": False,
              "kernel_initializer": kernel, "recurrent_initializer": inner, "bias_initializer": zeros,
              "kernel_regularizer": None, "recurrent_regularizer": None, "bias_regularizer": None,
              "activity_regularizer": None, "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None}
    config = {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [
        layer("CuDNNLSTM", "cu_dnnlstm_1", batch_input_shape=[None, 5, 3], dtype="float32", units=4,
              unit_forget_bias=True, **common),
        layer("Bidirectional", "bidirectional_1", merge_mode="concat",
              layer=layer("CuDNNGRU", "cu_dnngru_1", units=3, **common)),
        layer("GRU", "gru_1", units=2, activation="tanh", recurrent_activation="hard_sigmoid", use_bias=True,
              dropout=0.0, recurrent_dropout=0.0, implementation=1, unroll=False, **{**common, "return_sequences": False}),
    ]}}
    named = lambda path, arrays: [(f"{path}/{name}:0", a) for name, a in zip(["kernel", "recurrent_kernel", "bias"], arrays)]
    weights = {
        "cu_dnnlstm_1": named("cu_dnnlstm_1", of_lstm(*values[:3])),
        "bidirectional_1": named("bidirectional_1/forward_cu_dnngru_1", of_gru(*values[3:6]))
        + named("bidirectional_1/backward_cu_dnngru_1", of_gru(*values[6:9])),
        "gru_1": named("gru_1", values[9:]),
    }
    by_hand(place, "cudnn.h5", config, "2.2.4", weights)
    add(group, "cudnn", model, [normal((ROWS, 5, 3))], "cudnn.h5", by="hand, as keras 2.2.4")


def keras_1_transposed(group, place):
    """A Deconvolution2D, whose kernel had its two last axes the other way."""
    model = randomize(keras.Sequential([
        layers.Input((4, 4, 3)),
        layers.Conv2DTranspose(2, (2, 3), strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(2),
    ]))
    kernel, bias, dense, dense_bias = model.get_weights()
    config = {"class_name": "Sequential", "keras_version": "1.2.2", "config": [
        layer("Deconvolution2D", "deconvolution2d_1", batch_input_shape=[None, 4, 4, 3], input_dtype="float32",
              nb_filter=2, nb_row=2, nb_col=3, subsample=[2, 2], border_mode="valid", dim_ordering="tf",
              output_shape=[None, 8, 9, 2], init="glorot_uniform", activation="relu", W_regularizer=None,
              b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True),
        layer("Flatten", "flatten_1"),
        layer("Dense", "dense_1", output_dim=2, init="glorot_uniform", activation="linear", W_regularizer=None,
              b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True, input_dim=None),
    ]}
    weights = {
        "deconvolution2d_1": [("deconvolution2d_1_W", kernel.transpose(0, 1, 3, 2)), ("deconvolution2d_1_b", bias)],
        "flatten_1": [], "dense_1": [("dense_1_W", dense), ("dense_1_b", dense_bias)],
    }
    by_hand(place, "keras_1_transposed.h5", config, "1.2.2", weights)
    add(group, "keras_1_transposed", model, [normal((ROWS, 4, 4, 3))], "keras_1_transposed.h5", by="hand, as keras 1.2.2")


def keras_1_conv_lstm(group, place):
    """A ConvLSTM2D with channels first: kernels [filters, channels, rows, columns] for each gate."""
    inputs = keras.Input((3, 4, 4, 2))
    steps = layers.ConvLSTM2D(3, (2, 3), padding="same", recurrent_activation="hard_sigmoid")(inputs)
    model = randomize(keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(steps))))
    kernel, recurrent_kernel, bias, dense, dense_bias = model.get_weights()
    config = {"class_name": "Sequential", "keras_version": "1.2.0", "config": [
        layer("ConvLSTM2D", "convlstm2d_1", batch_input_shape=[None, 3, 2, 4, 4], input_dtype="float32", nb_filter=3,
              nb_row=2, nb_col=3, subsample=[1, 1], border_mode="same", dim_ordering="th", init="glorot_uniform",
              inner_init="orthogonal", forget_bias_init="one", activation="tanh", inner_activation="hard_sigmoid",
              W_regularizer=None, U_regularizer=None, b_regularizer=None, dropout_W=0.0, dropout_U=0.0,
              return_sequences=False, go_backwards=False, stateful=False, consume_less="cpu"),
        layer("GlobalAveragePooling2D", "pool", dim_ordering="th"),
        layer("Dense", "dense_1", output_dim=2, init="glorot_uniform", activation="linear", W_regularizer=None,
              b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None, bias=True, input_dim=None),
    ]}
    arrays = [kernel.transpose(3, 2, 0, 1), recurrent_kernel.transpose(3, 2, 0, 1), bias]
    gate = lambda array, name: np.split(array, 4)["ifco".index(name)]
    weights = {
        "convlstm2d_1": [(f"convlstm2d_1_{letter}_{name}", gate(array, name))
                         for name in "icfo" for letter, array in zip("WUb", arrays)],
        "pool": [], "dense_1": [("dense_1_W", dense), ("dense_1_b", dense_bias)],
    }
    by_hand(place, "keras_1_conv_lstm.h5", config, "1.2.0", weights)
    x = normal((ROWS, 3, 4, 4, 2))
    tensors = {"x": [x.transpose(0, 1, 4, 2, 3)], "predictions": [model.predict(x, verbose=0)]}
    group.case("keras_1_conv_lstm", None, tensors, file=f"{FOLDER}/keras_1_conv_lstm.h5", by="hand, as keras 1.2.0")


CASES = [trained, convolutions, nested, operations, weights_alone, keras_1, keras_1_theano, keras_2_0, keras_1_merge, trained_more, functions,
         sequence_to_sequence, recurrent, keras_1_recurrent, cudnn, keras_1_transposed,
         keras_1_conv_lstm]
