//! State that training updates.

use crate::stubs::{class, f32s, model, same, tensor};
use sconce_core::{Args, Context, Device, FirstValues, Result, Spec, Tensor, WeightSpec};
use sconce_layers::initializers::Zeros;
use sconce_layers::{Call, Layer, LayerExt};
use sconce_model::{Apply, GraphLayer, Input, Network};
use std::sync::Arc;

/// As batch normalization: in training it takes the mean of the batch off and moves its own towards it;
/// elsewhere it takes its own off.
struct Centre;
class!(Centre);

impl Layer for Centre {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        same(x)
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        Ok(vec![WeightSpec::new("moving_mean", &[1], Arc::new(Zeros {})).non_trainable()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.single()?.clone();
        let moving = call.state("moving_mean")?;
        if !call.training() {
            return Ok(vec![x.broadcast_sub(&moving)?]);
        }
        let mean = x.mean(0)?;
        call.update("moving_mean", ((moving * 0.5)? + (&mean * 0.5)?)?)?;
        Ok(vec![x.broadcast_sub(&mean)?])
    }
}

/// A shared layer: both uses in training update, the one under `training=False` reads what they left.
#[test]
fn later_uses_in_a_step_read_what_earlier_ones_updated() {
    let (a, b) = (Input::new([1]), Input::new([1]));
    let shared = Centre.name("centre").entry();
    let z = Input::new([1]);
    let mut inner = model(&[&z], &[&(&shared).apply(&z).unwrap()]);
    inner.set_name("inner");
    let inner = GraphLayer::new(inner).entry();
    let first = (&shared).apply(&a).unwrap();
    let second = (&inner).apply(&b).unwrap();
    let still =
        (&inner).apply(Args::one((&b + &second).unwrap()).value("training", false)).unwrap();
    let architecture = model(&[&a, &b], &[&first, &second, &still]);
    let network = Network::build(&architecture, None, &Device::Cpu, FirstValues::Seed(0)).unwrap();
    let mean = || f32s(&network.store().parameters()[0].var)[0];
    assert_eq!(network.store().parameters().len(), 1);
    let xs = [tensor(&[1.0, 3.0], &[2, 1]), tensor(&[4.0, 8.0], &[2, 1])];
    let mut cx = Context::training(0, 0);
    let outputs: Vec<_> = network.forward(&xs, &mut cx).unwrap().iter().map(f32s).collect();
    // 0 -> (0 + 2) / 2 = 1 -> (1 + 6) / 2 = 3.5, which the last use takes off.
    assert_eq!(outputs, [[-1.0, 1.0], [-2.0, 2.0], [4.0 - 2.0 - 3.5, 8.0 + 2.0 - 3.5]]);
    assert_eq!(mean(), 0.0);
    cx.apply_updates().unwrap();
    assert_eq!(mean(), 3.5);
    let mut cx = Context::inference();
    let outputs = network.forward(&xs, &mut cx).unwrap();
    assert_eq!(f32s(&outputs[0]), [-2.5, -0.5]);
    cx.apply_updates().unwrap();
    assert_eq!(mean(), 3.5);
}

#[test]
fn state_is_refused_in_another_shape_or_under_another_name() {
    /// Gives its state a wrong value.
    struct Wrong(&'static str);
    class!(Wrong);
    impl Layer for Wrong {
        fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
            same(x)
        }
        fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
            Ok(vec![WeightSpec::new("mean", &[1], Arc::new(Zeros {})).non_trainable()])
        }
        fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
            let x = call.single()?.clone();
            call.update(self.0, x.clone())?;
            Ok(vec![x])
        }
    }
    for (name, message) in [
        ("mean", "layer `wrong`: the state `mean` has shape [1], its new value [1, 2]"),
        ("maen", "layer `wrong`: no weight `maen` was declared; its weights: mean"),
    ] {
        let x = Input::new([2]);
        let y = Wrong(name).name("wrong").apply(&x).unwrap();
        let network = crate::stubs::build(&model(&[&x], &[&y]));
        let xs = [tensor(&[1.0, 3.0], &[1, 2])];
        let error = network.forward(&xs, &mut Context::training(0, 0)).unwrap_err().to_string();
        assert_eq!(error, message);
    }
}
