use super::sum_abs;
use sconce_core::{Config, ConfigValue, Error, Regularizer, Result, Tensor};

/// Drives the rows (or columns) of a matrix towards right angles:
///
/// `factor * sum over i != j of |r_i . r_j| / (n (n - 1))`
///
/// for the `n` rows (or columns) `r` divided by their Euclidean lengths (at least 1e-7). Errors: a
/// weight that is not a matrix, or has fewer than two rows (or columns). Keras:
/// `OrthogonalRegularizer`, `"orthogonal_regularizer"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(factor, mode))]
pub struct OrthogonalRegularizer {
    /// Factor, at least 0. Default 0.01.
    #[config(default = 0.01, range = "[0, inf)")]
    pub factor: f64,
    /// What is driven towards right angles. Default `rows`.
    #[config(default)]
    pub mode: Orthogonality,
}

/// What [`OrthogonalRegularizer`] looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Orthogonality {
    /// The rows of the matrix.
    #[default]
    Rows,
    /// The columns of the matrix.
    Columns,
}

impl Regularizer for OrthogonalRegularizer {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        /// Keras's backend.epsilon(), the least length that is divided by.
        const EPSILON: f64 = 1e-7;
        let (what, axis) = match self.mode {
            Orthogonality::Rows => ("rows", 0),
            Orthogonality::Columns => ("columns", 1),
        };
        let vectors = match (weight.dims(), self.mode) {
            ([(2..), _], Orthogonality::Rows) => weight.contiguous()?,
            ([_, (2..)], Orthogonality::Columns) => weight.t()?.contiguous()?,
            (dims, _) => {
                return Err(Error::layer(
                    "",
                    format!(
                        "OrthogonalRegularizer needs a matrix of at least two {what} (axis {axis}), but the \
                         weight has the shape {dims:?}"
                    ),
                ));
            }
        };
        let squares = vectors.sqr()?.sum_keepdim(1)?;
        // The floor is applied before the root, whose slope at 0 is infinite.
        let floor = (squares.ones_like()? * (EPSILON * EPSILON))?;
        let squares = squares.gt(EPSILON * EPSILON)?.where_cond(&squares, &floor)?;
        let unit = vectors.broadcast_div(&squares.sqrt()?)?;
        let products = unit.matmul(&unit.t()?.contiguous()?)?;
        let n = products.dim(0)?;
        let others = Tensor::eye(n, products.dtype(), products.device())?.affine(-1.0, 1.0)?;
        let pairs = (n * (n - 1)) as f64;
        Ok((sum_abs(&(products * others)?)? * (self.factor / pairs))?)
    }
}
