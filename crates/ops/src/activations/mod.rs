//! Keras's activation functions. One file each, the formulas of the function and of its slope; one
//! line each in the registry, whose rows `tests.rs` walks.
//!
//! Parameters are public fields with Keras's defaults, for the layers that share them. Formulas and
//! the slopes at kinks are those of Keras on JAX, but not-a-numbers always stay what they are.

mod axis;
mod celu;
mod elu;
mod exponential;
mod gelu;
mod glu;
mod hard_shrink;
mod hard_sigmoid;
mod hard_silu;
mod hard_tanh;
mod leaky_relu;
mod linear;
mod log_sigmoid;
mod log_softmax;
mod mish;
mod relu;
mod relu6;
mod selu;
mod sigmoid;
mod silu;
mod soft_shrink;
mod softmax;
mod softplus;
mod softsign;
mod sparse_plus;
mod sparse_sigmoid;
mod sparsemax;
mod squareplus;
mod tanh;
mod tanh_shrink;
#[cfg(test)]
mod tests;
mod threshold;

pub use celu::Celu;
pub use elu::Elu;
pub use exponential::Exponential;
pub use gelu::Gelu;
pub use glu::Glu;
pub use hard_shrink::HardShrink;
pub use hard_sigmoid::HardSigmoid;
pub use hard_silu::HardSilu;
pub use hard_tanh::HardTanh;
pub use leaky_relu::LeakyRelu;
pub use linear::Linear;
pub use log_sigmoid::LogSigmoid;
pub use log_softmax::LogSoftmax;
pub(crate) use log_softmax::log_softmax_rows;
pub use mish::Mish;
pub use relu::Relu;
pub use relu6::Relu6;
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use soft_shrink::SoftShrink;
pub use softmax::{Softmax, softmax_rows};
pub use softplus::Softplus;
pub use softsign::Softsign;
pub use sparse_plus::SparsePlus;
pub use sparse_sigmoid::SparseSigmoid;
pub use sparsemax::Sparsemax;
pub use squareplus::Squareplus;
pub use tanh::Tanh;
pub use tanh_shrink::TanhShrink;
pub use threshold::Threshold;

use crate::expression::compute;
use crate::number::{Number, Scalar};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{DType, Device, Result, Shape, Tensor};
use sconce_core::registry::Style;
use sconce_core::tape::Pass;
use sconce_core::{Dims, Entry, Kind, Part, registry};
use sconce_kernels::with_slice;
use sconce_kernels::{for_chunks, map, map2, map3, vectorized};

/// The table of activation functions.
pub struct Activations;

/// An activation as a layer's configuration holds it: `"relu"`.
pub type ActivationFn = Part<Activations>;

impl Kind for Activations {
    type Object = dyn Activation;
    const NAME: &'static str = "activation";
    const MODULE: &'static str = "keras.activations";
    const STYLE: Style = Style::Name;
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }
}

registry! { Activations(Activation):
    Celu ["celu"];
    Elu ["elu"];
    Exponential ["exponential"];
    Gelu ["gelu"];
    Glu ["glu"];
    HardShrink ["hard_shrink"];
    HardSigmoid ["hard_sigmoid"];
    HardSilu ["hard_silu", "hard_swish"];
    HardTanh ["hard_tanh"];
    LeakyRelu ["leaky_relu"];
    Linear ["linear"];
    LogSigmoid ["log_sigmoid"];
    LogSoftmax ["log_softmax"];
    Mish ["mish"];
    Relu ["relu"];
    Relu6 ["relu6"];
    Selu ["selu"];
    Sigmoid ["sigmoid"];
    Silu ["silu", "swish"];
    SoftShrink ["soft_shrink"];
    Softmax ["softmax"];
    Softplus ["softplus"];
    Softsign ["softsign"];
    SparsePlus ["sparse_plus"];
    SparseSigmoid ["sparse_sigmoid"];
    Sparsemax ["sparsemax"];
    Squareplus ["squareplus"];
    Tanh ["tanh"];
    TanhShrink ["tanh_shrink"];
    Threshold ["threshold"];
}

/// What an activation's results mean, for losses that must know whether they are given logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Any real numbers.
    Real,
    /// Probabilities: softmax over classes, or sigmoid each.
    Probability,
}

/// An activation function.
pub trait Activation: Send + Sync {
    /// `y = f(x)`, differentiable.
    fn call(&self, x: &Tensor) -> Result<Tensor>;

