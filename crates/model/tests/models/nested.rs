//! Models and layers inside layers: shared, frozen in part, copied.

use crate::stubs::{
    Plain, Twice, again, build, check_gradients, f32s, gradients, model, run, tensor,
};
use sconce_core::{Args, Context, Error};
use sconce_layers::{Dense, Dropout, InputLayer, LayerEntry, LayerExt};
use sconce_model::{Apply, Architecture, GraphLayer, Input, Network};
use serde_json::json;
use std::collections::HashMap;

fn paths(network: &Network) -> Vec<(&str, bool)> {
    network.store().parameters().iter().map(|p| (p.path.as_str(), p.trainable)).collect()
}

/// dense (tanh), then a frozen one, as a layer called `base`.
fn base() -> LayerEntry {
    let x = Input::new([2]);
    let h = Dense::new(3).activation("tanh").name("first").apply(&x).unwrap();
    let y = Dense::new(2).name("second").trainable(false).apply(&h).unwrap();
    let mut base = model(&[&x], &[&y]);
    base.set_name("base");
    GraphLayer::new(base).entry()
}

#[test]
fn a_nested_model_used_twice_and_frozen_in_part() {
    let (a, b, base) = (Input::new([2]), Input::new([2]), base());
    let first = (&base).apply(&a).unwrap();
    let product = (&first * &(&base).apply(&b).unwrap()).unwrap();
    let architecture = model(&[&a, &b], &[&(&base).apply(&product).unwrap()]);
    let xs = [tensor(&[0.3, -0.8], &[1, 2]), tensor(&[1.0, 0.5], &[1, 2])];
    for architecture in
        [architecture.clone(), again(&architecture), architecture.duplicate().unwrap()]
    {
        let network = build(&architecture);
        assert_eq!(
            paths(&network),
            [
                ("base/first/kernel", true),
                ("base/first/bias", true),
                ("base/second/kernel", false),
                ("base/second/bias", false)
            ]
        );
        assert_eq!(gradients(&network, &xs).0.len(), 2);
        check_gradients(&network, &xs);
    }
    // Frozen as a whole, nothing in it is trained, and nothing is recorded for it.
    base.set_trainable(false);
    let frozen = build(&architecture);
    assert!(paths(&frozen).iter().all(|(_, trainable)| !trainable));
    let mut cx = Context::training(0, 0);
    assert!(!frozen.forward(&xs, &mut cx).unwrap()[0].track_op());
    assert!(cx.tape().unwrap().is_empty());
}

#[test]
fn a_layer_that_a_frozen_model_shares_is_frozen_everywhere() {
    for frozen_first in [false, true] {
        let shared = Dense::new(2).name("shared").entry();
        let z = Input::new([2]);
        let mut inner = model(&[&z], &[&(&shared).apply(&z).unwrap()]);
        inner.set_name("inner");
        let inner = GraphLayer::new(inner).entry();
        inner.set_trainable(false);
        let order = if frozen_first { [&inner, &shared] } else { [&shared, &inner] };
        let x = Input::new([2]);
        let y = order[1].apply(&order[0].apply(&x).unwrap()).unwrap();
        let architecture = model(&[&x], &[&y]);
        let copy = architecture.duplicate().unwrap();
        for architecture in [again(&architecture), copy, architecture] {
            let network = build(&architecture);
            assert_eq!(network.store().parameters().len(), 2);
            assert_eq!(network.store().trainable().count(), 0, "{frozen_first}");
        }
    }
}

/// Inner dropouts draw different masks, as do two uses of one model.
#[test]
fn inner_dropouts_are_independent() {
    let z = Input::new([64]);
    let [one, two] = ["one", "two"].map(|n| Dropout::new(0.5).name(n).apply(&z).unwrap());
    let inner = GraphLayer::new(model(&[&z], &[&one, &two])).entry();
    let x = Input::new([64]);
    let uses: Vec<_> = (0..2).flat_map(|_| (&inner).apply_all(&x).unwrap()).collect();
    let cell = Dropout::new(0.5).name("one").entry();
    let twice = Twice { cell: cell.clone() }.name("twice").apply(&x).unwrap();
    let alone = cell.apply(&x).unwrap();
    let network = build(&model(&[&x], &[&uses[0], &uses[1], &uses[2], &uses[3], &twice, &alone]));
    let ones = tensor(&[1.0; 64], &[1, 64]);
    let masks = |seed, step| {
        let mut cx = Context::training(seed, step);
        run(&network, std::slice::from_ref(&ones), &mut cx)
    };
    let all = [masks(0, 0), masks(0, 1), masks(1, 0)].concat();
    for i in 0..all.len() {
        assert!(!all[..i].contains(&all[i]), "{i}");
    }
    // A cell that is run twice draws twice: it keeps a quarter, not a half.
    let kept = all[4].iter().filter(|v| **v != 0.0).count();
    assert!(kept < 28 && all[4].contains(&4.0), "{kept}");
    assert_eq!(masks(0, 0), masks(0, 0));
}

