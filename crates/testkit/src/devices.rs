//! The devices that numbers are tested on.

use candle_core::Device;
use std::sync::LazyLock;

/// The CPU and, in a build with CUDA, the first GPU.
///
/// # Panics
/// In a build with CUDA on a machine without a GPU, where its tests would prove nothing.
pub fn devices() -> Vec<Device> {
    // Opened once: candle compiles its kernels anew for every device that it opens.
    static GPU: LazyLock<Device> = LazyLock::new(|| {
        Device::new_cuda(0).unwrap_or_else(|error| panic!("the GPU cannot be opened: {error}"))
    });
    match candle_core::utils::cuda_is_available() {
        true => vec![Device::Cpu, GPU.clone()],
        false => vec![Device::Cpu],
    }
}
