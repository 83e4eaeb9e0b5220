//! Plain operations as nodes of a model: `keras.ops` called on symbolic tensors, in Keras and here. In
//! JSON they have Keras's class names and the modules `keras.src.ops...`.
//!
//! One file a family: functions of two operands ([`arithmetic`]), of one ([`elementwise`]), activations
//! ([`nn`]), reductions ([`reduction`]), changes of shape ([`shape`]), other places ([`rearrangement`]),
//! joining ([`joining`]), selections ([`indexing`]), products ([`product`]), types and constants ([`creation`]). Results have Keras's shapes, types and
//! gradients; truth values are `uint8` here. Masks end at operations, as in Keras.

mod arguments;
pub mod arithmetic;
pub mod creation;
pub mod elementwise;
pub mod indexing;
pub mod joining;
pub mod nn;
pub mod product;
pub mod rearrangement;
pub mod reduction;
pub mod shape;

pub use arithmetic::*;
pub use creation::*;
pub use elementwise::*;
pub use indexing::*;
pub use joining::*;
pub use nn::*;
pub use product::*;
pub use rearrangement::*;
pub use reduction::*;
pub use shape::*;

use crate::{Call, Configured, Layer};
use sconce_core::{Args, Entry, Kind, Result, Spec, Tensor, Value};

/// An operation: what comes out for what goes in, without weights, masks or state.
pub trait Operation: Configured {
    /// The names of its arguments, in order.
    const ARGUMENTS: &'static [&'static str] = &["x"];

    /// As [`Layer::outputs_probabilities`].
    const PROBABILITIES: Option<bool> = Some(false);

    /// The shapes and types that come out.
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>>;

    /// What comes out.
    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>>;
}

impl<T: Operation> Layer for T {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        self.infer(x)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        self.compute(call.args())
    }

    fn arguments(&self) -> &'static [&'static str] {
        T::ARGUMENTS
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, _: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(Vec::new())
    }

    fn casts_integers(&self) -> bool {
        false
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        T::PROBABILITIES
    }
}

/// The only result.
fn one<T>(result: T) -> Result<Vec<T>> {
    Ok(vec![result])
}

/// The table of operations.
pub struct Operations;

impl Kind for Operations {
    type Object = dyn Layer;
    const NAME: &'static str = "operation";
    const MODULE: &'static str = "keras.src.ops.numpy";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }

    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

sconce_core::registry! { Operations(Layer):
    Absolute [];
    Add [];
    All [];
    Amax [];
    Amin [];
    Any [];
    Argmax [];
    Argmin [];
    Argsort [];
    BroadcastTo [];
    Cast [];
    Ceil [];
    Celu [];
    Clip [];
    Concatenate [];
    ConvertToTensor [];
    Copy [];
    Cos [];
    Cosh [];
    CountNonzero [];
    Cumsum [];
    Divide [];
    Dot [];
    Einsum [];
    Elu [];
    Equal [];
    Erf [];
    Exp [];
    Exp2 [];
    ExpandDims [];
    Expm1 [];
    Flip [];
    Floor [];
    FloorDivide [];
    FullLike [];
    Gelu [];
    GetItem [];
    Glu [];
    Greater [];
    GreaterEqual [];
    HardShrink [];
    HardSigmoid [];
    HardSilu [];
    HardTanh [];
    Isfinite [];
    Isinf [];
    Isnan [];
    LeakyRelu [];
    Less [];
    LessEqual [];
    Log [];
    Log10 [];
    Log1p [];
    Log2 [];
    LogSigmoid [];
    LogSoftmax [];
    LogicalAnd [];
    LogicalNot [];
    LogicalOr [];
    LogicalXor [];
    Logsumexp [];
    Matmul [];
    Max [];
    Maximum [];
    Mean [];
    Min [];
    Minimum [];
    Mod [];
    Moveaxis [];
    Multiply [];
    Negative [];
    Norm [];
    Normalize [];
    NotEqual [];
    OneHot [];
    OnesLike [];
    Pad [];
    Power [];
    Prod [];
    Ravel [];
    Reciprocal [];
    Relu [];
    Relu6 [];
    Repeat [];
    Reshape [];
    Roll [];
    Round [];
    Rsqrt [];
    Selu [];
    Sigmoid [];
    Sign [];
    Silu [];
    Sin [];
    Sinh [];
    SoftShrink [];
    Softmax [];
    Softplus [];
    Softsign [];
    Sort [];
    SparsePlus [];
    SparseSigmoid [];
    Sparsemax [];
    Split [];
    Sqrt [];
    Square [];
    Squareplus [];
    Squeeze [];
    Stack [];
    Std [];
    StopGradient [];
    Subtract [];
    Sum [];
    Swapaxes [];
    Take [];
    TakeAlongAxis [];
    Tan [];
    Tanh [];
    TanhShrink [];
    Tensordot [];
    Tile [];
    Transpose [];
    Tril [];
    Triu [];
    TrueDivide [];
    Trunc [];
    Unstack [];
    Var [];
    Where [];
    ZerosLike [];
}
