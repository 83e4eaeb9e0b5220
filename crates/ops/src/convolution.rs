//! Convolution and transposed convolution over one to three spatial axes, in channels-last order, as one
//! operation with bias and activation.
//!
//! Shapes: x `[batch, input.., channels]`, kernel `[places.., channels / groups, filters]`, bias
//! `[filters]`, y `[batch, output.., filters]`. The transposed convolution goes the other way: x `[batch,
//! output.., filters]`, bias `[channels]`, y `[batch, input.., channels]`; it is the gradient of x above.

use crate::activations::Activation;
use crate::dense::{column_sums, dense_with};
use crate::epilogue::{Epilogue, Finish};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one, reshape};
use crate::windows::{Axis, Patches, Windows};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::windows::{Convolution as Loops, Operand};
use sconce_kernels::with_slice;
use std::sync::Arc;

/// `f(scale (x * kernel) + bias)`.
pub fn convolution(
    x: &Tensor,
    kernel: &Tensor,
    axes: &[Axis],
    groups: usize,
    epilogue: &Epilogue<'_>,
) -> Result<Tensor> {
    let is_pointwise = Windows::new(axes).is_some_and(|windows| windows.is_pointwise());
    if let (true, 1, &[.., channels, filters]) = (is_pointwise, groups, kernel.dims()) {
        return dense_with(x, &reshape(kernel, (channels, filters))?, epilogue);
    }
    run(Convolution::new(axes, groups), x, kernel, epilogue)
}

/// As [`convolution`], of each channel by itself: the kernel is `[places.., channels, filters of each]`.
pub fn depthwise_convolution(
    x: &Tensor,
    kernel: &Tensor,
    axes: &[Axis],
    epilogue: &Epilogue<'_>,
) -> Result<Tensor> {
    let [places @ .., channels, filters] = kernel.dims() else {
        bail!("depthwise convolution: a kernel of shape {:?}", kernel.dims())
    };
    let dims = [places, &[1, channels * filters]].concat();
    convolution(x, &reshape(kernel, dims)?, axes, *channels, epilogue)
}

/// `f(x *^T kernel + bias)`, the transposed convolution: `axes` are those of the convolution from y to x.
pub fn convolution_transpose(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    axes: &[Axis],
    activation: &Arc<dyn Activation>,
) -> Result<Tensor> {
    let operation = Convolution { transposed: true, ..Convolution::new(axes, 1) };
    run(operation, x, kernel, &Epilogue::new(bias, activation))
}

fn run(
    operation: Convolution,
    x: &Tensor,
    kernel: &Tensor,
    epilogue: &Epilogue<'_>,
) -> Result<Tensor> {
    let fuse = epilogue.activation.fuses() && is_cpu_f32(x.device(), x.dtype());
    let operation = Convolution { finish: Finish::of(epilogue, fuse), ..operation };
    let y = match epilogue.bias {
        Some(bias) => operation.apply(&[x, kernel, bias])?,
        None => operation.apply(&[x, kernel])?,
    };
    if fuse { Ok(y) } else { epilogue.activation.call(&y) }
}

/// The operation; inputs x, kernel and, if there is one, bias.
#[derive(Clone)]
pub struct Convolution {
    axes: Vec<Axis>,
    groups: usize,
    transposed: bool,
    finish: Finish,
}

/// The sizes of a convolution; `channels` are those of the side that windows move over.
struct Sizes {
    images: usize,
    channels: usize,
    filters: usize,
}

const MISFIT: &str = "convolution: shapes do not fit";

impl Convolution {
    /// Without activation.
    pub fn new(axes: &[Axis], groups: usize) -> Self {
        Self { axes: axes.to_vec(), groups, transposed: false, finish: Finish::default() }
    }

