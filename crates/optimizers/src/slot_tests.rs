//! Slots of any number, shape, type and first value, shown by rules that exist for these tests.

use crate::tests::Zeros;
use crate::{
    Common, Initial, Optimizer, OptimizerState, Slot, Step, Target, UpdateRule, WeightInfo,
};
use sconce_core::{
    DType, Device, FirstValues, Gradients, Result, Store, Tensor, Weight, WeightSpec,
};
use sconce_kernels::update;
use sconce_testkit::difference;
use std::sync::Arc;

/// A weight of one row per axis, and its bias.
fn store() -> Store {
    let mut store = Store::new();
    for (name, dims) in [("kernel", &[2usize, 3][..]), ("bias", &[3])] {
        let spec = WeightSpec::new(name, dims, Arc::new(Zeros));
        let first = FirstValues::Zeros;
        let weight = Weight::new(spec, "dense", &Device::Cpu, DType::F32, first).unwrap();
        store.add(format!("dense/{name}"), Arc::new(weight), true).unwrap();
    }
    for parameter in store.parameters() {
        let count = parameter.var.elem_count();
        let values = Tensor::arange(1f32, count as f32 + 1.0, &Device::Cpu).unwrap();
        parameter.set(&values.reshape(parameter.var.dims()).unwrap()).unwrap();
    }
    store
}

fn weights(store: &Store) -> Vec<Tensor> {
    store.parameters().iter().map(|p| p.var.as_tensor().copy().unwrap()).collect()
}

fn step(store: &Store, state: &mut OptimizerState, value: f32) {
    let gradients = store.parameters().iter().map(|p| {
        let ramp = Tensor::arange(1f32, p.var.elem_count() as f32 + 1.0, &Device::Cpu).unwrap();
        Some((ramp.reshape(p.var.dims()).unwrap() * f64::from(value)).unwrap())
    });
    state.apply(store, &Gradients::from(gradients.collect::<Vec<_>>())).unwrap();
}

fn state(rule: impl UpdateRule + 'static, store: &Store) -> OptimizerState {
    OptimizerState::new(&Optimizer::custom("stub", Arc::new(rule)), store).unwrap()
}

/// After three steps, a fresh state given the variables continues with the same bits.
fn continues_exactly<R: UpdateRule + 'static>(rule: impl Fn() -> R) {
    let (first, second) = (store(), store());
    let mut whole = state(rule(), &first);
    (1..4).for_each(|i| step(&first, &mut whole, i as f32));
    let variables = whole.variables().unwrap();
    let (paths, values): (Vec<_>, Vec<_>) = variables.into_iter().unzip();
    let values: Vec<Tensor> = values.iter().map(|v| v.copy().unwrap()).collect();
    let mut resumed = state(rule(), &second);
    resumed.set_variables(&values).unwrap();
    for (to, from) in second.parameters().iter().zip(weights(&first)) {
        to.set(&from).unwrap();
    }
    for ((path, ours), (expected, theirs)) in
        resumed.variables().unwrap().iter().zip(paths.iter().zip(&values))
    {
        assert_eq!((path, ours.dtype()), (expected, theirs.dtype()));
        assert_eq!(difference(ours, theirs, 0.0), None, "{path}");
    }
    for i in 4..7 {
        step(&first, &mut whole, i as f32);
        step(&second, &mut resumed, i as f32);
    }
    for (a, b) in weights(&first).iter().zip(weights(&second)) {
        assert_eq!(difference(a, &b, 0.0), None);
    }
}

fn common() -> Common {
    Common::new("stub", 0.5)
}

/// Factored second moments, as Adafactor: rows and columns for matrices, one slot for vectors.
struct Factored(Common);

