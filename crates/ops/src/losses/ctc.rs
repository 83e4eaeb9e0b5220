//! Connectionist temporal classification: `-ln` of the sum over all alignments of labels with frames, as one
//! operation by the forward-backward algorithm in log space. Logits `[batch, frames, classes]`, labels
//! `[batch, length]` padded with 0, which is also the class of the blank; result `[batch]`.
//!
//! The states of a sample are blank, label 1, blank, .., label N, blank. From one frame to the next a state
//! is kept, the next one is entered, or the blank between two labels is skipped. `alpha` is the logarithm
//! of the sum over the paths to a state up to a frame, `beta` of those from it on, and the gradient of the loss with regard
//! to the logits is `softmax(z) - sum over the states of a class(e^(alpha + beta + loss))`. As Keras, what
//! no path allows costs 1e5, so that labels too long for the frames have a large and finite loss.
//!
//! Graves et al., "Connectionist Temporal Classification", 2006; Keras's `ctc_loss` (of optax).

use crate::activations::log_softmax_rows;
use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, refuse_empty};
use candle_core::{D, DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{for_parts, with_labels, with_slice};

/// The cost of what labels do not allow: blanks that are skipped between equal labels, and starts in other states
/// than the first.
const FORBIDDEN: f64 = -1e5;

/// The logarithm of nothing, which sums ignore.
const NONE: f64 = -1e30;

/// The operation.
pub struct Ctc {
    labels: Tensor,
}

impl Ctc {
    /// For labels `[batch, length]`. Those outside the classes are an error that names the row.
    pub fn new(labels: Tensor) -> Self {
        Self { labels }
    }

    /// Batch, frames, classes and states of logits and labels.
    fn sizes(&self, logits: &[usize]) -> Result<(usize, usize, usize, usize)> {
        match (logits, self.labels.dims()) {
            (&[batch, frames, classes], &[rows, length])
                if batch == rows && frames > 0 && classes > 0 =>
            {
                Ok((batch, frames, classes, 2 * length + 1))
            }
            (logits, labels) => bail!(
                "ctc: logits {logits:?} and labels {labels:?}, expected [batch, frames, classes] and \
                 [batch, length]"
            ),
        }
    }
}

/// The states of all samples as tensors.
struct Lattice {
    /// The class of each state, I64 `[batch, states]`.
    classes: Tensor,
    /// What it costs to enter a state from the one before the last.
    skip: Tensor,
    /// 0 for the two states that a path may end in, else [`NONE`].
    ends: Tensor,
}

impl Lattice {
    fn new(labels: &Tensor, like: &Tensor) -> Result<Self> {
        refuse_empty("ctc", &[labels])?;
        let labels = labels.to_dtype(DType::I64)?;
        let (batch, length) = labels.dims2()?;
        let states = 2 * length + 1;
        let dtype = like.dtype();
        let blank = Tensor::zeros((batch, 1), DType::I64, like.device())?;
        let pairs = Tensor::stack(&[&labels.zeros_like()?, &labels], 2)?;
        let classes = Tensor::cat(&[&pairs.reshape((batch, 2 * length))?, &blank], 1)?;
        let before = shifted(&classes, 2, 0.0)?;
        let equal = classes.eq(&before)?.to_dtype(dtype)?;
        let costs: Vec<f64> =
            (0..states).map(|s| if s % 2 == 0 { NONE } else { FORBIDDEN }).collect();
        let costs = Tensor::new(costs, like.device())?.to_dtype(dtype)?;
        let skip = equal.broadcast_mul(&costs)?;
        let last = (labels.ne(0i64)?.to_dtype(dtype)?.sum_keepdim(1)? * 2.0)?;
        let position = Tensor::arange(0, states as i64, like.device())?.to_dtype(dtype)?;
        let behind = last.broadcast_sub(&position)?;
        let ends = ((behind.ge(0.0)? * behind.le(1.0)?)?.to_dtype(dtype)?.affine(-NONE, NONE))?;
        Ok(Self { classes, skip, ends })
    }

    /// The class of each state at each frame.
    fn index(&self, frames: usize) -> Result<Tensor> {
        let (batch, states) = self.classes.dims2()?;
        self.classes.unsqueeze(1)?.broadcast_as((batch, frames, states))?.contiguous()
    }
}

/// Rows moved by `by` places to the right (or left, where it is negative), filled up with `fill`.
fn shifted(x: &Tensor, by: isize, fill: f64) -> Result<Tensor> {
    let (batch, width) = x.dims2()?;
    let gap = by.unsigned_abs().min(width);
    let gap_values = Tensor::zeros((batch, gap), x.dtype(), x.device())?.affine(0.0, fill)?;
    match (gap == width, by > 0) {
        (true, _) => Ok(gap_values),
        (_, true) => Tensor::cat(&[&gap_values, &x.narrow(1, 0, width - gap)?], 1),
        (_, false) => Tensor::cat(&[&x.narrow(1, gap, width - gap)?, &gap_values], 1),
    }
}

/// `ln(e^a + e^b + e^c)`.
fn log_sum(terms: [&Tensor; 3]) -> Result<Tensor> {
    let largest = terms[0].maximum(terms[1])?.maximum(terms[2])?;
    let mut sum = largest.zeros_like()?;
    for term in terms {
        sum = (sum + (term - &largest)?.exp()?)?;
    }
    sum.log()? + largest
}

impl Operation for Ctc {
    /// alpha `[batch, frames + 1, states]`, from before the first frame on, and the loss `[batch, 1]`.
    type Saved = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "ctc"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Self::Saved)> {
        let z = inputs[0];
        let (batch, frames, _, states) = self.sizes(z.dims())?;
        let lattice = Lattice::new(&self.labels, z)?;
        let emitted = log_softmax_rows(z)?.gather(&lattice.index(frames)?, D::Minus1)?;
        let mut start = vec![FORBIDDEN; states];
        start[0] = 0.0;
        let start = Tensor::new(start, z.device())?.to_dtype(z.dtype())?;
        let mut alphas = vec![start.broadcast_as((batch, states))?.contiguous()?];
        for frame in 0..frames {
            let alpha = &alphas[frame];
            let next = shifted(alpha, 1, NONE)?;
            let skipped = (shifted(alpha, 2, NONE)? + &lattice.skip)?;
            let entered = log_sum([alpha, &next, &skipped])?;
            alphas.push((entered + emitted.narrow(1, frame, 1)?.squeeze(1)?)?);
        }
        let ends = (&alphas[frames] + &lattice.ends)?;
        let largest = ends.max_keepdim(1)?;
        let sum = ends.broadcast_sub(&largest)?.exp()?.sum_keepdim(1)?.log()?;
        let losses = (sum + largest)?.neg()?;
        Ok((vec![losses.squeeze(1)?], (Tensor::stack(&alphas, 1)?, losses)))
    }

    fn backward(&self, (alphas, losses): Self::Saved, pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let z = pass.input(0);
        let (_, frames, _, _) = self.sizes(z.dims())?;
        let lattice = Lattice::new(&self.labels, z)?;
        let index = lattice.index(frames)?;
        let logs = log_softmax_rows(z)?;
        let emitted = logs.gather(&index, D::Minus1)?;
        let mut beta = lattice.ends.clone();
        let mut shares = Vec::with_capacity(frames);
        for frame in (0..frames).rev() {
            let alpha = alphas.narrow(1, frame + 1, 1)?.squeeze(1)?;
            shares.push((alpha + &beta)?.broadcast_add(&losses)?.exp()?);
            let from = (beta + emitted.narrow(1, frame, 1)?.squeeze(1)?)?;
            let next = shifted(&from, -1, NONE)?;
            let skipped = shifted(&(&from + &lattice.skip)?, -2, NONE)?;
            beta = log_sum([&from, &next, &skipped])?;
        }
        shares.reverse();
        let shares = Tensor::stack(&shares, 1)?.contiguous()?;
        let used = z.zeros_like()?.scatter_add(&index, &shares, D::Minus1)?;
        let gradient = gradient.reshape(((), 1, 1))?;
        pass.give(0, (logs.exp()? - used)?.broadcast_mul(&gradient)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<Self::Saved>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<Self::Saved>)
    }
}

