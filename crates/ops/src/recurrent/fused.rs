//! The loops on the CPU: rows of the batch in blocks, each of which goes through all steps by itself,
//! so that threads meet once, not at every step.
//!
//! What is kept of a block of rows is, step by step in the order of computation, the scratch of its
//! cell (`[gate.. of each row]`, then what else the cell keeps) and the states after the step, each
//! `[rows, units]`.

use super::{Cell, Recurrent, Saved};
use crate::dense::column_sums;
use crate::op::{Input, Kernel, Values};
use candle_core::{DType, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{Matrix, build_parts_of, product, with_slice};
use std::ops::Range;

/// Rows in a block: enough for the product with the recurrent kernel, few enough for several threads.
const ROWS: usize = 16;

/// The number of rows and units that a step of a block has.
#[derive(Clone, Copy)]
pub struct Size {
    pub rows: usize,
    pub units: usize,
}

/// One step of a cell in loops on the CPU. Lengths are in units, of each row. The first weight is the
/// recurrent kernel `[units, gates * units]`, the second, if there is one, its bias.
pub trait FusedCell: Sync {
    /// Length of z.
    fn gates(&self) -> usize;

    /// Length of what is kept of a step besides the states: it begins with z.
    fn scratch(&self) -> usize;

    /// Whether the gradient of the recurrent product is not that of z.
    fn inner_differs(&self) -> bool {
        false
    }

    /// Where in the scratch that is which the kernel's columns of the last gate multiply, if it is not the state
    /// before the step.
    fn last_operand(&self) -> Option<usize> {
        None
    }

    /// Computes the states after a step; `scratch` begins with z. False if shapes do not fit.
    fn forward(
        &self,
        size: Size,
        scratch: &mut [f32],
        new: &mut [f32],
        old: &[f32],
        weights: &[&[f32]],
    ) -> bool;

    /// Turns `d`, the gradient of the states after a step, into that of the states before it, and
    /// writes the gradient of z and, where it differs, that of the recurrent product.
    fn backward(&self, step: StepBack<'_>) -> bool;
}

/// A step on the way back.
pub struct StepBack<'a> {
    pub size: Size,
    pub scratch: &'a [f32],
    pub old: &'a [f32],
    pub d: &'a mut [f32],
    pub dz: &'a mut [f32],
    pub d_inner: &'a mut [f32],
    /// The recurrent kernel, transposed: products with it need not copy it at each step.
    pub transposed: &'a [f32],
}

/// `out += rows kernel`.
pub fn add_product(out: &mut [f32], rows: &[f32], count: usize, kernel: &[f32]) -> bool {
    let (inner, columns) = (rows.len() / count.max(1), out.len() / count.max(1));
    match (Matrix::new(rows, count, inner), Matrix::new(kernel, inner, columns)) {
        (Some(rows), Some(kernel)) => product(out, rows, kernel, true),
        _ => false,
    }
}

/// The gradient of some columns of a kernel `width` wide, from the rows it multiplies and the gradient of the products.
fn gradient_of_columns(
    out: &mut [f32],
    width: usize,
    columns: Range<usize>,
    rows: Matrix<'_>,
    d: Matrix<'_>,
    accumulate: bool,
) -> bool {
    let count = columns.len();
    let Some(d) = d.column_range(columns.clone()) else { return false };
    let mut part = vec![0.0; rows.columns() * count];
    if !product(&mut part, rows.t(), d, false) {
        return false;
    }
    for (out, part) in out.chunks_exact_mut(width).zip(part.chunks_exact(count)) {
        let out = &mut out[columns.clone()];
        if accumulate {
            out.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        } else {
            out.copy_from_slice(part);
        }
    }
    true
}

/// Which steps count.
struct Mask {
    steps: usize,
    /// `[batch, steps]`.
    counts: Vec<bool>,
    /// The first step that counts of each row, in the order of computation.
    first: Vec<usize>,
    zero_output: bool,
}

impl Mask {
    fn counts(&self, row: usize, place: usize) -> bool {
        self.counts[row * self.steps + place]
    }

    /// Whether a row puts out its state at a step, which is at a place: see [`super::Steps::shows`].
    fn shows(&self, row: usize, step: usize, place: usize) -> bool {
        if self.zero_output { self.counts(row, place) } else { step >= self.first[row] }
    }
}

/// Lengths of a call.
#[derive(Clone, Copy)]
struct Plan {
    batch: usize,
    steps: usize,
    units: usize,
    gates: usize,
    scratch: usize,
    states: usize,
}

impl Plan {
    fn new(cell: &dyn FusedCell, states: usize, inputs: &[&[usize]], name: &str) -> Result<Self> {
        let misfit = || bail!("{name}: z, states and weights of shapes {inputs:?} do not fit");
        let [[batch, steps, width], rest @ ..] = inputs else { return misfit() };
        let (given, weights) = rest.split_at(states);
        let Some([_, units]) = given.first() else { return misfit() };
        let fits = *width == cell.gates() * units
            && given.iter().all(|state| *state == [*batch, *units])
            && weights.first().is_some_and(|kernel| *kernel == [*units, *width])
            && weights.get(1).is_none_or(|bias| *bias == [*width])
            && *units > 0;
        if !fits {
            return misfit();
        }
        let (gates, scratch) = (cell.gates(), cell.scratch());
        Ok(Self { batch: *batch, steps: *steps, units: *units, gates, scratch, states })
    }

    fn width(&self) -> usize {
        self.gates * self.units
    }

    /// What is kept of a row and step.
    fn kept(&self) -> usize {
        (self.scratch + self.states) * self.units
    }

    fn rows(&self, block: usize) -> usize {
        ROWS.min(self.batch - block * ROWS)
    }

    /// The states of a block's rows: `[states, rows, units]`.
    fn gather(&self, block: usize, states: &[&[f32]]) -> Vec<f32> {
        let (start, end) = (block * ROWS * self.units, self.units);
        let end = start + self.rows(block) * end;
        states.iter().flat_map(|state| &state[start..end]).copied().collect()
    }

    /// Blocks of `[states, rows, units]` as one tensor for each state.
    fn scatter(&self, packed: &[f32]) -> Vec<Vec<f32>> {
        let mut out = vec![Vec::with_capacity(self.batch * self.units); self.states];
        for block in packed.chunks((ROWS * self.states * self.units).max(1)) {
            let len = block.len() / self.states;
            for (state, values) in out.iter_mut().zip(block.chunks_exact(len)) {
                state.extend_from_slice(values);
            }
        }
        out
    }
}

impl<C: Cell> Recurrent<C> {
    fn fused(&self) -> Result<&dyn FusedCell> {
        match self.cell.fused() {
            Some(cell) => Ok(cell),
            None => bail!("{}: has no loops on the CPU", C::NAME),
        }
    }

    /// Which steps count.
    fn mask(&self, plan: Plan) -> Result<Option<Mask>> {
        let Some(mask) = &self.steps.mask else { return Ok(None) };
        if mask.dims() != [plan.batch, plan.steps] {
            bail!(
                "{}: a mask of shape {:?} does not fit {} sequences of {} steps",
                C::NAME,
                mask.dims(),
                plan.batch,
                plan.steps
            )
        }
        let counts = mask.flatten_all()?.ne(0.0)?.to_dtype(DType::U8)?.to_vec1::<u8>()?;
        let counts: Vec<bool> = counts.into_iter().map(|count| count != 0).collect();
        let steps = plan.steps;
        let first = |row: &[bool]| (0..steps).find(|step| row[self.steps.place(*step, steps)]);
        let first =
            counts.chunks_exact(steps.max(1)).map(|row| first(row).unwrap_or(steps)).collect();
        Ok(Some(Mask { steps, counts, first, zero_output: self.steps.zero_output_for_mask }))
    }
}

impl<C: Cell> Kernel<Saved> for Recurrent<C> {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, Saved)> {
        let dims: Vec<&[usize]> = inputs.iter().map(|input| input.dims).collect();
        self.check(dims[0], inputs.len() - 1)?;
        let cell = self.fused()?;
        let plan = Plan::new(cell, C::STATES, &dims, C::NAME)?;
        let mask = self.mask(plan)?;
        let data: Vec<&[f32]> = inputs.iter().map(|input| input.data).collect();
        let (z, states, weights) = (data[0], &data[1..1 + C::STATES], &data[1 + C::STATES..]);
        let Plan { batch, steps, units, .. } = plan;
        let outputs = if self.steps.return_sequences { steps } else { 1 };
        let lengths = [steps * plan.kept(), outputs * units, C::STATES * units]
            .map(|of_row| (batch * of_row, ROWS * of_row));
        let fits = std::sync::atomic::AtomicBool::new(true);
        let [saved, y, last] = build_parts_of(lengths, |block, [saved, y, last]| {
            let (rows, width) = (plan.rows(block), plan.width());
            let size = Size { rows, units };
            let first = plan.gather(block, states);
            let (mut old, mut rest): (&[f32], &mut [f32]) = (&first, saved);
            for step in 0..steps {
                let place = self.steps.place(step, steps);
                let (now, later) = std::mem::take(&mut rest).split_at_mut(rows * plan.kept());
                let (scratch, new) = now.split_at_mut(rows * plan.scratch * units);
                for (row, to) in scratch.chunks_exact_mut(width).take(rows).enumerate() {
                    let from = ((block * ROWS + row) * steps + place) * width;
                    to.copy_from_slice(&z[from..from + width]);
                }
                if !cell.forward(size, scratch, new, old, weights) {
                    fits.store(false, std::sync::atomic::Ordering::Relaxed);
                    return;
                }
                let counts =
                    |row| mask.as_ref().is_none_or(|mask| mask.counts(block * ROWS + row, place));
                let shows = |row| {
                    mask.as_ref().is_none_or(|mask| mask.shows(block * ROWS + row, step, place))
                };
                for row in (0..rows).filter(|row| !counts(*row)) {
                    for state in 0..C::STATES {
                        let range = (state * rows + row) * units..(state * rows + row + 1) * units;
                        new[range.clone()].copy_from_slice(&old[range]);
                    }
                }
                if self.steps.return_sequences || step + 1 == steps {
                    let at = if self.steps.return_sequences { step } else { 0 };
                    for (row, h) in new.chunks_exact(units).take(rows).enumerate() {
                        if shows(row) {
                            let to = (row * outputs + at) * units;
                            y[to..to + units].copy_from_slice(h);
                        }
                    }
                }
                (old, rest) = (new, later);
            }
            last.copy_from_slice(old);
        });
        if !fits.into_inner() {
            bail!("{}: shapes do not fit", C::NAME)
        }
        let shape = match self.steps.return_sequences {
            true => Shape::from((batch, steps, units)),
            false => Shape::from((batch, units)),
        };
        let states = plan.scatter(&last).into_iter().map(|s| (s, Shape::from((batch, units))));
        Ok((std::iter::once((y, shape)).chain(states).collect(), Saved::Fused(saved)))
    }

    fn backward(&self, saved: Saved, pass: &mut Pass<'_>) -> Result<()> {
        let Saved::Fused(saved) = saved else { bail!("{}: saved in another form", C::NAME) };
        let cell = self.fused()?;
        let inputs: Vec<&Tensor> = (0..pass.input_count()).map(|i| pass.input(i)).collect();
        let dims: Vec<&[usize]> = inputs.iter().map(|input| input.dims()).collect();
        let plan = Plan::new(cell, C::STATES, &dims, C::NAME)?;
        let mask = self.mask(plan)?;
        let Plan { batch, steps, units, .. } = plan;
        let width = plan.width();
        let values = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
        let kernel = inputs.get(1 + C::STATES).map(|kernel| values(&kernel.t()?)).transpose()?;
        let transposed = kernel.unwrap_or_default();
        let first =
            inputs[1..1 + C::STATES].iter().map(|s| values(s)).collect::<Result<Vec<_>>>()?;
        let first: Vec<&[f32]> = first.iter().map(Vec::as_slice).collect();
        let ends = (0..C::STATES)
            .map(|k| values(&pass.gradient_or_zeros(1 + k)?))
            .collect::<Result<Vec<_>>>()?;
        let ends: Vec<&[f32]> = ends.iter().map(Vec::as_slice).collect();
        let inner_width = if cell.inner_differs() { width } else { 0 };
        let operand_width = if cell.last_operand().is_some() { units } else { 0 };
        let lengths = [
            steps * width,
            steps * inner_width,
            steps * units,
            steps * operand_width,
            C::STATES * units,
        ]
        .map(|of_row| (batch * of_row, ROWS * of_row));
        let fits = std::sync::atomic::AtomicBool::new(true);
        let back = |dy: &[f32]| {
            build_parts_of(lengths, |block, [dz, d_inner, previous, operands, d_first]| {
                let rows = plan.rows(block);
                let size = Size { rows, units };
                let saved = &saved[block * ROWS * steps * plan.kept()..];
                let start = plan.gather(block, &first);
                let mut d = plan.gather(block, &ends);
                let mut kept = Vec::new();
                let mut dz_step = vec![0.0; rows * width];
                let mut inner_step = vec![0.0; if d_inner.is_empty() { 0 } else { rows * width }];
                for step in (0..steps).rev() {
                    let place = self.steps.place(step, steps);
                    let now = &saved[step * rows * plan.kept()..][..rows * plan.kept()];
                    let scratch = &now[..rows * plan.scratch * units];
                    let old = match step.checked_sub(1) {
                        Some(before) => {
                            let end = (before + 1) * rows * plan.kept();
                            &saved[end - rows * C::STATES * units..end]
                        }
                        None => &start,
                    };
                    let counts = |row| {
                        mask.as_ref().is_none_or(|mask| mask.counts(block * ROWS + row, place))
                    };
                    let shows = |row| {
                        mask.as_ref().is_none_or(|mask| mask.shows(block * ROWS + row, step, place))
                    };
                    let outputs = if self.steps.return_sequences { steps } else { 1 };
                    if !dy.is_empty() && (self.steps.return_sequences || step + 1 == steps) {
                        let at = if self.steps.return_sequences { step } else { 0 };
                        for (row, dh) in d.chunks_exact_mut(units).take(rows).enumerate() {
                            if shows(row) {
                                let from = ((block * ROWS + row) * outputs + at) * units;
                                for (d, dy) in dh.iter_mut().zip(&dy[from..from + units]) {
                                    *d += dy;
                                }
                            }
                        }
                    }
                    if mask.is_some() {
                        kept.clone_from(&d);
                    }
                    if !cell.backward(StepBack {
                        size,
                        scratch,
                        old,
                        d: &mut d,
                        dz: &mut dz_step,
                        d_inner: &mut inner_step,
                        transposed: &transposed,
                    }) {
                        fits.store(false, std::sync::atomic::Ordering::Relaxed);
                        return;
                    }
                    for row in 0..rows {
                        let to = (row * steps + place) * width;
                        if counts(row) {
                            let from = row * width..(row + 1) * width;
                            dz[to..to + width].copy_from_slice(&dz_step[from.clone()]);
                            if !d_inner.is_empty() {
                                d_inner[to..to + width].copy_from_slice(&inner_step[from]);
                            }
                        } else {
                            for state in 0..C::STATES {
                                let at = (state * rows + row) * units;
                                d[at..at + units].copy_from_slice(&kept[at..at + units]);
                            }
                        }
                        let to = (row * steps + place) * units;
                        let of_row = row * units..(row + 1) * units;
                        previous[to..to + units].copy_from_slice(&old[of_row.clone()]);
                        if let Some(place) = cell.last_operand() {
                            let operand = &scratch[place * rows * units..][of_row];
                            operands[to..to + units].copy_from_slice(operand);
                        }
                    }
                }
                d_first.copy_from_slice(&d);
            })
        };
        let [dz, d_inner, previous, operands, d_first] = match pass.gradient(0) {
            Some(dy) => with_slice(dy, |dy| Ok(back(dy)))?,
            None => back(&[]),
        };
        if !fits.into_inner() {
            bail!("{}: shapes do not fit", C::NAME)
        }
        let inner = if cell.inner_differs() { &d_inner } else { &dz };
        pass.write(1 + C::STATES, |out, accumulate| {
            let rows = batch * steps;
            let h = Matrix::new(&previous, rows, units);
            let last =
                Matrix::new(&operands, rows, units).filter(|_| cell.last_operand().is_some());
            let fits = match (h, last, Matrix::new(inner, rows, width)) {
                (Some(h), None, Some(d)) => product(out, h.t(), d, accumulate),
                (Some(h), Some(last), Some(d)) => {
                    let start = width - units;
                    gradient_of_columns(out, width, 0..start, h, d, accumulate)
                        && gradient_of_columns(out, width, start..width, last, d, accumulate)
                }
                _ => false,
            };
            if fits { Ok(()) } else { bail!("{}: shapes do not fit", C::NAME) }
        })?;
        if pass.input_count() > 2 + C::STATES {
            pass.write(2 + C::STATES, |out, accumulate| {
                column_sums(out, inner, accumulate);
                Ok(())
            })?;
        }
        for (k, d) in plan.scatter(&d_first).into_iter().enumerate() {
            pass.give(1 + k, Tensor::from_vec(d, (batch, units), inputs[0].device())?)?;
        }
        pass.give(0, Tensor::from_vec(dz, (batch, steps, width), inputs[0].device())?)
    }
}
