//! Concatenate: tensors one after another along an axis.

use super::several;
use crate::{Call, Layer};
use sconce_core::axes::position;
use sconce_core::{Args, Config, DType, Error, Result, Spec, Tensor};

/// Puts inputs, whose shapes agree but for the length of `axis`, one after another. A step of the
/// result counts where any input has a value there that does.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct Concatenate {
    /// The axis; negative ones count from the end.
    #[config(default = -1)]
    pub axis: i64,
}

/// The type that holds all: a float one if there is one.
fn common(dtypes: impl Iterator<Item = DType> + Clone) -> DType {
    let mut all = dtypes.clone();
    let first = all.next().unwrap_or(DType::F32);
    match all.all(|dtype| dtype == first) {
        true => first,
        false => dtypes.clone().find(|dtype| dtype.is_float()).unwrap_or(DType::I64),
    }
}

impl Layer for Concatenate {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        let inputs = several(x, "Concatenate")?;
        let mut dims = inputs.first().map(|spec| spec.dims.clone()).unwrap_or_default();
        let axis = position(self.axis, dims.rank())?;
        for spec in inputs.iter().skip(1) {
            let misfit = || {
                let message = format!(
                    "inputs of shapes {dims} and {} cannot be concatenated along axis {}",
                    spec.dims, self.axis
                );
                Error::layer("", message)
            };
            if spec.dims.rank() != dims.rank() {
                return Err(misfit());
            }
            let joined =
                dims.0.iter().zip(&spec.dims.0).enumerate().map(|(i, (a, b))| match (a, b) {
                    (a, b) if i == axis => Ok(a.zip(*b).and_then(|(a, b)| a.checked_add(b))),
                    (Some(a), Some(b)) if a != b => Err(misfit()),
                    (a, b) => Ok(a.or(*b)),
                });
            dims.0 = joined.collect::<Result<_>>()?;
        }
        Ok(vec![Spec { dims, dtype: common(inputs.iter().map(|spec| spec.dtype)) }])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let tensors = call.tensors();
        several(call.args(), "Concatenate")?;
        let dtype = common(tensors.iter().map(|x| x.dtype()));
        let alike = tensors.iter().map(|x| Ok(x.to_dtype(dtype)?)).collect::<Result<Vec<_>>>()?;
        let axis = position(self.axis, alike.first().map_or(0, Tensor::rank))?;
        Ok(vec![Tensor::cat(&alike, axis)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        let mut masks = Vec::new();
        for (index, x) in call.tensors().into_iter().enumerate() {
            masks.push(match call.mask(index) {
                None => Tensor::ones(x.shape(), DType::U8, x.device())?,
                Some(mask) => {
                    let mut mask = mask.ne(&mask.zeros_like()?)?;
                    if mask.rank() < x.rank() {
                        mask = mask.unsqueeze(mask.rank())?.broadcast_as(x.shape())?;
                    }
                    mask.contiguous()?
                }
            });
        }
        let axis = position(self.axis, masks.first().map_or(0, Tensor::rank))?;
        let all = Tensor::cat(&masks, axis)?;
        Ok(vec![Some(all.max(all.rank().saturating_sub(1))?)])
    }

    fn casts_integers(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerEntry, Scope};
    use sconce_core::{Context, Device, Dims, Value};

    #[test]
    fn integers_stay_whole_unless_there_are_floats() {
        let entry = LayerEntry::from(Concatenate::new().axis(0));
        let run = |x: &[Tensor]| {
            let args = Args::list(x.iter().cloned().map(Value::from));
            let mut cx = Context::inference();
            Scope::new(&mut cx, None).run(&entry, args, 1).unwrap().remove(0).tensor
        };
        let big = Tensor::new(&[(1i64 << 24) + 1], &Device::Cpu).unwrap();
        let small = Tensor::new(&[1u8], &Device::Cpu).unwrap();
        assert_eq!(run(&[big.clone(), small.clone()]).to_vec1::<i64>().unwrap(), [16_777_217, 1]);
        let half = Tensor::new(&[0.5f32], &Device::Cpu).unwrap();
        assert_eq!(run(&[small, half]).to_vec1::<f32>().unwrap(), [1.0, 0.5]);
    }

    #[test]
    fn shapes_agree_but_for_the_axis() {
        let outputs = |axis, a: &[Option<usize>], b: &[Option<usize>]| {
            let specs = [a, b].map(|dims| Spec::float(Dims(dims.to_vec())));
            Ok::<_, Error>(
                Concatenate::new().axis(axis).outputs(&Args::list(specs))?.remove(0).dims,
            )
        };
        let (n, two, three) = (None, Some(2), Some(3));
        assert_eq!(outputs(-1, &[n, two], &[n, three]).unwrap().0, [n, Some(5)]);
        assert_eq!(outputs(1, &[n, n, two], &[three, two, two]).unwrap().0, [three, n, two]);
        let error = outputs(1, &[n, two, two], &[n, two, three]).unwrap_err().to_string();
        assert!(
            error.contains("(None, 2, 2) and (None, 2, 3) cannot be concatenated along axis 1")
        );
        assert!(outputs(1, &[n, two], &[n, two, two]).is_err());
        assert!(outputs(2, &[n, two], &[n, two]).unwrap_err().to_string().contains("axis 2"));
        let huge = outputs(1, &[n, Some(usize::MAX)], &[n, two]).unwrap();
        assert_eq!(huge.0, [n, n]);
    }
}
