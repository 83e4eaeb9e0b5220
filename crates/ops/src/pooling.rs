//! Maxima and averages of windows, in channels-last order.
//!
//! Shapes: x `[batch, input.., channels]`, y `[batch, output.., channels]`. Padding takes no part: it is no
//! maximum, and averages are of the places inside the input. Of equal maxima the first one has the gradient.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32};
use crate::windows::{Axis, Patches, Windows, lowest};
use candle_core::{D, DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::windows::{
    average_pool as average_loop, average_pool_backward, max_pool as max_loop, max_pool_backward,
};
use sconce_kernels::with_slice;

/// The largest value of each window.
pub fn max_pool(x: &Tensor, axes: &[Axis]) -> Result<Tensor> {
    Pooling { axes: axes.to_vec(), kind: Kind::Max }.apply(&[x])
}

/// The average of each window.
pub fn average_pool(x: &Tensor, axes: &[Axis]) -> Result<Tensor> {
    Pooling { axes: axes.to_vec(), kind: Kind::Average }.apply(&[x])
}

/// What is taken of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Max,
    Average,
}

/// The operation.
#[derive(Clone)]
struct Pooling {
    axes: Vec<Axis>,
    kind: Kind,
}

/// Where each maximum is: a place of its window.
enum Places {
    /// Of the fused form.
    Values(Vec<u32>),
    /// Of the composed form, `[images, windows, 1, channels]`.
    Tensor(Tensor),
    /// Averages have none.
    None,
}

const MISFIT: &str = "pooling: shapes do not fit";

impl Pooling {
    /// (images, channels), and the shape of the result.
    fn sizes(&self, x: &[usize]) -> Result<(usize, usize, Shape)> {
        match x {
            [images, spatial @ .., channels]
                if spatial.iter().copied().eq(self.axes.iter().map(|axis| axis.input)) =>
            {
                let output = self.axes.iter().map(|axis| axis.output);
                let shape: Vec<usize> =
                    [*images].into_iter().chain(output).chain([*channels]).collect();
                Ok((*images, *channels, Shape::from(shape)))
            }
            _ => {
                bail!("pooling: an input of shape {x:?} does not fit windows over {:?}", self.axes)
            }
        }
    }

    fn windows(&self) -> Result<Windows> {
        Windows::new(&self.axes).ok_or_else(|| {
            candle_core::Error::msg(format!("pooling: {:?} is too large", self.axes))
        })
    }
}

/// The index of each place, `[places, 1]`.
fn numbers(places: usize, like: &Tensor) -> Result<Tensor> {
    Tensor::arange(0u32, places as u32, like.device())?.reshape((places, 1))
}

impl Operation for Pooling {
    type Saved = Places;

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Max => "max_pool",
            Kind::Average => "average_pool",
        }
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Places)> {
        let x = inputs[0];
        let (images, channels, shape) = self.sizes(x.dims())?;
        let patches = Patches::new(&self.axes, images, channels);
        let (y, places) = match self.kind {
            Kind::Average => {
                let sums = patches.gather(x, 0.0)?.sum(2)?;
                (sums.broadcast_div(&patches.counts(x)?)?, Places::None)
            }
            Kind::Max => {
                let all = patches.gather(x, lowest(x.dtype()))?;
                let y = all.max_keepdim(2)?;
                // The first place that holds the maximum.
                let is_best = all.broadcast_eq(&y)?;
                let numbers =
                    numbers(patches.places(), x)?.broadcast_as(all.shape())?.contiguous()?;
                let none = numbers.ones_like()?.affine(patches.places() as f64, 0.0)?;
                let at = is_best.where_cond(&numbers, &none)?.min_keepdim(2)?;
                (y, Places::Tensor(at))
            }
        };
        Ok((vec![y.reshape(shape)?], places))
    }

    fn backward(&self, places: Places, pass: &mut Pass<'_>) -> Result<()> {
        let (x, dy) = (pass.input(0), pass.dy()?);
        let (images, channels, _) = self.sizes(x.dims())?;
        let patches = Patches::new(&self.axes, images, channels);
        let dy = dy.reshape((images, patches.windows(), 1, channels))?;
        let all = (images, patches.windows(), patches.places(), channels);
        let spread = match places {
            Places::Tensor(at) => {
                let numbers = numbers(patches.places(), x)?.broadcast_as(all)?;
                let is_it = numbers.broadcast_eq(&at)?.to_dtype(x.dtype())?;
                is_it.broadcast_mul(&dy)?
            }
            _ => {
                let counts = patches.counts(x)?.unsqueeze(D::Minus1)?;
                dy.broadcast_div(&counts)?.broadcast_as(all)?.contiguous()?
            }
        };
        pass.give(0, patches.scatter(&spread)?.reshape(x.shape())?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<Places>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<Places>)
    }
}

impl Kernel<Places> for Pooling {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, Places)> {
        let x = inputs[0];
        let (images, channels, shape) = self.sizes(x.dims)?;
        let windows = self.windows()?;
        let results = match self.kind {
            Kind::Max => max_loop(&windows, images, channels, x.data)
                .map(|(y, places)| (y, Places::Values(places))),
            Kind::Average => {
                average_loop(&windows, images, channels, x.data).map(|y| (y, Places::None))
            }
        };
        match results {
            Some((y, places)) => Ok((vec![(y, shape)], places)),
            None => bail!("{MISFIT}"),
        }
    }

    fn backward(&self, places: Places, pass: &mut Pass<'_>) -> Result<()> {
        let x = pass.input(0);
        let (images, channels, _) = self.sizes(x.dims())?;
        let windows = self.windows()?;
        let dx = with_slice(pass.dy()?, |dy| {
            Ok(match &places {
                Places::Values(places) => max_pool_backward(&windows, images, channels, dy, places),
                _ => average_pool_backward(&windows, images, channels, dy),
            })
        })?;
        let Some(dx) = dx else { bail!("{MISFIT}") };
        pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_operation, sample};
    use crate::windows::tests::{axes_of_every_kind, input};
    use candle_core::Var;
    use sconce_core::{GradientSink, Tape};

    #[test]
    fn gradients_and_forms_agree() {
        for axes in axes_of_every_kind() {
            for channels in [1, 3, 17] {
                let x = sample("x", &input(&axes, 2, channels)).unwrap();
                for kind in [Kind::Max, Kind::Average] {
                    let make = || Pooling { axes: axes.clone(), kind };
                    check_operation(make, std::slice::from_ref(&x)).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_first_of_equal_maxima_has_the_gradient() {
        let axes = [Axis { input: 5, output: 2, kernel: 3, stride: 2, dilation: 1, pad: 0 }];
        let x = Tensor::new(&[[[1f32], [3.0], [3.0], [3.0], [2.0]]], &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        for composed in [false, true] {
            let op = Pooling { axes: axes.to_vec(), kind: Kind::Max };
            let (total, tape) = Tape::record(|| {
                let y = if composed { op.apply_composed(&[&x]) } else { op.apply(&[&x]) };
                y.unwrap().sum_all().unwrap()
            });
            let mut sink = GradientSink::new([x.as_tensor()]);
            tape.backward(&total, &mut sink).unwrap();
            let dx = sink.take(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(dx, [0.0, 1.0, 1.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn misfits_are_errors() {
        let axes = [Axis { input: 4, output: 2, kernel: 2, stride: 2, dilation: 1, pad: 0 }];
        let x = Tensor::zeros((1, 5, 2), DType::F32, &Device::Cpu).unwrap();
        let message = max_pool(&x, &axes).unwrap_err().to_string();
        assert!(message.contains("[1, 5, 2]"), "{message}");
    }
}
