//! ConvLSTM: an LSTM of images, whose products are convolutions.
//!
//! Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation nowcasting", 2015.

use super::lstm::states_after;
use super::{Cell, masked};
use crate::activations::{Activation, Linear};
use crate::windows::Axis;
use crate::{Epilogue, convolution};
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// The maths of a step. States h and c `[batch, spatial.., filters]`, z `[batch, spatial.., 4 filters]`;
/// weights: the recurrent kernel `[places.., filters, 4 filters]`.
#[derive(Clone)]
pub struct ConvLstm {
    /// Of the candidate and the result.
    pub activation: Arc<dyn Activation>,
    /// Of the gates.
    pub recurrent_activation: Arc<dyn Activation>,
    /// The windows over h, as many as it has places.
    pub axes: Vec<Axis>,
    /// Scaled masks of h for each gate, `[4, batch, spatial.., filters]`.
    pub recurrent_dropout: Option<Tensor>,
}

impl Cell for ConvLstm {
    const NAME: &'static str = "conv_lstm";
    const STATES: usize = 2;

    fn step(&self, z: &Tensor, states: &[Tensor], weights: &[Tensor]) -> Result<Vec<Tensor>> {
        let (h, c, kernel) = (&states[0], &states[1], &weights[0]);
        let linear: Arc<dyn Activation> = Arc::new(Linear::new());
        let product = |h: &Tensor, kernel: &Tensor| {
            convolution(h, kernel, &self.axes, 1, &Epilogue::new(None, &linear))
        };
        let inner = match &self.recurrent_dropout {
            None => product(h, kernel)?,
            Some(_) => {
                let last = kernel.rank() - 1;
                let filters = kernel.dim(last)? / 4;
                let gate = |i: usize| {
                    let kernel = kernel.narrow(last, i * filters, filters)?.contiguous()?;
                    product(&masked(h, &self.recurrent_dropout, i)?, &kernel)
                };
                Tensor::cat(&(0..4).map(gate).collect::<Result<Vec<_>>>()?, h.rank() - 1)?
            }
        };
        states_after(&(z + inner)?, c, &self.activation, &self.recurrent_activation)
    }
}