/// The states of one sample.
struct States {
    /// The class of each.
    classes: Vec<usize>,
    /// What it costs to enter each from the one before the last.
    skip: Vec<f64>,
    /// The last one: the blank after the last label.
    last: usize,
}

impl States {
    /// Of labels within the classes; those of 0 count as padding.
    fn new(labels: &[i64]) -> Self {
        let mut classes = vec![0; 2 * labels.len() + 1];
        for (state, label) in classes.iter_mut().skip(1).step_by(2).zip(labels) {
            *state = usize::try_from(*label).unwrap_or(0);
        }
        let skip = (0..classes.len())
            .map(|s| match s {
                _ if s % 2 == 0 || s < 2 => NONE,
                _ if classes[s] == classes[s - 2] => FORBIDDEN,
                _ => 0.0,
            })
            .collect();
        let last = 2 * labels.iter().filter(|label| **label != 0).count();
        Self { classes, skip, last }
    }

    /// ln(p) of each state's class at a frame, and the logarithm of the sum that probabilities are divided by.
    fn emitted(&self, z: &[f32], out: &mut [f64]) -> f64 {
        let largest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = z.iter().map(|z| f64::from(z - largest).exp()).sum();
        let total = f64::from(largest) + sum.ln();
        for (out, class) in out.iter_mut().zip(&self.classes) {
            *out = f64::from(z[*class]) - total;
        }
        total
    }

