//! Differentiable operations on candle tensors, and the only home of kernels and threads.
//!
//! Every operation has two forms (see [`op`]): a fused CPU kernel for contiguous f32, and a form
//! composed of plain candle operations, which Metal, CUDA and other types run. Both own their
//! backward; candle's own gradients of pooling, convolution, softmax and relu are wrong or missing.

pub mod accuracy;
pub mod activations;
pub mod arithmetic;
pub mod attention;
pub mod convolution;
pub mod dense;
pub mod dropout;
pub mod einsum;
pub mod embedding;
mod epilogue;
pub mod expression;
pub mod extremum;
pub mod functions;
pub mod gradient_check;
pub mod losses;
pub mod matmul;
pub mod normalization;
pub mod number;
pub mod op;
mod padding;
pub mod pooling;
pub mod recurrent;
pub mod reduce;
pub mod resize;
pub mod segments;
pub mod windows;

pub use activations::{Activation, ActivationFn, Activations};
pub use attention::{AttentionOptions, Unseen, attention, attention_scores};
pub use convolution::{convolution, convolution_transpose, depthwise_convolution};
pub use dense::dense;
pub use dropout::dropout;
pub use einsum::einsum;
pub use embedding::embedding;
pub use epilogue::Epilogue;
pub use extremum::extremum;
pub use matmul::batched_matmul;
pub use op::{Operation, reshape};
pub use padding::zero_padding;
pub use pooling::{average_pool, max_pool};
pub use reduce::weighted_sum;
pub use segments::{global_average, global_max, segment_average, segment_max};