    /// Sizes, and the shape of the result.
    fn sizes(&self, x: &[usize], kernel: &[usize]) -> Result<(Sizes, Shape)> {
        let misfit = || {
            let (name, filters) = match self.transposed {
                true => ("transposed convolution", "filters, channels"),
                false => ("convolution", "channels / groups, filters"),
            };
            format!(
                "{name}: an input of shape {x:?} does not fit a kernel of shape {kernel:?} ([places.., \
                 {filters}]) in {} groups over {:?}",
                self.groups, self.axes
            )
        };
        let ([images, spatial @ .., own], [places @ .., inner, filters]) = (x, kernel) else {
            bail!("{}", misfit())
        };
        let channels = inner * self.groups;
        let (input, output) = (|axis: &Axis| axis.input, |axis: &Axis| axis.output);
        let (from, to, expected, last) = match self.transposed {
            true => (output as fn(&Axis) -> usize, input as fn(&Axis) -> usize, *filters, channels),
            false => {
                (input as fn(&Axis) -> usize, output as fn(&Axis) -> usize, channels, *filters)
            }
        };
        let fits = self.groups > 0
            && filters.is_multiple_of(self.groups)
            && *own == expected
            && spatial.iter().copied().eq(self.axes.iter().map(from))
            && places.iter().copied().eq(self.axes.iter().map(|axis| axis.kernel));
        if !fits {
            bail!("{}", misfit())
        }
        let shape: Vec<usize> =
            [*images].into_iter().chain(self.axes.iter().map(to)).chain([last]).collect();
        Ok((Sizes { images: *images, channels, filters: *filters }, Shape::from(shape)))
    }

    fn patches(&self, sizes: &Sizes) -> Patches {
        Patches::new(&self.axes, sizes.images, sizes.channels)
    }

    /// `[groups, rows, places * channels / groups]` of patches `[images, windows, places, channels]`.
    fn by_group(&self, patches: &Tensor, sizes: &Sizes) -> Result<Tensor> {
        let (images, windows, places, channels) = patches.dims4()?;
        let shape = (images * windows, places, self.groups, channels / self.groups);
        let inner = places * sizes.channels / self.groups;
        let patches = patches.reshape(shape)?.permute((2, 0, 1, 3))?;
        patches.contiguous()?.reshape((self.groups, images * windows, inner))
    }

    /// `[groups, places * channels / groups, filters / groups]` of the kernel.
    fn matrices(&self, kernel: &Tensor, sizes: &Sizes) -> Result<Tensor> {
        let inner = kernel.elem_count() / sizes.filters.max(1);
        let shape = (inner, self.groups, sizes.filters / self.groups);
        kernel.reshape(shape)?.transpose(0, 1)?.contiguous()
    }

    /// `[groups, rows, filters / groups]` of y.
    fn rows(&self, y: &Tensor, sizes: &Sizes) -> Result<Tensor> {
        let rows = y.elem_count() / sizes.filters.max(1);
        let shape = (rows, self.groups, sizes.filters / self.groups);
        y.reshape(shape)?.transpose(0, 1)?.contiguous()
    }

    /// y of x, the forward convolution.
    fn gather(&self, x: &Tensor, kernel: &Tensor, sizes: &Sizes) -> Result<Tensor> {
        let patches = self.by_group(&self.patches(sizes).gather(x, 0.0)?, sizes)?;
        patches.matmul(&self.matrices(kernel, sizes)?)?.transpose(0, 1)?.contiguous()
    }

    /// The gradient of x from that of y.
    fn scatter(&self, dy: &Tensor, kernel: &Tensor, sizes: &Sizes) -> Result<Tensor> {
        let patches = self.patches(sizes);
        let matrices = self.matrices(kernel, sizes)?.transpose(1, 2)?.contiguous()?;
        let rows = self.rows(dy, sizes)?.matmul(&matrices)?;
        let count = sizes.images * patches.windows();
        let shape = (self.groups, count, patches.places(), sizes.channels / self.groups);
        let shaped = rows.reshape(shape)?.permute((1, 2, 0, 3))?.contiguous()?;
        let all = (sizes.images, patches.windows(), patches.places(), sizes.channels);
        patches.scatter(&shaped.reshape(all)?)
    }

    /// The gradient of the kernel from x and the gradient of y.
    fn correlate(&self, x: &Tensor, dy: &Tensor, sizes: &Sizes) -> Result<Tensor> {
        let patches = self.by_group(&self.patches(sizes).gather(x, 0.0)?, sizes)?;
        let matrices = patches.transpose(1, 2)?.contiguous()?.matmul(&self.rows(dy, sizes)?)?;
        matrices.transpose(0, 1)?.contiguous()
    }

    fn loops(&self, sizes: &Sizes) -> Result<Loops> {
        let loops = Windows::new(&self.axes).and_then(|windows| {
            Loops::new(windows, sizes.images, sizes.channels, sizes.filters, self.groups)
        });
        loops.ok_or_else(|| {
            candle_core::Error::msg(format!("convolution: {:?} is too large", self.axes))
        })
    }
}