    /// Fills `alpha`, `[frames + 1, states]`.
    fn forward(&self, z: &[f32], alpha: &mut [f64]) {
        let states = self.classes.len();
        let (frames, width) = (alpha.len() / states - 1, z.len() * states / (alpha.len() - states));
        alpha[..states].fill(FORBIDDEN);
        alpha[0] = 0.0;
        let mut emitted = vec![0.0; states];
        for frame in 0..frames {
            self.emitted(&z[frame * width..(frame + 1) * width], &mut emitted);
            let (past, next) = alpha[frame * states..].split_at_mut(states);
            for s in 0..states {
                let one = if s > 0 { past[s - 1] } else { NONE };
                let two = if s > 1 { past[s - 2] + self.skip[s] } else { NONE };
                next[s] = log_sum_of(past[s], one, two) + emitted[s];
            }
        }
    }

    /// The loss, from the last row of alpha.
    fn loss(&self, alpha: &[f64]) -> f64 {
        let before = if self.last > 0 { alpha[self.last - 1] } else { NONE };
        -log_sum_of(alpha[self.last], before, NONE)
    }

    /// Fills the gradient of `gradient * loss` with regard to `z`.
    fn backward(&self, z: &[f32], alpha: &[f64], gradient: f64, dz: &mut [f32]) {
        let states = self.classes.len();
        let (frames, width) = (alpha.len() / states - 1, z.len() * states / (alpha.len() - states));
        let loss = self.loss(&alpha[frames * states..]);
        let mut beta = vec![NONE; states];
        beta[self.last] = 0.0;
        if self.last > 0 {
            beta[self.last - 1] = 0.0;
        }
        let (mut emitted, mut from) = (vec![0.0; states], vec![0.0; states]);
        let mut used = vec![0.0; width];
        for frame in (0..frames).rev() {
            let z = &z[frame * width..(frame + 1) * width];
            let total = self.emitted(z, &mut emitted);
            used.fill(0.0);
            let alpha = &alpha[(frame + 1) * states..(frame + 2) * states];
            for s in 0..states {
                used[self.classes[s]] += (alpha[s] + beta[s] + loss).exp();
                from[s] = beta[s] + emitted[s];
            }
            for s in 0..states {
                let one = if s + 1 < states { from[s + 1] } else { NONE };
                let two = if s + 2 < states { from[s + 2] + self.skip[s + 2] } else { NONE };
                beta[s] = log_sum_of(from[s], one, two);
            }
            for ((dz, z), used) in dz[frame * width..].iter_mut().zip(z).zip(&used) {
                *dz = (gradient * ((f64::from(*z) - total).exp() - used)) as f32;
            }
        }
    }
}

