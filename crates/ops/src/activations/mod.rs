//! Keras's activation functions. One file each: the scalar function and its slope for the fused
//! kernel, the composed form, a registry line, and its golden case in `tests/`.

mod linear;
mod relu;
mod sigmoid;
mod softmax;
mod tanh;

pub use linear::Linear;
pub use relu::Relu;
pub use sigmoid::Sigmoid;
pub use softmax::{Softmax, softmax_rows};
pub use tanh::Tanh;

use crate::kernels::{for_chunks, vectorized};
use crate::op::{Input, Operation, with_slice};
use candle_core::{Result, Shape, Tensor};
use sconce_core::registry::Style;
use sconce_core::{Entry, Kind, Part, registry};

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

registry! { Activations:
    Linear = "linear" ["linear"];
    Relu = "relu" ["relu"];
    Sigmoid = "sigmoid" ["sigmoid"];
    Softmax = "softmax" ["softmax"];
    Tanh = "tanh" ["tanh"];
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
    /// `y = f(x)`, of the shape of `x`, differentiable.
    fn call(&self, x: &Tensor) -> Result<Tensor>;

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

/// An elementwise function with its slope, in scalars for the fused kernel and composed.
pub trait Elementwise: Copy + Send + Sync + 'static {
    /// Name for messages.
    const NAME: &'static str;
    /// Whether the slope is a function of the result alone (`x` is then not the input but the result
    /// too). Such functions run inside other operations.
    const FROM_RESULT: bool = false;
    /// What the results mean.
    const RANGE: Range = Range::Real;

    /// `f(x)`. Must be `#[inline(always)]` plain arithmetic that vectorises.
    fn value(self, x: f32) -> f32;

    /// `f'(x)`, where `y = f(x)`. As [`Elementwise::value`].
    fn slope(self, x: f32, y: f32) -> f32;

    /// The composed `f(x)`.
    fn compose(self, x: &Tensor) -> Result<Tensor>;

    /// The composed `f'(x)`, where `y = f(x)`.
    fn compose_slope(self, x: &Tensor, y: &Tensor) -> Result<Tensor>;
}

/// The differentiable operation of an [`Elementwise`] function.
#[derive(Clone, Copy)]
pub struct Map<E>(pub E);

impl<E: Elementwise> Operation for Map<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        self.0.compose(inputs[0])
    }

    fn backward(
        &self,
        inputs: &[&Tensor],
        y: &Tensor,
        dy: &Tensor,
        _needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some((self.0.compose_slope(inputs[0], y)? * dy)?)])
    }

    fn has_kernel(&self) -> bool {
        true
    }

    fn fused_forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Shape)> {
        let mut y = inputs[0].data.to_vec();
        self.0.map_in_place(&mut y);
        Ok((y, Shape::from(inputs[0].dims)))
    }

    fn fused_backward(
        &self,
        inputs: &[&Tensor],
        y: &Tensor,
        dy: &Tensor,
        _needs: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let mut dx = with_slice(dy, |dy| Ok(dy.to_vec()))?;
        let function = self.0;
        with_slice(inputs[0], |x| {
            with_slice(y, |y| {
                for_chunks([&mut dx], |start, [dx]| {
                    let (x, y) = (&x[start..start + dx.len()], &y[start..start + dx.len()]);
                    vectorized(
                        #[inline(always)]
                        || {
                            for ((dx, x), y) in dx.iter_mut().zip(x).zip(y) {
                                *dx *= function.slope(*x, *y);
                            }
                        },
                    );
                });
                Ok(())
            })
        })?;
        Ok(vec![Some(Tensor::from_vec(dx, dy.shape(), dy.device())?)])
    }
}

impl<E: Elementwise> Activation for E {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        Map(*self).apply(&[x])
    }

    fn range(&self) -> Range {
        E::RANGE
    }

    fn fuses(&self) -> bool {
        E::FROM_RESULT
    }

    fn map_in_place(&self, values: &mut [f32]) {
        let function = *self;
        for_chunks([values], |_, [values]| {
            vectorized(
                #[inline(always)]
                || values.iter_mut().for_each(|v| *v = function.value(*v)),
            );
        });
    }

    fn chain_in_place(&self, y: &[f32], gradient: &mut [f32]) {
        let function = *self;
        for_chunks([gradient], |start, [gradient]| {
            let y = &y[start..start + gradient.len()];
            vectorized(
                #[inline(always)]
                || {
                    for (g, y) in gradient.iter_mut().zip(y) {
                        *g *= function.slope(*y, *y);
                    }
                },
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, check_operation, sample};

    /// Every function of the table: finite differences of the composed form.
    #[test]
    fn gradients_of_all() {
        let x = sample("x", &[3, 4]).unwrap();
        for name in Activations::names() {
            let activation = ActivationFn::from(name);
            let activation = activation.get().unwrap();
            let result = check(|x| activation.call(x[0]), std::slice::from_ref(&x), 1e-6);
            assert!(result.is_ok(), "{name}: {result:?}");
        }
    }

    #[test]
    fn forms_agree() {
        let x = [sample("x", &[3, 4]).unwrap()];
        check_operation(|| Map(Relu {}), &x).unwrap();
        check_operation(|| Map(Sigmoid {}), &x).unwrap();
        check_operation(|| Map(Tanh {}), &x).unwrap();
        check_operation(|| Softmax {}, &x).unwrap();
    }
}
