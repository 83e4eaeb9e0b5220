//! Choosing a device at run time.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::sync::OnceLock;

/// The names that [`parse`] takes.
pub const NAMES: [&str; 4] = ["auto", "cpu", "metal", "cuda"];

/// The first device that works: CUDA, then Metal (when built with those features), else the CPU.
pub fn auto() -> Device {
    if cfg!(feature = "cuda")
        && let Ok(device) = cuda()
    {
        return device;
    }
    if cfg!(feature = "metal")
        && let Ok(device) = Device::new_metal(0)
    {
        return device;
    }
    Device::Cpu
}

/// `auto`, `cpu`, `metal` or `cuda`. A device asked for by name that is not there is an error, never
/// a silent fall-back.
pub fn parse(name: &str) -> Result<Device> {
    let built = |feature: bool, flag: &str, device: candle_core::Result<Device>| match device {
        Ok(device) => Ok(device),
        Err(_) if !feature => Err(Error::config(
            "device",
            format!(
                "this program was built without `{flag}`; build it with `--features {flag}`, or use `cpu`"
            ),
        )),
        Err(error) => Err(Error::training(format!("the {flag} device cannot be opened: {error}"))),
    };
    match name {
        "auto" => Ok(auto()),
        "cpu" => Ok(Device::Cpu),
        "metal" => built(cfg!(feature = "metal"), "metal", Device::new_metal(0)),
        "cuda" => built(cfg!(feature = "cuda"), "cuda", cuda()),
        other => Err(Error::config("device", crate::registry::unknown("device", other, NAMES))),
    }
}

/// The type in which a device holds values of a type. Integers of 16 and 32 bits with a sign are of 64
/// bits on others than the CPU, since candle has hardly a kernel for them there.
pub fn held_as(dtype: DType, device: &Device) -> DType {
    match dtype {
        DType::I16 | DType::I32 if !device.is_cpu() => DType::I64,
        dtype => dtype,
    }
}

/// A tensor in a type, as its device holds that.
pub fn cast(x: &Tensor, dtype: DType) -> candle_core::Result<Tensor> {
    x.to_dtype(held_as(dtype, x.device()))
}

/// The first GPU, opened once: candle compiles its kernels anew for every device that it opens, and
/// copies through the CPU between two of them.
fn cuda() -> candle_core::Result<Device> {
    static OPENED: OnceLock<Device> = OnceLock::new();
    match OPENED.get() {
        Some(device) => Ok(device.clone()),
        None => {
            let device = Device::new_cuda(0)?;
            Ok(OPENED.get_or_init(|| device).clone())
        }
    }
}
