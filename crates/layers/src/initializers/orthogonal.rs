use super::draw;
use crate::seed;
use sconce_core::{Config, Error, Initializer, Result, Stream};
use sconce_kernels::vectorized;

/// A random matrix with orthonormal columns (or rows, if it has fewer of them), times `gain`: the Q of
/// the QR factorization of a normal matrix, with the signs that make R's diagonal positive, which
/// makes Q uniformly distributed.
///
/// A weight `[d0, ..., dk, columns]` is taken as the matrix `[d0 * ... * dk, columns]`; fewer than two axes
/// are an error. Keras: `Orthogonal`, `"orthogonal"`. Source: Saxe et al., "Exact solutions to the
/// nonlinear dynamics of learning in deep linear neural networks", ICLR 2014.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(new(gain))]
pub struct Orthogonal {
    /// Seed of its own; `None`: the model's seed and the weight's path decide.
    #[config(with = seed)]
    pub seed: Option<u64>,
    /// Length of each column (or row). Default 1.
    #[config(default = 1.0, range = "(-inf, inf)")]
    pub gain: f64,
}

impl Initializer for Orthogonal {
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>> {
        let ([_, .., columns], false) = (dims, dims.len() < 2) else {
            return Err(Error::layer(
                "",
                format!(
                    "the Orthogonal initializer needs two axes or more, but the weight has the shape {dims:?}"
                ),
            ));
        };
        let count = draw::count(dims)?;
        let rows = count.checked_div(*columns).unwrap_or(0);
        let mut own = draw::own_stream(self.seed);
        let stream = own.as_mut().unwrap_or(stream);
        let mut vectors = draw::reserve(dims)?;
        vectors.extend((0..count).map(|_| stream.normal()));
        let mut values = draw::filled(dims, 0.0)?;
        self.assemble(vectors, (rows, *columns), &mut values);
        Ok(values)
    }
}

impl Orthogonal {
    /// Writes the matrix that normal numbers determine. They are the vectors to make orthogonal, one
    /// after the other: the rows of a wide matrix, the columns of a tall one.
    fn assemble(&self, mut vectors: Vec<f64>, (rows, columns): (usize, usize), values: &mut [f32]) {
        let length = rows.max(columns).max(1);
        vectorized(
            #[inline(always)]
            || orthonormalize(&mut vectors, length),
        );
        let wide = rows < columns;
        for (i, value) in values.iter_mut().enumerate() {
            let at = if wide { i } else { i % columns * rows + i / columns };
            *value = (self.gain * vectors[at]) as f32;
        }
    }
}

/// Replaces vectors of `length` by Q of their QR factorization (modified Gram-Schmidt), which has R's
/// diagonal positive by construction. In f64 one pass is enough: the loss of orthogonality is the
/// condition number of a normal matrix, some thousands, times 2e-16, below what f32 can hold.
#[inline(always)]
fn orthonormalize(vectors: &mut [f64], length: usize) {
    let mut rest = vectors;
    while let Some((vector, others)) = rest.split_at_mut_checked(length) {
        let norm = dot(vector, vector).sqrt().max(f64::MIN_POSITIVE);
        vector.iter_mut().for_each(|v| *v /= norm);
        for other in others.chunks_exact_mut(length) {
            let share = dot(vector, other);
            other.iter_mut().zip(&*vector).for_each(|(o, v)| *o -= share * v);
        }
        rest = others;
    }
}

/// In eight sums, which vector instructions can hold.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_testkit::golden;

    /// The matrix that Keras makes of given normal numbers, which it takes as a tall matrix.
    #[test]
    fn keras_makes_the_same_of_the_same_numbers() {
        let cases = golden::load("initializers");
        let cases: Vec<_> = cases.iter().filter(|case| case.has("drawn")).collect();
        assert!(cases.len() > 4);
        for case in cases {
            let drawn = case.tensor("drawn").t().unwrap().flatten_all().unwrap().to_vec1::<f32>();
            let expected = case.tensor("value").flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let columns = *case.tensor("value").dims().last().unwrap();
            let dims = (expected.len() / columns, columns);
            let mut values = vec![0.0; expected.len()];
            let drawn = drawn.unwrap().into_iter().map(f64::from).collect();
            let gain = case.field("gain").as_f64().unwrap();
            Orthogonal::new(gain).assemble(drawn, dims, &mut values);
            for (a, b) in values.iter().zip(&expected) {
                assert!((a - b).abs() < 3e-6, "{}: {a}, expected {b}", case.name());
            }
        }
    }
}
