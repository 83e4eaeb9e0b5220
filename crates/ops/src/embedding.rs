//! Embedding: `y[.., :] = table[ids[..], :]`.
//!
//! Shapes: table `[rows, width]`, ids `[..]` of whole numbers, y `[.., width]`.

use crate::op::{Input, Kernel, Operation, Values, is_cpu_f32, one, refuse_empty};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use sconce_core::tape::Pass;
use sconce_kernels::{build_rows, for_parts};

/// Parts of a table whose gradients are added up side by side.
const PARTS: usize = 8;

/// The rows of `table` at `ids`. Differentiable in the table.
pub fn embedding(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
    Embedding::new(table, ids)?.apply(&[table])
}

/// The operation; its input is the table.
struct Embedding {
    ids: Tensor,
    /// The same on the CPU, where they are checked.
    rows: Option<Vec<u32>>,
}

impl Embedding {
    fn new(table: &Tensor, ids: &Tensor) -> Result<Self> {
        let count = table.dims2()?.0;
        let ids = ids.detach();
        refuse_empty("embedding", &[&ids])?;
        if !ids.device().is_cpu() {
            return Ok(Self { ids, rows: None });
        }
        let flat = ids.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
        let row = |id: &i64| match u32::try_from(*id) {
            Ok(row) if (row as usize) < count => Ok(row),
            _ => bail!(
                "embedding: the index {id} lies outside the table, whose indices are 0..{count}"
            ),
        };
        let rows = flat.iter().map(row).collect::<Result<Vec<_>>>()?;
        Ok(Self { ids, rows: Some(rows) })
    }

    fn shape(&self, width: usize) -> Shape {
        let mut dims = self.ids.dims().to_vec();
        dims.push(width);
        Shape::from(dims)
    }

    /// As one list, for candle.
    fn list(&self, like: &Tensor) -> Result<Tensor> {
        match &self.rows {
            Some(rows) => Tensor::from_slice(rows, rows.len(), like.device()),
            None => self.ids.flatten_all()?.to_dtype(DType::U32),
        }
    }
}

impl Operation for Embedding {
    type Saved = ();

