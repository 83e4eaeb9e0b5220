//! Every cell: composed gradients against finite differences, and the loops against them, for batches
//! of one row, of several blocks of rows and of none, with masks, in both directions.

use super::{Cell, Gru, Lstm, Recurrent, SimpleRnn, Steps};
use crate::activations::{Activation, Gelu, Relu, Sigmoid, Tanh};
use crate::gradient_check::{
    check_all, check_all_forms, check_operation, check_operation_on, sample,
};
use crate::op::Operation;
use candle_core::{DType, Device, Result, Tensor};
use std::sync::Arc;

fn tanh() -> Arc<dyn Activation> {
    Arc::new(Tanh::new())
}

fn sigmoid() -> Arc<dyn Activation> {
    Arc::new(Sigmoid::new())
}

fn lstm() -> Lstm {
    Lstm { activation: tanh(), recurrent_activation: sigmoid(), recurrent_dropout: None }
}

fn gru(reset_after: bool) -> Gru {
    let (activation, recurrent_activation) = (tanh(), sigmoid());
    Gru { activation, recurrent_activation, reset_after, recurrent_dropout: None }
}

fn simple_rnn() -> SimpleRnn {
    SimpleRnn { activation: tanh(), recurrent_dropout: None }
}

/// z, states and the weights of the shapes given.
fn inputs<C: Cell>(
    (batch, steps, units): (usize, usize, usize),
    gates: usize,
    has_bias: bool,
) -> Vec<Tensor> {
    let mut inputs = vec![sample("z", &[batch, steps, gates * units]).unwrap()];
    inputs.extend((0..C::STATES).map(|k| sample(&format!("s{k}"), &[batch, units]).unwrap()));
    inputs.push(sample("kernel", &[units, gates * units]).unwrap());
    inputs.extend(has_bias.then(|| sample("bias", &[gates * units]).unwrap()));
    inputs
}

fn mask(batch: usize, steps: usize) -> Tensor {
    let numbers = (0..batch * steps).map(|i| u8::from(i % 3 != 0 && i % 7 != 1));
    Tensor::from_vec(numbers.collect::<Vec<_>>(), (batch, steps), &Device::Cpu).unwrap()
}

/// All ways over a sequence.
fn ways(batch: usize, steps: usize) -> Vec<Steps> {
    let mut ways = Vec::new();
    for number in 0..16 {
        let bit = |i: usize| number >> i & 1 == 1;
        ways.push(Steps {
            mask: bit(0).then(|| mask(batch, steps)),
            go_backwards: bit(1),
            zero_output_for_mask: bit(2),
            return_sequences: bit(3),
        });
    }
    ways
}

fn on(device: &Device, steps: &Steps) -> Steps {
    let mask = steps.mask.as_ref().map(|mask| mask.to_device(device).unwrap());
    Steps { mask, ..steps.clone() }
}

fn check_cell<C: Cell>(cell: C, gates: usize, has_bias: bool) {
    let shape = (2, 3, 2);
    for steps in ways(2, 3) {
        let make = |device: &Device| Recurrent { cell: cell.clone(), steps: on(device, &steps) };
        check_operation_on(make, &inputs::<C>(shape, gates, has_bias)).unwrap();
    }
    // More rows than a block has, and units that are no multiple of a vector.
    for (batch, count, units) in [(35, 4, 9), (1, 1, 1), (3, 2, 17)] {
        for steps in ways(batch, count) {
            let make =
                |x: &[&Tensor]| Recurrent { cell: cell.clone(), steps: on(x[0].device(), &steps) };
            let inputs = inputs::<C>((batch, count, units), gates, has_bias);
            check_all_forms(|x| make(x).apply_all(x), |x| make(x).apply_all_composed(x), &inputs)
                .unwrap();
        }
    }
}

#[test]
fn lstm_agrees() {
    check_cell(lstm(), 4, false);
}

#[test]
fn gru_agrees() {
    check_cell(gru(true), 3, true);
    check_cell(gru(true), 3, false);
}

#[test]
fn gru_with_the_gate_before_the_product_agrees() {
    assert!(gru(false).fused().is_some());
    check_cell(gru(false), 3, false);
}

