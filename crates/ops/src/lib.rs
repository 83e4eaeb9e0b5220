//! Differentiable operations on candle tensors, and the only home of kernels and threads.
//!
//! Every operation has two forms (see [`op`]): a fused CPU kernel for contiguous f32, and a form
//! composed of plain candle operations, which Metal, CUDA and other types run. Both own their
//! backward; candle's own gradients of pooling, convolution, softmax and relu are wrong or missing.
