//! Activation functions and their kin: `keras.ops.nn`.

use super::arguments::{float, tensor};
use super::reduction::{norm, positions};
use super::{Operation, one};
use crate::Axes;
use crate::normalization::unit_normalization::unit;
use sconce_core::{Args, Config, Result, Spec, Tensor, Value};
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::{Activation, activations};

macro_rules! activation_operations {
    ($($(#[$doc:meta])* $name:ident $probabilities:tt {
        $($(#[$field:meta])* $field_name:ident: $ty:ty = $default:tt,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        #[config(module = "keras.src.ops.nn")]
        pub struct $name {
            $($(#[$field])* #[config(default = $default)] pub $field_name: $ty,)*
        }

        impl $name {
            fn function(&self) -> activations::$name {
                activations::$name::new()$(.$field_name(self.$field_name))*
            }
        }

        impl Operation for $name {
            const PROBABILITIES: Option<bool> = Some($probabilities);

            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = tensor(x, 0, "x")?;
                one(Spec { dims: self.function().output_dims(&x.dims)?, dtype: float(x.dtype) })
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = &tensor(x, 0, "x")?.tensor;
                one(self.function().call(&x.to_dtype(float(x.dtype()))?)?)
            }
        }
    )*};
}

/// The last axis, the default.
const LAST: i64 = -1;

activation_operations! {
    /// `max(x, 0)`. Keras: `ops.relu`.
    Relu false {}
    /// `min(max(x, 0), 6)`. Keras: `ops.relu6`.
    Relu6 false {}
    /// `1 / (1 + e^-x)`. Keras: `ops.sigmoid`.
    Sigmoid true {}
    /// 0 below -1, 1 above 1, a line between. Keras: `ops.sparse_sigmoid`.
    SparseSigmoid false {}
    /// `ln(1 + e^x)`. Keras: `ops.softplus`.
    Softplus false {}
    /// `x / (1 + |x|)`. Keras: `ops.softsign`.
    Softsign false {}
    /// x moved toward zero by a threshold, 0 within it. Keras: `ops.soft_shrink`.
    SoftShrink false {
        /// The threshold.
        threshold: f64 = 0.5,
    }
    /// 0 below -1, x above 1, a parabola between. Keras: `ops.sparse_plus`.
    SparsePlus false {}
    /// `x / (1 + e^-x)`. Keras: `ops.silu`.
    Silu false {}
    /// `(x + sqrt(x^2 + b)) / 2`. Keras: `ops.squareplus`.
    Squareplus false {
        /// Smoothness.
        b: f64 = 4.0,
    }
    /// `-ln(1 + e^-x)`. Keras: `ops.log_sigmoid`.
    LogSigmoid false {}
    /// x, or `negative_slope x` below 0. Keras: `ops.leaky_relu`.
    LeakyRelu false {
        /// Slope below 0.
        negative_slope: f64 = 0.2,
    }
    /// `x / 6 + 1 / 2` within 0..=1. Keras: `ops.hard_sigmoid`.
    HardSigmoid false {}
    /// `x hard_sigmoid(x)`. Keras: `ops.hard_silu`.
    HardSilu false {}
    /// x, or `alpha (e^x - 1)` below 0. Keras: `ops.elu`.
    Elu false {
        /// The limit far below 0, negated.
        alpha: f64 = 1.0,
    }
    /// The scaled ELU. Keras: `ops.selu`.
    Selu false {}
    /// `x P(X <= x)` of a standard normal X. Keras: `ops.gelu`.
    Gelu false {
        /// Whether the tanh formula is used.
        approximate: bool = true,
    }
    /// x, or `alpha (e^(x / alpha) - 1)` below 0. Keras: `ops.celu`.
    Celu false {
        /// The limit far below 0, negated.
        alpha: f64 = 1.0,
    }
    /// `a sigmoid(b)` of the halves of x along an axis. Keras: `ops.glu`.
    Glu false {
        /// The axis.
        axis: i64 = LAST,
    }
    /// `x - tanh(x)`. Keras: `ops.tanh_shrink`.
    TanhShrink false {}
    /// x within -1..=1. Keras: `ops.hard_tanh`.
    HardTanh false {}
    /// x, or 0 within a threshold. Keras: `ops.hard_shrink`.
    HardShrink false {
        /// The threshold.
        threshold: f64 = 0.5,
    }
    /// `e^x / sum(e^x)` along an axis. Keras: `ops.softmax`.
    Softmax true {
        /// The axis.
        axis: i64 = LAST,
    }
    /// `ln(softmax(x))` along an axis. Keras: `ops.log_softmax`.
    LogSoftmax false {
        /// The axis.
        axis: i64 = LAST,
    }
    /// The nearest probabilities along an axis, many of them 0. Keras: `ops.sparsemax`.
    Sparsemax false {
        /// The axis.
        axis: i64 = LAST,
    }
}

/// `x / |x|`, the length along axes; vectors shorter than epsilon are divided by it. Keras:
/// `ops.normalize`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.nn")]
pub struct Normalize {
    /// The axes of a vector; all if `None`.
    #[config(default = Some(Axes::One(-1)))]
    pub axis: Option<Axes>,
    /// Which norm: 2 is the Euclidean length.
    #[config(default = 2, range = "[1, inf)")]
    pub order: u32,
    /// The least length; 1e-7 if `None`.
    pub epsilon: Option<f64>,
}

impl Operation for Normalize {
    fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let x = tensor(x, 0, "x")?;
        positions(&self.axis, x.dims.rank())?;
        one(Spec { dims: x.dims.clone(), dtype: float(x.dtype) })
    }

    fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
        let x = &tensor(x, 0, "x")?.tensor;
        let x = x.to_dtype(float(x.dtype()))?;
        let axes = positions(&self.axis, x.rank())?;
        let epsilon = self.epsilon.unwrap_or(1e-7);
        if self.order == 2 {
            return one(unit(&x, &axes, epsilon)?);
        }
        let length = norm(&x, &axes, f64::from(self.order))?;
        let least = length.zeros_like()?.affine(1.0, epsilon)?;
        let length = arithmetic(Operator::Maximum, &length, &least)?;
        one(arithmetic(Operator::Divide, &x, &length)?)
    }
}
