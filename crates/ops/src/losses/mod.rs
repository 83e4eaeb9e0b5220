//! Loss functions before weights and reduction: one value a row of predictions.
//!
//! Elementwise ones are a [`Pointwise`] function each, averaged over the last axis by [`mean_loss`];
//! the crossentropies over classes are operations of their own.

mod absolute_error;
mod absolute_percentage_error;
mod binary_crossentropy;
mod ctc;
mod focal_crossentropy;
mod generalized_crossentropy;
mod hinge;
mod huber;
mod kl_divergence;
mod log_cosh;
mod poisson;
mod probability_crossentropy;
mod softmax_crossentropy;
mod squared_error;
mod squared_logarithmic_error;

pub use absolute_error::AbsoluteError;
pub use absolute_percentage_error::AbsolutePercentageError;
pub use binary_crossentropy::{BinaryCrossentropy, LogitBinaryCrossentropy};
pub use ctc::Ctc;
pub use focal_crossentropy::{BinaryFocalCrossentropy, CategoricalFocalCrossentropy};
pub use generalized_crossentropy::GeneralizedCrossentropy;
pub use hinge::{Hinge, SquaredHinge};
pub use huber::Huber;
pub use kl_divergence::KlDivergence;
pub use log_cosh::LogCosh;
pub use poisson::Poisson;
pub use probability_crossentropy::{ProbabilityCrossentropy, probability_sums};
pub use softmax_crossentropy::SoftmaxCrossentropy;
pub use squared_error::SquaredError;
pub use squared_logarithmic_error::SquaredLogarithmicError;

use crate::expression::compute;
use crate::number::{Number, Scalar};
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one};
use candle_core::{D, DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{CHUNK, for_parts, for_rows, lane_sum, vectorized};
use sconce_kernels::{with_labels, with_slice};

/// Keras's epsilon: probabilities are kept in `EPSILON..1 - EPSILON` before a logarithm.
pub const EPSILON: f64 = 1e-7;

/// A loss of one prediction `x` and its target `t`, and its slope, as formulas: in f32 for the fused
/// kernel, and on tensors.
pub trait Pointwise: Copy + Send + Sync + 'static {
    /// Name for messages.
    const NAME: &'static str;

    /// `f(x, t)`. Must be `#[inline(always)]`, or its loop does not vectorise.
    fn value<N: Number>(self, x: N, t: N) -> N;

    /// `df/dx`. As [`Pointwise::value`].
    fn slope<N: Number>(self, x: N, t: N) -> N;
}

/// `x^exponent` for x >= 0, finite at 0: a slope with a negative exponent must not be infinite there.
#[inline(always)]
fn power<N: Number>(x: N, exponent: f64) -> N {
    match exponent {
        0.0 => x * 0.0 + 1.0,
        1.0 => x,
        2.0 => x * x,
        _ => (x.max(f64::from(f32::MIN_POSITIVE)).ln() * exponent).exp(),
    }
}

/// `mean(f(y_pred, y_true))` over the last axis, for two tensors of one shape. Differentiable in
/// `y_pred`.
pub fn mean_loss<P: Pointwise>(function: P, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    MeanLoss::new(function, y_true, y_pred)?.apply(&[y_pred])
}

/// `sum(f(y_pred, y_true))` over the last axis; as [`mean_loss`].
pub fn sum_loss<P: Pointwise>(function: P, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let width = y_pred.dims().last().copied().unwrap_or(1) as f64;
    mean_loss(Times { function, factor: width }, y_true, y_pred)
}

/// A function times a number.
#[derive(Clone, Copy)]
struct Times<P> {
    function: P,
    factor: f64,
}

impl<P: Pointwise> Pointwise for Times<P> {
    const NAME: &'static str = P::NAME;

    #[inline(always)]
    fn value<N: Number>(self, x: N, t: N) -> N {
        self.function.value(x, t) * self.factor
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N, t: N) -> N {
        self.function.slope(x, t) * self.factor
    }
}

