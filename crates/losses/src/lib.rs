//! Losses and metrics: what a model's outputs are compared with targets by.
//!
//! Separation of concerns: a [loss](losses) gives a value per sample, [`reduce`](losses::reduce)
//! applies masks, sample weights and the reduction; a [metric](metrics) accumulates a value over the
//! batches of an epoch. Both share the rules for shapes.

pub mod losses;
pub mod metrics;
mod shapes;
