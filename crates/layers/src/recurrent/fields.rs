//! What LSTM, GRU and SimpleRNN and their cells share: their fields, weights and dropout.

use super::sequence::{Sequence, run};
use crate::Call;
use crate::constraints::Constraint;
use crate::fields::weight;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use sconce_core::weight::Initializer as Draw;
use sconce_core::{Args, Dims, Error, Result, Spec, Stream, Tensor, WeightSpec};
use sconce_ops::dense::Dense;
use sconce_ops::recurrent::{Gru, Lstm, SimpleRnn, recurrent};
use sconce_ops::{ActivationFn, Operation};
use std::sync::Arc;

/// The maths of a cell.
#[derive(Clone, Copy)]
pub enum Maths<'a> {
    Lstm { recurrent_activation: &'a ActivationFn, unit_forget_bias: bool },
    Gru { recurrent_activation: &'a ActivationFn, reset_after: bool },
    Simple,
}

/// The fields of a cell, whichever struct holds them.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub maths: Maths<'a>,
    pub units: usize,
    pub activation: &'a ActivationFn,
    pub use_bias: bool,
    pub kernel: (&'a Initializer, &'a Option<Regularizer>, &'a Option<Constraint>),
    pub recurrent: (&'a Initializer, &'a Option<Regularizer>, &'a Option<Constraint>),
    pub bias: (&'a Initializer, &'a Option<Regularizer>, &'a Option<Constraint>),
    pub dropout: f64,
    pub recurrent_dropout: f64,
    pub seed: Option<u64>,
}

/// First values of an LSTM's bias: 1 for the forget gate, those of an initializer for the others.
pub struct ForgetGateOfOnes {
    pub others: Arc<dyn Draw>,
}

impl Draw for ForgetGateOfOnes {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        let units = dims.iter().product::<usize>() / 4;
        let mut values = self.others.values(&[units], stream)?;
        values.resize(2 * units, 1.0);
        values.extend(self.others.values(&[2 * units], stream)?);
        Ok(values)
    }

    fn check(&self) -> Result<()> {
        self.others.check()
    }
}

impl Fields<'_> {
    pub fn check(&self) -> Result<()> {
        self.activation.get().map_err(|e| e.under("activation"))?;
        match self.maths {
            Maths::Lstm { recurrent_activation, .. } | Maths::Gru { recurrent_activation, .. } => {
                recurrent_activation.get().map_err(|e| e.under("recurrent_activation"))?;
            }
            Maths::Simple => {}
        }
        Ok(())
    }

    /// The shape of each state.
    pub fn states(&self, batch: Option<usize>) -> Vec<Dims> {
        let count = if matches!(self.maths, Maths::Lstm { .. }) { 2 } else { 1 };
        vec![Dims(vec![batch, Some(self.units)]); count]
    }

    fn gates(&self) -> usize {
        match self.maths {
            Maths::Lstm { .. } => 4,
            Maths::Gru { .. } => 3,
            Maths::Simple => 1,
        }
    }

    fn width(&self) -> Result<usize> {
        let too_many = || Error::config("units", format!("must be smaller, found {}", self.units));
        self.units.checked_mul(self.gates()).ok_or_else(too_many)
    }

    /// The weights for inputs of a number of features; their names begin with `prefix`.
    pub fn weights(&self, features: usize, prefix: &str) -> Result<Vec<WeightSpec>> {
        let width = self.width()?;
        let named = |name: &str, dims: &[usize], key, (initializer, regularizer, constraint)| {
            weight(&format!("{prefix}{name}"), dims, key, initializer, regularizer, constraint)
        };
        let mut specs = vec![
            named("kernel", &[features, width], "kernel", self.kernel)?,
            named("recurrent_kernel", &[self.units, width], "recurrent", self.recurrent)?,
        ];
        if !self.use_bias {
            return Ok(specs);
        }
        let both = [2, width];
        let dims = match self.maths {
            Maths::Gru { reset_after: true, .. } => &both[..],
            _ => &both[1..],
        };
        let mut bias = named("bias", dims, "bias", self.bias)?;
        if let Maths::Lstm { unit_forget_bias: true, .. } = self.maths {
            bias.initializer = Arc::new(ForgetGateOfOnes { others: bias.initializer });
        }
        specs.push(bias);
        Ok(specs)
    }

    fn stream(&self, call: &Call<'_>, index: u64) -> Stream {
        let stream = call.stream(index);
        match self.seed {
            Some(seed) => stream.reseeded(seed),
            None => stream,
        }
    }

    /// Whether a rate drops anything: as in Keras, LSTM and GRU take a rate of 1 as none.
    fn drops(&self, rate: f64) -> bool {
        rate > 0.0 && (rate < 1.0 || matches!(self.maths, Maths::Simple))
    }

    /// The products of the inputs with the kernel, for all steps: `[batch, steps, gates * units]`.
    fn products(
        &self,
        call: &Call<'_>,
        x: &Tensor,
        kernel: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        let product = |x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>| -> Result<Tensor> {
            let inputs: Vec<&Tensor> = [x, kernel].into_iter().chain(bias).collect();
            Ok(Dense::plain().apply(&inputs)?)
        };
        if !call.training() || !self.drops(self.dropout) {
            return product(x, kernel, bias);
        }
        // One mask for all steps.
        let (rows, _, features) = x.dims3()?;
        let dropped = |gate: usize| -> Result<Tensor> {
            let stream = self.stream(call, gate as u64);
            Ok(sconce_ops::dropout(x, self.dropout, &[rows, 1, features], &stream)?)
        };
        let gates = self.gates();
        if self.recurrent_dropout == 0.0 || gates == 1 {
            return product(&dropped(0)?, kernel, bias);
        }
        let of_gate = |gate: usize| -> Result<Tensor> {
            let part = |x: &Tensor, axis: usize| {
                x.narrow(axis, gate * self.units, self.units)?.contiguous()
            };
            let bias = bias.map(|bias| part(bias, 0)).transpose()?;
            product(&dropped(gate)?, &part(kernel, 1)?, bias.as_ref())
        };
        Ok(Tensor::cat(&(0..gates).map(of_gate).collect::<Result<Vec<_>>>()?, 2)?)
    }

    /// Scaled masks of the state for each gate: `[gates, batch, units]`.
    fn recurrent_masks(&self, call: &Call<'_>, x: &Tensor) -> Result<Option<Tensor>> {
        if !call.training() || !self.drops(self.recurrent_dropout) {
            return Ok(None);
        }
        let gates = self.gates();
        let dims = [gates, x.dim(0)?, self.units];
        let ones = Tensor::ones(&dims, x.dtype(), x.device())?;
        let stream = self.stream(call, gates as u64);
        Ok(Some(sconce_ops::dropout(&ones, self.recurrent_dropout, &dims, &stream)?))
    }

    /// Runs the cell over a sequence. `weight` finds its weights by name.
    pub fn run(
        &self,
        call: &mut Call<'_>,
        sequence: Sequence,
        weight: &dyn Fn(&Call<'_>, &str) -> Option<Tensor>,
    ) -> Result<Vec<Tensor>> {
        let find = |call: &Call<'_>, name: &str| {
            let missing = || Error::layer("", format!("the weight `{name}` was not made"));
            weight(call, name).ok_or_else(missing)
        };
        let (kernel, recurrent_kernel) = (find(call, "kernel")?, find(call, "recurrent_kernel")?);
        let bias = weight(call, "bias");
        let x = sequence.inputs(call)?;
        let shapes = self.states(Some(x.dim(0)?));
        run(call, sequence, &x, &shapes, |call, steps, states| {
            let (input_bias, recurrent_bias) = match (self.maths, bias) {
                (Maths::Gru { reset_after: true, .. }, Some(both)) => {
                    let row = |i: usize| both.narrow(0, i, 1)?.squeeze(0)?.contiguous();
                    (Some(row(0)?), Some(row(1)?))
                }
                (_, bias) => (bias, None),
            };
            let z = self.products(call, &x, &kernel, input_bias.as_ref())?;
            let recurrent_dropout = self.recurrent_masks(call, &x)?;
            let activation = self.activation.get()?.clone();
            let weights: Vec<Tensor> =
                std::iter::once(recurrent_kernel).chain(recurrent_bias).collect();
            Ok(match self.maths {
                Maths::Lstm { recurrent_activation, .. } => {
                    let recurrent_activation = recurrent_activation.get()?.clone();
                    let cell = Lstm { activation, recurrent_activation, recurrent_dropout };
                    recurrent(cell, steps, &z, states, &weights)?
                }
                Maths::Gru { recurrent_activation, reset_after } => {
                    let recurrent_activation = recurrent_activation.get()?.clone();
                    let cell =
                        Gru { activation, recurrent_activation, reset_after, recurrent_dropout };
                    recurrent(cell, steps, &z, states, &weights)?
                }
                Maths::Simple => {
                    let cell = SimpleRnn { activation, recurrent_dropout };
                    recurrent(cell, steps, &z, states, &weights)?
                }
            })
        })
    }

    /// Runs a single step: `(inputs [batch, features], states)` to the output and the states.
    pub fn run_step(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        self.run(call, Sequence::of_one_step(), &|call, name| call.find_weight(name))
    }
}

/// What a cell makes of the inputs of a step.
pub fn step_outputs(x: &Args<Spec>, states: &[Dims]) -> Result<Vec<Spec>> {
    let input = super::sequence::input(x)?;
    let output = states.first().cloned().unwrap_or_else(|| input.dims.clone());
    let all = std::iter::once(&output).chain(states);
    Ok(all.map(|dims| input.with_dims(dims.clone())).collect())
}

/// Whatever struct holds the fields of a cell.
pub trait HasFields {
    fn fields(&self) -> Fields<'_>;
}

/// A recurrent layer and its cell, which have the same fields.
macro_rules! recurrent_layer {
    (
        $(#[$layer_doc:meta])* $layer:ident;
        $(#[$cell_doc:meta])* $cell:ident ($name:literal, $cell_name:literal);
        $this:ident => $fields:expr;
        $($(#[$attribute:meta])* pub $field:ident: $ty:ty,)*
    ) => {
        $(#[$cell_doc])*
        #[derive(Clone, Debug, Config)]
        #[config(named)]
        pub struct $cell {
            $($(#[$attribute])* pub $field: $ty,)*
        }

        $(#[$layer_doc])*
        #[derive(Clone, Debug, Config)]
        #[config(named)]
        pub struct $layer {
            /// Whether the outputs of all steps come out, `[batch, steps, units]`, instead of the last,
            /// `[batch, units]`.
            #[config(default = false)]
            pub return_sequences: bool,
            /// Whether the last states come out too, after the output.
            #[config(default = false)]
            pub return_state: bool,
            /// Whether it goes from the last step to the first; what comes out is in that order.
            #[config(default = false)]
            pub go_backwards: bool,
            /// Whether the states of a batch are where the next batch begins, row by row, until
            /// `reset_states`.
            #[config(default = false)]
            pub stateful: bool,
            /// Keras's flag for unrolled loops; results do not depend on it.
            #[config(default = false)]
            pub unroll: bool,
            /// Whether the output of a masked step is 0 instead of that of the step before.
            #[config(default = false)]
            pub zero_output_for_mask: bool,
            $($(#[$attribute])* pub $field: $ty,)*
        }

        impl HasFields for $cell {
            fn fields(&self) -> Fields<'_> {
                let $this = self;
                $fields
            }
        }

        impl HasFields for $layer {
            fn fields(&self) -> Fields<'_> {
                let $this = self;
                $fields
            }
        }

        impl $layer {
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
        }

        impl Layer for $cell {
            fn check(&self) -> Result<()> {
                self.fields().check()
            }

            fn arguments(&self) -> &'static [&'static str] {
                &["inputs", "states"]
            }

            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let batch = $crate::recurrent::sequence::input(x)?.dims.0.first().copied().flatten();
                $crate::recurrent::fields::step_outputs(x, &self.fields().states(batch))
            }

            fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
                let features = $crate::recurrent::sequence::input(x)?.dims.last()?;
                self.fields().weights(features, "")
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                self.fields().run_step(call)
            }

            fn states(&self, input: &Spec) -> Result<Option<Vec<Dims>>> {
                Ok(Some(self.fields().states(input.dims.0.first().copied().flatten())))
            }
        }

        impl Layer for $layer {
            fn check(&self) -> Result<()> {
                self.fields().check()
            }

            fn arguments(&self) -> &'static [&'static str] {
                &["sequences", "initial_state"]
            }

            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let batch = $crate::recurrent::sequence::input(x)?.dims.0.first().copied().flatten();
                self.sequence().outputs(x, $name, 3, &self.fields().states(batch))
            }

            fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
                let input = $crate::recurrent::sequence::input(x)?;
                let prefix = concat!($cell_name, "/");
                self.fields().weights(input.dims.last()?, prefix)
            }

            fn weights_within(&self) -> Option<(&'static str, &'static str)> {
                Some(("cell", stringify!($cell)))
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                self.fields().run(call, self.sequence(), &|call, name| {
                    call.find_weight(&format!(concat!($cell_name, "/{}"), name))
                })
            }

            fn supports_masking(&self) -> bool {
                true
            }
        }
    };
}
pub(super) use recurrent_layer;
