//! Other shapes and orders of axes.

use super::arguments::tensor;
use super::{Operation, one};
use crate::Axes;
use sconce_core::axes::position;
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor, Value};
use sconce_ops::reshape;

pub(super) fn refused<T>(message: String) -> Result<T> {
    Err(Error::layer("", message))
}

/// The known length of a shape; `None` if an axis is unknown.
pub(super) fn count(dims: &[Option<usize>]) -> Option<usize> {
    dims.iter().copied().try_fold(1usize, |product, axis| product.checked_mul(axis?))
}

/// Operations that rearrange one tensor: `dims` of the result, and `run`.
macro_rules! rearranging {
    ($($name:ident)*) => {$(
        impl Operation for $name {
            const PROBABILITIES: Option<bool> = None;

            fn infer(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                let x = tensor(x, 0, "x")?;
                one(x.with_dims(Dims(self.dims(&x.dims)?)))
            }

            fn compute(&self, x: &Args<Value>) -> Result<Vec<Tensor>> {
                let x = &tensor(x, 0, "x")?.tensor;
                let dims = self.dims(&Dims::known(x.dims()))?;
                self.run(x, dims.into_iter().flatten().collect()).and_then(one)
            }
        }
    )*};
}

pub(super) use rearranging;

rearranging! { Reshape Ravel Transpose Swapaxes Moveaxis ExpandDims Squeeze BroadcastTo }

/// x in another shape, the batch axis included. Keras: `ops.reshape`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Reshape {
    /// The shape; one axis may be -1, which takes what is left. `None` is the axis of x in this place.
    pub newshape: Vec<Option<i64>>,
}

impl Reshape {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        let mut open = 0;
        let mut dims = Vec::with_capacity(self.newshape.len());
        for (i, axis) in self.newshape.iter().enumerate() {
            dims.push(match axis {
                Some(-1) => {
                    open += 1;
                    None
                }
                Some(length) => match usize::try_from(*length) {
                    Ok(length) => Some(length),
                    Err(_) => return refused(format!("newshape: {length} is no length")),
                },
                None => x.0.get(i).copied().flatten(),
            });
        }
        if open > 1 {
            return refused(format!("newshape {:?}: one axis may be -1", self.newshape));
        }
        let Some(values) = count(&x.0) else { return Ok(dims) };
        let stated: Vec<Option<usize>> =
            dims.iter().filter(|axis| axis.is_some()).copied().collect();
        let missing = dims.len() - stated.len();
        let fits = match (count(&stated), missing) {
            (Some(stated), 0) => stated == values,
            (Some(stated), _) => stated > 0 && values.is_multiple_of(stated),
            (None, _) => false,
        };
        if !fits {
            return refused(format!("inputs of {x} cannot be reshaped to {:?}", self.newshape));
        }
        if missing == 1 {
            let rest = values / count(&stated).unwrap_or(1).max(1);
            dims.iter_mut().filter(|axis| axis.is_none()).for_each(|axis| *axis = Some(rest));
        }
        Ok(dims)
    }

    fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        Ok(reshape(x, dims)?)
    }
}

/// All values in one axis. Keras: `ops.ravel`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Ravel {}

impl Ravel {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        Ok(vec![count(&x.0)])
    }

    fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        Ok(reshape(x, dims)?)
    }
}

/// Operations that put the axes in another order, that of `order`.
macro_rules! permuting {
    ($($name:ident)*) => {$(
        impl $name {
            fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
                let axes = self.order(x.rank())?;
                Ok(axes.iter().map(|axis| x.0.get(*axis).copied().flatten()).collect())
            }

            fn run(&self, x: &Tensor, _: Vec<usize>) -> Result<Tensor> {
                let order = self.order(x.rank())?;
                match order.is_sorted() {
                    true => Ok(x.clone()),
                    false => Ok(x.permute(order)?.contiguous()?),
                }
            }
        }
    )*};
}

permuting! { Transpose Swapaxes Moveaxis }

/// The axes in another order. Keras: `ops.transpose`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Transpose {
    /// The axes of x in the order of the result; the reverse if `None`.
    pub axes: Option<Vec<i64>>,
}

