use super::*;
use candle_core::DType::F64;
use candle_core::{Device, bail};
use sconce_kernels::with_slice;

/// `y = x²`, in place where the input's gradient allows it.
struct Square;

impl Recorded for Square {
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
        let dx = (pass.dy()? * (pass.input(0) * 2.0)?)?;
        if dx.dtype() != DType::F32 {
            return pass.give(0, dx);
        }
        let dx = dx.flatten_all()?.to_vec1::<f32>()?;
        pass.write(0, |out, accumulate| {
            let add = |(out, dx): (&mut f32, &f32)| *out = if accumulate { *out + dx } else { *dx };
            out.iter_mut().zip(&dx).for_each(add);
            Ok(())
        })
    }
}

/// `(a b, a + b, a - b)`
struct Three;

impl Recorded for Three {
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
        let (product, sum) = (pass.gradient_or_zeros(0)?, pass.gradient_or_zeros(1)?);
        let difference = pass.gradient_or_zeros(2)?;
        let da = ((&product * pass.input(1))? + &sum)?;
        let db = ((&product * pass.input(0))? + &sum)?;
        pass.give(0, (da + &difference)?)?;
        pass.give(1, (db - difference)?)
    }
}

fn push(recorded: impl Recorded + 'static, x: &[&Tensor], y: Vec<Tensor>) -> Vec<Tensor> {
    let y = y.into_iter().map(Output::Tensor).collect();
    if !x.iter().any(|x| x.track_op()) {
        return x.iter().map(|x| x.detach()).collect();
    }
    let values = x.iter().map(|x| x.detach()).collect();
    Tape::current()
        .unwrap()
        .push("stub", Box::new(recorded), x, values, y, true)
        .unwrap()
        .into_vec()
}

fn square(x: &Tensor) -> Tensor {
    let value = x.detach();
    push(Square, &[x], vec![(&value * &value).unwrap()]).remove(0)
}

fn three(a: &Tensor, b: &Tensor) -> Vec<Tensor> {
    let (x, y) = (a.detach(), b.detach());
    let results = vec![(&x * &y).unwrap(), (&x + &y).unwrap(), (&x - &y).unwrap()];
    push(Three, &[a, b], results)
}

fn var(values: &[f64]) -> Var {
    Var::new(values, &Device::Cpu).unwrap()
}

fn f32_var(values: &[f32]) -> Var {
    Var::new(values, &Device::Cpu).unwrap()
}

fn f64s(x: &Tensor) -> Vec<f64> {
    x.to_dtype(F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The gradients of `sum(f(x))`, against central differences of the same function run as plain values.
#[track_caller]
fn check(f: impl Fn(&[&Tensor]) -> Tensor, vars: &[&Var]) {
    let x: Vec<&Tensor> = vars.iter().map(|v| v.as_tensor()).collect();
    let (loss, tape) = Tape::record(|| f(&x).sum_all().unwrap());
    let mut sink = GradientSink::new(x.iter().copied());
    tape.backward(&loss, &mut sink).unwrap();
    let value = |x: &[&Tensor]| {
        let (loss, _tape) = Tape::record(|| f(x).sum_all().unwrap());
        loss.to_scalar::<f64>().unwrap()
    };
    for (index, variable) in x.iter().enumerate() {
        let ours = f64s(&sink.take(variable).unwrap());
        for (element, ours) in ours.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut values = f64s(variable);
                values[element] += by;
                let moved = var(&values);
                let mut x = x.clone();
                x[index] = moved.as_tensor();
                value(&x)
            };
            let quotient = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((ours - quotient).abs() < 1e-6, "{index}[{element}]: {ours}, {quotient}");
        }
    }
}

#[test]
fn a_result_with_three_readers_gets_the_sum() {
    check(
        |x| {
            let h = square(x[0]);
            let (a, b) = (square(&h), square(&h));
            ((a + b).unwrap() + (h * 3.0).unwrap()).unwrap()
        },
        &[&var(&[0.5, -1.5])],
    );
}

