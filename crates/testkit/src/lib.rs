//! For tests only: the golden files (what Keras computes, see tests/golden/README.md) as candle
//! tensors, and the comparison of a result with them. Everything panics with a message that names
//! the case, as an assertion does.

pub mod compare;
pub mod golden;

pub use compare::{assert_close, difference};
