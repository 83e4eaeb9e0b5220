//! For loops of your own, in PyTorch's or MLX's manner: batches, gradients, clipping, updates.

use crate::model::Model;
use crate::optimizers::{Optimizer, OptimizerState};
use sconce_core::{Context, DType, Gradients, Result, Tensor};
use sconce_data::{BatchPlan, Shuffle, ToTensor};
use sconce_kernels::gather_rows;

/// The batches of one epoch, in the order `fit` with this seed takes them: `(x, y)` tensors, floats
/// as `F32`, the last one possibly smaller.
pub fn batches<X: ToTensor + ?Sized, Y: ToTensor + ?Sized>(
    x: &X,
    y: &Y,
    batch_size: usize,
    seed: u64,
    epoch: usize,
) -> Result<impl Iterator<Item = Result<(Tensor, Tensor)>> + use<X, Y>> {
    let (x, y) = (to_floatx(x.to_tensor()?)?, to_floatx(y.to_tensor()?)?);
    let rows = sconce_data::check::rows([("x", &x), ("y", &y)])?;
    let order = Shuffle::Rows.order(seed, epoch as u64, rows, batch_size)?.unwrap_or_default();
    Ok(BatchPlan::new(rows, batch_size)?.batches(epoch).map(move |range| {
        let rows = order.get(range).unwrap_or(&[]);
        Ok((gather_rows(&x, rows)?, gather_rows(&y, rows)?))
    }))
}

/// Floats in the type that models compute in, as Keras's `floatx`.
fn to_floatx(x: Tensor) -> Result<Tensor> {
    let x = if x.dtype().is_float() { x.to_dtype(DType::F32)? } else { x };
    Ok(x.contiguous()?)
}

/// The value of a function of the model (a scalar loss), and its gradients with respect to the
/// trainable weights. MLX's `nn.value_and_grad`.
///
/// `cx` is what the function passes to [`Model::forward`].
pub fn value_and_grad(
    model: &Model,
    cx: &mut Context,
    loss: impl FnOnce(&Model, &mut Context) -> Result<Tensor>,
) -> Result<(Tensor, Gradients)> {
    let value = loss(model, cx)?;
    let gradients = model.backward(&value)?;
    Ok((value.detach(), gradients))
}

impl Model {
    /// An optimizer for the trainable weights, for a loop of your own.
    ///
    /// # Errors
    /// If the model is not built, or the optimizer's arguments do not fit together.
    pub fn optimizer(&self, optimizer: impl Into<Optimizer>) -> Result<OptimizerState> {
        OptimizerState::new(&optimizer.into(), self.store()?)
    }

    /// Applies an optimizer's update for gradients of this model, and sets the state (such as batch
    /// statistics) that the forward pass left in `cx`.
    pub fn update(
        &self,
        optimizer: &mut OptimizerState,
        gradients: &Gradients,
        cx: &mut Context,
    ) -> Result<()> {
        optimizer.apply(self.store()?, gradients)?;
        cx.apply_updates()
    }
}