#[test]
fn a_variable_read_three_times_gets_the_sum() {
    let f = |x: &[&Tensor]| {
        let product = three(x[0], x[0]).remove(0);
        (square(x[0]) + product).unwrap()
    };
    check(f, &[&var(&[0.5, -1.5])]);
    // In the variable's own buffer too.
    let x = f32_var(&[0.5, -1.5]);
    let f = || ((square(&x) + square(&x)).unwrap() + (square(&x) * 2.0).unwrap()).unwrap();
    let (loss, tape) = Tape::record(f);
    let mut sink = GradientSink::new([x.as_tensor()]);
    tape.backward(&loss, &mut sink).unwrap();
    assert_eq!(f64s(&sink.take(&x).unwrap()), [4.0, -12.0]);
}

#[test]
fn plain_code_may_stand_between_and_around() {
    let (x, y) = (var(&[0.5, -1.5]), var(&[2.0, 0.25]));
    check(
        |v| {
            let bent = (v[0].tanh().unwrap() * v[1]).unwrap();
            let h = square(&bent);
            // A region that reads a result, its own input and a variable again.
            let between = ((h.exp().unwrap() * &bent).unwrap() + v[1]).unwrap();
            let results = three(&between, &h);
            (&results[0] + results[2].sin().unwrap()).unwrap()
        },
        &[&x, &y],
    );
}

#[test]
fn results_that_nobody_reads_count_as_zero() {
    let (a, b) = (var(&[0.5, -1.5]), var(&[2.0, 0.25]));
    for used in 0..3 {
        check(|x| three(x[0], x[1])[used].clone(), &[&a, &b]);
    }
    let (_, tape) = Tape::record(|| three(&a, &b));
    let (_, other) = Tape::record(|| ());
    assert_eq!((tape.len(), other.is_empty()), (1, true));
}

/// The same values in another shape.
struct View;

impl Recorded for View {
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
        pass.give(0, pass.dy()?.reshape(pass.input(0).shape())?)
    }
}

#[test]
fn views_are_read_by_operations_and_by_plain_code() {
    let view = |x: &Tensor, dims: &[usize]| {
        let y = x.reshape(dims).unwrap();
        Tape::current().unwrap().push_view(Box::new(View), x, &y);
        y
    };
    check(
        |x| {
            let of_variable = view(x[0], &[2, 2]);
            let h = view(&square(&of_variable), &[4]);
            let same = view(&h, &[4]);
            ((square(&h) + (&h * 3.0).unwrap()).unwrap() + same.exp().unwrap()).unwrap()
        },
        &[&var(&[0.5, -1.5, 0.25, 1.0])],
    );
}

#[test]
fn a_seal_keeps_values_and_gradients() {
    check(
        |x| {
            let tape = Tape::current().unwrap();
            let plain = x[0].sin().unwrap();
            let sealed = tape.seal(&plain).unwrap();
            assert_eq!(f64s(&sealed), f64s(&plain));
            // Read before the seal and after it, and sealed twice.
            let again = tape.seal(&sealed).unwrap();
            assert_eq!(again.id(), sealed.id());
            ((square(&sealed) * &again).unwrap() + (plain * x[0]).unwrap()).unwrap()
        },
        &[&var(&[0.5, -1.5])],
    );
    let (_, tape) = Tape::record(|| {
        let constant = Tensor::ones(2, F64, &Device::Cpu).unwrap();
        let sealed = Tape::current().unwrap().seal(&constant).unwrap();
        assert_eq!(sealed.id(), constant.id());
    });
    assert!(tape.is_empty());
}

#[test]
fn a_sealed_variable_is_still_differentiated() {
    check(
        |x| {
            let sealed = Tape::current().unwrap().seal(x[0]).unwrap();
            (square(&sealed) + square(x[0])).unwrap()
        },
        &[&var(&[0.5, -1.5])],
    );
}

#[test]
fn a_loss_that_nothing_tracked_leads_to_has_no_gradients() {
    let x = var(&[1.0]);
    let (loss, tape) = Tape::record(|| square(&Tensor::ones(1, F64, &Device::Cpu).unwrap()));
    assert!(tape.is_empty());
    let mut sink = GradientSink::new([x.as_tensor()]);
    tape.backward(&loss, &mut sink).unwrap();
    assert!(sink.take(&x).is_none());
    // The loss may be the variable itself.
    tape.backward(&x, &mut sink).unwrap();
    assert_eq!(f64s(&sink.take(&x).unwrap()), [1.0]);
}