/// The operation of [`mean_loss`].
struct MeanLoss<P> {
    function: P,
    y_true: Tensor,
}

impl<P: Pointwise> MeanLoss<P> {
    fn new(function: P, y_true: &Tensor, y_pred: &Tensor) -> Result<Self> {
        if y_true.dims() != y_pred.dims() || y_pred.rank() == 0 {
            bail!("{}: y_true {:?}, y_pred {:?}", P::NAME, y_true.dims(), y_pred.dims())
        }
        let y_true = y_true.to_dtype(y_pred.dtype())?.detach().contiguous()?;
        Ok(Self { function, y_true })
    }
}

impl<P: Pointwise> Operation for MeanLoss<P> {
    type Saved = ();

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let losses = compute([inputs[0], &self.y_true], |[x, t]| self.function.value(x, t))?;
        one(losses.mean(D::Minus1))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let inputs = [pass.input(0), &self.y_true];
        let slope = compute(inputs, |[x, t]| self.function.slope(x, t))?;
        let gradient = (gradient.unsqueeze(D::Minus1)? / slope.dim(D::Minus1)? as f64)?;
        pass.give(0, slope.broadcast_mul(&gradient)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl<P: Pointwise> Kernel<()> for MeanLoss<P> {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let Input { data: x, dims, .. } = inputs[0];
        let Some((&width, front)) = dims.split_last() else { bail!("{}: a scalar", P::NAME) };
        if width == 0 {
            bail!("{}: the last axis is empty", P::NAME)
        }
        let mut values = vec![0f32; x.len() / width];
        let (function, scale) = (self.function, 1.0 / width as f32);
        with_slice(&self.y_true, |t| {
            // One value a row: parts of as many rows as make a chunk.
            for_parts(&mut values, CHUNK / width.max(1), |start, values| {
                let (x, t) = (&x[start * width..], &t[start * width..]);
                // The losses before the mean; of rows of one element they are the results.
                let mut losses = vec![0f32; if width == 1 { 0 } else { values.len() * width }];
                vectorized(
                    #[inline(always)]
                    || {
                        let each = if width == 1 { &mut *values } else { &mut losses };
                        // A loop of its own: one with the sum in it would not vectorise.
                        for ((v, x), t) in each.iter_mut().zip(x).zip(t) {
                            *v = function.value(Scalar(*x), Scalar(*t)).0;
                        }
                        for (v, row) in values.iter_mut().zip(losses.chunks_exact(width)) {
                            *v = scale * lane_sum([row], |[x]| x);
                        }
                    },
                );
            });
            Ok(())
        })?;
        Ok((vec![(values, Shape::from(front))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let x = pass.input(0);
        let width = x.dim(D::Minus1)?;
        let mut dx = vec![0f32; x.elem_count()];
        let (function, scale) = (self.function, 1.0 / width as f32);
        with_slice(x, |x| {
            with_slice(&self.y_true, |t| {
                with_slice(gradient, |g| {
                    for_rows(&mut dx, width, |row, dx| {
                        let (x, t) = (&x[row * width..], &t[row * width..]);
                        let g = &g[row..];
                        vectorized(
                            #[inline(always)]
                            || {
                                if width == 1 {
                                    for (((dx, x), t), g) in dx.iter_mut().zip(x).zip(t).zip(g) {
                                        *dx = g * function.slope(Scalar(*x), Scalar(*t)).0;
                                    }
                                    return;
                                }
                                if width < 16 {
                                    // Rows too narrow for vectors: slopes of all of them first.
                                    for ((dx, x), t) in dx.iter_mut().zip(x).zip(t) {
                                        *dx = function.slope(Scalar(*x), Scalar(*t)).0;
                                    }
                                    for (dx, g) in dx.chunks_exact_mut(width).zip(g) {
                                        dx.iter_mut().for_each(|dx| *dx *= g * scale);
                                    }
                                    return;
                                }
                                let rows = x.chunks_exact(width).zip(t.chunks_exact(width)).zip(g);
                                for (dx, ((x, t), g)) in dx.chunks_exact_mut(width).zip(rows) {
                                    let g = g * scale;
                                    for ((dx, x), t) in dx.iter_mut().zip(x).zip(t) {
                                        *dx = g * function.slope(Scalar(*x), Scalar(*t)).0;
                                    }
                                }
                            },
                        );
                    });
                    Ok(())
                })
            })
        })?;
        pass.give(0, Tensor::from_vec(dx, x.shape(), x.device())?)
    }
}

/// The classes that rows of predictions `[.., classes]` should have.
#[derive(Clone, Debug)]
pub enum Target {
    /// The index of the class, I64 `[..]`. Rows whose label is `ignored` have loss and gradient 0.
    Labels {
        /// The indices.
        labels: Tensor,
        /// The label that does not count.
        ignored: Option<i64>,
    },
    /// A weight for each class, of the shape and type of the predictions.
    Weights(Tensor),
}

impl Target {
    /// Labels, all of which count.
    pub fn labels(labels: Tensor) -> Self {
        Self::Labels { labels, ignored: None }
    }

    /// The target as weights of the type and shape of predictions: one-hot rows for labels.
    pub fn weights(&self, like: &Tensor) -> Result<Tensor> {
        match self {
            Self::Weights(weights) => weights.to_dtype(like.dtype()),
            Self::Labels { labels, ignored } => {
                let classes = like.dim(D::Minus1)?;
                let range = Tensor::arange(0, classes as i64, like.device())?;
                let labels = labels.to_dtype(DType::I64)?.unsqueeze(D::Minus1)?;
                let one_hot = labels.broadcast_eq(&range)?.to_dtype(like.dtype())?;
                match ignored {
                    Some(ignored) => {
                        one_hot.broadcast_mul(&labels.ne(*ignored)?.to_dtype(like.dtype())?)
                    }
                    None => Ok(one_hot),
                }
            }
        }
    }
}

/// Calls `body(row, label)` for each row, with `None` where the label does not count.
fn for_labels(
    labels: &Tensor,
    ignored: Option<i64>,
    (rows, classes): (usize, usize),
    mut body: impl FnMut(usize, Option<usize>),
) -> Result<()> {
    with_labels(labels, |labels| {
        if labels.len() != rows {
            bail!("{} labels for {rows} rows of predictions", labels.len())
        }
        for (row, label) in labels.iter().enumerate() {
            if Some(*label) == ignored {
                body(row, None);
                continue;
            }
            match usize::try_from(*label).ok().filter(|label| *label < classes) {
                Some(label) => body(row, Some(label)),
                None => bail!(
                    "the label {label} in row {row} is outside the {classes} classes (0 to {})",
                    classes.saturating_sub(1)
                ),
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check_forms, check_operation_on, sample};
    use candle_core::{Device, Var};
    use sconce_core::Tape;

    fn pointwise<P: Pointwise>(function: P, x: &Tensor, t: &Tensor) {
        let x32 = x.to_dtype(DType::F32).unwrap();
        let make = || MeanLoss::new(function, t, x).unwrap();
        crate::gradient_check::check(|x| make().apply_composed(x), std::slice::from_ref(x), 1e-6)
            .unwrap_or_else(|e| panic!("{}: {e}", P::NAME));
        // The forms agree, also over several parts and for width 1.
        for dims in [x.dims().to_vec(), vec![x.elem_count(), 1]] {
            let run = |fused: bool| {
                let _tape = Tape::current_or_new();
                let x = Var::from_tensor(&x32.reshape(dims.as_slice()).unwrap()).unwrap();
                let t = t.reshape(dims.as_slice()).unwrap();
                let loss = MeanLoss::new(function, &t, &x).unwrap();
                let y = if fused { loss.apply(&[&x]) } else { loss.apply_composed(&[&x]) };
                let y = y.unwrap();
                let g = sample("g", y.dims()).unwrap().to_dtype(DType::F32).unwrap();
                let total = (&y * g).unwrap().sum_all().unwrap();
                let dx = sconce_core::gradients(&total, &[&x]).unwrap().remove(0).unwrap();
                let dx = dx.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                [y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), dx].concat()
            };
            for (a, b) in run(true).iter().zip(run(false)) {
                assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{}: {a} {b}", P::NAME);
            }
        }
    }

    #[test]
    fn gradients_and_forms_agree() {
        let (x, t) = (sample("x", &[3, 2, 19]).unwrap(), sample("t", &[3, 2, 19]).unwrap());
        pointwise(SquaredError, &x, &t);
        pointwise(AbsoluteError, &x, &t);
        pointwise(Huber { delta: 0.7 }, &x, &t);
        pointwise(LogitBinaryCrossentropy, &x, &t);
        pointwise(Hinge, &x, &t);
        pointwise(SquaredHinge, &x, &t);
        pointwise(LogCosh, &x, &t);
        pointwise(AbsolutePercentageError, &x, &t);
        let p = x.affine(0.24, 0.5).unwrap();
        let share = t.affine(0.24, 0.5).unwrap();
        pointwise(BinaryCrossentropy, &p, &t);
        pointwise(SquaredLogarithmicError, &p, &share);
        pointwise(Poisson, &p, &t);
        pointwise(KlDivergence, &p, &share);
        pointwise(Times { function: KlDivergence, factor: 19.0 }, &p, &share);
        pointwise(GeneralizedCrossentropy { q: 0.3 }, &p, &share);
        for gamma in [0.0, 0.5, 1.0, 2.0, 3.5] {
            for (logits, x) in [(false, &p), (true, &x)] {
                let focal = BinaryFocalCrossentropy { gamma, alpha: Some(0.3), logits };
                pointwise(focal, x, &share);
            }
            let categorical =
                |logarithms| CategoricalFocalCrossentropy { gamma, alpha: 0.3, logarithms };
            pointwise(categorical(false), &p, &share);
            pointwise(categorical(true), &p.neg().unwrap(), &share);
        }
    }

    /// Both forms over several parts: of rows, of one wide row each, of narrow rows and of elements.
    fn forms_agree_over_parts<P: Pointwise>(function: P, from: f64, to: f64) {
        for dims in [[300, 130], [3, CHUNK + 5], [CHUNK, 3], [2 * CHUNK + 3, 1]] {
            let x =
                sample("x", &dims).unwrap().affine((to - from) / 4.0, (to + from) / 2.0).unwrap();
            let t = sample("t", &dims).unwrap();
            let make =
                |x: &Tensor| MeanLoss::new(function, &t.to_device(x.device()).unwrap(), x).unwrap();
            let (fused, composed) =
                (|x: &[&Tensor]| make(x[0]).apply(x), |x: &[&Tensor]| make(x[0]).apply_composed(x));
            let result = check_forms(fused, composed, &[x]);
            assert!(result.is_ok(), "{} {dims:?}: {result:?}", P::NAME);
        }
    }

    #[test]
    fn forms_agree_over_several_parts() {
        forms_agree_over_parts(SquaredError, -2.0, 2.0);
        forms_agree_over_parts(AbsoluteError, -2.0, 2.0);
        forms_agree_over_parts(Huber { delta: 1.0 }, -2.0, 2.0);
        forms_agree_over_parts(LogitBinaryCrossentropy, -20.0, 20.0);
        forms_agree_over_parts(BinaryCrossentropy, 0.1, 0.9);
    }

    fn on(device: &Device, target: &Target) -> Target {
        match target {
            Target::Labels { labels, ignored } => {
                Target::Labels { labels: labels.to_device(device).unwrap(), ignored: *ignored }
            }
            Target::Weights(weights) => Target::Weights(weights.to_device(device).unwrap()),
        }
    }

    #[test]
    fn crossentropies_agree_over_several_parts() {
        let z = [sample("z", &[3000, 13]).unwrap()];
        let p = [z[0].affine(0.2, 0.5).unwrap()];
        let labels: Vec<i64> = (0..3000).map(|row| row * 7 % 13).collect();
        let labels = Tensor::new(labels, &Device::Cpu).unwrap();
        let weights = sample("t", &[3000, 13]).unwrap().abs().unwrap();
        for target in [
            Target::Labels { labels: labels.clone(), ignored: Some(3) },
            Target::labels(labels),
            Target::Weights(weights),
        ] {
            let of_logits = |x: &[&Tensor]| SoftmaxCrossentropy::new(on(x[0].device(), &target));
            check_forms(|z| of_logits(z).apply(z), |z| of_logits(z).apply_composed(z), &z).unwrap();
            let of_probabilities =
                |x: &[&Tensor]| ProbabilityCrossentropy::new(on(x[0].device(), &target));
            check_forms(
                |p| of_probabilities(p).apply(p),
                |p| of_probabilities(p).apply_composed(p),
                &p,
            )
            .unwrap();
        }
    }

    #[test]
    fn not_a_number_stays() {
        fn check<P: Pointwise>(function: P) {
            let t = Tensor::new(&[[0.5f32, 1.0]], &Device::Cpu).unwrap();
            let x = Var::new(&[[f32::NAN, 0.25]], &Device::Cpu).unwrap();
            for fused in [true, false] {
                let _tape = Tape::current_or_new();
                let loss = MeanLoss::new(function, &t, &x).unwrap();
                let y = if fused { loss.apply(&[&x]) } else { loss.apply_composed(&[&x]) }.unwrap();
                assert!(y.to_vec1::<f32>().unwrap()[0].is_nan(), "{}", P::NAME);
                let dx = sconce_core::gradients(&y, &[&x]).unwrap().remove(0).unwrap();
                assert!(dx.to_vec2::<f32>().unwrap()[0][1].is_finite(), "{}", P::NAME);
            }
        }
        check(SquaredError);
        check(AbsoluteError);
        check(Huber { delta: 1.0 });
        check(LogitBinaryCrossentropy);
        check(BinaryCrossentropy);
    }

    fn labels() -> Tensor {
        Tensor::new(&[[2i64, 0], [1, 4], [3, 3]], &Device::Cpu).unwrap()
    }

    fn targets() -> Vec<Target> {
        let weights = sample("t", &[3, 2, 5]).unwrap();
        vec![
            Target::labels(labels()),
            Target::Labels { labels: labels(), ignored: Some(3) },
            Target::Labels { labels: labels(), ignored: Some(-1) },
            Target::Weights(weights),
        ]
    }

    #[test]
    fn crossentropies_agree_with_finite_differences() {
        let z = [sample("z", &[3, 2, 5]).unwrap()];
        let p = [z[0].affine(0.2, 0.5).unwrap()];
        for target in targets() {
            check_operation_on(|device| SoftmaxCrossentropy::new(on(device, &target)), &z).unwrap();
            check_operation_on(|device| ProbabilityCrossentropy::new(on(device, &target)), &p)
                .unwrap();
        }
    }

    #[test]
    fn labels_outside_the_classes_are_named() {
        let z = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let labels = Tensor::new(&[1i64, 3], &Device::Cpu).unwrap();
        let target = Target::labels(labels);
        for error in [
            SoftmaxCrossentropy::new(target.clone()).apply(&[&z]).unwrap_err(),
            ProbabilityCrossentropy::new(target).apply(&[&z]).unwrap_err(),
        ] {
            assert!(error.to_string().contains("label 3 in row 1 is outside the 3"), "{error}");
        }
    }
}
