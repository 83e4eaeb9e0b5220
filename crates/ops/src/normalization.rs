//! Normalization: `y = (x - mean) / sqrt(variance + epsilon) gamma + beta`, where mean and variance are
//! those of the sets that the values fall into ([`Sets`]), or given.
//!
//! One operation for batch, layer, group and RMS normalization, which differ in their sets.

use crate::activations::Activation;
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
pub use sconce_kernels::normalize::Sets;
use sconce_kernels::normalize::{self, Function, Statistics, Upstream};
use sconce_kernels::{with_slice, with_slices};
use std::sync::Arc;

/// Added to the sum of weights, as in Keras, so that sets without a value do not divide by 0.
const WEIGHT_EPSILON: f64 = 1e-7;

/// What a normalization is made of besides its statistics.
#[derive(Clone, Copy)]
pub struct Normalization<'a> {
    /// The sets.
    pub sets: Sets,
    /// Whether the mean is subtracted; else the mean of the squares stands for the variance.
    pub center: bool,
    /// Added to the variance.
    pub epsilon: f64,
    /// Scale of each channel.
    pub gamma: Option<&'a Tensor>,
    /// Shift of each channel.
    pub beta: Option<&'a Tensor>,
}

impl Normalization<'_> {
    /// Normalizes by the statistics of `x` itself. Gives the results, and mean and variance of each
    /// set. `weights`, of the shape of `x`, say how much each value counts in the statistics.
    pub fn apply(&self, x: &Tensor, weights: Option<&Tensor>) -> Result<[Tensor; 3]> {
        self.apply_activated(x, weights, None)
    }

    /// As [`Normalization::apply`], with an activation of the results.
    pub fn apply_activated(
        &self,
        x: &Tensor,
        weights: Option<&Tensor>,
        activation: Option<&Arc<dyn Activation>>,
    ) -> Result<[Tensor; 3]> {
        let [y, mean, variance] = self
            .run(x, Source::Values { weights: weights.cloned() }, activation)?
            .try_into()
            .map_err(|_| candle_core::Error::msg("normalization has three results"))?;
        Ok([y, mean, variance])
    }

    /// Normalizes by a mean and a variance for each set that are given and not differentiated, with an
    /// activation of the results.
    pub fn apply_given(
        &self,
        x: &Tensor,
        mean: &Tensor,
        variance: &Tensor,
        activation: Option<&Arc<dyn Activation>>,
    ) -> Result<Tensor> {
        let given = |t: &Tensor| t.detach().to_dtype(x.dtype())?.contiguous();
        let source = Source::Given { mean: given(mean)?, variance: given(variance)? };
        Ok(self.run(x, source, activation)?.swap_remove(0))
    }

    /// The results; on the CPU in f32 an activation that fuses runs inside.
    fn run(
        &self,
        x: &Tensor,
        source: Source,
        activation: Option<&Arc<dyn Activation>>,
    ) -> Result<Vec<Tensor>> {
        let operation = self.operation(source);
        let fuses = self.sets.takes_function() && operation.kernel(x.device(), x.dtype()).is_some();
        let inside = activation.filter(|activation| fuses && activation.fuses()).cloned();
        let after = activation.filter(|_| inside.is_none());
        let mut results =
            Normalize { activation: inside, ..operation }.apply_all(&self.inputs(x))?;
        if let (Some(activation), Some(y)) = (after, results.first_mut()) {
            *y = activation.call(y)?;
        }
        Ok(results)
    }

    fn operation(&self, source: Source) -> Normalize {
        let (has_gamma, has_beta) = (self.gamma.is_some(), self.beta.is_some());
        let (sets, center, epsilon) = (self.sets, self.center, self.epsilon);
        Normalize { sets, center, epsilon, has_gamma, has_beta, source, activation: None }
    }

    fn inputs<'t>(&'t self, x: &'t Tensor) -> Vec<&'t Tensor> {
        [Some(x), self.gamma, self.beta].into_iter().flatten().collect()
    }
}