#[test]
fn several_results_are_differentiated_at_once() {
    let x = var(&[0.5, -1.5]);
    let ((a, b), tape) = Tape::record(|| {
        let h = square(&x);
        (square(&h), h.exp().unwrap())
    });
    let (one, two) = (a.ones_like().unwrap(), (b.ones_like().unwrap() * 2.0).unwrap());
    let mut sink = GradientSink::new([x.as_tensor()]);
    tape.backward_from(&[(&a, &one), (&b, &two), (&a, &one)], &mut sink).unwrap();
    for (ours, x) in f64s(&sink.take(&x).unwrap()).into_iter().zip([0.5f64, -1.5]) {
        let exact = 2.0 * 4.0 * x.powi(3) + 2.0 * 2.0 * x * (x * x).exp();
        assert!((ours - exact).abs() < 1e-12, "{ours}, {exact}");
    }
}

const CONSUMED: &str = "the loss depends on a result that another tape recorded: run the whole forward \
    pass, and `backward`, under one `Context::training`, `value_and_grad` or `Tape::record`, and \
    differentiate each loss once";

#[track_caller]
fn assert_refused(result: Result<()>, sentence: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(sentence), "{message}");
}

#[test]
fn a_loss_is_differentiated_once() {
    let x = var(&[0.5]);
    let mut sink = GradientSink::new([x.as_tensor()]);
    for loss in [|x: &Tensor| square(x), |x: &Tensor| square(x).exp().unwrap()] {
        let (loss, tape) = Tape::record(|| loss(&x));
        tape.backward(&loss, &mut sink).unwrap();
        assert!(tape.is_empty());
        assert_refused(tape.backward(&loss, &mut sink), CONSUMED);
    }
}

#[test]
fn results_of_another_tape_are_refused() {
    let x = var(&[0.5]);
    let mut sink = GradientSink::new([x.as_tensor()]);
    let (earlier, _tape) = Tape::record(|| square(&x));
    // Read by an operation, by plain code, and through a seal.
    let readers: [fn(&Tensor) -> Tensor; 3] = [
        square,
        |earlier| earlier.exp().unwrap(),
        |earlier| Tape::current().unwrap().seal(&earlier.exp().unwrap()).unwrap(),
    ];
    for reader in readers {
        let (loss, tape) = Tape::record(|| reader(&earlier));
        assert_refused(tape.backward(&loss, &mut sink), CONSUMED);
        assert!(sink.take(&x).is_none());
    }
}

/// Candle cannot see through a recorded result, and says so.
#[test]
fn candle_s_own_backward_is_refused() {
    let x = var(&[0.5]);
    let (result, _tape) = Tape::record(|| square(&x));
    let results = [result.clone(), (result.exp().unwrap() * 2.0).unwrap()];
    for loss in results {
        let message = loss.backward().map(drop).unwrap_err().to_string();
        let says = "candle's own `backward` was called on a result of the operation `stub`, which it \
            cannot see through; call `model.backward(&loss)`, `value_and_grad` or `Tape::backward` instead";
        assert!(message.contains(says), "{message}");
    }
    // Also after a backward pass of ours, and after one that failed.
    let (loss, tape) = Tape::record(|| square(&x).exp().unwrap());
    let mut sink = GradientSink::new([x.as_tensor()]);
    tape.backward(&loss, &mut sink).unwrap();
    assert!(loss.backward().is_err() && tape.backward(&loss, &mut sink).is_err());
    assert!(loss.backward().is_err());
}

#[test]
fn an_unrecorded_result_says_what_is_missing() {
    let output = Output::Tensor(Tensor::ones(1, F64, &Device::Cpu).unwrap());
    let result = unrecorded("stub", output).unwrap();
    assert!(result.track_op());
    let mut sink = GradientSink::default();
    assert_refused(Tape::default().backward(&result, &mut sink), CONSUMED);
}