    fn name(&self) -> &'static str {
        "embedding"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        let table = inputs[0];
        let shape = self.shape(table.dim(1)?);
        one(table.index_select(&self.list(table)?, 0)?.reshape(shape))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let (table, dy) = (pass.input(0), pass.dy()?);
        let dy = dy.reshape(((), table.dim(1)?))?;
        pass.give(0, table.zeros_like()?.index_add(&self.list(table)?, &dy, 0)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        (is_cpu_f32(device, dtype) && self.rows.is_some()).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Embedding {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let (table, width) = (inputs[0].data, inputs[0].dims[1]);
        let rows = self.rows.as_deref().unwrap_or_default();
        let y = build_rows(rows.len() * width, width, |first, part| {
            for (to, row) in part.chunks_exact_mut(width).zip(&rows[first..]) {
                let from = *row as usize * width;
                to.copy_from_slice(&table[from..from + width]);
            }
        });
        Ok((vec![(y, self.shape(width))], ()))
    }

    fn backward(&self, _saved: (), pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?;
        let width = pass.input(0).dim(1)?;
        let rows = self.rows.as_deref().unwrap_or_default();
        sconce_kernels::with_slice(dy, |dy| {
            pass.write_rows(0, rows, |table| {
                // Each part of the table adds its own rows, in their order.
                let part = table.len().div_ceil(PARTS).next_multiple_of(width.max(1));
                for_parts(table, part, |start, part| {
                    for (from, row) in dy.chunks_exact(width.max(1)).zip(rows) {
                        let to = (*row as usize * width).wrapping_sub(start);
                        if let Some(sums) = part.get_mut(to..to.wrapping_add(width)) {
                            sums.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
                        }
                    }
                });
                Ok(())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Operator;
    use crate::dense::Dense;
    use crate::gradient_check::{check_operation_on, sample};
    use candle_core::Var;
    use sconce_core::{GradientSink, Tape};

    #[test]
    fn gradients_and_forms_agree() {
        let table = sample("table", &[5, 3]).unwrap();
        let check = |ids: &Tensor| {
            let make =
                |device: &Device| Embedding::new(&table, &ids.to_device(device).unwrap()).unwrap();
            check_operation_on(make, std::slice::from_ref(&table)).unwrap();
        };
        for ids in [vec![4u32, 0, 4, 1, 1, 4], vec![2]] {
            check(&Tensor::from_slice(&ids, ids.len(), &Device::Cpu).unwrap());
        }
        let none = Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap();
        for table in [table.clone(), table.to_dtype(DType::F32).unwrap()] {
            assert_eq!(embedding(&table, &none).unwrap().dims(), [0, 3]);
        }
        let ids = Tensor::new(&[[1i64, 3], [3, 0]], &Device::Cpu).unwrap();
        assert_eq!(embedding(&table, &ids).unwrap().dims(), [2, 2, 3]);
        check(&ids);
    }

    /// Over steps that use one sink, whose buffer is cleared where it was used.
    #[test]
    fn gradients_know_their_rows() {
        let table = sample("table", &[6, 3]).unwrap().to_dtype(DType::F32).unwrap();
        let table = Var::from_tensor(&table).unwrap();
        let look_up = |ids: &[u32]| {
            let ids = Tensor::from_slice(ids, ids.len(), &Device::Cpu).unwrap();
            embedding(&table, &ids).unwrap().sum_all().unwrap()
        };
        let all = || Dense::plain().apply(&[&ones(2, 6), &table]).unwrap().sum_all().unwrap();
        let mut sink = GradientSink::new([table.as_tensor()]);
        let mut step = |loss: &dyn Fn() -> Tensor, right: Option<&[u32]>| {
            let gradient = |sink: &mut GradientSink| {
                let (loss, tape) = Tape::record(loss);
                tape.backward(&loss, sink).unwrap();
                let (gradient, rows) = sink.take_with_rows(&table).unwrap();
                (gradient.to_vec2::<f32>().unwrap(), rows)
            };
            let (dense, rows) = gradient(&mut sink);
            assert_eq!(rows.as_deref(), right);
            let (anew, _) = gradient(&mut GradientSink::new([table.as_tensor()]));
            assert_eq!(dense, anew);
            for (row, values) in dense.iter().enumerate() {
                let is_used = right.is_none_or(|rows| rows.contains(&(row as u32)));
                assert_eq!(values.iter().any(|value| *value != 0.0), is_used, "row {row}");
            }
        };
        step(&|| look_up(&[4, 0, 4]), Some(&[0, 4]));
        step(&|| look_up(&[1]), Some(&[1]));
        step(&|| (look_up(&[3, 2, 3]) + look_up(&[2, 1])).unwrap(), Some(&[1, 2, 3]));
        step(&|| (look_up(&[3]) + all()).unwrap(), None);
        step(&|| (all() + look_up(&[3])).unwrap(), None);
        step(&|| look_up(&[5]), Some(&[5]));
        // Through another operation the gradient of a table that is no weight goes on.
        let twice = || {
            let table = crate::arithmetic::arithmetic(Operator::Add, &table, &table).unwrap();
            embedding(&table, &Tensor::new(&[1u32], &Device::Cpu).unwrap())
                .unwrap()
                .sum_all()
                .unwrap()
        };
        let (loss, tape) = Tape::record(twice);
        tape.backward(&loss, &mut sink).unwrap();
        let gradient = sink.take(&table).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((gradient[0][0], gradient[1][0]), (0.0, 2.0));
    }

    fn ones(rows: usize, columns: usize) -> Tensor {
        Tensor::ones((rows, columns), DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn indices_outside_the_table_are_errors() {
        let table = Tensor::zeros((4, 2), DType::F32, &Device::Cpu).unwrap();
        for id in [4i64, -1, i64::MAX] {
            let message = embedding(&table, &Tensor::new(&[id], &Device::Cpu).unwrap());
            let message = message.unwrap_err().to_string();
            assert!(message.contains(&id.to_string()) && message.contains("0..4"), "{message}");
        }
    }
}
