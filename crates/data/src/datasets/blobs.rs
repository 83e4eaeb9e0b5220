//! Generated clusters: x = c_y + e, y uniform over the classes; the centre c of each class and the
//! noise e are standard normal in every feature. A pure function of its arguments.

use super::{Dataset, Part};
use crate::{ToTensor, split::stratified_split};
use sconce_core::{Config, ConfigValue, Device, Error, Result, Stream, Tensor};

/// The name `blobs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum BlobsName {
    /// Generated clusters.
    #[default]
    Blobs,
}

/// Generated clusters, one normally distributed cluster for each class: x [rows, features] `F32`,
/// y `[rows]` `I64` from 0 to classes - 1.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(value)]
pub struct Blobs {
    /// `blobs`.
    pub dataset: BlobsName,
    /// The number of rows generated, before any split.
    #[config(range = "[1, 2147483648]")]
    pub rows: usize,
    /// The number of features of a row.
    #[config(range = "[1, 2147483648]")]
    pub features: usize,
    /// The number of clusters.
    #[config(range = "[1, 2147483648]")]
    pub classes: usize,
    /// The same seed gives the same data.
    #[config(default = 0)]
    pub seed: u64,
    /// Which of the rows: a fixed stratified fifth is held out for `test`.
    #[config(default)]
    pub split: Part,
}

/// More would be a slip of the pen: 8 GiB.
const MOST: usize = 1 << 31;

impl Blobs {
    /// Generates the data.
    ///
    /// # Errors
    /// A size of 0, or more than 2^31 values.
    pub fn load(&self) -> Result<Dataset> {
        self.check_ranges()?;
        let values = |rows: usize| rows.saturating_mul(self.features);
        if values(self.rows) > MOST || values(self.classes) > MOST {
            return Err(Error::config("rows", format!("these are more than {MOST} values in all")));
        }
        let mut centres = vec![0f32; values(self.classes)];
        Normal::new(self.seed, "blobs/centres").fill(&mut centres);
        let mut labels = Stream::named(self.seed, "blobs/classes");
        let y: Vec<i64> =
            (0..self.rows).map(|_| i64::from(labels.below_u32(self.classes as u32))).collect();
        let mut x = vec![0f32; values(self.rows)];
        let mut noise = Normal::new(self.seed, "blobs/noise");
        for (row, class) in x.chunks_exact_mut(self.features).zip(&y) {
            noise.fill(row);
            let centre = centres.chunks_exact(self.features).nth(*class as usize);
            row.iter_mut().zip(centre.unwrap_or_default()).for_each(|(x, c)| *x += c);
        }
        let x = Tensor::from_vec(x, (self.rows, self.features), &Device::Cpu)?;
        let split = || stratified_split(&y, super::HELD_OUT, 0);
        let rows = self.split.rows(split)?;
        Dataset { x: vec![x], y: vec![y.to_tensor()?], ..Dataset::default() }.take(rows.as_deref())
    }
}

/// Standard normal numbers, two from two uniform ones (Box and Muller, 1958), in f32: a third of the
/// time of [`Stream::normal`], and its last bits may differ from one platform's `ln` to another's.
struct Normal {
    stream: Stream,
    bits: Vec<u32>,
}

impl Normal {
    fn new(seed: u64, name: &str) -> Self {
        Self { stream: Stream::named(seed, name), bits: Vec::new() }
    }

    fn fill(&mut self, out: &mut [f32]) {
        const UNIT: f32 = 1.0 / 16_777_216.0;
        self.bits.resize(out.len().next_multiple_of(2), 0);
        self.stream.fill(&mut self.bits);
        for (out, [a, b]) in out.chunks_mut(2).zip(self.bits.as_chunks::<2>().0) {
            // (0, 1], so that the logarithm is finite.
            let radius = (-2.0 * (((a >> 8) + 1) as f32 * UNIT).ln()).sqrt();
            let (sin, cos) = (std::f32::consts::TAU * (b >> 8) as f32 * UNIT).sin_cos();
            out.iter_mut().zip([radius * cos, radius * sin]).for_each(|(out, v)| *out = v);
        }
    }
}
