//! Models of stub layers and real ones: what the call protocol promises.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arguments;
mod chains;
mod dtypes;
mod errors;
mod following;
mod masks;
mod nested;
mod operations;
mod properties;
mod state;
mod stubs;
