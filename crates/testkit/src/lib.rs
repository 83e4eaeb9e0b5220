//! For tests only: the golden files (what Keras computes, see tests/golden/README.md) as candle
//! tensors, the comparison of a result with them, the devices to compare on, and the Python with Keras
//! that opens what Sconce writes. Everything panics with a message that names the case, as an
//! assertion does.

pub mod compare;
pub mod devices;
pub mod golden;
pub mod python;

pub use compare::{assert_close, difference};
pub use devices::devices;
pub use python::python;
