//! Choosing a device at run time.

use crate::{Error, Result};
use candle_core::Device;

/// The names that [`parse`] takes.
pub const NAMES: [&str; 4] = ["auto", "cpu", "metal", "cuda"];

/// The first device that works: CUDA, then Metal (when built with those features), else the CPU.
pub fn auto() -> Device {
    if cfg!(feature = "cuda")
        && let Ok(device) = Device::new_cuda(0)
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
        "cuda" => built(cfg!(feature = "cuda"), "cuda", Device::new_cuda(0)),
        other => Err(Error::config("device", crate::registry::unknown("device", other, NAMES))),
    }
}
