//! ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: recurrent layers of images.
//!
//! Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation nowcasting", 2015.

use super::fields::ForgetGateOfOnes;
use super::sequence::{Sequence, input, run, step_input};
use crate::constraints::Constraint;
use crate::convolution::{check_strides, window_sizes};
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::spatial::{Padding, Sizes, Spatial, WindowSizes};
use crate::{Call, DataFormat, Layer, seed};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Stream, Tensor, WeightSpec};
use sconce_ops::activations::{Activation, Linear};
use sconce_ops::recurrent::{ConvLstm as Cell, recurrent};
use sconce_ops::{ActivationFn, Epilogue};
use std::sync::Arc;

/// Over sequences of one spatial axis.
pub type ConvLSTM1D = ConvLSTM<1>;
/// Over sequences of images.
pub type ConvLSTM2D = ConvLSTM<2>;
/// Over sequences of volumes.
pub type ConvLSTM3D = ConvLSTM<3>;

/// An [`LSTM`](crate::LSTM) whose products are convolutions: that of the inputs has the given strides, padding
/// and dilation, that of the state keeps its size.
///
/// x `[batch, steps, spatial.., channels]`, kernel `[kernel_size.., channels, 4 filters]`, recurrent_kernel
/// `[kernel_size.., filters, 4 filters]`, bias `[4 filters]`, y `[batch, spatial.., filters]` or
/// `[batch, steps, spatial.., filters]`. Defaults as in Keras: `ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D`.
#[derive(Clone, Debug, Config)]
#[config(named, name = "ConvLSTM{RANK}D")]
pub struct ConvLSTM<const RANK: usize> {
    /// Whether the outputs of all steps come out instead of the last.
    #[config(default = false)]
    pub return_sequences: bool,
    /// Whether the last states come out too, after the output.
    #[config(default = false)]
    pub return_state: bool,
    /// Whether it goes from the last step to the first; what comes out is in that order.
    #[config(default = false)]
    pub go_backwards: bool,
    /// Whether the states of a batch are where the next batch begins, row by row.
    #[config(default = false)]
    pub stateful: bool,
    /// Keras's flag for unrolled loops; results do not depend on it.
    #[config(default = false)]
    pub unroll: bool,
    /// Whether the output of a masked step is 0 instead of that of the step before.
    #[config(default = false)]
    pub zero_output_for_mask: bool,
    /// Number of filters, the channels that come out; at least 1.
    #[config(range = "[1, inf)")]
    pub filters: usize,
    /// Size of the windows, along each axis.
    #[config(range = "[1, inf)")]
    pub kernel_size: Sizes<RANK>,
    /// Distance between the windows over the inputs, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub strides: Sizes<RANK>,
    /// "valid": none; "same": zeros on both sides of the inputs.
    #[config(default)]
    pub padding: Padding,
    /// "channels_last" or "channels_first".
    #[config(default, null = DataFormat::ChannelsLast)]
    pub data_format: DataFormat,
    /// Distance between the places of a window over the inputs, along each axis.
    #[config(default = 1, range = "[1, inf)")]
    pub dilation_rate: Sizes<RANK>,
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

impl<const RANK: usize> ConvLSTM<RANK> {
    fn sequence(&self) -> Sequence {
        Sequence {
            return_sequences: self.return_sequences,
            return_state: self.return_state,
            go_backwards: self.go_backwards,
            stateful: self.stateful,
            zero_output_for_mask: self.zero_output_for_mask,
            is_one_step: false,
        }
    }

    fn windows(&self) -> WindowSizes<'_> {
        window_sizes(&self.kernel_size, &self.strides, &self.dilation_rate, self.padding)
    }

    fn spatial(&self, x: &Spec) -> Result<Spatial> {
        Spatial::new(&step_input(x)?, RANK, self.data_format, Self::CLASS_NAME)
    }

    /// The shape of the states in the format of the input.
    fn state(&self, x: &Spec) -> Result<Dims> {
        let windows = self.windows();
        let spatial = self.spatial(x)?;
        spatial.outputs(Some(self.filters), |i, size| Ok(windows.axis(i, size)?.output))
    }