/// Where mean and variance come from.
enum Source {
    /// The values themselves.
    Values { weights: Option<Tensor> },
    /// Elsewhere.
    Given { mean: Tensor, variance: Tensor },
}

/// The operation. Inputs: x, gamma if there is one, beta if there is one. Results: y and, unless they
/// are given, mean and variance.
struct Normalize {
    sets: Sets,
    center: bool,
    epsilon: f64,
    has_gamma: bool,
    has_beta: bool,
    source: Source,
    /// In the fused form only.
    activation: Option<Arc<dyn Activation>>,
}

impl Normalize {
    /// Calls `run` with the activation as the kernels take it.
    fn with_function<R>(&self, run: impl FnOnce(Option<Function<'_>>) -> R) -> R {
        match &self.activation {
            None => run(None),
            Some(activation) => run(Some(Function {
                map: &|y| activation.map_in_place(y),
                chain: &|y, gradient| activation.chain_in_place(y, gradient),
            })),
        }
    }

    fn beta_index(&self) -> usize {
        1 + usize::from(self.has_gamma)
    }

    fn axes(&self) -> [usize; 5] {
        let Sets { samples, positions, groups, channels, inner } = self.sets;
        [samples, positions, groups, channels, inner]
    }

    /// A value for each set, to go with the axes of the sets.
    fn of_sets(&self, values: &Tensor) -> Result<Tensor> {
        values.reshape(&[self.sets.samples, 1, self.sets.groups, 1, 1])
    }

    /// A value for each channel, to go with the axes of the sets.
    fn of_channels(&self, values: &Tensor) -> Result<Tensor> {
        values.reshape(&[1, 1, self.sets.groups, self.sets.channels, 1])
    }

    /// The share of each value in the statistics of its set: one for all, or one for each.
    fn shares(&self) -> Result<Shares> {
        match &self.source {
            Source::Values { weights: Some(weights) } => {
                let weights = weights.detach().reshape(&self.axes())?;
                let total = (weights.sum_keepdim((1, 3, 4))? + WEIGHT_EPSILON)?;
                Ok(Shares::Each(weights.broadcast_div(&total)?))
            }
            _ => Ok(Shares::All(1.0 / self.sets.count().max(1) as f64)),
        }
    }

    /// Mean and variance in the axes of the sets.
    fn statistics(&self, x: &Tensor, shares: &Shares) -> Result<(Tensor, Tensor)> {
        if let Source::Given { mean, variance } = &self.source {
            return Ok((self.of_sets(mean)?, self.of_sets(variance)?));
        }
        let mean = shares.apply(x)?.sum_keepdim((1, 3, 4))?;
        let mean = if self.center { mean } else { mean.zeros_like()? };
        let squares = x.broadcast_sub(&mean)?.sqr()?;
        let variance = shares.apply(&squares)?.sum_keepdim((1, 3, 4))?;
        Ok((mean, variance))
    }

    fn check(&self, x: usize, others: &[usize]) -> Result<()> {
        if x != self.sets.len() || others.iter().any(|len| *len != self.sets.width()) {
            bail!("normalization of {x} values and {others:?} scales and shifts as {:?}", self.sets)
        }
        Ok(())
    }
}

/// See [`Normalize::shares`].
enum Shares {
    All(f64),
    Each(Tensor),
}

impl Shares {
    fn apply(&self, values: &Tensor) -> Result<Tensor> {
        match self {
            Self::All(share) => values * *share,
            Self::Each(shares) => values.broadcast_mul(shares),
        }
    }
}

impl Operation for Normalize {
    type Saved = ();

