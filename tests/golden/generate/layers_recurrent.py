"""Embeddings, recurrent layers, their cells and wrappers. Dropout draws other numbers here than there."""

import numpy as np
from keras import layers

from .common import exact_tanh
from .layer_case import LayerCases


def make(_folder):
    with exact_tanh():
        return cases()


def cases():
    cases = LayerCases("layers_recurrent", 1409)
    add = cases.add
    ids = cases.draw.integers(0, 7, (4, 5))
    x, wide = cases.normal(3, 4, 5), cases.normal(18, 3, 2)
    h, c = cases.normal(3, 3), cases.normal(3, 3)
    mask = [cases.mask(3, 4)]
    mask[0][0] = [False, False, True, True]
    mask[0][1] = [True, True, False, False]

    embedding = layers.Embedding
    add("embedding", lambda: embedding(7, 3), ids)
    add("embedding/mask_zero", lambda: embedding(7, 3, mask_zero=True), ids)
    add("embedding/penalty", lambda: embedding(7, 3, embeddings_regularizer="l2", embeddings_constraint="unit_norm",
                                               embeddings_initializer="normal"), ids)
    add("reversible_embedding", lambda: layers.ReversibleEmbedding(7, 3, mask_zero=True), ids)
    add("reversible_embedding/untied", lambda: layers.ReversibleEmbedding(7, 3, tie_weights=False), ids)

    every = {"return_sequences": True, "return_state": True}
    kinds = {
        "lstm": (layers.LSTM, [h, c], [{"unit_forget_bias": False}]),
        "gru": (layers.GRU, [h], [{"reset_after": False}, {"reset_after": False, "use_bias": False}]),
        "simple_rnn": (layers.SimpleRNN, [h], []),
    }
    for name, (layer, states, own) in kinds.items():
        add(name, lambda: layer(3), x)
        add(f"{name}/wide", lambda: layer(9, return_sequences=True), wide)
        add(f"{name}/no_bias", lambda: layer(3, use_bias=False), x)
        add(f"{name}/one_step", lambda: layer(2, **every), x[:, :1])
        add(f"{name}/states", lambda: layer(3, **every), x, *states)
        add(f"{name}/last_states", lambda: layer(3, return_state=True, unroll=True), x, *states)
        add(f"{name}/backwards", lambda: layer(3, go_backwards=True, **every), x, *states)
        no_masks = [None] * len(states)
        add(f"{name}/mask", lambda: layer(3), x, masks=mask)
        add(f"{name}/mask_states", lambda: layer(3, **every), x, *states, masks=mask + no_masks)
        add(f"{name}/mask_zero_output", lambda: layer(3, zero_output_for_mask=True, **every), x, masks=mask)
        add(f"{name}/mask_backwards", lambda: layer(3, go_backwards=True, **every), x, masks=mask)
        gates = {} if name == "simple_rnn" else {"recurrent_activation": "hard_sigmoid"}
        add(f"{name}/relu", lambda: layer(3, activation="relu", return_sequences=True, **gates), x)
        gates = {} if name == "simple_rnn" else {"recurrent_activation": "softmax"}
        add(f"{name}/gelu", lambda: layer(3, activation="gelu", return_sequences=True, **gates), x)
        for options in own:
            label = "_".join(key for key in options)
            add(f"{name}/{label}", lambda: layer(3, return_sequences=True, **options), x, masks=mask)
        add(f"{name}/penalties", lambda: layer(
            3, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2", activity_regularizer="l2",
            kernel_constraint="max_norm", recurrent_constraint="unit_norm", bias_constraint="non_neg",
            kernel_initializer="he_normal", recurrent_initializer="glorot_normal", bias_initializer="ones"), x)

    rnn = layers.RNN
    add("rnn/lstm", lambda: rnn(layers.LSTMCell(3), **every), x, h, c, masks=mask + [None, None])
    add("rnn/gru", lambda: rnn(layers.GRUCell(3), **every), x, h)
    add("rnn/simple", lambda: rnn(layers.SimpleRNNCell(3), go_backwards=True), x)
    stacked = lambda: layers.StackedRNNCells([
        layers.GRUCell(2, name="a"), layers.LSTMCell(3, name="b"), layers.SimpleRNNCell(4, name="c"),
    ])
    add("rnn/stacked", lambda: rnn(stacked(), return_sequences=True), x)
    add("rnn/stacked_mask", lambda: rnn(stacked(), **every), x, masks=mask)

    both = layers.Bidirectional
    for mode in ("concat", "sum", "mul", "ave", None):
        add(f"bidirectional/{mode}", lambda: both(layers.LSTM(3, return_sequences=True), merge_mode=mode), x)
        add(f"bidirectional/{mode}_last", lambda: both(layers.GRU(3), merge_mode=mode), x, masks=mask)
    add("bidirectional/states", lambda: both(layers.LSTM(3, **every)), x, h, c, c, h, masks=mask + [None] * 4)
    add("bidirectional/backward_layer", lambda: both(
        layers.LSTM(3, return_sequences=True), backward_layer=layers.GRU(2, go_backwards=True, return_sequences=True)), x)
    add("bidirectional/rnn", lambda: both(rnn(layers.SimpleRNNCell(2))), x)

    conv = {1: (layers.ConvLSTM1D, (5, 2)), 2: (layers.ConvLSTM2D, (4, 5, 2)), 3: (layers.ConvLSTM3D, (2, 3, 3, 2))}
    for rank, (layer, shape) in conv.items():
        images = cases.normal(2, 3, *shape)
        add(f"conv_lstm_{rank}d", lambda: layer(2, 2), images)
        add(f"conv_lstm_{rank}d/states", lambda: layer(3, 2, padding="same", go_backwards=True, **every), images)
        # Unrolled: otherwise Keras on JAX spreads masks of sequences of images over the last axes.
        masked = lambda **more: lambda: layer(2, 2, padding="same", unroll=True, **more)
        steps = [np.array([[False, True, False], [True, True, False]])]
        add(f"conv_lstm_{rank}d/mask", masked(), images, masks=steps)
        add(f"conv_lstm_{rank}d/mask_every", masked(**every), images, masks=steps)
        add(f"conv_lstm_{rank}d/mask_backwards", masked(go_backwards=True, **every), images, masks=steps)
        # Of one row they are spread over it alone. Unrolled, Keras does not know of zero_output_for_mask.
        zero = lambda **more: lambda: layer(2, 2, zero_output_for_mask=True, **more)
        add(f"conv_lstm_{rank}d/mask_zero_output", zero(**every), images[:1], masks=[steps[0][:1]])
        add(f"conv_lstm_{rank}d/mask_zero_last", zero(return_state=True), images[:1], masks=[steps[0][:1]])
    add("conv_lstm_2d/strides", lambda: layers.ConvLSTM2D(2, 3, strides=2, padding="same", **every), cases.normal(3, 4, 4, 5, 2))
    add("conv_lstm_1d/dilation", lambda: layers.ConvLSTM1D(2, 2, dilation_rate=2, use_bias=False), cases.normal(2, 3, 5, 2))

    over = layers.TimeDistributed
    add("time_distributed", lambda: over(layers.Dense(2, activation="tanh")), x, masks=mask)
    add("time_distributed/lstm", lambda: over(layers.LSTM(2)), cases.normal(2, 3, 4, 2))
    add("time_distributed/batch_normalization", lambda: over(layers.BatchNormalization()), x, training=True)
    return cases.group
