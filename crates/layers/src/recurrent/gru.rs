//! GRU: gated recurrent unit.
//!
//! Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

use super::fields::{Fields, HasFields, Maths, recurrent_layer};
use super::sequence::Sequence;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Call, Layer, seed};
use sconce_core::{Args, Config, Dims, Result, Spec, Tensor, WeightSpec};
use sconce_ops::ActivationFn;

recurrent_layer! {
    /// Gated recurrent unit over a sequence: `u, r = s(z)`, candidate `a(z_c + r (h kernel_c))` (or
    /// `a(z_c + (r h) kernel_c)` without `reset_after`), `h' = u h + (1 - u) candidate`; in weights the order
    /// is u, r, c.
    ///
    /// x `[batch, steps, features]`, kernel `[features, 3 units]`, recurrent_kernel `[units, 3 units]`, bias
    /// `[2, 3 units]` (of the inputs, of the state) or `[3 units]` without `reset_after`, y `[batch, units]`
    /// or `[batch, steps, units]`, state h `[batch, units]`. A call may give `initial_state`. Masked steps
    /// keep the state. Defaults as in Keras.
    GRU;
    /// One step of a [`GRU`]: `(x [batch, features], [h])` to `h', h'`.
    GRUCell ("GRU", "gru_cell");
    this => Fields {
        maths: Maths::Gru {
            recurrent_activation: &this.recurrent_activation,
            reset_after: this.reset_after,
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
    /// Length of the state and the output; at least 1.
    #[config(range = "[1, inf)")]
    pub units: usize,
    /// Function of the candidate.
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
    /// Whether the reset gate comes after the product with the recurrent kernel, as in cuDNN.
    #[config(default = true)]
    pub reset_after: bool,
    /// A seed of its own for dropout, instead of the run's.
    #[config(with = seed)]
    pub seed: Option<u64>,
}