    fn name(&self) -> &'static str {
        "normalization"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let others: Vec<usize> = inputs.iter().skip(1).map(|t| t.elem_count()).collect();
        self.check(inputs[0].elem_count(), &others)?;
        let x = inputs[0].reshape(&self.axes())?;
        let (mean, variance) = self.statistics(&x, &self.shares()?)?;
        let inverse = (&variance + self.epsilon)?.sqrt()?.recip()?;
        let scale = match self.has_gamma {
            true => inverse.broadcast_mul(&self.of_channels(inputs[1])?)?,
            false => inverse,
        };
        let mut y = x.broadcast_sub(&mean)?.broadcast_mul(&scale)?;
        if self.has_beta {
            y = y.broadcast_add(&self.of_channels(inputs[self.beta_index()])?)?;
        }
        let y = y.reshape(inputs[0].shape())?;
        Ok(match self.source {
            Source::Values { .. } => (vec![y, mean.flatten_all()?, variance.flatten_all()?], ()),
            Source::Given { .. } => (vec![y], ()),
        })
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let x = pass.input(0).reshape(&self.axes())?;
        let dy = pass.gradient_or_zeros(0)?.reshape(&self.axes())?;
        let shares = self.shares()?;
        let (mean, variance, given) = match &self.source {
            Source::Values { .. } => (pass.output(1), pass.output(2), false),
            Source::Given { mean, variance } => (mean, variance, true),
        };
        let centered = x.broadcast_sub(&self.of_sets(mean)?)?;
        let inverse = (self.of_sets(variance)? + self.epsilon)?.sqrt()?.recip()?;
        let mut scaled = dy.clone();
        if self.has_gamma {
            let gamma = self.of_channels(pass.input(1))?;
            scaled = dy.broadcast_mul(&gamma)?;
            if pass.needs(1) {
                let normalized = centered.broadcast_mul(&inverse)?;
                let dgamma = (&dy * normalized)?.sum_keepdim((0, 1, 4))?;
                pass.give(1, dgamma.reshape(pass.input(1).shape())?)?;
            }
        }
        if self.has_beta && pass.needs(self.beta_index()) {
            let dbeta = dy.sum_keepdim((0, 1, 4))?;
            pass.give(self.beta_index(), dbeta.reshape(pass.input(self.beta_index()).shape())?)?;
        }
        if !pass.needs(0) {
            return Ok(());
        }
        let mut dx = scaled.broadcast_mul(&inverse)?;
        if !given {
            let cube = (inverse.sqr()? * &inverse)?;
            let products = (&scaled * &centered)?.sum_keepdim((1, 3, 4))?;
            let mut dvariance = ((products * cube)? * -0.5)?;
            if let Some(more) = pass.gradient(2) {
                dvariance = (dvariance + self.of_sets(more)?)?;
            }
            let slope = (&dvariance * 2.0)?;
            let mut change = centered.broadcast_mul(&slope)?;
            if self.center {
                // The deviations that count do not quite add up to 0 where they are weighted.
                let deviation = shares.apply(&centered)?.sum_keepdim((1, 3, 4))?;
                let sum = (scaled.sum_keepdim((1, 3, 4))? * &inverse)?;
                let mut dmean = (sum.neg()? - (deviation * slope)?)?;
                if let Some(more) = pass.gradient(1) {
                    dmean = (dmean + self.of_sets(more)?)?;
                }
                change = change.broadcast_add(&dmean)?;
            }
            dx = (dx + shares.apply(&change)?)?;
        }
        pass.give(0, dx.reshape(pass.input(0).shape())?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        let weighted = matches!(self.source, Source::Values { weights: Some(_) });
        (!weighted && is_cpu_f32(device, dtype)).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Normalize {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let others: Vec<usize> = inputs.iter().skip(1).map(|t| t.data.len()).collect();
        self.check(inputs[0].data.len(), &others)?;
        let (x, dims) = (inputs[0].data, Shape::from(inputs[0].dims));
        let gamma = self.has_gamma.then(|| inputs[1].data);
        let beta = self.has_beta.then(|| inputs[self.beta_index()].data);
        let (sets, epsilon) = (self.sets, self.epsilon as f32);
        if let Source::Given { mean, variance } = &self.source {
            let y = with_slices([mean, variance], |[mean, variance]| {
                Ok(self.with_function(|function| {
                    normalize::normalize_with(
                        x,
                        sets,
                        (mean, variance),
                        epsilon,
                        gamma,
                        beta,
                        function,
                    )
                }))
            })?;
            return Ok((vec![(y, dims)], ()));
        }
        let out = self.with_function(|function| {
            normalize::normalize(x, sets, self.center, epsilon, gamma, beta, function)
        });
        let of_sets = Shape::from(out.mean.len());
        Ok((vec![(out.y, dims), (out.mean, of_sets.clone()), (out.variance, of_sets)], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (mean, variance, given) = match &self.source {
            Source::Values { .. } => (pass.output(1), pass.output(2), false),
            Source::Given { mean, variance } => (mean, variance, true),
        };
        let values = |t: Option<&Tensor>| -> Result<Option<Vec<f32>>> {
            t.map(|t| with_slice(t, |values| Ok(values.to_vec()))).transpose()
        };
        let more = |index: usize| if given { None } else { pass.gradient(index) };
        let (dmean, dvariance) = (values(more(1))?, values(more(2))?);
        let gamma = values(self.has_gamma.then(|| pass.input(1)))?;
        let beta = values(self.has_beta.then(|| pass.input(self.beta_index())))?;
        let dy = pass.gradient_or_zeros(0)?;
        let out = with_slices([&dy, pass.input(0), mean, variance], |[dy, x, mean, variance]| {
            let (center, epsilon) = (self.center, self.epsilon as f32);
            let statistics = Statistics { mean, variance, given, center, epsilon };
            let (dmean, dvariance) = (dmean.as_deref(), dvariance.as_deref());
            let upstream = Upstream { dy, dmean, dvariance };
            let (gamma, beta) = (gamma.as_deref(), beta.as_deref());
            Ok(self.with_function(|function| {
                let sets = self.sets;
                normalize::normalize_backward(x, sets, upstream, statistics, gamma, beta, function)
            }))
        })?;
        let like = |values: Vec<f32>, t: &Tensor| Tensor::from_vec(values, t.shape(), t.device());
        if pass.needs(0) {
            pass.give(0, like(out.dx, pass.input(0))?)?;
        }
        if self.has_gamma && pass.needs(1) {
            pass.give(1, like(out.dgamma, pass.input(1))?)?;
        }
        if self.has_beta && pass.needs(self.beta_index()) {
            pass.give(self.beta_index(), like(out.dbeta, pass.input(self.beta_index()))?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::{Relu, Tanh};
    use crate::gradient_check::{check_all, check_operation, sample};

    /// Of a batch, channels last and first; rows; groups, channels last and first; instances.
    const SETS: [[usize; 5]; 7] = [
        [1, 6, 3, 1, 1],
        [1, 2, 3, 1, 4],
        [4, 1, 1, 5, 1],
        [2, 3, 2, 2, 1],
        [2, 1, 2, 2, 3],
        [3, 5, 2, 1, 1],
        [1, 1, 1, 1, 1],
    ];

    fn sets([samples, positions, groups, channels, inner]: [usize; 5]) -> Sets {
        Sets { samples, positions, groups, channels, inner }
    }

    fn operation(sets: Sets, center: bool, affine: (bool, bool), source: Source) -> Normalize {
        let (has_gamma, has_beta) = affine;
        Normalize { sets, center, epsilon: 0.1, has_gamma, has_beta, source, activation: None }
    }

    fn inputs(sets: Sets, (has_gamma, has_beta): (bool, bool)) -> Vec<Tensor> {
        let mut inputs = vec![sample("x", &[sets.len()]).unwrap()];
        for (name, has) in [("gamma", has_gamma), ("beta", has_beta)] {
            inputs.extend(has.then(|| sample(name, &[sets.width()]).unwrap()));
        }
        inputs
    }

    #[test]
    fn gradients_and_forms_agree() {
        for sets in SETS.map(sets) {
            for affine in [(true, true), (true, false), (false, true), (false, false)] {
                for center in [true, false] {
                    let make = || operation(sets, center, affine, Source::Values { weights: None });
                    check_operation(make, &inputs(sets, affine)).unwrap();
                }
            }
        }
    }

    /// The results alone, without what comes of mean and variance: other paths of the kernels.
    #[test]
    fn results_alone_are_differentiated() {
        for sets in SETS.map(sets) {
            let y = |x: &[&Tensor], fuse: bool| {
                let normalization = Normalization {
                    sets,
                    center: true,
                    epsilon: 0.1,
                    gamma: Some(x[1]),
                    beta: Some(x[2]),
                };
                let operation = normalization.operation(Source::Values { weights: None });
                let inputs = normalization.inputs(x[0]);
                let mut results = match fuse {
                    true => operation.apply_all(&inputs)?,
                    false => operation.apply_all_composed(&inputs)?,
                };
                Ok(results.swap_remove(0))
            };
            let inputs = inputs(sets, (true, true));
            crate::gradient_check::check(|x| y(x, false), &inputs, 1e-6).unwrap();
            crate::gradient_check::check_forms(|x| y(x, true), |x| y(x, false), &inputs).unwrap();
        }
    }

    /// An activation inside: values and gradients of the two operations one after the other.
    #[test]
    fn activations_inside_agree_with_those_after() {
        let (relu, tanh): (Arc<dyn Activation>, Arc<dyn Activation>) =
            (Arc::new(Relu::default()), Arc::new(Tanh {}));
        for dims in [[1, 6, 3, 1, 1], [1, 700, 5, 1, 1], [1, 2, 3, 1, 4], [2, 3, 2, 2, 1]] {
            let sets = sets(dims);
            for activation in [&relu, &tanh] {
                let y = |x: &[&Tensor], inside: bool| {
                    let (center, gamma, beta) = (true, Some(x[1]), Some(x[2]));
                    let normalization = Normalization { sets, center, epsilon: 0.1, gamma, beta };
                    let [y, ..] = match inside {
                        true => normalization.apply_activated(x[0], None, Some(activation))?,
                        false => normalization.apply(x[0], None)?,
                    };
                    if inside { Ok(y) } else { activation.call(&y) }
                };
                let inputs = inputs(sets, (true, true));
                crate::gradient_check::check_forms(|x| y(x, true), |x| y(x, false), &inputs)
                    .unwrap();
            }
        }
    }

    #[test]
    fn given_statistics_are_constants() {
        for sets in SETS.map(sets) {
            let number = sets.samples * sets.groups;
            let mean = sample("mean", &[number]).unwrap();
            let variance = sample("variance", &[number]).unwrap().abs().unwrap();
            for dtype in [DType::F64, DType::F32] {
                let make = |x: &[&Tensor]| {
                    let [mean, variance] = [&mean, &variance].map(|statistics| {
                        statistics.to_dtype(dtype).unwrap().to_device(x[0].device()).unwrap()
                    });
                    operation(sets, true, (true, true), Source::Given { mean, variance })
                };
                let inputs = inputs(sets, (true, true));
                match dtype {
                    DType::F64 => {
                        check_all(|x| make(x).apply_all_composed(x), &inputs, 1e-6).unwrap();
                    }
                    _ => crate::gradient_check::check_forms(
                        |x| make(x).apply(x),
                        |x| make(x).apply_composed(x),
                        &inputs,
                    )
                    .unwrap(),
                }
            }
        }
    }

    #[test]
    fn weighted_values_are_differentiated() {
        for sets in SETS.map(sets) {
            let weights = sample("weights", &[sets.len()]).unwrap().abs().unwrap();
            let make = || {
                let source = Source::Values { weights: Some(weights.clone()) };
                operation(sets, true, (true, true), source)
            };
            check_all(|x| make().apply_all(x), &inputs(sets, (true, true)), 1e-6).unwrap();
        }
    }

    #[test]
    fn misfits_are_errors() {
        let sets = sets([1, 2, 3, 1, 1]);
        let normalization =
            |gamma| Normalization { sets, center: true, epsilon: 0.1, gamma, beta: None };
        let x = sample("x", &[7]).unwrap();
        assert!(normalization(None).apply(&x, None).is_err());
        let (x, gamma) = (sample("x", &[6]).unwrap(), sample("gamma", &[2]).unwrap());
        assert!(normalization(Some(&gamma)).apply(&x, None).is_err());
    }
}
