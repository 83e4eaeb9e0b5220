//! Add, Subtract, Multiply, Average, Maximum, Minimum: element by element, with broadcasting.

use super::{pair, several};
use crate::{Call, Layer};
use sconce_core::{Args, Config, Dims, Error, Result, Spec, Tensor};
use sconce_ops::arithmetic::{Operator, activated_sum, arithmetic};
use sconce_ops::reshape;

macro_rules! merging {
    ($($(#[$doc:meta])* $name:ident: $merge:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        pub struct $name {}

        impl Layer for $name {
            fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
                Ok(vec![output(several(x, stringify!($name))?)?])
            }

            fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
                let inputs = Inputs::new(call, stringify!($name))?;
                Ok(vec![$merge(&inputs)?])
            }

            fn supports_masking(&self) -> bool {
                true
            }

            fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
                Ok(vec![any_mask(call)?])
            }
        }
    )*};
}

merging! {
    /// `y = x1 x2 ..` of inputs whose shapes broadcast together. Where an input is masked, it counts as 1;
    /// where all are, the result is 0.
    Multiply: Inputs::product;
    /// `y = (x1 + x2 + ..) / n` of inputs whose shapes broadcast together.
    Average: Inputs::average;
    /// `y = max(x1, x2, ..)` of inputs whose shapes broadcast together. Where an input is masked, it does
    /// not count.
    Maximum: Inputs::maximum;
    /// `y = min(x1, x2, ..)` of inputs whose shapes broadcast together. Where an input is masked, it does
    /// not count.
    Minimum: Inputs::minimum;
}

/// `y = x1 + x2 + ..` of inputs whose shapes broadcast together. A step of the result is masked where
/// all of the inputs mask it.
#[derive(Clone, Debug, Config)]
pub struct Add {}

impl Layer for Add {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![output(several(x, "Add")?)?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let mut inputs = Inputs::new(call, "Add")?;
        let Some(activation) = &call.following().activation else {
            return Ok(vec![inputs.sum()?]);
        };
        let y = match inputs.tensors.pop() {
            Some(last) if !inputs.tensors.is_empty() => {
                activated_sum(&inputs.sum()?, &last, activation)?
            }
            Some(only) => activation.call(&only)?,
            None => inputs.sum()?,
        };
        Ok(vec![y])
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![any_mask(call)?])
    }
}

/// `y = x1 - x2` of two inputs whose shapes broadcast together.
#[derive(Clone, Debug, Config)]
pub struct Subtract {}

impl Layer for Subtract {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![output(pair(x, "Subtract")?.to_vec())?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        pair(call.args(), "Subtract")?;
        let inputs = Inputs::new(call, "Subtract")?;
        Ok(vec![inputs.fold(Operator::Subtract)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![any_mask(call)?])
    }
}

/// The shape of the result. Axes are compared from the last one on, but the batch axis only with its
/// like; inputs of fewer axes get axes of length 1 after the batch axis.
fn output(inputs: Vec<&Spec>) -> Result<Spec> {
    let mismatch = |a: &Dims, b: &Dims| {
        Error::layer("", format!("inputs of shapes {a} and {b} cannot be merged"))
    };
    let mut batch = None;
    let mut sample: Vec<Option<usize>> = Vec::new();
    let mut before = inputs.first().map(|spec| spec.dims.clone()).unwrap_or_default();
    for spec in &inputs {
        let dims = &spec.dims;
        let Some(own) = dims.0.first() else {
            return Err(Error::layer("", "a merging layer takes inputs with a batch axis"));
        };
        batch = match (batch, *own) {
            (Some(a), Some(b)) if a != b => return Err(mismatch(&before, dims)),
            (a, b) => a.or(b),
        };
        let rank = sample.len().max(dims.sample().len());
        let axis = |axes: &[Option<usize>], i: usize| match (i + axes.len()).checked_sub(rank) {
            Some(i) => axes.get(i).copied().flatten(),
            None => Some(1),
        };
        let joined = (0..rank).map(|i| match (axis(&sample, i), axis(dims.sample(), i)) {
            (Some(1), other) | (other, Some(1)) => Ok(other),
            (None, _) | (_, None) => Ok(None),
            (a, b) if a == b => Ok(a),
            _ => Err(mismatch(&before, dims)),
        });
        sample = joined.collect::<Result<_>>()?;
        before = dims.clone();
    }
    let dtype = inputs.first().map_or(sconce_core::DType::F32, |spec| spec.dtype);
    Ok(Spec { dims: Dims(std::iter::once(batch).chain(sample).collect()), dtype })
}

/// The mask of a result: where any of the inputs counts; none if one of them has none.
fn any_mask(call: &Call<'_>) -> Result<Option<Tensor>> {
    let mut any: Option<Tensor> = None;
    for index in 0..call.tensors().len() {
        let Some(mask) = call.mask(index) else { return Ok(None) };
        let mask = mask.ne(&mask.zeros_like()?)?;
        any = Some(match any {
            Some(any) => any.broadcast_maximum(&mask)?,
            None => mask,
        });
    }
    Ok(any)
}

/// The inputs with as many axes each, and their masks.
struct Inputs {
    tensors: Vec<Tensor>,
    masks: Vec<Option<Tensor>>,
}

impl Inputs {
    fn new(call: &Call<'_>, class_name: &str) -> Result<Self> {
        several(call.args(), class_name)?;
        let given = call.tensors();
        let rank = given.iter().map(|x| x.rank()).max().unwrap_or(0);
        // As in Keras, inputs that are reshaped lose their masks here.
        let one_rank = given.iter().all(|x| x.rank() == rank);
        let (mut tensors, mut masks) = (Vec::new(), Vec::new());
        for (index, x) in given.into_iter().enumerate() {
            let (batch, sample) = x.dims().split_at(x.rank().min(1));
            let dims = [batch, &vec![1; rank - x.rank()], sample].concat();
            tensors.push(if x.rank() == rank { x.clone() } else { reshape(x, dims)? });
            masks.push(call.mask(index).filter(|_| one_rank).cloned());
        }
        Ok(Self { tensors, masks })
    }