impl UpdateRule for Factored {
    fn common(&self) -> &Common {
        &self.0
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        let name = weight.path.rsplit('/').next().unwrap_or_default();
        match weight.dims {
            // Adafactor's own paths.
            [rows, columns] => vec![
                Slot::new("r", &[*rows], weight.dtype).path(&format!("stub/{name}")),
                Slot::new("c", &[*columns], weight.dtype).path(&format!("stub/{name}")),
            ],
            // And its placeholders, which never change.
            _ => vec![Slot::new("r", &[], DType::I32).path(name), Slot::like("velocity", weight)],
        }
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let Target { weight: w, gradient: g, slots, .. } = *target;
        let v = match slots {
            [r, c] if r.rank() == 1 => {
                update::assign(r, &(r + g.sqr()?.mean(1)?)?)?;
                update::assign(c, &(c + g.sqr()?.mean(0)?)?)?;
                r.unsqueeze(1)?.broadcast_mul(&c.unsqueeze(0)?)?.broadcast_div(&r.mean_all()?)?
            }
            [_, v, ..] => {
                update::assign(v, &(v + g.sqr()?)?)?;
                v.clone()
            }
            _ => return Ok(()),
        };
        Ok(update::assign(w, &(w - ((g * step.rate)? / v.sqrt()?)?)?)?)
    }
}

#[test]
fn slots_differ_from_weight_to_weight() {
    let store = store();
    let mut state = state(Factored(common()), &store);
    step(&store, &mut state, 1.0);
    let variables = state.variables().unwrap();
    let found: Vec<_> = variables.iter().map(|(path, v)| (path.as_str(), v.dims())).collect();
    let expected: [(&str, &[usize]); 6] = [
        ("stub/iteration", &[]),
        ("stub/learning_rate", &[]),
        ("stub/kernel", &[2]),
        ("stub/kernel", &[3]),
        ("bias", &[]),
        ("stub/dense_bias_velocity", &[3]),
    ];
    assert_eq!(found, expected);
    // Squares of the rows 1 2 3 and 4 5 6.
    let near = |at: usize, expected: &[f32]| {
        let expected = Tensor::new(expected, &Device::Cpu).unwrap();
        assert_eq!(difference(&variables[at].1, &expected, 1e-6), None);
    };
    near(2, &[14.0 / 3.0, 77.0 / 3.0]);
    near(3, &[8.5, 14.5, 22.5]);
    near(5, &[1.0, 4.0, 9.0]);
    continues_exactly(|| Factored(common()));
}

/// A slot that starts as the weight, as ScheduleFreeAdamW, of which the weight is an average.
struct Averaged(Common);

impl UpdateRule for Averaged {
    fn common(&self) -> &Common {
        &self.0
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::like("momentum", weight).initial(Initial::WeightCopy)]
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let Target { weight: w, gradient: g, slots, .. } = *target;
        let [z, ..] = slots else { return Ok(()) };
        update::assign(z, &(z - (g * step.rate)?)?)?;
        let part = 1.0 / step.iteration as f64;
        Ok(update::assign(w, &((w * (1.0 - part))? + (z * part)?)?)?)
    }
}

#[test]
fn a_slot_starts_as_a_copy_of_the_weight() {
    let store = store();
    let mut state = state(Averaged(common()), &store);
    let before = weights(&store);
    let slot = |state: &OptimizerState, at: usize| state.variables().unwrap()[2 + at].1.clone();
    for (at, before) in before.iter().enumerate() {
        assert_eq!(difference(&slot(&state, at), before, 0.0), None);
    }
    step(&store, &mut state, 1.0);
    // Only the slot's own update changed it: it is no view of the weight.
    let half = |t: &Tensor| (t * 0.5).unwrap();
    for (at, before) in before.iter().enumerate() {
        assert_eq!(difference(&slot(&state, at), &half(before), 1e-6), None);
    }
    step(&store, &mut state, 1.0);
    for (at, before) in before.iter().enumerate() {
        assert_eq!(difference(&slot(&state, at), &(before * 0.0).unwrap(), 1e-6), None);
        assert_eq!(difference(&weights(&store)[at], &(before * 0.25).unwrap(), 1e-6), None);
    }
    continues_exactly(|| Averaged(common()));
}

/// A product that all weights share, as Nadam's, and a count of updates for each weight.
struct Shared(Common);

impl UpdateRule for Shared {
    fn common(&self) -> &Common {
        &self.0
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        vec![Slot::new("count", &[], DType::I64).group(1), Slot::like("momentum", weight)]
    }

    fn shared_slots(&self, dtype: DType) -> Vec<Slot> {
        vec![
            Slot::new("u_product", &[], dtype).initial(Initial::Value(1.0)).path("variable"),
            Slot::new("largest", &[2], dtype),
        ]
    }

    fn update_shared(&self, step: &Step<'_>) -> Result<()> {
        let [product, ..] = step.shared else { return Ok(()) };
        Ok(update::assign(product, &(product * 0.5)?)?)
    }