fn log_sum_of(a: f64, b: f64, c: f64) -> f64 {
    let largest = a.max(b).max(c);
    largest + ((a - largest).exp() + (b - largest).exp() + (c - largest).exp()).ln()
}

impl Ctc {
    /// The states of each sample; refuses labels outside the classes.
    fn states(&self, classes: usize, length: usize) -> Result<Vec<States>> {
        let batch = self.labels.dim(0)?;
        with_labels(&self.labels, |labels| {
            let outside = |label: &i64| !usize::try_from(*label).is_ok_and(|label| label < classes);
            if let Some(at) = labels.iter().position(outside) {
                bail!(
                    "the label {} in row {} is outside the {classes} classes (0 to {})",
                    labels[at],
                    at / length.max(1),
                    classes.saturating_sub(1)
                )
            }
            let row = |row: usize| States::new(&labels[row * length..(row + 1) * length]);
            Ok((0..batch).map(row).collect())
        })
    }
}

/// In f64, one part a sample.
impl Kernel<(Tensor, Tensor)> for Ctc {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, (Tensor, Tensor))> {
        let Input { data: z, dims, .. } = inputs[0];
        let (batch, frames, classes, states) = self.sizes(dims)?;
        let samples = self.states(classes, states / 2)?;
        let (width, part) = (frames * classes, (frames + 1) * states);
        let mut alphas = vec![0f64; batch * part];
        for_parts(&mut alphas, part, |start, alpha| {
            let row = start / part;
            samples[row].forward(&z[row * width..(row + 1) * width], alpha);
        });
        let ends = alphas.chunks_exact(part).map(|alpha| &alpha[frames * states..]);
        let losses: Vec<f64> = samples.iter().zip(ends).map(|(s, ends)| s.loss(ends)).collect();
        let values = losses.iter().map(|loss| *loss as f32).collect();
        let alphas = Tensor::from_vec(alphas, (batch, frames + 1, states), &Device::Cpu)?;
        let losses = Tensor::from_vec(losses, (batch, 1), &Device::Cpu)?;
        Ok((vec![(values, Shape::from(batch))], (alphas, losses)))
    }

    fn backward(&self, (alphas, _): (Tensor, Tensor), pass: &mut Pass<'_>) -> Result<()> {
        let gradient = pass.dy()?;
        let z = pass.input(0);
        let (_, frames, classes, states) = self.sizes(z.dims())?;
        let samples = self.states(classes, states / 2)?;
        let alphas = alphas.flatten_all()?.to_vec1::<f64>()?;
        let (width, part) = (frames * classes, (frames + 1) * states);
        let mut dz = vec![0f32; z.elem_count()];
        with_slice(z, |z| {
            with_slice(gradient, |gradient| {
                for_parts(&mut dz, width, |start, dz| {
                    let row = start / width;
                    let z = &z[row * width..(row + 1) * width];
                    let alpha = &alphas[row * part..(row + 1) * part];
                    samples[row].backward(z, alpha, f64::from(gradient[row]), dz);
                });
                Ok(())
            })
        })?;
        pass.give(0, Tensor::from_vec(dz, z.shape(), z.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{check, check_operation_on, sample};

    fn labels(rows: &[[i64; 3]]) -> Tensor {
        Tensor::new(rows.concat(), &Device::Cpu).unwrap().reshape((rows.len(), 3)).unwrap()
    }

    #[test]
    fn gradients_and_forms_agree() {
        // Different labels, equal ones, padding, and none at all.
        let rows = [[1, 2, 3], [2, 2, 1], [3, 0, 0], [0, 0, 0]];
        for frames in [4, 7] {
            let z = sample("z", &[4, frames, 4]).unwrap();
            let make = |device: &Device| Ctc::new(labels(&rows).to_device(device).unwrap());
            check_operation_on(make, &[z]).unwrap();
        }
        let none = Tensor::zeros((2, 0), DType::I64, &Device::Cpu).unwrap();
        let z = sample("z", &[2, 3, 4]).unwrap();
        check(|z| Ctc::new(none.clone()).apply_composed(z), std::slice::from_ref(&z), 1e-6)
            .unwrap();
        let z = z.to_dtype(DType::F32).unwrap();
        let fused = Ctc::new(none.clone()).apply(&[&z]).unwrap().to_vec1::<f32>().unwrap();
        let composed = Ctc::new(none).apply_composed(&[&z]).unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in fused.iter().zip(composed) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }

    /// Labels that no alignment of the frames gives: a large loss, and gradients that are finite.
    #[test]
    fn too_many_labels_for_the_frames() {
        let rows = [[1, 1, 1], [2, 2, 2], [1, 2, 1], [3, 3, 0]];
        for frames in [1, 2] {
            let z = sample("z", &[4, frames, 4]).unwrap().to_dtype(DType::F32).unwrap();
            let run = |dtype: DType| {
                let _tape = sconce_core::Tape::current_or_new();
                let z = candle_core::Var::from_tensor(&z.to_dtype(dtype).unwrap()).unwrap();
                let y = Ctc::new(labels(&rows)).apply(&[&z]).unwrap();
                let total = y.sum_all().unwrap();
                let dz = sconce_core::gradients(&total, &[&z]).unwrap().remove(0).unwrap();
                let values = [y.flatten_all().unwrap(), dz.flatten_all().unwrap()];
                values.map(|x| x.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()).concat()
            };
            let fused = run(DType::F32);
            assert!(fused[..3].iter().all(|loss| *loss > 9e4), "{fused:?}");
            // Both in f64.
            for (a, b) in fused.iter().zip(run(DType::F64)) {
                assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{frames} frames: {a} {b}");
            }
        }
    }

    /// The sum over all alignments, one by one.
    #[test]
    fn all_alignments_are_summed() {
        let (frames, classes) = (4usize, 3usize);
        let z = sample("z", &[1, frames, classes]).unwrap();
        let p = log_softmax_rows(&z).unwrap().squeeze(0).unwrap().exp().unwrap();
        let p = p.to_vec2::<f64>().unwrap();
        for wanted in [vec![1], vec![1, 2], vec![1, 1], vec![2, 1, 2], vec![]] {
            let mut sum = 0.0;
            for code in 0..classes.pow(frames as u32) {
                let path: Vec<usize> =
                    (0..frames).map(|t| code / classes.pow(t as u32) % classes).collect();
                let mut read = path.clone();
                read.dedup();
                read.retain(|class| *class != 0);
                if read == wanted {
                    sum += path.iter().enumerate().map(|(t, class)| p[t][*class]).product::<f64>();
                }
            }
            let mut padded = [0; 3];
            for (to, label) in padded.iter_mut().zip(&wanted) {
                *to = *label as i64;
            }
            let loss = Ctc::new(labels(&[padded])).apply(&[&z]).unwrap();
            let loss = loss.to_vec1::<f64>().unwrap()[0];
            assert!((loss + sum.ln()).abs() < 1e-9, "{wanted:?}: {loss}, {}", -sum.ln());
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let z = Tensor::zeros((1, 3, 3), DType::F32, &Device::Cpu).unwrap();
        let error = Ctc::new(labels(&[[1, 3, 0]])).apply(&[&z]).unwrap_err().to_string();
        assert!(error.contains("the label 3 in row 0 is outside the 3 classes"), "{error}");
        let error = Ctc::new(labels(&[[1, 0, 0], [1, 0, 0]])).apply(&[&z]).unwrap_err().to_string();
        assert!(error.contains("expected [batch, frames, classes]"), "{error}");
    }
}