    fn stream(&self, call: &Call<'_>, index: u64) -> Stream {
        let stream = call.stream(index);
        match self.seed {
            Some(seed) => stream.reseeded(seed),
            None => stream,
        }
    }

    fn drops(rate: f64) -> bool {
        rate > 0.0 && rate < 1.0
    }

    /// The convolutions of the inputs of all steps, channels last: `[batch, steps, spatial.., 4 filters]`.
    fn products(&self, call: &Call<'_>, x: &Tensor) -> Result<Tensor> {
        let (kernel, bias) =
            (call.weight("conv_lstm_cell/kernel")?, call.find_weight("conv_lstm_cell/bias"));
        let (rows, steps) = (x.dim(0)?, x.dim(1)?);
        let sample: Vec<usize> = x.dims().iter().skip(2).copied().collect();
        let windows = self.windows();
        let sizes = sample.iter().take(RANK).enumerate();
        let axes = sizes.map(|(i, size)| windows.axis(i, *size)).collect::<Result<Vec<_>>>()?;
        let linear: Arc<dyn Activation> = Arc::new(Linear::new());
        let folded: Vec<usize> =
            std::iter::once(rows * steps).chain(sample.iter().copied()).collect();
        let product = |x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>| -> Result<Tensor> {
            let x = sconce_ops::reshape(x, folded.clone())?;
            let y = sconce_ops::convolution(&x, kernel, &axes, 1, &Epilogue::new(bias, &linear))?;
            let unfolded: Vec<usize> =
                [rows, steps].into_iter().chain(y.dims().iter().skip(1).copied()).collect();
            Ok(sconce_ops::reshape(&y, unfolded)?)
        };
        if !call.training() || !Self::drops(self.dropout) {
            return product(x, &kernel, bias.as_ref());
        }
        // A mask for each gate, the same for all steps.
        let noise: Vec<usize> = [rows, 1].into_iter().chain(sample.iter().copied()).collect();
        let gate = |i: usize| -> Result<Tensor> {
            let part = |x: &Tensor, axis: usize| {
                x.narrow(axis, i * self.filters, self.filters)?.contiguous()
            };
            let stream = self.stream(call, i as u64);
            let x = sconce_ops::dropout(x, self.dropout, &noise, &stream)?;
            let bias = bias.as_ref().map(|bias| part(bias, 0)).transpose()?;
            product(&x, &part(&kernel, kernel.rank() - 1)?, bias.as_ref())
        };
        let gates = (0..4).map(gate).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&gates, x.rank() - 1)?)
    }

    /// Over the state, whose size stays the same.
    fn state_axes(&self, state: &[usize]) -> Result<Vec<sconce_ops::windows::Axis>> {
        let ones = [1; RANK];
        let windows = WindowSizes {
            kernel: &self.kernel_size.0,
            strides: &ones,
            dilation: &ones,
            padding: Padding::Same,
            key: "kernel_size",
        };
        let sizes = state.iter().skip(1).take(RANK).enumerate();
        sizes.map(|(i, size)| windows.axis(i, *size)).collect()
    }

    /// A sequence in another order of axes: those after the first two as a tensor without steps has them.
    fn each(&self, x: &Tensor, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let (rows, steps) = (x.dim(0)?, x.dim(1)?);
        let folded: Vec<usize> =
            std::iter::once(rows * steps).chain(x.dims().iter().skip(2).copied()).collect();
        let y = change(&x.reshape(folded)?)?;
        let unfolded: Vec<usize> =
            [rows, steps].into_iter().chain(y.dims().iter().skip(1).copied()).collect();
        Ok(y.reshape(unfolded)?)
    }
}

