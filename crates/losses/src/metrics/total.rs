//! A running total, on the host or on a device.

use sconce_core::{DType, Device, Error, Result, Tensor};

/// A running total: in f64 for values of the CPU, else an f32 scalar on their device, so that adding
/// to it does not wait for the device.
#[derive(Clone, Debug)]
pub(super) enum Total {
    Host(f64),
    Device(Tensor),
}

impl Default for Total {
    fn default() -> Self {
        Self::Host(0.0)
    }
}

impl Total {
    /// Adds a number.
    pub fn add(&mut self, value: f64) -> Result<()> {
        *self = match self {
            Self::Host(total) => Self::Host(*total + value),
            Self::Device(total) => Self::Device((&*total + value)?),
        };
        Ok(())
    }

    /// Adds an f32 scalar of a device, without reading it.
    pub fn add_tensor(&mut self, value: &Tensor) -> Result<()> {
        *self = Self::Device(match self {
            Self::Host(0.0) => value.clone(),
            Self::Host(total) => (value + *total)?,
            Self::Device(total) => (total.to_device(value.device())? + value)?,
        });
        Ok(())
    }

    /// The total. Reads the device.
    pub fn read(&self) -> Result<f64> {
        match self {
            Self::Host(total) => Ok(*total),
            Self::Device(total) => Ok(f64::from(total.to_scalar::<f32>()?)),
        }
    }

    /// The total as a scalar where it is: f64 on the CPU, or f32 on the device.
    pub fn state(&self) -> Result<Tensor> {
        match self {
            Self::Host(total) => Ok(Tensor::new(*total, &Device::Cpu)?),
            Self::Device(total) => Ok(total.clone()),
        }
    }

    /// The total of a [`Total::state`].
    pub fn from_state(state: &Tensor) -> Result<Self> {
        match (state.dims(), state.dtype()) {
            ([], DType::F64) => Ok(Self::Host(state.to_scalar()?)),
            ([], DType::F32) => Ok(Self::Device(state.clone())),
            (dims, dtype) => Err(Error::data(format!(
                "the state of a metric is a scalar of type f64 or f32, found {dtype:?} of shape {dims:?}"
            ))),
        }
    }
}

/// The tensors of a state, of which there must be `N`.
pub(super) fn expect_state<const N: usize>(state: &[Tensor]) -> Result<&[Tensor; N]> {
    state.try_into().map_err(|_| {
        Error::data(format!(
            "the state of this metric has {N} tensors, {} were given; it must come from the same metric",
            state.len()
        ))
    })
}
