//! Batches, and what a source says of them beforehand.

use sconce_core::{DType, Dims, Error, Result, Tensor};

/// One batch: every array has the same number of rows (samples) on its first axis.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The inputs.
    pub x: Vec<Tensor>,
    /// The targets of each output; empty to predict.
    pub y: Vec<Tensor>,
    /// For each output a weight for each row; empty for none.
    pub sample_weight: Vec<Option<Tensor>>,
}

impl Batch {
    /// The number of rows; 0 of a batch without inputs.
    pub fn rows(&self) -> usize {
        self.x.first().and_then(|x| x.dims().first()).copied().unwrap_or(0)
    }

    /// The same function of every array.
    pub(crate) fn map(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        let weight = |weight: &Option<Tensor>| weight.as_ref().map(&f).transpose();
        Ok(Self {
            x: self.x.iter().map(&f).collect::<candle_core::Result<_>>()?,
            y: self.y.iter().map(&f).collect::<candle_core::Result<_>>()?,
            sample_weight: self
                .sample_weight
                .iter()
                .map(weight)
                .collect::<candle_core::Result<_>>()?,
        })
    }
}

/// One array of every batch, before there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArraySpec {
    /// The name of the model's input or output that it is for; `None`: by its place.
    pub name: Option<String>,
    /// Its shape, of which the batch axis is `None`.
    pub dims: Dims,
    /// Its type.
    pub dtype: DType,
}

impl ArraySpec {
    /// Of batches of rows of this shape, by place.
    pub fn new(row: &[usize], dtype: DType) -> Self {
        Self { name: None, dims: Dims::batch_of(row), dtype }
    }

    /// Sets the name of the model's input or output that it is for.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Of batches of rows of an array.
    pub(crate) fn of(array: &Tensor) -> Self {
        Self::new(array.dims().get(1..).unwrap_or_default(), array.dtype())
    }
}

/// The arrays of every batch of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSpec {
    /// The inputs.
    pub x: Vec<ArraySpec>,
    /// The targets of each output; empty to predict.
    pub y: Vec<ArraySpec>,
    /// The weights of the rows for each output; empty for none.
    pub sample_weight: Vec<Option<ArraySpec>>,
}

impl SourceSpec {
    /// Gives names to arrays, as far as there are any.
    pub(crate) fn named(mut self, x: Option<Vec<String>>, y: Option<Vec<String>>) -> Self {
        for (arrays, names) in [(&mut self.x, x), (&mut self.y, y)] {
            for (array, name) in arrays.iter_mut().zip(names.into_iter().flatten()) {
                array.name = Some(name);
            }
        }
        self
    }

    /// A batch is as this says.
    ///
    /// # Errors
    /// The first array that differs in number, shape or type, or in its rows from the others.
    pub fn check<'a>(&'a self, batch: &Batch) -> Result<()> {
        let weights = if batch.sample_weight.is_empty() && self.sample_weight.is_empty() {
            0
        } else {
            self.y.len()
        };
        for (key, stated, found) in [
            ("x", self.x.len(), batch.x.len()),
            ("y", self.y.len(), batch.y.len()),
            ("sample_weight", weights, batch.sample_weight.len()),
        ] {
            if stated != found {
                return Err(Error::data(format!(
                    "the source states {stated} for the number of arrays of {key}, the batch has {found}"
                )));
            }
        }
        // Names are made for errors only: this runs for every batch.
        fn name(key: &str, index: usize, stated: &ArraySpec) -> String {
            match &stated.name {
                Some(name) => format!("{key} `{name}`"),
                None => format!("{key}[{index}]"),
            }
        }
        let mut first: Option<(&str, usize, &ArraySpec, usize)> = None;
        let mut check = |key: &'static str, index: usize, stated: &'a ArraySpec, array: &Tensor| {
            if !stated.dims.fits(array.dims()) || stated.dtype != array.dtype() {
                return Err(Error::data(format!(
                    "{} is {:?} of shape {:?}, the source states {:?} of shape {}",
                    name(key, index, stated),
                    array.dtype(),
                    array.dims(),
                    stated.dtype,
                    stated.dims
                )));
            }
            let found = array.dims().first().copied().unwrap_or(0);
            match first {
                _ if found == 0 => {
                    Err(Error::data(format!("{} has no rows", name(key, index, stated))))
                }
                Some((key_of_first, index_of_first, other, rows)) if rows != found => {
                    Err(Error::data(format!(
                        "{} has {rows} rows, {} has {found}",
                        name(key_of_first, index_of_first, other),
                        name(key, index, stated)
                    )))
                }
                Some(_) => Ok(()),
                None => {
                    first = Some((key, index, stated, found));
                    Ok(())
                }
            }
        };
        for (key, specs, arrays) in [("x", &self.x, &batch.x), ("y", &self.y, &batch.y)] {
            for (index, (stated, array)) in specs.iter().zip(arrays).enumerate() {
                check(key, index, stated, array)?;
            }
        }
        for (index, array) in batch.sample_weight.iter().enumerate() {
            match (self.sample_weight.get(index).and_then(Option::as_ref), array) {
                (Some(stated), Some(array)) => check("sample_weight", index, stated, array)?,
                (None, None) => {}
                (stated, _) => {
                    let (states, has) =
                        if stated.is_some() { ("some", "none") } else { ("none", "some") };
                    return Err(Error::data(format!(
                        "the source states {states} for sample_weight[{index}], the batch has {has}"
                    )));
                }
            }
        }
        Ok(())
    }
}