impl Transpose {
    fn order(&self, rank: usize) -> Result<Vec<usize>> {
        let Some(axes) = &self.axes else { return Ok((0..rank).rev().collect()) };
        let order = axes.iter().map(|axis| position(*axis, rank)).collect::<Result<Vec<_>>>()?;
        if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
            return refused(format!("axes {axes:?} must name each of {rank} axes once"));
        }
        Ok(order)
    }
}

/// Two axes exchanged. Keras: `ops.swapaxes`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Swapaxes {
    /// One.
    pub axis1: i64,
    /// The other.
    pub axis2: i64,
}

impl Swapaxes {
    fn order(&self, rank: usize) -> Result<Vec<usize>> {
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(position(self.axis1, rank)?, position(self.axis2, rank)?);
        Ok(order)
    }
}

/// Axes at other places; the others keep their order. Keras: `ops.moveaxis`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Moveaxis {
    /// Where they are.
    pub source: Axes,
    /// Where they shall be.
    pub destination: Axes,
}

impl Moveaxis {
    fn order(&self, rank: usize) -> Result<Vec<usize>> {
        let places = |axes: &Axes| {
            // Refuses an axis that is named twice.
            axes.positions(rank)?;
            axes.as_slice().iter().map(|axis| position(*axis, rank)).collect::<Result<Vec<_>>>()
        };
        let (from, to) = (places(&self.source)?, places(&self.destination)?);
        if from.len() != to.len() {
            return refused(format!("source names {} axes, destination {}", from.len(), to.len()));
        }
        let mut order: Vec<usize> = (0..rank).filter(|axis| !from.contains(axis)).collect();
        let mut moves: Vec<(usize, usize)> = to.into_iter().zip(from).collect();
        moves.sort_unstable();
        for (to, from) in moves {
            order.insert(to.min(order.len()), from);
        }
        Ok(order)
    }
}

/// New axes of length 1. Keras: `ops.expand_dims`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct ExpandDims {
    /// Where they are in the result.
    pub axis: Axes,
}

impl ExpandDims {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        let mut dims = x.0.clone();
        for axis in self.axis.positions(x.rank().saturating_add(self.axis.as_slice().len()))? {
            dims.insert(axis, Some(1));
        }
        Ok(dims)
    }

    fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        Ok(reshape(x, dims)?)
    }
}

/// Without axes of length 1. Keras: `ops.squeeze`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct Squeeze {
    /// Which; all of length 1 if `None`.
    pub axis: Option<Axes>,
}

impl Squeeze {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        let Some(axes) = &self.axis else {
            return Ok(x.0.iter().copied().filter(|axis| *axis != Some(1)).collect());
        };
        let axes = axes.positions(x.rank())?;
        for axis in &axes {
            if x.0.get(*axis).copied().flatten().is_some_and(|length| length != 1) {
                return refused(format!("axis {axis} of inputs of {x} is not of length 1"));
            }
        }
        let kept = x.0.iter().enumerate().filter(|(i, _)| !axes.contains(i));
        Ok(kept.map(|(_, length)| *length).collect())
    }

    fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        Ok(reshape(x, dims)?)
    }
}

/// x stretched to a shape, with NumPy's broadcasting. Keras: `ops.broadcast_to`.
#[derive(Clone, Debug, Config)]
#[config(module = "keras.src.ops.numpy")]
pub struct BroadcastTo {
    /// The shape. `None` is the axis of x in this place.
    pub shape: Vec<Option<usize>>,
}

impl BroadcastTo {
    fn dims(&self, x: &Dims) -> Result<Vec<Option<usize>>> {
        let front = self.shape.len().checked_sub(x.rank());
        let Some(front) = front else {
            return refused(format!(
                "inputs of {x} have more axes than the shape {:?}",
                self.shape
            ));
        };
        let axis = |(i, stated): (usize, &Option<usize>)| {
            let own = i.checked_sub(front).map_or(Some(1), |i| x.0.get(i).copied().flatten());
            match (own, *stated) {
                (own, None) => Ok(own),
                (Some(own), Some(stated)) if own != 1 && own != stated => {
                    refused(format!("inputs of {x} do not broadcast to {:?}", self.shape))
                }
                (_, stated) => Ok(stated),
            }
        };
        self.shape.iter().enumerate().map(axis).collect()
    }

    fn run(&self, x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        Ok(x.broadcast_as(dims)?.contiguous()?)
    }
}
