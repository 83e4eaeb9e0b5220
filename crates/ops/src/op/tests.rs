use super::*;
use crate::arithmetic::{Operator, arithmetic};
use crate::gradient_check::{
    check, check_all, check_all_forms, check_forms, check_operation, sample,
};
use candle_core::Var;
use sconce_core::{GradientSink, Tape};

/// A cell of six inputs and three results: with `g = tanh(x w + h u + b)`, it gives `g c`, `g + c` and
/// `g²`. Shapes: x `[n, k]`, h and c `[n, m]`, w `[k, m]`, u `[m, m]`, b `[m]`.
struct Cell;

/// Six inputs: x, h, c, w, u, b.
impl Operation for Cell {
    /// `g`
    type Saved = Tensor;

    fn name(&self) -> &'static str {
        "cell"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let [x, h, c, w, u, b] = inputs else { bail!("cell: six inputs") };
        let g = (x.matmul(w)? + h.matmul(u)?)?.broadcast_add(b)?.tanh()?;
        Ok((vec![(&g * *c)?, (&g + *c)?, g.sqr()?], g))
    }

    fn backward(&self, g: Tensor, pass: &mut Pass<'_>) -> Result<()> {
        let (dy0, dy1) = (pass.gradient_or_zeros(0)?, pass.gradient_or_zeros(1)?);
        let (x, h, c) = (pass.input(0), pass.input(1), pass.input(2));
        let (w, u) = (pass.input(3), pass.input(4));
        let dg = (((&dy0 * c)? + &dy1)? + (pass.gradient_or_zeros(2)? * (&g * 2.0)?)?)?;
        let dz = (dg * (1.0 - g.sqr()?)?)?;
        pass.give(0, dz.matmul(&w.t()?.contiguous()?)?)?;
        pass.give(1, dz.matmul(&u.t()?.contiguous()?)?)?;
        pass.give(2, ((dy0 * g)? + dy1)?)?;
        pass.give(3, x.t()?.contiguous()?.matmul(&dz)?)?;
        pass.give(4, h.t()?.contiguous()?.matmul(&dz)?)?;
        pass.give(5, dz.sum(0)?)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<Tensor>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<Tensor>)
    }
}

fn values(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
}

impl Kernel<Tensor> for Cell {
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, Tensor)> {
        let [x, h, c, w, u, b] = inputs else { bail!("cell: six inputs") };
        let (&[n, k], &[_, m]) = (x.dims, c.dims) else { bail!("cell: shapes") };
        let z = |i: usize, j: usize| {
            let of_x: f32 = (0..k).map(|l| x.data[i * k + l] * w.data[l * m + j]).sum();
            let of_h: f32 = (0..m).map(|l| h.data[i * m + l] * u.data[l * m + j]).sum();
            of_x + of_h + b.data[j]
        };
        let g: Vec<f32> = (0..n * m).map(|at| z(at / m, at % m).tanh()).collect();
        let with = |f: fn(f32, f32) -> f32| {
            let values = g.iter().zip(c.data).map(|(g, c)| f(*g, *c));
            (values.collect::<Vec<f32>>(), Shape::from((n, m)))
        };
        let results = vec![with(|g, c| g * c), with(|g, c| g + c), with(|g, _| g * g)];
        Ok((results, Tensor::from_vec(g, (n, m), &Device::Cpu)?))
    }

    fn backward(&self, g: Tensor, pass: &mut Pass<'_>) -> Result<()> {
        let [x, h, c, w, u] = [0, 1, 2, 3, 4].map(|i| values(pass.input(i)));
        let (x, h, c, w, u) = (x?, h?, c?, w?, u?);
        let [dy0, dy1, dy2] = [0, 1, 2].map(|i| values(&pass.gradient_or_zeros(i)?));
        let (dy0, dy1, dy2, g) = (dy0?, dy1?, dy2?, values(&g)?);
        let (n, k) = pass.input(0).dims2()?;
        let m = g.len() / n;
        let dz = |i: usize, j: usize| {
            let at = i * m + j;
            (dy0[at] * c[at] + dy1[at] + dy2[at] * 2.0 * g[at]) * (1.0 - g[at] * g[at])
        };
        let row = |i: usize, weight: &[f32], l: usize| -> f32 {
            (0..m).map(|j| dz(i, j) * weight[l * m + j]).sum()
        };
        let column = |input: &[f32], width: usize, l: usize, j: usize| -> f32 {
            (0..n).map(|i| input[i * width + l] * dz(i, j)).sum()
        };
        let mut write = |input: usize, value: &dyn Fn(usize) -> f32| {
            pass.write(input, |out, accumulate| {
                for (at, out) in out.iter_mut().enumerate() {
                    *out = value(at) + if accumulate { *out } else { 0.0 };
                }
                Ok(())
            })
        };
        write(0, &|at| row(at / k, &w, at % k))?;
        write(1, &|at| row(at / m, &u, at % m))?;
        write(2, &|at| dy0[at] * g[at] + dy1[at])?;
        write(3, &|at| column(&x, k, at / m, at % m))?;
        write(4, &|at| column(&h, m, at / m, at % m))?;
        write(5, &|j| (0..n).map(|i| dz(i, j)).sum())
    }
}