#[test]
fn simple_rnn_agrees() {
    check_cell(simple_rnn(), 1, false);
}

/// A slope that is no function of the result has the composed form only; that of relu is one.
#[test]
fn other_activations_agree() {
    let shape = (2, 3, 2);
    let relu = Arc::new(Relu::new());
    let fused = Lstm { activation: relu, ..lstm() };
    assert!(fused.fused().is_some());
    let make = || Recurrent { cell: fused.clone(), steps: Steps::default() };
    check_operation(make, &inputs::<Lstm>(shape, 4, false)).unwrap();
    let composed = Lstm { activation: Arc::new(Gelu::new()), ..lstm() };
    assert!(composed.fused().is_none());
    let make = || Recurrent { cell: composed.clone(), steps: Steps::default() };
    check_operation(make, &inputs::<Lstm>(shape, 4, false)).unwrap();
}

#[test]
fn recurrent_dropout_is_differentiated() {
    let masks = |gates: usize| -> Option<Tensor> {
        let values = (0..gates * 4).map(|i| f64::from(u8::from(i % 3 != 0)) * 1.5);
        let values = values.collect::<Vec<_>>();
        Some(Tensor::from_vec(values, (gates, 2, 2), &Device::Cpu).unwrap())
    };
    let shape = (2, 3, 2);
    let check = |f: &dyn Fn(&[&Tensor]) -> Result<Vec<Tensor>>, inputs: &[Tensor]| {
        check_all(f, inputs, 1e-6).unwrap();
    };
    let cell = Lstm { recurrent_dropout: masks(4), ..lstm() };
    let run = |x: &[&Tensor]| {
        Recurrent { cell: cell.clone(), steps: Steps::default() }.apply_all_composed(x)
    };
    check(&run, &inputs::<Lstm>(shape, 4, false));
    for reset_after in [false, true] {
        let cell = Gru { recurrent_dropout: masks(3), ..gru(reset_after) };
        let run = |x: &[&Tensor]| {
            Recurrent { cell: cell.clone(), steps: Steps::default() }.apply_all_composed(x)
        };
        check(&run, &inputs::<Gru>(shape, 3, reset_after));
    }
    let cell = SimpleRnn { recurrent_dropout: masks(1), ..simple_rnn() };
    let run = |x: &[&Tensor]| {
        Recurrent { cell: cell.clone(), steps: Steps::default() }.apply_all_composed(x)
    };
    check(&run, &inputs::<SimpleRnn>(shape, 1, false));
}

#[test]
fn empty_batches_pass_and_empty_sequences_do_not() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let run = |batch: usize, steps: usize| {
        let states = [zeros(&[batch, 2]), zeros(&[batch, 2])];
        super::recurrent(
            lstm(),
            Steps::default(),
            &zeros(&[batch, steps, 8]),
            &states,
            &[zeros(&[2, 8])],
        )
    };
    assert_eq!(run(0, 3).unwrap()[0].dims(), [0, 2]);
    let message = run(3, 0).unwrap_err().to_string();
    assert!(message.contains("at least one step"), "{message}");
}

#[test]
fn misfits_are_errors() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let states = [zeros(&[3, 2]), zeros(&[3, 2])];
    let kernel = zeros(&[2, 8]);
    let run = |z: &[usize], mask: Option<Tensor>, kernel: &Tensor| {
        let steps = Steps { mask, ..Steps::default() };
        super::recurrent(lstm(), steps, &zeros(z), &states, std::slice::from_ref(kernel))
    };
    assert!(run(&[3, 4, 8], None, &kernel).is_ok());
    assert!(run(&[3, 4, 9], None, &kernel).is_err());
    assert!(run(&[2, 4, 8], None, &kernel).is_err());
    assert!(run(&[3, 4, 8], None, &zeros(&[3, 8])).is_err());
    let message = run(&[3, 4, 8], Some(mask(3, 5)), &kernel).unwrap_err().to_string();
    assert!(message.contains("[3, 5]") && message.contains("4 steps"), "{message}");
}
