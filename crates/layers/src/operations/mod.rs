//! Plain operations as nodes of a model: what `x + y` between symbolic tensors makes, in Keras and
//! here. In JSON they have Keras's class names and the module `keras.src.ops...`.

mod arithmetic;

pub use arithmetic::{Add, Multiply, Negative, Subtract, TrueDivide};

use crate::Layer;
use sconce_core::{Entry, Json, Kind, Result};

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

/// One side of an operator.
pub enum Operand<T> {
    /// A tensor.
    Tensor(T),
    /// A constant.
    Number(Json),
}

sconce_core::registry! { Operations(Layer):
    Add [];
    Multiply [];
    Negative [];
    Subtract [];
    TrueDivide [];
}
