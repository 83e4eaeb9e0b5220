//! Data for Sconce: arrays and tensors as users have them, checks, splits, the order of an epoch,
//! file readers and built-in data sets. Shapes: the first axis of every array is its rows.
//!
//! Separation of concerns: [`mod@array`] makes tensors of what users hold; [`check`] refuses what cannot
//! be trained on; [`split`], [`shuffle`] and [`batches`] say which rows go where and when; [`npy`],
//! [`npz`] and [`csv_file`] read files; [`sources`] make batches of arrays, of files larger than memory and of
//! closures; [`datasets`] are built in; [`spec`] is what run configurations state.

pub mod array;
pub mod batches;
pub mod check;
pub mod csv_file;
pub mod datasets;
pub mod messages;
pub mod npy;
pub mod npz;
pub mod shuffle;
pub mod sources;
pub mod spec;
pub mod split;
pub mod standardize;

pub use array::{ToArray, ToTensor, ToTensors};
pub use batches::BatchPlan;
pub use csv_file::{CsvColumns, CsvData, CsvTarget, read_csv, read_csv_features};
pub use datasets::Dataset;
pub use npy::{read_npy, write_npy};
pub use npz::read_npz;
pub use shuffle::Shuffle;
pub use sources::{
    ArraySource, ArraySpec, Batch, BatchOptions, BatchSource, Batches, CsvOptions, CsvSource,
    FnSource, NpySource, Prefetch, SourceSpec, from_fn,
};
pub use spec::{DatasetSpec, load, load_validation};
pub use split::{Split, train_validation_split};
pub use standardize::Standardizer;
