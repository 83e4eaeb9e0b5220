//! Plain operations on symbolic tensors, as operators and methods: what functional models are made of
//! beside layers.
//!
//! ```
//! use sconce_layers::operations::{Index, Mean};
//! use sconce_model::{Apply, Architecture, Input};
//!
//! # fn main() -> sconce_core::Result<()> {
//! let x = Input::new([10, 4]);
//! let last = x.get([Index::from(..), (-1).into()])?;
//! let centered = (&x - &Mean::new().axis(1).keepdims(true).apply(&x)?)?;
//! let spread = centered.square()?.mean(1)?.sqrt()?;
//! let model = Architecture::functional([&x], [&(last / spread)?])?;
//! # assert_eq!(model.class_name(), "Functional");
//! # Ok(()) }
//! ```
//!
//! Every operation is a layer without weights in [`sconce_layers::operations`], which
//! [`Apply`] calls with any of its arguments; the methods here are for those without many.

use crate::symbolic::{Apply, SymbolicTensor};
use sconce_core::{Arg, Args, Axes, Json, Result};
use sconce_layers::operations::{self, Counts, Index};

/// What stands on a side of an operator: a symbolic tensor or a number.
pub trait Operand {
    /// The argument.
    fn operand(self) -> Arg<SymbolicTensor>;
}

impl Operand for &SymbolicTensor {
    fn operand(self) -> Arg<SymbolicTensor> {
        Arg::One(self.clone())
    }
}

impl Operand for SymbolicTensor {
    fn operand(self) -> Arg<SymbolicTensor> {
        Arg::One(self)
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Operand for $number {
            fn operand(self) -> Arg<SymbolicTensor> {
                Arg::Json(self.into())
            }
        }
    )*};
}

numbers!(f64, i32, i64, bool, Json);

fn both(a: impl Operand, b: impl Operand) -> Args<SymbolicTensor> {
    Args::new().arg(a.operand()).arg(b.operand())
}

macro_rules! operators {
    ($($trait:ident $method:ident $layer:ident),*) => {$(
        operators!(@of $trait $method $layer: [] &SymbolicTensor, &SymbolicTensor);
        operators!(@of $trait $method $layer: [] &SymbolicTensor, SymbolicTensor);
        operators!(@of $trait $method $layer: [] SymbolicTensor, &SymbolicTensor);
        operators!(@of $trait $method $layer: [] SymbolicTensor, SymbolicTensor);
        operators!(@of $trait $method $layer: [] &SymbolicTensor, f64);
        operators!(@of $trait $method $layer: [] SymbolicTensor, f64);
        operators!(@of $trait $method $layer: [] f64, &SymbolicTensor);
        operators!(@of $trait $method $layer: [] f64, SymbolicTensor);
    )*};
    (@of $trait:ident $method:ident $layer:ident: [] $a:ty, $b:ty) => {
        impl std::ops::$trait<$b> for $a {
            type Output = Result<SymbolicTensor>;
            fn $method(self, other: $b) -> Self::Output {
                operations::$layer {}.apply(both(self, other))
            }
        }
    };
}

operators!(Add add Add, Sub sub Subtract, Mul mul Multiply, Div div TrueDivide, Rem rem Mod);

impl std::ops::Neg for &SymbolicTensor {
    type Output = Result<SymbolicTensor>;
    fn neg(self) -> Self::Output {
        operations::Negative {}.apply(self)
    }
}

impl std::ops::Not for &SymbolicTensor {
    type Output = Result<SymbolicTensor>;
    fn not(self) -> Self::Output {
        operations::LogicalNot {}.apply(self)
    }
}