    /// The masks in the shapes of the inputs.
    fn full_masks(&self) -> Result<Vec<Option<Tensor>>> {
        let full = |(x, mask): (&Tensor, &Option<Tensor>)| match mask {
            Some(mask) if mask.rank() + 1 == x.rank() => {
                let mask = mask.ne(&mask.zeros_like()?)?.unsqueeze(mask.rank())?;
                Ok(Some(mask.broadcast_as(x.shape())?.contiguous()?))
            }
            Some(mask) => {
                let message = format!(
                    "a mask of shape {:?} does not go with inputs of shape {:?}",
                    mask.dims(),
                    x.dims()
                );
                Err(Error::layer("", message))
            }
            None => Ok(None),
        };
        self.tensors.iter().zip(&self.masks).map(full).collect()
    }

    fn fold(&self, operator: Operator) -> Result<Tensor> {
        let mut tensors = self.tensors.iter();
        let first = tensors.next().cloned();
        let first = first.ok_or_else(|| Error::layer("", "there is nothing to merge"))?;
        Ok(tensors.try_fold(first, |y, x| arithmetic(operator, &y, x))?)
    }

    fn sum(&self) -> Result<Tensor> {
        self.fold(Operator::Add)
    }

    fn average(&self) -> Result<Tensor> {
        let sum = self.sum()?;
        let count = Tensor::new(self.tensors.len() as f64, sum.device())?.to_dtype(sum.dtype())?;
        Ok(arithmetic(Operator::Divide, &sum, &count)?)
    }

    fn product(&self) -> Result<Tensor> {
        if self.masks.iter().all(Option::is_none) {
            return self.fold(Operator::Multiply);
        }
        let (mut product, mut counts): (Option<Tensor>, Option<Tensor>) = (None, None);
        let masks = self.full_masks()?;
        for (x, mask) in self.tensors.iter().zip(&masks) {
            let mut x = x.clone();
            if let Some(mask) = mask {
                x = mask.where_cond(&x, &x.ones_like()?)?;
                counts = Some(match counts {
                    Some(counts) => counts.broadcast_maximum(mask)?,
                    None => mask.clone(),
                });
            }
            product = Some(match product {
                Some(product) => arithmetic(Operator::Multiply, &product, &x)?,
                None => x,
            });
        }
        let product = product.ok_or_else(|| Error::layer("", "there is nothing to merge"))?;
        match counts.filter(|_| masks.iter().all(Option::is_some)) {
            Some(counts) => Ok(counts.where_cond(&product, &product.zeros_like()?)?),
            None => Ok(product),
        }
    }

    fn maximum(&self) -> Result<Tensor> {
        self.extreme(Operator::Maximum)
    }

    fn minimum(&self) -> Result<Tensor> {
        self.extreme(Operator::Minimum)
    }

    fn extreme(&self, operator: Operator) -> Result<Tensor> {
        let masks = self.full_masks()?;
        let mut inputs = self.tensors.iter().zip(&masks);
        let first = inputs.next().map(|(x, mask)| (x.clone(), mask.clone()));
        let first = first.ok_or_else(|| Error::layer("", "there is nothing to merge"))?;
        let (mut y, mut counts) = first;
        for (x, mask) in inputs {
            let mut x = x.clone();
            if let Some(mask) = mask {
                x = mask.where_cond(&x, &y)?;
            }
            if let Some(counts) = &counts {
                y = counts.where_cond(&y, &x)?;
            }
            counts = match (counts, mask) {
                (Some(counts), Some(mask)) => Some(counts.maximum(mask)?),
                _ => None,
            };
            y = arithmetic(operator, &y, &x)?;
        }
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(shapes: &[&[Option<usize>]]) -> Result<Spec> {
        let specs = shapes.iter().map(|dims| Spec::float(Dims(dims.to_vec())));
        Ok(Add::new().outputs(&Args::list(specs))?.remove(0))
    }

    #[test]
    fn shapes_broadcast_but_batches_do_not() {
        let (n, three, one, five) = (None, Some(3), Some(1), Some(5));
        for (shapes, expected) in [
            (&[&[n, three][..], &[n, three]][..], &[n, three][..]),
            (&[&[n, five, one], &[n, three]], &[n, five, three]),
            (&[&[n, three], &[five, one]], &[five, three]),
            (&[&[n, n, three], &[n, five, one]], &[n, n, three]),
        ] {
            assert_eq!(outputs(shapes).unwrap().dims.0, expected);
        }
        for (shapes, message) in [
            (&[&[n, three][..], &[n, five]][..], "(None, 3) and (None, 5) cannot be merged"),
            (&[&[three, one], &[five, one]], "(3, 1) and (5, 1) cannot be merged"),
            (&[], "takes a list of at least one input, got none"),
            (&[&[]], "with a batch axis"),
        ] {
            let error = outputs(shapes).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let three = Args::list([1, 2, 3].map(|_| Spec::float(Dims::batch_of(&[2]))));
        let error = Subtract::new().outputs(&three).unwrap_err().to_string();
        assert!(error.contains("Subtract takes a list of 2 inputs, got 3"), "{error}");
    }
}
