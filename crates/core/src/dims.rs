//! Shapes as a configuration states them: any axis may be unknown until data arrives.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The axes of a tensor, the batch axis first; `None` is an axis of any length (Keras writes
/// `(None, 32)`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dims(pub Vec<Option<usize>>);

impl Dims {
    /// The axes of one sample, with an unknown batch axis put before them.
    pub fn batch_of(sample: &[usize]) -> Self {
        Self(std::iter::once(None).chain(sample.iter().copied().map(Some)).collect())
    }

    /// All axes known.
    pub fn known(axes: &[usize]) -> Self {
        Self(axes.iter().copied().map(Some).collect())
    }

    /// Number of axes, the batch axis included.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The axes after the batch axis.
    pub fn sample(&self) -> &[Option<usize>] {
        self.0.get(1..).unwrap_or(&[])
    }

    /// The last axis, which must be known.
    pub fn last(&self) -> Result<usize> {
        self.0.last().copied().flatten().ok_or_else(|| {
            Error::layer("", format!("the last axis must be known, the input shape is {self}"))
        })
    }

    /// The same axes with another last one.
    pub fn with_last(&self, last: usize) -> Self {
        let mut axes = self.0.clone();
        if let Some(axis) = axes.last_mut() {
            *axis = Some(last);
        }
        Self(axes)
    }

    /// Whether a tensor of shape `actual` fits (unknown axes fit any length).
    pub fn fits(&self, actual: &[usize]) -> bool {
        self.0.len() == actual.len()
            && self.0.iter().zip(actual).all(|(want, got)| want.is_none_or(|want| want == *got))
    }

    /// The product of the axes after the batch axis, if all are known.
    pub fn sample_len(&self) -> Option<usize> {
        self.sample().iter().copied().try_fold(1usize, |product, axis| product.checked_mul(axis?))
    }
}

impl fmt::Display for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(")?;
        for (i, axis) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match axis {
                Some(axis) => write!(f, "{comma}{axis}")?,
                None => write!(f, "{comma}None")?,
            }
        }
        write!(f, "{})", if self.0.len() == 1 { "," } else { "" })
    }
}
