//! How often memory is asked for: by a step of the workload `seed` (small enough to run on one thread, so that
//! the number is the same on any machine), and by chains of layers; and that very many steps keep none.
#![allow(clippy::unwrap_used)]

use allocation_counter::{AllocationInfo, measure};
use ndarray::{Array1, Array2};
use sconce::core::Stream;
use sconce::layers::initializers::Ones;
use sconce::prelude::*;
use std::sync::Arc;

const ROWS: usize = 3200;
const BATCH: usize = 32;

/// Allocations of a run of so many epochs.
fn allocations(epochs: usize) -> u64 {
    let mut stream = Stream::named(0, "allocations");
    let x = Array2::from_shape_simple_fn((ROWS, 32), || stream.normal() as f32);
    let y = Array1::from_shape_simple_fn(ROWS, || stream.below(10) as i64);
    let hidden = Dense::new(64).activation("relu");
    let mut model = Sequential::new().add(hidden).add(Dense::new(10));
    model.compile(SGD::new(0.01).clipnorm(1.0), "sparse_categorical_crossentropy").unwrap();
    let fit = Fit::new(epochs, BATCH).verbose(Verbose::Silent);
    let run = measure(|| drop(model.fit_with(&x, &y, fit).unwrap()));
    run.count_total
}

/// The number stands in docs/PERFORMANCE.md too, with what it is made of. A debug build and a release
/// build ask as often.
#[test]
fn a_step_allocates_as_often_as_is_stated() {
    const STATED: f64 = 87.0;
    let (few, more) = (2, 12);
    let steps = ((more - few) * ROWS / BATCH) as f64;
    let in_a_step = (allocations(more) - allocations(few)) as f64 / steps;
    println!("{in_a_step:.1} allocations a step");
    assert!(in_a_step <= STATED, "{in_a_step:.1} allocations a step, {STATED} are stated");
}

/// `x + w x`, in plain candle code.
struct Plain {}

impl Configured for Plain {
    fn class_name(&self) -> &'static str {
        "Plain"
    }
}

impl Layer for Plain {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Plain")?.clone()])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        Ok(vec![WeightSpec::new("w", &[1], Arc::new(Ones {}))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?;
        Ok(vec![(x + x.broadcast_mul(&call.weight("w")?)?)?])
    }
}

/// A chain of residual blocks, each a layer in plain candle code and an addition.
fn chain(blocks: usize) -> Model {
    let x = Input::new([2]);
    let mut h = (&x * 1e-3).unwrap();
    for _ in 0..blocks {
        let branch = (&Plain {}.apply(&h).unwrap() * 1e-6).unwrap();
        h = (&h + &branch).unwrap();
    }
    let mut model = Model::new([&x], [&h]).unwrap();
    model.build(&Dims::batch_of(&[2])).unwrap();
    model
}

/// A walk over candle's graph for each block would list what lies behind it: the square.
#[test]
fn a_residual_chain_of_twice_the_length_asks_for_twice_the_memory() {
    let x = Tensor::ones((1, 2), DType::F32, &Device::Cpu).unwrap();
    let pass = |blocks: usize| {
        let model = chain(blocks);
        let run = measure(|| {
            let mut cx = Context::training(0, 0);
            let loss = model.forward(&x, &mut cx).unwrap().sum_all().unwrap();
            let gradients = model.backward(&loss).unwrap();
            assert!(gradients.0.iter().all(Option::is_some));
        });
        run.bytes_total
    };
    let (short, long) = (pass(200), pass(400));
    println!("{short} bytes for 200 blocks, {long} for 400");
    assert!((1.9..2.1).contains(&(long as f64 / short as f64)), "{short} {long}");
}

/// Rows, and steps, of an epoch.
const SMALL_ROWS: usize = 2000;

/// What a run of this many epochs of 2,000 steps each asks for, on a model that has made one. The steps are
/// small enough to run on one thread, which is the one that is counted.
fn small_steps(epochs: usize) -> AllocationInfo {
    let x = Tensor::ones((SMALL_ROWS, 2), DType::F32, &Device::Cpu).unwrap();
    let y = Tensor::zeros((SMALL_ROWS, 1), DType::F32, &Device::Cpu).unwrap();
    let mut model = Sequential::new().add(Dense::new(3).activation("relu")).add(Dense::new(1));
    model.compile_with(Compile::new(Adam::new(1e-3), "mse").metrics(["mae"])).unwrap();
    let mut fit = |epochs| {
        let fit = Fit::new(epochs, 1).verbose(Verbose::Silent);
        model.fit_with(&x, &y, fit).unwrap()
    };
    fit(1);
    let mut history = None;
    let info = measure(|| history = Some(fit(epochs)));
    assert_eq!(history.unwrap().epoch.len(), epochs);
    info
}

/// What is left of 100,000 steps is what is left of 4,000 and the history of 48 epochs more: of each
/// its number and three values, and where they were logged.
#[test]
fn a_hundred_thousand_steps_leak_nothing() {
    let (few, many) = (small_steps(2), small_steps(50));
    println!("4,000 steps: {few:?}\n100,000 steps: {many:?}");
    assert!(many.count_total > 20 * few.count_total, "the steps were counted");
    let kept = many.bytes_current - few.bytes_current;
    let highest = many.bytes_max as i64 - few.bytes_max as i64;
    assert!(kept < 4096 && highest < 8192, "{kept} bytes more are kept, {highest} at the highest");
    assert!(many.count_current - few.count_current <= 8);
}