    /// The same in plain candle operations even where there is a fused form, to compare the two.
    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        self.call(x)
    }

    /// The shape of the result: that of the input, but for `glu`.
    fn output_dims(&self, input: &Dims) -> sconce_core::Result<Dims> {
        Ok(input.clone())
    }

    /// What the results mean.
    fn range(&self) -> Range {
        Range::Real
    }

    /// Whether another operation may run it on its result in place: elementwise, with a slope that
    /// is a function of the result alone.
    fn fuses(&self) -> bool {
        false
    }

    /// `values = f(values)`, for those that fuse.
    fn map_in_place(&self, _values: &mut [f32]) {}

    /// `gradient *= f'`, from the results `y`, for those that fuse.
    fn chain_in_place(&self, _y: &[f32], _gradient: &mut [f32]) {}
}

/// An elementwise function and its slope, as formulas: in f32 for the fused kernel, and on tensors.
pub trait Elementwise: Copy + Send + Sync + 'static {
    /// Name for messages.
    const NAME: &'static str;
    /// What the results mean.
    const RANGE: Range = Range::Real;

    /// Whether the slope is a function of the result alone (`x` is then not the input but the result
    /// too), also at kinks. Such functions run inside other operations.
    fn result_suffices(self) -> bool {
        false
    }

    /// `f(x)`. Must be `#[inline(always)]`, or its loop does not vectorise.
    fn value<N: Number>(self, x: N) -> N;

    /// `f'(x)`, where `y = f(x)`. As [`Elementwise::value`].
    fn slope<N: Number>(self, x: N, y: N) -> N;
}

/// The differentiable operation of an [`Elementwise`] function.
#[derive(Clone, Copy)]
pub struct Map<E>(pub E);

impl<E: Elementwise> Operation for Map<E> {
    type Saved = ();

    fn name(&self) -> &'static str {
        E::NAME
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        one(compute([inputs[0]], |[x]| self.0.value(x)))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let inputs = [pass.dy()?, pass.input(0), pass.output(0)];
        pass.give(0, compute(inputs, |[dy, x, y]| dy * self.0.slope(x, y))?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl<E: Elementwise> Kernel<()> for Map<E> {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let function = self.0;
        let y = map(
            inputs[0].data,
            #[inline(always)]
            move |x| function.value(Scalar(x)).0,
        );
        Ok((vec![(y, Shape::from(inputs[0].dims))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let y = pass.output(0);
        let dy = pass.dy()?;
        let function = self.0;
        let dx = with_slice(dy, |dy| {
            with_slice(y, |y| {
                if function.result_suffices() {
                    return Ok(map2(
                        dy,
                        y,
                        #[inline(always)]
                        move |dy, y| dy * function.slope(Scalar(y), Scalar(y)).0,
                    ));
                }
                with_slice(pass.input(0), |x| {
                    Ok(map3(
                        dy,
                        x,
                        y,
                        #[inline(always)]
                        move |dy, x, y| dy * function.slope(Scalar(x), Scalar(y)).0,
                    ))
                })
            })
        })?;
        pass.give(0, Tensor::from_vec(dx, dy.shape(), dy.device())?)
    }
}

impl<E: Elementwise> Activation for E {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        Map(*self).apply(&[x])
    }

    fn call_composed(&self, x: &Tensor) -> Result<Tensor> {
        Map(*self).apply_composed(&[x])
    }

    fn range(&self) -> Range {
        E::RANGE
    }

    fn fuses(&self) -> bool {
        self.result_suffices()
    }

    fn map_in_place(&self, values: &mut [f32]) {
        for_chunks([values], |_, [values]| {
            // A copy: read through a reference, its parameters might be what is written.
            let function = *self;
            vectorized(
                #[inline(always)]
                move || {
                    // Not `for_each`: a large closure would not be inlined, nor vectorised.
                    for v in values {
                        *v = function.value(Scalar(*v)).0;
                    }
                },
            );
        });
    }

    fn chain_in_place(&self, y: &[f32], gradient: &mut [f32]) {
        for_chunks([gradient], |start, [gradient]| {
            let (function, y) = (*self, &y[start..start + gradient.len()]);
            vectorized(
                #[inline(always)]
                move || {
                    for (g, y) in gradient.iter_mut().zip(y) {
                        *g *= function.slope(Scalar(*y), Scalar(*y)).0;
                    }
                },
            );
        });
    }
}
