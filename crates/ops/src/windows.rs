//! Windows over images in plain candle operations, for the composed forms of convolution and pooling.

use candle_core::{DType, Result, Tensor, bail};
pub use sconce_kernels::windows::{Axis, Windows};

/// The patches of images: for each window and place, the channels there, or the padding.
pub(crate) struct Patches {
    axes: Vec<Axis>,
    images: usize,
    channels: usize,
}

/// The smallest number of a type, which is the maximum of no values (infinities do not survive the fast
/// arithmetic of some GPUs).
pub(crate) fn lowest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => -65504.0,
        DType::F64 => f64::MIN,
        _ => f64::from(f32::MIN),
    }
}

impl Patches {
    pub fn new(axes: &[Axis], images: usize, channels: usize) -> Self {
        Self { axes: axes.to_vec(), images, channels }
    }

    fn product(&self, of: impl Fn(&Axis) -> usize) -> usize {
        self.axes.iter().map(of).product()
    }

    /// Windows of an image.
    pub fn windows(&self) -> usize {
        self.product(|axis| axis.output)
    }

    /// Places of a window.
    pub fn places(&self) -> usize {
        self.product(|axis| axis.kernel)
    }

    fn inputs(&self) -> usize {
        self.product(|axis| axis.input)
    }

    /// For each window and place, the index of the input there; the padding is the input after the last.
    fn indices(&self, like: &Tensor) -> Result<Tensor> {
        let padding = self.inputs();
        let mut indices = vec![Some(0)];
        let mut windows = 1;
        for axis in &self.axes {
            // From [windows, places] to [windows, output, places, kernel].
            let places = indices.len() / windows;
            let mut next = Vec::with_capacity(indices.len() * axis.output * axis.kernel);
            for before in indices.chunks(places) {
                for window in 0..axis.output {
                    for index in before {
                        next.extend((0..axis.kernel).map(|place| {
                            let at = window * axis.stride + place * axis.dilation;
                            let at = at.checked_sub(axis.pad).filter(|at| *at < axis.input)?;
                            Some((*index)? * axis.input + at)
                        }));
                    }
                }
            }
            indices = next;
            windows *= axis.output;
        }
        let Ok(_) = u32::try_from(padding) else {
            bail!("an image of {padding} places is too large")
        };
        let indices: Vec<u32> = indices.into_iter().map(|i| i.unwrap_or(padding) as u32).collect();
        let count = indices.len();
        Tensor::from_vec(indices, count, like.device())
    }

    /// `[images, windows, places, channels]` of x `[images, inputs.., channels]`.
    pub fn gather(&self, x: &Tensor, padding: f64) -> Result<Tensor> {
        let flat = x.reshape((self.images, self.inputs(), self.channels))?;
        let padding = Tensor::full(padding, (self.images, 1, self.channels), x.device())?;
        let flat = Tensor::cat(&[flat, padding.to_dtype(x.dtype())?], 1)?.contiguous()?;
        let shape = (self.images, self.windows(), self.places(), self.channels);
        flat.index_select(&self.indices(x)?, 1)?.reshape(shape)
    }

    /// The gradient of [`Patches::gather`]: sums of patches `[images, windows, places, channels]` where they
    /// lie in x `[images, inputs, channels]`.
    pub fn scatter(&self, patches: &Tensor) -> Result<Tensor> {
        let flat = (self.images, self.windows() * self.places(), self.channels);
        let shape = (self.images, self.inputs() + 1, self.channels);
        let zeros = Tensor::zeros(shape, patches.dtype(), patches.device())?;
        let patches = patches.reshape(flat)?.contiguous()?;
        let sums = zeros.index_add(&self.indices(&patches)?, &patches, 1)?;
        sums.narrow(1, 0, self.inputs())?.contiguous()
    }

    /// How many places of each window lie in the input, `[windows, 1]`.
    pub fn counts(&self, like: &Tensor) -> Result<Tensor> {
        let mut counts = vec![1.0];
        for axis in &self.axes {
            let along = |before: f64| (0..axis.output).map(move |w| before * axis.places(w) as f64);
            counts = counts.into_iter().flat_map(along).collect();
        }
        let count = counts.len();
        Tensor::from_vec(counts, (count, 1), like.device())?.to_dtype(like.dtype())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, pads: [usize; 2]) -> Axis {
        let reach = (kernel - 1) * dilation + 1;
        let output = (input + pads[0] + pads[1] - reach) / stride + 1;
        Axis { input, output, kernel, stride, dilation, pad: pads[0] }
    }

    /// Odd sizes; every stride, dilation and padding; one to three axes.
    pub fn axes_of_every_kind() -> Vec<Vec<Axis>> {
        vec![
            vec![axis(5, 3, 1, 1, [0, 0])],
            vec![axis(5, 3, 2, 1, [1, 1])],
            vec![axis(7, 3, 1, 2, [4, 0])],
            vec![axis(7, 2, 3, 1, [1, 0])],
            vec![axis(3, 3, 1, 1, [1, 1]), axis(4, 2, 1, 1, [0, 1])],
            vec![axis(5, 3, 2, 1, [0, 1]), axis(4, 2, 3, 1, [0, 1])],
            vec![axis(4, 2, 1, 3, [1, 2]), axis(5, 3, 1, 2, [0, 0])],
            vec![axis(3, 1, 2, 1, [0, 0]), axis(3, 2, 2, 2, [1, 1])],
            vec![axis(3, 2, 1, 1, [0, 1]), axis(3, 2, 2, 1, [0, 0]), axis(2, 2, 1, 1, [1, 0])],
        ]
    }

    /// The shape of an input.
    pub fn input(axes: &[Axis], images: usize, channels: usize) -> Vec<usize> {
        [images].into_iter().chain(axes.iter().map(|a| a.input)).chain([channels]).collect()
    }
}
