//! Masks: made, passed on, ended, given.

use crate::stubs::{Plain, build, class, f32s, model, same, tensor};
use sconce_core::{Arg, Args, Context, DType, Result, Spec, Tensor};
use sconce_layers::{Call, Dense, Identity, Layer};
use sconce_model::{Apply, GraphLayer, Input, SymbolicTensor};

/// Masks the steps that are 0, as Embedding with `mask_zero`.
struct Makes;
class!(Makes);

impl Layer for Makes {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        same(x)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![call.single()?.clone()])
    }

    fn makes_masks(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(call.single()?.ne(0f64)?.squeeze(2)?)])
    }
}

/// Gives the mask that its call sees, `[batch, time, 1]`; 9 without one.
struct Shows;
class!(Shows);

impl Layer for Shows {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Shows")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![match call.mask(0) {
            Some(mask) => mask.to_dtype(DType::F32)?.unsqueeze(2)?,
            None => call.single()?.affine(0.0, 9.0)?,
        }])
    }

    fn supports_masking(&self) -> bool {
        true
    }
}

/// What `Shows` gives at the end of a model of x `[[1, 0]]` and an explicit mask `[[0, 1]]`, and the
/// mask that comes out.
fn seen(
    f: impl Fn(&SymbolicTensor, &SymbolicTensor) -> SymbolicTensor,
) -> (Vec<f32>, Option<Vec<u8>>) {
    let (x, given) = (Input::new([2, 1]), Input::typed([2], "bool"));
    let network = build(&model(&[&x, &given], &[&f(&x, &given)]));
    let given = Tensor::new(&[[0u8, 1]], &sconce_core::Device::Cpu).unwrap();
    let xs = [tensor(&[1.0, 0.0], &[1, 2, 1]), given];
    let output = network.forward_masked(&xs, &mut Context::inference()).unwrap().remove(0);
    (f32s(&output.tensor), output.mask.map(|m| m.flatten_all().unwrap().to_vec1().unwrap()))
}

fn shows(x: &SymbolicTensor) -> SymbolicTensor {
    Shows.apply(x).unwrap()
}

fn made(x: &SymbolicTensor) -> SymbolicTensor {
    Makes.apply(x).unwrap()
}

#[test]
fn masks_are_made_passed_on_and_ended() {
    const MADE: [u8; 2] = [1, 0];
    assert_eq!(seen(|x, _| shows(x)), (vec![9.0, 9.0], None));
    assert_eq!(seen(|x, _| shows(&made(x))), (vec![1.0, 0.0], Some(MADE.to_vec())));
    let through = |x: &SymbolicTensor, _: &SymbolicTensor| {
        let h = Dense::new(1).apply(&made(x)).unwrap();
        shows(&Identity::new().apply(&h).unwrap())
    };
    assert_eq!(seen(through), (vec![1.0, 0.0], Some(MADE.to_vec())));
    // As in Keras, operations pass no masks on.
    let operator = |x: &SymbolicTensor, _: &SymbolicTensor| shows(&(&made(x) * 2.0).unwrap());
    assert_eq!(seen(operator), (vec![9.0, 9.0], None));
    let ended = |x: &SymbolicTensor, _: &SymbolicTensor| shows(&Plain.apply(&made(x)).unwrap());
    assert_eq!(seen(ended), (vec![9.0, 9.0], None));
}

fn nested(f: impl Fn(&SymbolicTensor) -> SymbolicTensor) -> sconce_layers::LayerEntry {
    let z = Input::new([2, 1]);
    GraphLayer::new(model(&[&z], &[&f(&z)])).entry()
}

#[test]
fn nested_models_pass_masks_both_ways() {
    let identity = |z: &SymbolicTensor| Identity::new().apply(z).unwrap();
    for inner in [nested(identity), nested(shows)] {
        let passes =
            |x: &SymbolicTensor, _: &SymbolicTensor| shows(&(&inner).apply(&made(x)).unwrap());
        assert_eq!(seen(passes).0, [1.0, 0.0]);
    }
    let inner = nested(|z| Plain.apply(z).unwrap());
    let ends = |x: &SymbolicTensor, _: &SymbolicTensor| shows(&(&inner).apply(&made(x)).unwrap());
    assert_eq!(seen(ends), (vec![9.0, 9.0], None));
    let inner = nested(made);
    let comes_out = |x: &SymbolicTensor, _: &SymbolicTensor| shows(&(&inner).apply(x).unwrap());
    assert_eq!(seen(comes_out).0, [1.0, 0.0]);
}

/// As Keras 3.15 does with `layer(x, mask=given)`: the call sees what is given; what comes out has the
/// mask that x carries, or else the one given.
#[test]
fn a_mask_can_be_given() {
    let given = |x: &SymbolicTensor, mask: &SymbolicTensor| {
        Args::one(x.clone()).named("mask", mask.clone())
    };
    let alone = seen(|x, mask| Shows.apply(given(x, mask)).unwrap());
    assert_eq!(alone, (vec![0.0, 1.0], Some(vec![0, 1])));
    let carried = seen(|x, mask| Shows.apply(given(&made(x), mask)).unwrap());
    assert_eq!(carried, (vec![0.0, 1.0], Some(vec![1, 0])));
    // A layer with weights, and a model, take it too.
    let dense = seen(|x, mask| shows(&Dense::new(1).apply(given(x, mask)).unwrap()));
    assert_eq!(dense.0, [0.0, 1.0]);
    let inner = nested(shows);
    let model = seen(|x, mask| (&inner).apply(given(&made(x), mask)).unwrap());
    assert_eq!(model, (vec![0.0, 1.0], Some(vec![0, 1])));
    let nothing = seen(|x, _| {
        Shows.apply(Args::one(made(x)).value("mask", sconce_core::Json::Null)).unwrap()
    });
    assert_eq!(nothing.0, [1.0, 0.0]);
    let list = seen(|x, mask| {
        let z = [Input::new([2, 1]), Input::new([2, 1])];
        let both = GraphLayer::new(model_of(&z)).entry();
        let mut args = Args::list([x.clone(), made(x)]);
        let masks = vec![Arg::Json(sconce_core::Json::Null), Arg::One(mask.clone())];
        args.named.push(("mask".to_string(), Arg::List(masks)));
        both.apply(args).unwrap()
    });
    assert_eq!(list.0, [9.0, 10.0]);
}

/// The sum of what two inputs carry.
fn model_of(z: &[SymbolicTensor; 2]) -> sconce_model::Architecture {
    let sum = (&shows(&z[0]) + &shows(&z[1])).unwrap();
    model(&[&z[0], &z[1]], &[&sum])
}