#[test]
fn a_panic_ends_the_record() {
    let caught = std::panic::catch_unwind(|| Tape::record(|| panic!("in the forward pass")));
    assert!(caught.is_err() && !Tape::is_recording());
    let (inner, outer) = Tape::record(|| {
        let caught = std::panic::catch_unwind(|| Tape::record(|| panic!("in the inner pass")));
        assert!(caught.is_err());
        square(&var(&[0.5]));
        Tape::current().unwrap().len()
    });
    assert_eq!((inner, outer.len()), (1, 1));
}

#[test]
fn records_nest_and_end() {
    let ((_, inner), outer) = Tape::record(|| Tape::record(|| square(&var(&[0.5]))));
    assert_eq!((inner.len(), outer.len()), (1, 0));
    assert!(!Tape::is_recording() && Tape::current().is_none());
    let begun = Tape::current_or_new();
    let handle = Tape::current_or_new();
    square(&var(&[0.5]));
    assert_eq!((begun.len(), handle.len()), (1, 1));
    drop(begun);
    assert!(Tape::is_recording());
    drop(handle);
    assert!(!Tape::is_recording());
    // Other threads do not record.
    let _begun = Tape::current_or_new();
    std::thread::scope(|threads| {
        threads.spawn(|| assert!(!Tape::is_recording())).join().unwrap();
    });
}

/// Where the values of a tensor lie.
fn address(x: &Tensor) -> usize {
    with_slice(x, |values| Ok(values.as_ptr() as usize)).unwrap()
}

#[test]
fn a_sink_writes_into_its_buffers_again() {
    let (x, y) = (f32_var(&[0.5, -1.5]), f32_var(&[2.0, 3.0]));
    let mut sink = GradientSink::new([x.as_tensor()]);
    let mut pass = |scale: f64| {
        let (loss, tape) = Tape::record(|| {
            let both = (square(&x) + square(&y)).unwrap();
            ((both + square(&x)).unwrap() * scale).unwrap()
        });
        tape.backward(&loss, &mut sink).unwrap();
        assert!(sink.take(&y).is_none(), "nobody watches it");
        let gradient = sink.take(&x).unwrap();
        assert!(sink.take(&x).is_none(), "it was taken out");
        (address(&gradient), f64s(&gradient))
    };
    let (first, values) = pass(1.0);
    assert_eq!(values, [2.0, -6.0]);
    let (second, values) = pass(10.0);
    assert_eq!((second, values), (first, vec![20.0, -60.0]));
}

/// What an earlier pass left in the sink, or one that failed, is not part of a later one.
#[test]
fn every_pass_starts_from_nothing() {
    struct Fails;
    impl Recorded for Fails {
        fn backward(self: Box<Self>, _: &mut Pass<'_>) -> Result<()> {
            bail!("this fails")
        }
    }
    let x = f32_var(&[0.5, -1.5]);
    let mut sink = GradientSink::new([x.as_tensor()]);
    let (loss, tape) = Tape::record(|| {
        let failing = push(Fails, &[&x], vec![x.detach()]).remove(0);
        (square(&x) + failing).unwrap()
    });
    assert!(tape.backward(&loss, &mut sink).is_err());
    for _ in 0..2 {
        let (loss, tape) = Tape::record(|| square(&x));
        tape.backward(&loss, &mut sink).unwrap();
    }
    assert_eq!(f64s(&sink.take(&x).unwrap()), [1.0, -3.0]);
}

#[test]
fn a_sink_knows_its_variables() {
    let (x, y) = (var(&[1.0]), var(&[2.0]));
    let sink = GradientSink::new([x.as_tensor(), &y, &x]);
    assert!(sink.is_for([x.as_tensor(), &y].into_iter()));
    assert!(!sink.is_for([y.as_tensor(), &x].into_iter()));
    let (loss, _tape) = Tape::record(|| square(&x));
    assert!(gradients(&loss, &[&x, &y]).is_err(), "the tape of this thread is another");
    let _begun = Tape::current_or_new();
    let all = gradients(&square(&x), &[&y, &x]).unwrap();
    assert!(all[0].is_none());
    assert_eq!(f64s(all[1].as_ref().unwrap()), [2.0]);
}