    fn update(&self, step: &Step<'_>, target: &Target<'_>) -> Result<()> {
        let Target { weight: w, gradient: g, slots, .. } = *target;
        let ([count, m], [product, ..]) = (slots, step.shared) else { return Ok(()) };
        update::assign(count, &(count + 3.0)?)?;
        update::assign(m, &g.broadcast_mul(product)?)?;
        Ok(update::assign(w, &(w - m)?)?)
    }
}

#[test]
fn slots_are_shared_counted_and_grouped() {
    let store = store();
    let mut state = state(Shared(common()), &store);
    let before = weights(&store);
    step(&store, &mut state, 1.0);
    step(&store, &mut state, 1.0);
    let variables = state.variables().unwrap();
    let found: Vec<_> = variables.iter().map(|(path, v)| (path.as_str(), v.dtype())).collect();
    let expected = [
        ("stub/iteration", DType::I32),
        ("stub/learning_rate", DType::F32),
        ("stub/dense_kernel_momentum", DType::F32),
        ("stub/dense_bias_momentum", DType::F32),
        ("stub/dense_kernel_count", DType::I64),
        ("stub/dense_bias_count", DType::I64),
        ("variable", DType::F32),
        ("stub/largest", DType::F32),
    ];
    assert_eq!(found, expected);
    assert_eq!(variables[4].1.to_scalar::<i64>().unwrap(), 6);
    // Once per update, not once per weight.
    assert_eq!(variables[6].1.to_scalar::<f32>().unwrap(), 0.25);
    for (now, before) in weights(&store).iter().zip(before) {
        // The weights equal the gradients at first; they lose one half and one quarter of them.
        assert_eq!(difference(now, &(before * 0.25).unwrap(), 1e-6), None);
    }
    continues_exactly(|| Shared(common()));
}

#[test]
fn integer_slots_take_no_fractions() {
    let store = store();
    let mut state = state(Shared(common()), &store);
    let mut values: Vec<Tensor> =
        state.variables().unwrap().into_iter().map(|(_, v)| v.copy().unwrap()).collect();
    values[1] = Tensor::new(0.25f32, &Device::Cpu).unwrap();
    values[4] = Tensor::new(2.5f32, &Device::Cpu).unwrap();
    let error = state.set_variables(&values).unwrap_err().to_string();
    assert!(error.contains("stub/dense_kernel_count has type I64, F32 was given"), "{error}");
    assert_eq!(state.learning_rate(), 0.5, "nothing is changed");
    // Other integer types are converted.
    values[4] = Tensor::new(5u32, &Device::Cpu).unwrap();
    state.set_variables(&values).unwrap();
    assert_eq!(state.variables().unwrap()[4].1.to_scalar::<i64>().unwrap(), 5);
    values[0] = Tensor::new(1.5f32, &Device::Cpu).unwrap();
    let error = state.set_variables(&values).unwrap_err().to_string();
    assert!(error.contains("must be the number of batches seen"), "{error}");
}

/// A slot that cannot be a copy.
struct Misshapen(Common, bool);

impl UpdateRule for Misshapen {
    fn common(&self) -> &Common {
        &self.0
    }

    fn slots(&self, weight: &WeightInfo<'_>) -> Vec<Slot> {
        match self.1 {
            true => Vec::new(),
            false => vec![Slot::new("copy", &[7], weight.dtype).initial(Initial::WeightCopy)],
        }
    }

    fn shared_slots(&self, dtype: DType) -> Vec<Slot> {
        match self.1 {
            true => vec![Slot::new("copy", &[7], dtype).initial(Initial::WeightCopy)],
            false => Vec::new(),
        }
    }

    fn update(&self, _: &Step<'_>, _: &Target<'_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn copies_of_another_shape_are_refused() {
    let refused = |shared: bool| {
        let rule = Optimizer::custom("stub", Arc::new(Misshapen(common(), shared)));
        OptimizerState::new(&rule, &store()).err().unwrap().to_string()
    };
    let error = refused(false);
    assert!(
        error.contains("slot copy of shape [7]") && error.contains("has shape [2, 3]"),
        "{error}"
    );
    let error = refused(true);
    assert!(error.contains("a shared slot has none"), "{error}");
}
