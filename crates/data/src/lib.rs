//! Data for Sconce: arrays and tensors as users have them, checks, splits, the order of an epoch,
//! file readers and built-in data sets. Shapes: the first axis of every array is its rows.

pub mod array;
pub mod batches;
pub mod check;
pub mod csv_file;
pub mod npy;
pub mod shuffle;
pub mod split;

pub use array::{ToTensor, ToTensors};
pub use batches::BatchPlan;
pub use csv_file::{CsvData, read_csv};
pub use npy::{read_npy, write_npy};
pub use shuffle::Shuffle;
pub use split::{Split, train_validation_split};
