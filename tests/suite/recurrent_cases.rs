//! The cases of embeddings, recurrent layers, their cells and wrappers.

use crate::layer_cases::{LayerCase, case, merging};
use serde_json::{Value as Json, json};

/// A layer within another.
fn inner(class_name: &str, config: Json) -> Json {
    json!({"class_name": class_name, "config": config})
}

pub fn cases() -> Vec<LayerCase> {
    vec![
        case(
            "Embedding",
            json!({"input_dim": 5, "output_dim": 3}),
            &[4],
            &[("embeddings", &[5, 3])],
        ),
        case(
            "ReversibleEmbedding",
            json!({"input_dim": 5, "output_dim": 3, "tie_weights": true}),
            &[4],
            &[("embeddings", &[5, 3])],
        ),
        case(
            "LSTM",
            json!({"units": 2, "return_sequences": true}),
            &[3, 2],
            &[
                ("lstm_cell/kernel", &[2, 8]),
                ("lstm_cell/recurrent_kernel", &[2, 8]),
                ("lstm_cell/bias", &[8]),
            ],
        ),
        case(
            "LSTM",
            json!({"units": 2, "dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3}),
            &[3, 2],
            &[
                ("lstm_cell/kernel", &[2, 8]),
                ("lstm_cell/recurrent_kernel", &[2, 8]),
                ("lstm_cell/bias", &[8]),
            ],
        ),
        case(
            "GRU",
            json!({"units": 2, "dropout": 0.3}),
            &[3, 2],
            &[
                ("gru_cell/kernel", &[2, 6]),
                ("gru_cell/recurrent_kernel", &[2, 6]),
                ("gru_cell/bias", &[2, 6]),
            ],
        ),
        case(
            "GRU",
            json!({"units": 2, "reset_after": false, "dropout": 0.3, "recurrent_dropout": 0.4}),
            &[3, 2],
            &[
                ("gru_cell/kernel", &[2, 6]),
                ("gru_cell/recurrent_kernel", &[2, 6]),
                ("gru_cell/bias", &[6]),
            ],
        ),
        case(
            "SimpleRNN",
            json!({"units": 2, "go_backwards": true, "dropout": 0.3, "recurrent_dropout": 0.4}),
            &[3, 2],
            &[
                ("simple_rnn_cell/kernel", &[2, 2]),
                ("simple_rnn_cell/recurrent_kernel", &[2, 2]),
                ("simple_rnn_cell/bias", &[2]),
            ],
        ),
        merging_with(
            "LSTMCell",
            json!({"units": 2}),
            &[&[3], &[2], &[2]],
            &[("kernel", &[3, 8]), ("recurrent_kernel", &[2, 8]), ("bias", &[8])],
        ),
        merging_with(
            "GRUCell",
            json!({"units": 2, "use_bias": false}),
            &[&[3], &[2]],
            &[("kernel", &[3, 6]), ("recurrent_kernel", &[2, 6])],
        ),
        merging_with(
            "SimpleRNNCell",
            json!({"units": 2}),
            &[&[3], &[2]],
            &[("kernel", &[3, 2]), ("recurrent_kernel", &[2, 2]), ("bias", &[2])],
        ),
        case(
            "RNN",
            json!({"cell": inner("GRUCell", json!({"units": 2})), "return_sequences": true}),
            &[3, 2],
            &[
                ("gru_cell/kernel", &[2, 6]),
                ("gru_cell/recurrent_kernel", &[2, 6]),
                ("gru_cell/bias", &[2, 6]),
            ],
        ),
        case(
            "RNN",
            json!({"cell": inner("StackedRNNCells", json!({"cells": [
                inner("SimpleRNNCell", json!({"units": 2, "use_bias": false})),
                inner("SimpleRNNCell", json!({"units": 3, "use_bias": false})),
            ]}))}),
            &[3, 2],
            &[
                ("stacked_rnn_cells/simple_rnn_cell/kernel", &[2, 2]),
                ("stacked_rnn_cells/simple_rnn_cell/recurrent_kernel", &[2, 2]),
                ("stacked_rnn_cells/simple_rnn_cell_1/kernel", &[2, 3]),
                ("stacked_rnn_cells/simple_rnn_cell_1/recurrent_kernel", &[3, 3]),
            ],
        ),
        merging_with(
            "StackedRNNCells",
            json!({"cells": [inner("SimpleRNNCell", json!({"units": 2, "use_bias": false}))]}),
            &[&[3], &[2]],
            &[("simple_rnn_cell/kernel", &[3, 2]), ("simple_rnn_cell/recurrent_kernel", &[2, 2])],
        ),
        case(
            "Bidirectional",
            json!({"layer": inner("SimpleRNN", json!({"units": 2, "return_sequences": true}))}),
            &[3, 2],
            &[
                ("forward_simple_rnn/simple_rnn_cell/kernel", &[2, 2]),
                ("forward_simple_rnn/simple_rnn_cell/recurrent_kernel", &[2, 2]),
                ("forward_simple_rnn/simple_rnn_cell/bias", &[2]),
                ("backward_simple_rnn/simple_rnn_cell/kernel", &[2, 2]),
                ("backward_simple_rnn/simple_rnn_cell/recurrent_kernel", &[2, 2]),
                ("backward_simple_rnn/simple_rnn_cell/bias", &[2]),
            ],
        ),
        case(
            "ConvLSTM1D",
            json!({"filters": 2, "kernel_size": 2, "padding": "same", "return_sequences": true}),
            &[2, 3, 1],
            &[
                ("conv_lstm_cell/kernel", &[2, 1, 8]),
                ("conv_lstm_cell/recurrent_kernel", &[2, 2, 8]),
                ("conv_lstm_cell/bias", &[8]),
            ],
        ),
        case(
            "ConvLSTM2D",
            json!({"filters": 1, "kernel_size": 2, "dropout": 0.3, "recurrent_dropout": 0.3}),
            &[2, 3, 3, 1],
            &[
                ("conv_lstm_cell/kernel", &[2, 2, 1, 4]),
                ("conv_lstm_cell/recurrent_kernel", &[2, 2, 1, 4]),
                ("conv_lstm_cell/bias", &[4]),
            ],
        ),
        case(
            "ConvLSTM3D",
            json!({"filters": 1, "kernel_size": 1, "data_format": "channels_first"}),
            &[2, 1, 2, 2, 1],
            &[
                ("conv_lstm_cell/kernel", &[1, 1, 1, 1, 4]),
                ("conv_lstm_cell/recurrent_kernel", &[1, 1, 1, 1, 4]),
                ("conv_lstm_cell/bias", &[4]),
            ],
        ),
        case(
            "TimeDistributed",
            json!({"layer": inner("Dense", json!({"units": 2}))}),
            &[3, 2],
            &[("dense/kernel", &[2, 2]), ("dense/bias", &[2])],
        ),
    ]
}

fn merging_with(
    class_name: &'static str,
    config: Json,
    samples: &[&'static [usize]],
    weights: &'static [(&'static str, &'static [usize])],
) -> LayerCase {
    LayerCase { weights, ..merging(class_name, config, samples) }
}