macro_rules! of_two {
    ($($(#[$doc:meta])* $method:ident $layer:ident;)*) => {
        impl SymbolicTensor {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// Shapes that do not go together.
            pub fn $method(&self, other: impl Operand) -> Result<Self> {
                operations::$layer {}.apply(both(self, other))
            }
        )*}
    };
}

of_two! {
    /// Where it equals another.
    equal Equal;
    /// Where it differs from another.
    not_equal NotEqual;
    /// Where it is larger than another.
    greater Greater;
    /// Where it is as large as another or larger.
    greater_equal GreaterEqual;
    /// Where it is smaller than another.
    less Less;
    /// Where it is as small as another or smaller.
    less_equal LessEqual;
    /// Where neither is 0.
    logical_and LogicalAnd;
    /// Where one is not 0.
    logical_or LogicalOr;
    /// The larger of both.
    maximum Maximum;
    /// The smaller of both.
    minimum Minimum;
    /// It to the power of another.
    power Power;
    /// The product of matrices.
    matmul Matmul;
}

macro_rules! of_one {
    ($($(#[$doc:meta])* $method:ident $layer:ident;)*) => {
        impl SymbolicTensor {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// None of its own.
            pub fn $method(&self) -> Result<Self> {
                operations::$layer::new().apply(self)
            }
        )*}
    };
}

of_one! {
    /// `|x|`.
    abs Absolute;
    /// `e^x`.
    exp Exp;
    /// `ln(x)`.
    log Log;
    /// `sqrt(x)`.
    sqrt Sqrt;
    /// `x^2`.
    square Square;
    /// `tanh(x)`.
    tanh Tanh;
    /// `max(x, 0)`.
    relu Relu;
    /// `1 / (1 + e^-x)`.
    sigmoid Sigmoid;
    /// Probabilities along the last axis.
    softmax Softmax;
    /// It, through which no gradient goes.
    stop_gradient StopGradient;
}

macro_rules! along {
    ($($(#[$doc:meta])* $method:ident $layer:ident;)*) => {
        impl SymbolicTensor {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// Axes that do not exist.
            pub fn $method(&self, axis: impl Into<Axes>) -> Result<Self> {
                operations::$layer::new().axis(axis.into()).apply(self)
            }
        )*}
    };
}

along! {
    /// The sum along axes.
    sum Sum;
    /// The mean along axes.
    mean Mean;
    /// The largest value along axes.
    max Max;
    /// The smallest value along axes.
    min Min;
    /// Whether some value along axes is not 0.
    any Any;
    /// Whether no value along axes is 0.
    all All;
}

impl SymbolicTensor {
    /// A part of it by places, as `x[:, -1]` in Python: `x.get([Index::from(..), (-1).into()])`.
    ///
    /// # Errors
    /// More places than axes, places outside.
    pub fn get(&self, key: impl IntoIterator<Item = Index>) -> Result<Self> {
        let key = key.into_iter().map(|index| index.to_json()).collect::<Json>();
        operations::GetItem {}.apply(both(self, key))
    }

    /// It in another shape, the batch axis included; one axis may be -1.
    ///
    /// # Errors
    /// Another number of values.
    pub fn reshape(&self, shape: impl IntoIterator<Item = i64>) -> Result<Self> {
        operations::Reshape::new(shape.into_iter().map(Some).collect::<Vec<_>>()).apply(self)
    }

    /// Its axes in another order.
    ///
    /// # Errors
    /// If not each axis is named once.
    pub fn transpose(&self, axes: impl IntoIterator<Item = i64>) -> Result<Self> {
        operations::Transpose::new().axes(axes.into_iter().collect::<Vec<_>>()).apply(self)
    }

    /// With new axes of length 1.
    ///
    /// # Errors
    /// Axes outside the result.
    pub fn expand_dims(&self, axis: impl Into<Axes>) -> Result<Self> {
        operations::ExpandDims::new(axis).apply(self)
    }

    /// Without axes of length 1.
    ///
    /// # Errors
    /// Axes of another length.
    pub fn squeeze(&self, axis: impl Into<Axes>) -> Result<Self> {
        operations::Squeeze::new().axis(axis.into()).apply(self)
    }

    /// In parts along an axis: so many equal ones, or from each of these places on.
    ///
    /// # Errors
    /// An axis that has no such parts.
    pub fn split(&self, parts: impl Into<Counts>, axis: i64) -> Result<Vec<Self>> {
        operations::Split::new(parts).axis(axis).apply_all(self)
    }

    /// Within bounds.
    ///
    /// # Errors
    /// None of its own.
    pub fn clip(&self, low: f64, high: f64) -> Result<Self> {
        operations::Clip::new(low, high).apply(self)
    }

    /// In another type: `"int32"`.
    ///
    /// # Errors
    /// A name that is no type.
    pub fn cast(&self, dtype: &str) -> Result<Self> {
        operations::Cast::new(dtype).apply(self)
    }
}