fn cell_inputs() -> Vec<Tensor> {
    let shapes: [(&str, &[usize]); 6] = [
        ("x", &[2, 3]),
        ("h", &[2, 4]),
        ("c", &[2, 4]),
        ("w", &[3, 4]),
        ("u", &[4, 4]),
        ("b", &[4]),
    ];
    shapes.iter().map(|(name, dims)| (sample(name, dims).unwrap() * 0.4).unwrap()).collect()
}

#[test]
fn six_inputs_and_three_results() {
    check_operation(|| Cell, &cell_inputs()).unwrap();
}

/// Two steps in a row, as in a recurrent layer: weights are read twice, results read each other.
#[test]
fn a_cell_run_twice_adds_up() {
    let twice = |x: &[&Tensor], composed: bool| {
        let run = |x: &[&Tensor]| match composed {
            true => Cell.apply_all_composed(x),
            false => Cell.apply_all(x),
        };
        let first = run(x)?;
        run(&[x[0], &first[0], &first[1], x[3], x[4], x[5]])
    };
    check_all(|x| twice(x, true), &cell_inputs(), 1e-6).unwrap();
    check_all_forms(|x| twice(x, false), |x| twice(x, true), &cell_inputs()).unwrap();
}

#[test]
fn frozen_inputs_and_unread_results_cost_nothing() {
    let inputs: Vec<Tensor> =
        cell_inputs().iter().map(|x| x.to_dtype(DType::F32).unwrap()).collect();
    let x = Var::from_tensor(&inputs[0]).unwrap();
    let w = Var::from_tensor(&inputs[3]).unwrap();
    let with = |x: &Tensor, w: &Tensor| {
        Cell.apply_all(&[x, &inputs[1], &inputs[2], w, &inputs[4], &inputs[5]]).unwrap()
    };
    let (results, tape) = Tape::record(|| with(&inputs[0], &inputs[3]));
    assert!(tape.is_empty() && results.iter().all(|r| !r.track_op()), "nothing is tracked");
    let gradients = |x_is_frozen: bool| {
        let (loss, tape) = Tape::record(|| {
            let results = with(if x_is_frozen { &inputs[0] } else { &x }, &w);
            results[2].sum_all().unwrap()
        });
        let mut sink = GradientSink::new([x.as_tensor(), &w]);
        tape.backward(&loss, &mut sink).unwrap();
        (sink.take(&x), values(&sink.take(&w).unwrap()).unwrap())
    };
    let (dx, dw) = gradients(false);
    let (frozen, dw_of_frozen) = gradients(true);
    assert!(dx.is_some() && frozen.is_none());
    assert_eq!(dw, dw_of_frozen);
}

/// `x[i, ids[i]] w[i]`. Shapes: x `[n, k]`, ids `[n]` of u32, w `[n]`.
struct Pick;

impl Operation for Pick {
    type Saved = ();

