//! What a product does with its results while they are in the cache: a factor, a bias and an activation.

use crate::activations::Activation;
use candle_core::{Result, Tensor, bail};
use sconce_kernels::{vectorized, with_slice};
use std::sync::Arc;

/// `f(scale p + bias)` of the products p, with a factor and a bias for each value of their last axis.
#[derive(Clone, Copy)]
pub struct Epilogue<'a> {
    /// The factors, which are not differentiated: those of the normalization after a layer, in prediction.
    pub scale: Option<&'a Tensor>,
    /// The bias.
    pub bias: Option<&'a Tensor>,
    /// f. On the CPU in f32, one that fuses runs with the rest.
    pub activation: &'a Arc<dyn Activation>,
}

impl<'a> Epilogue<'a> {
    /// `f(p + bias)`.
    pub fn new(bias: Option<&'a Tensor>, activation: &'a Arc<dyn Activation>) -> Self {
        Self { scale: None, bias, activation }
    }

    /// With a factor for each value of the last axis.
    pub fn scaled(self, scale: Option<&'a Tensor>) -> Self {
        Self { scale, ..self }
    }
}

/// The factor and the activation of an operation whose further input is the bias.
#[derive(Clone, Default)]
pub(crate) struct Finish {
    pub(crate) scale: Option<Tensor>,
    /// In the fused form only.
    pub(crate) activation: Option<Arc<dyn Activation>>,
}

impl Finish {
    /// Of an operation; the activation only if it is to run inside.
    pub(crate) fn of(epilogue: &Epilogue<'_>, fuse: bool) -> Self {
        Self {
            scale: epilogue.scale.map(Tensor::detach),
            activation: fuse.then(|| epilogue.activation.clone()),
        }
    }

    /// Without the activation, on any device.
    pub(crate) fn composed(&self, y: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let y = match &self.scale {
            Some(scale) => y.broadcast_mul(scale)?,
            None => y,
        };
        match bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// Calls `run` with the factors; none, if there are none.
    pub(crate) fn with_scale<R>(
        &self,
        channels: usize,
        run: impl FnOnce(Option<&[f32]>) -> Result<R>,
    ) -> Result<R> {
        match &self.scale {
            None => run(None),
            Some(scale) => with_slice(scale, |scale| {
                if scale.len() != channels {
                    bail!("{} factors do not fit {channels} channels", scale.len())
                }
                run(Some(scale))
            }),
        }
    }

    /// Of whole rows, in place.
    pub(crate) fn run(&self, rows: &mut [f32], scale: Option<&[f32]>, bias: Option<&[f32]>) {
        if let Some(width) = scale.or(bias).map(<[f32]>::len).filter(|width| *width > 0) {
            vectorized(
                #[inline(always)]
                || {
                    for row in rows.chunks_exact_mut(width) {
                        if let Some(scale) = scale {
                            row.iter_mut().zip(scale).for_each(|(y, scale)| *y *= scale);
                        }
                        if let Some(bias) = bias {
                            row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
                        }
                    }
                },
            );
        }
        if let Some(activation) = &self.activation {
            activation.map_in_place(rows);
        }
    }

    /// The gradient of the operation is not that of a scaled one.
    pub(crate) fn check_differentiated(&self) -> Result<()> {
        match self.scale {
            Some(_) => bail!("an epilogue with factors is not differentiated"),
            None => Ok(()),
        }
    }
}
