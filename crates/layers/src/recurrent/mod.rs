//! Recurrent layers, their cells, and the wrappers of sequences.
//!
//! LSTM, GRU and SimpleRNN run as one operation over the whole sequence ([`sconce_ops::recurrent`]), also
//! inside [`RNN`]; other cells step by step.

mod bidirectional;
mod conv_lstm;
mod fields;
mod gru;
mod lstm;
mod rnn;
mod sequence;
mod simple_rnn;
mod stacked_rnn_cells;
mod time_distributed;

pub use bidirectional::{Bidirectional, MergeMode};
pub use conv_lstm::{ConvLSTM, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D};
pub use gru::{GRU, GRUCell};
pub use lstm::{LSTM, LSTMCell};
pub use rnn::RNN;
pub use simple_rnn::{SimpleRNN, SimpleRNNCell};
pub use stacked_rnn_cells::StackedRNNCells;
pub use time_distributed::TimeDistributed;