    fn name(&self) -> &'static str {
        "pick"
    }

    fn forward(&self, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, ())> {
        one(inputs[0].gather(&inputs[1].unsqueeze(1)?, 1)?.squeeze(1)? * inputs[2])
    }

    fn backward(&self, _: (), pass: &mut Pass<'_>) -> Result<()> {
        let (x, ids, w, dy) = (pass.input(0), pass.input(1), pass.input(2), pass.dy()?);
        assert!(!pass.needs(1) && ids.dtype() == DType::U32);
        let ids = ids.unsqueeze(1)?;
        let dx = x.zeros_like()?.scatter_add(&ids, &(dy * w)?.unsqueeze(1)?, 1)?;
        let dw = (dy * x.gather(&ids, 1)?.squeeze(1)?)?;
        pass.give(0, dx)?;
        pass.give(2, dw)
    }

    fn kernel(&self, device: &Device, dtype: DType) -> Option<&dyn Kernel<()>> {
        is_cpu_f32(device, dtype).then_some(self as &dyn Kernel<()>)
    }
}

impl Kernel<()> for Pick {
    fn takes_integers(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<Values>, ())> {
        let [x, ids, w] = inputs else { bail!("pick: three inputs") };
        assert!(ids.data.is_empty(), "they are no f32");
        let picked = ids.values::<u32>()?.iter().zip(x.data.chunks(x.dims[1])).zip(w.data);
        let y = picked.map(|((id, row), w)| row[*id as usize] * w).collect();
        Ok((vec![(y, Shape::from(ids.dims))], ()))
    }

    fn backward(&self, saved: (), pass: &mut Pass<'_>) -> Result<()> {
        Operation::backward(self, saved, pass)
    }
}

#[test]
fn integers_among_floats_stay_what_they_are() {
    let (x, w) = (sample("x", &[3, 4]).unwrap(), sample("w", &[3]).unwrap());
    // A view that does not start at the front of its memory.
    let ids = Tensor::new(&[9u32, 2, 0, 2], &Device::Cpu).unwrap().narrow(0, 1, 3).unwrap();
    check_operation(|| Pick, &[x, ids, w]).unwrap();
}

/// A kernel that reads floats only is not given integers, wherever they stand: candle refuses to mix
/// types, instead of a result without values.
#[test]
fn integers_do_not_reach_kernels_of_floats() {
    let x = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
    let ids = Tensor::new(&[3i64, 4], &Device::Cpu).unwrap();
    for inputs in [[&x, &ids], [&ids, &x]] {
        let message = arithmetic(Operator::Multiply, inputs[0], inputs[1]).unwrap_err().to_string();
        assert!(message.contains("dtype mismatch in mul"), "{message}");
    }
    let product = arithmetic(Operator::Multiply, &ids, &ids).unwrap();
    assert_eq!(product.to_vec1::<i64>().unwrap(), [9, 16]);
}

#[test]
fn views_are_read_in_their_order() {
    let x = sample("x", &[3, 2]).unwrap();
    let (ids, w) = (Tensor::new(&[2u32, 0], &Device::Cpu).unwrap(), sample("w", &[2]).unwrap());
    let transposed = |x: &[&Tensor], fused: bool| {
        let inputs = [&x[0].t()?, &ids.to_device(x[0].device())?, x[1]];
        if fused { Pick.apply(&inputs) } else { Pick.apply_composed(&inputs) }
    };
    let inputs = [x, w];
    check(|x| transposed(x, false), &inputs, 1e-6).unwrap();
    check_forms(|x| transposed(x, true), |x| transposed(x, false), &inputs).unwrap();
}

#[test]
fn an_operation_of_several_results_is_not_taken_for_one() {
    let inputs = cell_inputs();
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let message = Cell.apply(&inputs).unwrap_err().to_string();
    assert!(
        message.contains("an operation with 3 results was taken for one with one"),
        "{message}"
    );
    let message = Cell.apply(&[]).unwrap_err().to_string();
    assert!(message.contains("cell: an operation needs an input"), "{message}");
}

#[test]
fn a_reshape_is_differentiated_in_both_worlds() {
    let x = sample("x", &[2, 6]).unwrap();
    let ids = Tensor::new(&[3u32, 0, 1], &Device::Cpu).unwrap();
    let f = |x: &[&Tensor]| {
        let y = reshape(&x[0].t()?, (3, 4))?;
        let picked = Pick.apply_composed(&[&y, &ids, &reshape(x[1], 3)?])?;
        let z = reshape(&y, (4, 3))?;
        let same = reshape(&z, (4, 3))?;
        (same.exp()? + z.sqr()?)?.broadcast_mul(&reshape(&picked, (1, 3))?)
    };
    check(f, &[x, sample("w", &[3, 1]).unwrap()], 1e-6).unwrap();
}