#[test]
fn training_false_reaches_what_is_inside() {
    let z = Input::new([8]);
    let drops = model(&[&z], &[&Dropout::new(0.5).apply(&z).unwrap()]);
    let inner = GraphLayer::new(drops).entry();
    let wrapped = Twice { cell: Dropout::new(0.5).entry() }.entry();
    let x = Input::new([8]);
    let still = |layer: &LayerEntry| {
        let args = Args::one(x.clone()).value("training", false);
        layer.apply(args).unwrap()
    };
    let network = build(&model(&[&x], &[&still(&inner), &still(&wrapped)]));
    let ones = tensor(&[1.0; 8], &[1, 8]);
    for outputs in run(&network, &[ones], &mut Context::training(0, 0)) {
        assert_eq!(outputs, [1.0; 8]);
    }
}

#[test]
fn a_wrapper_scopes_its_cell() {
    let x = Input::new([2]);
    let wrapper = Twice { cell: Plain.name("cell").entry() }.name("twice").entry();
    let inner = Input::new([2]);
    let mut around = model(&[&inner], &[&(&wrapper).apply(&inner).unwrap()]);
    around.set_name("around");
    let network = build(&model(&[&x], &[&GraphLayer::new(around).entry().apply(&x).unwrap()]));
    assert_eq!(paths(&network), [("around/twice/cell/w", true)]);
    check_gradients(&network, &[tensor(&[0.5, -2.0], &[1, 2])]);
    wrapper.set_trainable(false);
    let mut network = network;
    network.refresh_trainable().unwrap();
    assert_eq!(paths(&network), [("around/twice/cell/w", false)]);
}

#[test]
fn errors_inside_name_the_whole_path() {
    /// Fails when it runs.
    struct Fails;
    crate::stubs::class!(Fails);
    impl sconce_layers::Layer for Fails {
        fn outputs(
            &self,
            x: &Args<sconce_core::Spec>,
        ) -> sconce_core::Result<Vec<sconce_core::Spec>> {
            crate::stubs::same(x)
        }
        fn call(
            &self,
            call: &mut sconce_layers::Call<'_>,
        ) -> sconce_core::Result<Vec<sconce_core::Tensor>> {
            call.weight("kernel").map(|w| vec![w])
        }
    }
    let z = Input::new([2]);
    let twice = Twice { cell: Fails.name("cell").entry() }.name("twice");
    let mut inner = model(&[&z], &[&twice.apply(&z).unwrap()]);
    inner.set_name("inner");
    let x = Input::new([2]);
    let network = build(&model(&[&x], &[&GraphLayer::new(inner).entry().apply(&x).unwrap()]));
    let error = network.forward(&[tensor(&[0.0; 2], &[1, 2])], &mut Context::inference());
    let error: Error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `inner/twice/cell`: no weight `kernel` was declared; its weights: none"
    );
}

#[test]
fn names_that_are_made_respect_those_that_are_given() {
    let x = Input::new([2]);
    let a = Dense::new(2).apply(&x).unwrap();
    let b = Dense::new(2).name("dense").apply(&a).unwrap();
    let c = Dense::new(2).apply(&b).unwrap();
    let d = Dense::new(2).name("dense_2").apply(&c).unwrap();
    let network = build(&model(&[&x], &[&d]));
    let names: Vec<&str> = network.graph().layers().iter().map(LayerEntry::name).collect();
    assert_eq!(names, ["input_layer", "dense_1", "dense", "dense_3", "dense_2"]);
    let twice = Dense::new(2).name("dense").apply(&d).unwrap();
    let error = Architecture::functional([&x], [&twice]).unwrap_err().to_string();
    assert!(error.contains("layer `dense`: two layers have this name"), "{error}");
}

/// Everything that holds layers: a model of a stack with and without a stated input, a functional one,
/// a wrapper, and all of it in a stack.
fn everything() -> Vec<Architecture> {
    let mut stack = Architecture::sequential();
    stack.set_name("stack");
    for units in [3, 2] {
        stack.add(Dense::new(units)).unwrap();
    }
    let mut stated = Architecture::sequential();
    stated.set_name("stated");
    stated.add(InputLayer::new([2])).unwrap();
    stated.add(Dense::new(2)).unwrap();
    let x = Input::new([2]);
    let layers = [
        GraphLayer::new(stack).entry(),
        GraphLayer::new(stated).entry(),
        base(),
        Twice { cell: Plain.entry() }.entry(),
        Dense::new(2).entry(),
    ];
    let mut y = x.clone();
    let mut whole = Architecture::sequential();
    whole.add(InputLayer::new([2])).unwrap();
    for layer in &layers {
        y = layer.apply(&y).unwrap();
        whole.add(layer.duplicate(&mut HashMap::new()).unwrap()).unwrap();
    }
    vec![model(&[&x], &[&y]), whole]
}

