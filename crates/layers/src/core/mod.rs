//! Core layers.

mod activation;
mod dense;
mod einsum_dense;
mod identity;
mod input_layer;
mod masking;

pub use activation::Activation;
pub use dense::Dense;
pub use einsum_dense::EinsumDense;
pub use identity::Identity;
pub use input_layer::InputLayer;
pub use masking::Masking;