impl Operation for Convolution {
    type Saved = ();

    fn name(&self) -> &'static str {
        if self.transposed { "convolution_transpose" } else { "convolution" }
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let (x, kernel) = (inputs[0], inputs[1]);
        let (sizes, shape) = self.sizes(x.dims(), kernel.dims())?;
        let y = match self.transposed {
            true => self.scatter(x, kernel, &sizes)?,
            false => self.gather(x, kernel, &sizes)?,
        };
        one(self.finish.composed(y.reshape(shape)?, inputs.get(2).copied()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        self.finish.check_differentiated()?;
        let (x, kernel, dy) = (pass.input(0), pass.input(1), pass.dy()?);
        let (sizes, _) = self.sizes(x.dims(), kernel.dims())?;
        if pass.needs(1) {
            let dw = match self.transposed {
                true => self.correlate(dy, x, &sizes)?,
                false => self.correlate(x, dy, &sizes)?,
            };
            pass.give(1, dw.reshape(kernel.shape())?)?;
        }
        if pass.input_count() > 2 && pass.needs(2) {
            let channels = pass.input(2).elem_count();
            pass.give(2, dy.reshape(((), channels))?.sum(0)?)?;
        }
        if pass.needs(0) {
            let dx = match self.transposed {
                true => self.gather(dy, kernel, &sizes)?,
                false => self.scatter(dy, kernel, &sizes)?,
            };
            pass.give(0, dx.reshape(x.shape())?)?;
        }
        Ok(())
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Convolution {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let (x, kernel) = (inputs[0], inputs[1]);
        let (sizes, shape) = self.sizes(x.dims, kernel.dims)?;
        let loops = self.loops(&sizes)?;
        let bias = inputs.get(2).map(|bias| bias.data);
        let channels = shape.dims().last().copied().unwrap_or_default();
        let y = self.finish.with_scale(channels, |scale| {
            // A bias alone is what the sums start from.
            let (first, after) = match scale {
                Some(_) => (None, bias),
                None => (bias, None),
            };
            if after.is_some_and(|bias| bias.len() != channels) {
                bail!("{MISFIT}")
            }
            let finish = |rows: &mut [f32]| self.finish.run(rows, scale, after);
            Ok(match self.transposed {
                true => loops.backward_input(Operand::plain(x.data), kernel.data, first, &finish),
                false => loops.forward(x.data, kernel.data, first, &finish),
            })
        })?;
        match y {
            Some(y) => Ok((vec![(y, shape)], ())),
            None => bail!("{MISFIT}"),
        }
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        self.finish.check_differentiated()?;
        let (x, kernel, y) = (pass.input(0), pass.input(1), pass.output(0));
        let (sizes, _) = self.sizes(x.dims(), kernel.dims())?;
        let loops = self.loops(&sizes)?;
        with_slice(pass.dy()?, |dy| {
            with_slice(y, |y| {
                // The gradient before the activation, piece by piece.
                let chain = |start: usize, dz: &mut [f32]| {
                    if let Some(activation) = &self.finish.activation {
                        activation.chain_in_place(&y[start..start + dz.len()], dz);
                    }
                };
                let change = self.finish.activation.as_ref().map(|_| &chain as _);
                let dz = Operand { values: dy, change };
                match self.transposed {
                    true => self.backward_transposed(pass, &loops, dz),
                    false => backward(pass, &loops, dz),
                }
            })
        })?;
        Ok(())
    }
}

fn fitting(fits: bool) -> Result<()> {
    if fits { Ok(()) } else { bail!("{MISFIT}") }
}

fn backward(pass: &mut Pass<'_>, loops: &Loops, dz: Operand<'_>) -> Result<()> {
    let (x, kernel) = (pass.input(0), pass.input(1));
    // The gradient of the bias is summed up on the way.
    let has_bias = pass.input_count() > 2 && pass.needs(2);
    let mut db = if has_bias { vec![0.0; pass.input(2).elem_count()] } else { Vec::new() };
    if pass.needs(1) || has_bias {
        let mut both = |dw: &mut [f32], accumulate: bool| {
            let db = has_bias.then_some(db.as_mut_slice());
            with_slice(x, |x| {
                fitting(loops.backward_kernel(Operand::plain(x), dz, dw, db, accumulate))
            })
        };
        match pass.needs(1) {
            true => pass.write(1, both)?,
            false => both(&mut vec![0.0; kernel.elem_count()], false)?,
        }
    }
    if has_bias {
        let bias = pass.input(2);
        pass.give(2, Tensor::from_vec(db, bias.shape(), bias.device())?)?;
    }
    if pass.needs(0) {
        let dx = with_slice(kernel, |w| Ok(loops.backward_input(dz, w, None, &|_| {})))?;
        let Some(dx) = dx else { bail!("{MISFIT}") };
        pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)?;
    }
    Ok(())
}

impl Convolution {
    fn backward_transposed(
        &self,
        pass: &mut Pass<'_>,
        loops: &Loops,
        dz: Operand<'_>,
    ) -> Result<()> {
        let (x, kernel) = (pass.input(0), pass.input(1));
        let mut whole = dz.values.to_vec();
        if let Some(change) = dz.change {
            change(0, &mut whole);
        }
        let dz = Operand::plain(&whole);
        pass.write(1, |dw, accumulate| {
            with_slice(x, |x| {
                fitting(loops.backward_kernel(dz, Operand::plain(x), dw, None, accumulate))
            })
        })?;
        if pass.input_count() > 2 {
            pass.write(2, |db, accumulate| {
                column_sums(db, dz.values, accumulate);
                Ok(())
            })?;
        }
        if pass.needs(0) {
            let dx = with_slice(kernel, |w| Ok(loops.forward(dz.values, w, None, &|_| {})))?;
            let Some(dx) = dx else { bail!("{MISFIT}") };
            pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::{Activations, Relu};
    use crate::gradient_check::{check_forms, check_operation, sample};
    use crate::windows::tests::{axes_of_every_kind, input};
    use sconce_core::Part;

    fn kernel(axes: &[Axis], channels: usize, filters: usize) -> Tensor {
        let places = axes.iter().map(|axis| axis.kernel);
        let dims: Vec<usize> = places.chain([channels, filters]).collect();
        sample("kernel", &dims).unwrap()
    }

    fn output(axes: &[Axis], images: usize, filters: usize) -> Vec<usize> {
        [images].into_iter().chain(axes.iter().map(|axis| axis.output)).chain([filters]).collect()
    }

    #[test]
    fn gradients_and_forms_agree() {
        for axes in axes_of_every_kind() {
            for (channels, filters, groups) in
                [(1, 1, 1), (2, 3, 1), (4, 6, 2), (3, 3, 3), (2, 4, 2)]
            {
                let x = sample("x", &input(&axes, 2, channels)).unwrap();
                let w = kernel(&axes, channels / groups, filters);
                let b = sample("b", &[filters]).unwrap();
                let make = || Convolution::new(&axes, groups);
                check_operation(make, &[x.clone(), w.clone(), b]).unwrap();
                check_operation(make, &[x, w]).unwrap();
            }
        }
    }

    #[test]
    fn transposed_gradients_and_forms_agree() {
        for axes in axes_of_every_kind() {
            for (channels, filters) in [(1, 1), (3, 2)] {
                let x = sample("x", &output(&axes, 2, filters)).unwrap();
                let w = kernel(&axes, channels, filters);
                let b = sample("b", &[channels]).unwrap();
                let make = || Convolution { transposed: true, ..Convolution::new(&axes, 1) };
                check_operation(make, &[x.clone(), w.clone(), b]).unwrap();
                check_operation(make, &[x, w]).unwrap();
            }
        }
    }

    /// Activations that fuse and ones that do not, in both directions, against the composed forms.
    #[test]
    fn activations_follow() {
        for name in ["relu", "tanh", "gelu", "softmax"] {
            let activation = Part::<Activations>::from(name).get().unwrap().clone();
            for axes in axes_of_every_kind() {
                let w = kernel(&axes, 2, 5);
                let x = sample("x", &input(&axes, 3, 2)).unwrap();
                let inputs = [x, w.clone(), sample("b", &[5]).unwrap()];
                let plain = Convolution::new(&axes, 1);
                check_forms(
                    |x| {
                        let epilogue = Epilogue::new(Some(x[2]), &activation);
                        convolution(x[0], x[1], &axes, 1, &epilogue)
                    },
                    |x| activation.call_composed(&plain.clone().apply_composed(x)?),
                    &inputs,
                )
                .unwrap();
                let x = sample("x", &output(&axes, 3, 5)).unwrap();
                let inputs = [x, w, sample("b", &[2]).unwrap()];
                let plain = Convolution { transposed: true, ..plain };
                check_forms(
                    |x| convolution_transpose(x[0], x[1], Some(x[2]), &axes, &activation),
                    |x| activation.call_composed(&plain.clone().apply_composed(x)?),
                    &inputs,
                )
                .unwrap();
            }
        }
    }

    #[test]
    fn a_kernel_of_one_place_is_a_dense_layer() {
        let axes = [3, 4].map(|input| Axis {
            input,
            output: input,
            kernel: 1,
            stride: 1,
            dilation: 1,
            pad: 0,
        });
        let relu: Arc<dyn Activation> = Arc::new(Relu::new());
        let inputs = [
            sample("x", &[2, 3, 4, 5]).unwrap(),
            sample("w", &[1, 1, 5, 6]).unwrap(),
            sample("b", &[6]).unwrap(),
        ];
        check_forms(
            |x| convolution(x[0], x[1], &axes, 1, &Epilogue::new(Some(x[2]), &relu)),
            |x| Convolution::new(&axes, 1).apply_composed(x)?.relu(),
            &inputs,
        )
        .unwrap();
    }

    /// Factors, with a bias and without: fused, composed, and put into the kernel.
    #[test]
    fn factors_are_those_of_the_kernel() {
        let relu: Arc<dyn Activation> = Arc::new(Relu::new());
        for axes in axes_of_every_kind() {
            for groups in [1, 2] {
                let f32 = |tensor: Tensor| tensor.to_dtype(DType::F32).unwrap();
                let x = f32(sample("x", &input(&axes, 3, 2 * groups)).unwrap());
                let w = f32(kernel(&axes, 2, 6));
                let (scale, b) = (f32(sample("s", &[6]).unwrap()), f32(sample("b", &[6]).unwrap()));
                let scaled = w.broadcast_mul(&scale).unwrap();
                for bias in [None, Some(&b)] {
                    let epilogue = Epilogue::new(bias, &relu);
                    let expected = convolution(&x, &scaled, &axes, groups, &epilogue).unwrap();
                    let epilogue = epilogue.scaled(Some(&scale));
                    let fused = convolution(&x, &w, &axes, groups, &epilogue).unwrap();
                    let finish = Finish::of(&epilogue, false);
                    let plain = Convolution { finish, ..Convolution::new(&axes, groups) };
                    let inputs: Vec<&Tensor> =
                        [Some(&x), Some(&w), bias].into_iter().flatten().collect();
                    let composed = plain.apply_composed(&inputs).unwrap().relu().unwrap();
                    for y in [fused, composed] {
                        let worst = (y - &expected).unwrap().abs().unwrap().max_all().unwrap();
                        assert!(worst.to_scalar::<f32>().unwrap() < 1e-5, "{axes:?} {groups}");
                    }
                }
            }
        }
    }

    #[test]
    fn empty_batches_pass() {
        let axes = axes_of_every_kind().remove(4);
        let zeros = |dims: Vec<usize>| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        let w = kernel(&axes, 2, 3).to_dtype(DType::F32).unwrap();
        let (x, y) = (zeros(input(&axes, 0, 2)), output(&axes, 0, 3));
        assert_eq!(Convolution::new(&axes, 1).apply(&[&x, &w]).unwrap().dims(), y);
        assert_eq!(Convolution::new(&axes, 1).apply_composed(&[&x, &w]).unwrap().dims(), y);
    }

    #[test]
    fn misfits_are_errors() {
        let axes = axes_of_every_kind().remove(0);
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        for (x, w, groups) in [
            (vec![1, 6, 2], vec![3, 2, 4], 1),
            (vec![1, 5, 3], vec![3, 2, 4], 1),
            (vec![1, 5, 2], vec![2, 2, 4], 1),
            (vec![1, 5, 6], vec![3, 2, 4], 3),
            (vec![5, 2], vec![3, 2, 4], 1),
        ] {
            let operation = Convolution::new(&axes, groups);
            let message = operation.apply(&[&zeros(&x), &zeros(&w)]).unwrap_err().to_string();
            assert!(message.contains(&format!("{x:?}")), "{message}");
        }
    }
}
