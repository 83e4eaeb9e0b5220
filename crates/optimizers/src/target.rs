//! What an update rule changes, and how it computes the change element by element.

use super::clip::Prepare;
use sconce_core::{Result, Tensor};
use sconce_kernels::update;

/// One weight with its gradient and its slots.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The weight, decayed.
    pub weight: &'a Tensor,
    /// The gradient, of the weight's shape, clipped.
    pub gradient: &'a Tensor,
    /// The slots as [`UpdateRule::slots`](super::UpdateRule::slots) declares them.
    pub slots: &'a [Tensor],
    /// The rows (of the first axis) to change, if the others stay as they are.
    pub(crate) rows: Option<&'a [u32]>,
    /// What is left to do before the rule, for rules that do it in one pass with their own work.
    pub(crate) prepare: Option<Prepare>,
}

impl Target<'_> {
    /// `weight -= change * factor`.
    pub(crate) fn subtract(&self, change: &Tensor, factor: f64) -> Result<()> {
        if self.prepare.is_some() {
            let factor = factor as f32;
            let rule = move |w: f32, change: f32, []: [f32; 0]| (w - change * factor, []);
            return Ok(update::update(self.weight, change, [], rule)?);
        }
        Ok(update::assign(self.weight, &(self.weight - (change * factor)?)?)?)
    }
}

/// `to = from` for each, unless they are one.
pub(crate) fn assign_all(to: &[&Tensor], from: &[Tensor]) -> candle_core::Result<()> {
    let changed = to.iter().zip(from).filter(|(to, from)| to.id() != from.id());
    changed.into_iter().try_for_each(|(to, from)| update::assign(to, from))
}

/// What a formula gives: all of one type, also where there are no slots.
#[inline(always)]
pub(crate) fn result<N, const S: usize>(result: (N, [N; S])) -> (N, [N; S]) {
    result
}

/// Changes a target by a formula, written once: `(weight, [slots])` of weight, gradient and slots. On f32
/// memory of the CPU it runs in one pass, which takes in clipping and decay; elsewhere in candle's
/// operations.
macro_rules! elementwise {
    ($target:expr, [$($slot:expr),*], |$w:ident, $g:ident, [$($name:ident),*]| $body:expr) => {{
        let target: &$crate::Target<'_> = $target;
        match target.prepare {
            Some(prepare) => sconce_kernels::update::update_rows(
                target.weight,
                target.gradient,
                [$($slot),*],
                target.rows,
                #[inline(always)]
                move |w, g, [$($name),*]| {
                    let $w = sconce_ops::number::Scalar(prepare.weight(w));
                    let $g = sconce_ops::number::Scalar(prepare.gradient(g));
                    $(let $name = sconce_ops::number::Scalar($name);)*
                    let (w, [$($name),*]) = $crate::target::result($body);
                    (w.0, [$($name.0),*])
                },
            )
            .map_err(sconce_core::Error::from),
            None => sconce_ops::expression::compute_all(
                [target.weight, target.gradient, $($slot),*],
                |[$w, $g, $($name),*]| {
                    let (w, [$($name),*]) = $crate::target::result($body);
                    vec![w, $($name),*]
                },
            )
            .and_then(|new| $crate::target::assign_all(&[target.weight, $($slot),*], &new))
            .map_err(sconce_core::Error::from),
        }
    }};
}

pub(crate) use elementwise;