impl<const RANK: usize> Layer for ConvLSTM<RANK> {
    fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        self.recurrent_activation.get().map_err(|e| e.under("recurrent_activation"))?;
        self.padding.check(false)?;
        check_strides(&self.strides.0, &self.dilation_rate.0)
    }

    fn arguments(&self) -> &'static [&'static str] {
        &["sequences", "initial_state"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let state = self.state(input(x)?)?;
        self.sequence().outputs(x, Self::CLASS_NAME, RANK + 3, &[state.clone(), state])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let x = input(x)?;
        let spatial = self.spatial(x)?;
        if spatial.sizes.iter().any(Option::is_none) {
            let message = format!(
                "{} must know the spatial axes of its inputs, got {}",
                Self::CLASS_NAME,
                x.dims
            );
            return Err(Error::layer("", message));
        }
        let too_many =
            || Error::config("filters", format!("must be smaller, found {}", self.filters));
        let width = self.filters.checked_mul(4).ok_or_else(too_many)?;
        let dims = |channels: usize| [&self.kernel_size.0[..], &[channels, width]].concat();
        let (initializer, regularizer, constraint) =
            (&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint);
        let mut specs = vec![weight(
            "conv_lstm_cell/kernel",
            &dims(spatial.known_channels()?),
            "kernel",
            initializer,
            regularizer,
            constraint,
        )?];
        let (initializer, regularizer, constraint) =
            (&self.recurrent_initializer, &self.recurrent_regularizer, &self.recurrent_constraint);
        specs.push(weight(
            "conv_lstm_cell/recurrent_kernel",
            &dims(self.filters),
            "recurrent",
            initializer,
            regularizer,
            constraint,
        )?);
        if self.use_bias {
            let (initializer, regularizer, constraint) =
                (&self.bias_initializer, &self.bias_regularizer, &self.bias_constraint);
            let name = "conv_lstm_cell/bias";
            let mut bias = weight(name, &[width], "bias", initializer, regularizer, constraint)?;
            if self.unit_forget_bias {
                bias.initializer = Arc::new(ForgetGateOfOnes { others: bias.initializer });
            }
            specs.push(bias);
        }
        Ok(specs)
    }

    fn weights_within(&self) -> Option<(&'static str, &'static str)> {
        Some(("cell", "ConvLSTMCell"))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = self.sequence().inputs(call)?;
        let shape = self.state(&Spec { dims: Dims::known(x.dims()), dtype: x.dtype() })?;
        run(call, self.sequence(), &x, &[shape.clone(), shape], |call, steps, states| {
            let format = self.data_format;
            let x = match format {
                DataFormat::ChannelsLast => x.clone(),
                DataFormat::ChannelsFirst => self.each(&x, |x| format.to_channels_last(x))?,
            };
            let states =
                states.iter().map(|s| format.to_channels_last(s)).collect::<Result<Vec<_>>>()?;
            let z = self.products(call, &x)?;
            let dims = states.first().map(|state| state.dims().to_vec()).unwrap_or_default();
            let recurrent_dropout = match call.training() && Self::drops(self.recurrent_dropout) {
                true => {
                    let noise: Vec<usize> =
                        std::iter::once(4).chain(dims.iter().copied()).collect();
                    let ones = Tensor::ones(noise.clone(), x.dtype(), x.device())?;
                    let stream = self.stream(call, 4);
                    Some(sconce_ops::dropout(&ones, self.recurrent_dropout, &noise, &stream)?)
                }
                false => None,
            };
            let cell = Cell {
                activation: self.activation.get()?.clone(),
                recurrent_activation: self.recurrent_activation.get()?.clone(),
                axes: self.state_axes(&dims)?,
                recurrent_dropout,
            };
            let kernel = call.weight("conv_lstm_cell/recurrent_kernel")?;
            let return_sequences = steps.return_sequences;
            let outputs = recurrent(cell, steps, &z, &states, &[kernel])?;
            let restored = |(index, y): (usize, Tensor)| match index == 0 && return_sequences {
                true => self.each(&y, |y| format.restore_channels(y)),
                false => format.restore_channels(&y),
            };
            outputs.into_iter().enumerate().map(restored).collect()
        })
    }

    fn supports_masking(&self) -> bool {
        true
    }
}
