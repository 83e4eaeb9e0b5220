//! LSTM: long short-term memory.
//!
//! Hochreiter and Schmidhuber, "Long short-term memory", 1997.

use super::fields::{Fields, HasFields, Maths, recurrent_layer};
use super::sequence::Sequence;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Dims, Result, Spec, Tensor, WeightSpec};
use sconce_ops::ActivationFn;

recurrent_layer! {
    /// Long short-term memory over a sequence: gates `i, f, o = s(z)` of `z = x kernel + h recurrent_kernel +
    /// bias`, `c' = f c + i a(z_c)`, `h' = o a(c')`; in weights the order is i, f, c, o.
    ///
    /// x `[batch, steps, features]`, kernel `[features, 4 units]`, recurrent_kernel `[units, 4 units]`, bias
    /// `[4 units]`, y `[batch, units]` or `[batch, steps, units]`, states h and c `[batch, units]`. A call
    /// may give `initial_state=[h, c]`. Masked steps keep the states. Defaults as in Keras.
    LSTM;
    /// One step of an [`LSTM`]: `(x [batch, features], [h, c])` to `h', h', c'`.
    LSTMCell ("LSTM", "lstm_cell");
    this => Fields {
        maths: Maths::Lstm {
            recurrent_activation: &this.recurrent_activation,
            unit_forget_bias: this.unit_forget_bias,
        },
        units: this.units,
        activation: &this.activation,
        use_bias: this.use_bias,
        kernel: (&this.kernel_initializer, &this.kernel_regularizer, &this.kernel_constraint),
        recurrent: (
            &this.recurrent_initializer,
            &this.recurrent_regularizer,
            &this.recurrent_constraint,
        ),
        bias: (&this.bias_initializer, &this.bias_regularizer, &this.bias_constraint),
        dropout: this.dropout,
        recurrent_dropout: this.recurrent_dropout,
        seed: this.seed,
    };
    /// Length of the states and the output; at least 1.
    #[config(range = "[1, inf)")]
    pub units: usize,
    /// Function of the candidate and of the result.
    #[config(default = "tanh", null = "linear")]
    pub activation: ActivationFn,
    /// Function of the gates.
    #[config(default = "sigmoid", null = "linear")]
    pub recurrent_activation: ActivationFn,
    /// Whether there is a bias.
    #[config(default = true)]
    pub use_bias: bool,
    /// First values of the kernel.
    #[config(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// First values of the recurrent kernel.
    #[config(default = "orthogonal")]
    pub recurrent_initializer: Initializer,
    /// First values of the bias.
    #[config(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Whether the bias of the forget gate begins as 1.
    #[config(default = true)]
    pub unit_forget_bias: bool,
    /// Penalty on the kernel.
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the recurrent kernel.
    pub recurrent_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    pub bias_regularizer: Option<Regularizer>,
    /// Projection of the kernel after each update.
    pub kernel_constraint: Option<Constraint>,
    /// Projection of the recurrent kernel after each update.
    pub recurrent_constraint: Option<Constraint>,
    /// Projection of the bias after each update.
    pub bias_constraint: Option<Constraint>,
    /// Part of the inputs that is dropped in training, the same at all steps.
    #[config(default = 0.0, range = "[0, 1]")]
    pub dropout: f64,
    /// Part of the state that is dropped in training before its product, the same at all steps.
    #[config(default = 0.0, range = "[0, 1]")]
    pub recurrent_dropout: f64,
    /// A seed of its own for dropout, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}