#[test]
fn a_copy_shares_nothing_and_two_models_of_a_layer_share_it() {
    let x = tensor(&[0.3, -0.8], &[1, 2]);
    for architecture in everything() {
        let predict = |network: &Network| {
            run(network, std::slice::from_ref(&x), &mut Context::inference()).remove(0)
        };
        let network = build(&architecture);
        let before = predict(&network);
        let copies = [architecture.duplicate().unwrap(), architecture.duplicate().unwrap()];
        let copy = build(&copies[0].duplicate().unwrap());
        assert_eq!(paths(&copy), paths(&network));
        assert_eq!(predict(&copy), before, "drawn under the same seed and paths");
        let zeros: Vec<_> =
            copy.get_weights().unwrap().iter().map(|w| w.zeros_like().unwrap()).collect();
        copy.set_weights(&zeros).unwrap();
        assert_eq!(predict(&network), before);
        assert_eq!(predict(&copy), [0.0, 0.0]);
        // The same layers in a second network are the same weights.
        let second = build(&architecture);
        second.set_weights(&zeros).unwrap();
        assert_eq!(predict(&network), [0.0, 0.0]);
        assert!(
            network.store().parameters().iter().all(|p| f32s(&p.var).iter().all(|v| *v == 0.0))
        );
    }
}

#[test]
fn a_wrapper_that_does_not_say_how_is_not_copied() {
    struct Closed(LayerEntry);
    crate::stubs::class!(Closed);
    impl sconce_layers::Layer for Closed {
        fn outputs(
            &self,
            x: &Args<sconce_core::Spec>,
        ) -> sconce_core::Result<Vec<sconce_core::Spec>> {
            crate::stubs::same(x)
        }
        fn children(&self) -> Vec<sconce_layers::Child<'_>> {
            vec![sconce_layers::Child::One("layer", &self.0)]
        }
        fn call(
            &self,
            call: &mut sconce_layers::Call<'_>,
        ) -> sconce_core::Result<Vec<sconce_core::Tensor>> {
            Ok(vec![call.single()?.clone()])
        }
    }
    let x = Input::new([2]);
    let closed = Closed(Plain.entry()).name("closed");
    let architecture = model(&[&x], &[&closed.apply(&x).unwrap()]);
    let error = architecture.duplicate().unwrap_err().to_string();
    assert_eq!(
        error,
        "layer `closed`: Closed holds layers and cannot be copied: implement `Layer::with_children`"
    );
}

#[test]
fn a_dict_goes_by_the_names_of_the_inputs() {
    let (p, q) = (Input::new([1]).name("p"), Input::new([1]).name("q"));
    let inner = GraphLayer::new(model(&[&p, &q], &[&(&p - &q).unwrap()])).entry();
    let (a, b) = (Input::new([1]), Input::new([1]));
    let dict = |entries: &[(&str, &sconce_model::SymbolicTensor)]| {
        let entries =
            entries.iter().map(|(name, t)| (name.to_string(), sconce_core::Arg::One((*t).clone())));
        Args::new().arg(sconce_core::Arg::Dict(entries.collect()))
    };
    let y = (&inner).apply(dict(&[("q", &b), ("p", &a)])).unwrap();
    let architecture = model(&[&a, &b], &[&y]);
    let xs = [tensor(&[5.0], &[1, 1]), tensor(&[2.0], &[1, 1])];
    for architecture in [architecture.clone(), again(&architecture)] {
        let outputs = run(&build(&architecture), &xs, &mut Context::inference());
        assert_eq!(outputs, [[3.0]]);
    }
    for (entries, message) in [
        (dict(&[("p", &a), ("r", &b)]), "unknown input `r`"),
        (dict(&[("p", &a)]), "the input `q` is missing"),
    ] {
        let error = (&inner).apply(entries).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// Keras writes `training: false` at the call of a Dropout that says nothing, and drops in `fit`; at that of a model
/// it stands only if it was said.
#[test]
fn what_keras_writes_at_every_call_of_a_dropout_is_not_obeyed() {
    let tensor =
        json!({"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}});
    let input =
        json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 64], "name": "x"}});
    let drop = json!({"class_name": "Dropout", "config": {"rate": 0.5, "name": "y"}});
    let inner =
        json!({"class_name": "Sequential", "config": {"name": "y", "layers": [input, drop]}});
    for (mut layer, drops) in [(drop, true), (inner, false)] {
        layer["inbound_nodes"] = json!([{"args": [tensor], "kwargs": {"training": false}}]);
        let model = json!({"class_name": "Functional", "config": {
            "layers": [input, layer],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["y", 0, 0]],
        }});
        let network = build(&Architecture::from_json(&model).unwrap());
        let ones = super::stubs::tensor(&[1.0; 64], &[1, 64]);
        let y = run(&network, &[ones], &mut Context::training(0, 0)).remove(0);
        assert_eq!(y.contains(&0.0), drops);
    }
}
