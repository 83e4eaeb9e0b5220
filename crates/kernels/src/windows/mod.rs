//! Windows that move over the spatial axes of images in channels-last order: convolutions and pooling.
//!
//! - [`Windows`] (`geometry.rs`): where windows lie;
//! - `bands.rs`: bands of rows that threads share out;
//! - `patches.rs`: products with the matrix of patches, which is read from the image where it lies and
//!   never written out;
//! - `convolution.rs`, `depthwise.rs`, `pooling.rs`: the forward and backward passes, band by band;
//! - `winograd.rs`, with `tiles.rs` and `tile_products.rs`: those of 3 x 3 places and many channels, with fewer multiplications.

mod bands;
mod convolution;
mod depthwise;
mod geometry;
mod patches;
mod pooling;
mod tile_products;
mod tiles;
mod winograd;

pub use bands::Finish;
pub use convolution::{Convolution, Operand};
pub use geometry::{Axis, Windows};
pub use pooling::{average_pool, average_pool_backward, max_pool, max_pool_backward};

#[cfg(test)]
mod tests;
