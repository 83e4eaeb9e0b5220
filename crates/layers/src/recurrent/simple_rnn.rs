//! SimpleRNN: the output is fed back.

use super::fields::{Fields, HasFields, Maths, recurrent_layer};
use super::sequence::Sequence;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Dims, Result, Spec, Tensor, WeightSpec};
use sconce_ops::ActivationFn;

recurrent_layer! {
    /// A recurrent layer whose output is fed back: `h' = a(x kernel + h recurrent_kernel + bias)`.
    ///
    /// x `[batch, steps, features]`, kernel `[features, units]`, recurrent_kernel `[units, units]`, bias
    /// `[units]`, y `[batch, units]` or `[batch, steps, units]`, state h `[batch, units]`. A call may give
    /// `initial_state`. Masked steps keep the state. Defaults as in Keras.
    SimpleRNN;
    /// One step of a [`SimpleRNN`]: `(x [batch, features], [h])` to `h', h'`.
    SimpleRNNCell ("SimpleRNN", "simple_rnn_cell");
    this => Fields {
        maths: Maths::Simple,
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
    /// Length of the state and the output; at least 1.
    #[config(range = "[1, inf)")]
    pub units: usize,
    /// Function of the result.
    #[config(default = "tanh", null = "linear")]
    pub activation: ActivationFn,
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