/// Gradients of inputs that no watched variable leads to are not computed.
#[test]
fn operations_are_told_what_is_needed() {
    struct Needs([bool; 4]);
    impl Recorded for Needs {
        fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
            assert_eq!([0, 1, 2, 3].map(|input| pass.needs(input)), self.0);
            assert_eq!(pass.input_count(), 4);
            let wrong = pass.give(0, Tensor::ones(3, F64, &Device::Cpu)?).unwrap_err().to_string();
            assert!(wrong.contains("input 0 has shape [1], its gradient [3]"), "{wrong}");
            (0..4).try_for_each(|input| pass.give(input, pass.input(input).clone()))
        }
    }
    let (watched, other) = (var(&[1.0]), var(&[2.0]));
    let constant = var(&[3.0]).detach();
    let (loss, tape) = Tape::record(|| {
        let result = square(&other);
        let inputs = [watched.as_tensor(), &other, &constant, &result];
        push(Needs([true, false, false, true]), &inputs, vec![constant.clone()]).remove(0)
    });
    let mut sink = GradientSink::new([watched.as_tensor()]);
    tape.backward(&loss, &mut sink).unwrap();
    assert_eq!(f64s(&sink.take(&watched).unwrap()), [1.0]);
}

#[test]
fn a_tape_that_is_used_again_starts_from_nothing() {
    let (x, tape) = (f32_var(&[0.5, -1.5]), Tape::default());
    let mut sink = GradientSink::new([x.as_tensor()]);
    for _ in 0..3 {
        // A record that nobody differentiates.
        tape.record_anew(|| square(&square(&x)));
        let loss = tape.record_anew(|| square(&x).sum_all().unwrap());
        assert_eq!(tape.len(), 1);
        tape.backward(&loss, &mut sink).unwrap();
        assert_eq!(f64s(&sink.take(&x).unwrap()), [1.0, -3.0]);
        let record = tape.lock();
        assert!(record.entries.is_empty() && record.places.is_empty());
        assert!(record.gathered.is_empty() && record.count == 0);
    }
}

#[test]
fn losses_of_several_types_and_shapes_take_turns_on_a_tape() {
    let (x, y, tape) = (f32_var(&[0.5, -1.5]), var(&[3.0]), Tape::default());
    let mut sink = GradientSink::new([x.as_tensor(), y.as_tensor()]);
    for _ in 0..2 {
        for (variable, gradient) in [(&x, vec![1.0, -3.0]), (&y, vec![6.0])] {
            let loss = tape.record_anew(|| square(variable));
            tape.backward(&loss, &mut sink).unwrap();
            let ours = sink.take(variable).unwrap();
            assert_eq!((f64s(&ours), ours.dtype()), (gradient, variable.dtype()));
        }
    }
}

/// `a + b`, whose inputs get one tensor as their gradients.
struct Sum;

impl Recorded for Sum {
    fn backward(self: Box<Self>, pass: &mut Pass<'_>) -> Result<()> {
        let dy = pass.dy()?.clone();
        pass.give(0, dy.clone())?;
        pass.give(1, dy)
    }
}

#[test]
fn a_gradient_that_two_results_share_is_not_added_to_in_place() {
    let (x, y) = (f32_var(&[0.5, -1.5]), f32_var(&[2.0, 3.0]));
    let (loss, tape) = Tape::record(|| {
        let (a, b) = (square(&x), square(&y));
        // Its gradient is written into that of `a`, which it finds there already.
        let again = square(&a);
        let sum = push(Sum, &[&a, &b], vec![(a.detach() + b.detach()).unwrap()]).remove(0);
        (again + sum).unwrap()
    });
    let mut sink = GradientSink::new([x.as_tensor(), y.as_tensor()]);
    tape.backward(&loss, &mut sink).unwrap();
    assert_eq!(f64s(&sink.take(&x).unwrap()), [1.5, -16.5]);
    assert_eq!(f64s(&sink.take(&y).unwrap()), [4.0, 6.0]);
}
