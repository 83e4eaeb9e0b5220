//! JSON of functional models that is no model.

use crate::stubs::model;
use sconce_core::Json;
use sconce_layers::{Dense, LayerExt};
use sconce_model::{Apply, Architecture, Input};
use serde_json::json;

/// x -> a -> b
fn good() -> Json {
    let x = Input::new([2]).name("x");
    let a = Dense::new(2).name("a").apply(&x).unwrap();
    model(&[&x], &[&Dense::new(2).name("b").apply(&a).unwrap()]).to_json(None).unwrap()
}

/// The message for a change of it.
fn message(change: impl FnOnce(&mut Json)) -> String {
    let mut json = good();
    change(&mut json["config"]);
    Architecture::from_json(&json).map(drop).unwrap_err().to_string()
}

fn reads(config: &mut Json, layer: usize) -> &mut Json {
    config
        .pointer_mut(&format!("/layers/{layer}/inbound_nodes/0/args/0/config/keras_history"))
        .unwrap()
}

#[test]
fn broken_connections_are_refused_with_their_place() {
    Architecture::from_json(&good()).unwrap();
    type Change = fn(&mut Json);
    let cases: [(Change, &str); 14] = [
        (
            |c| *reads(c, 1) = json!(["b", 0, 0]),
            "at `config.layers[1].inbound_nodes`: layer `a` reads b, which is not there or depends on it",
        ),
        (|c| *reads(c, 1) = json!(["a", 0, 0]), "layer `a` reads a, which is not there"),
        (
            |c| *reads(c, 1) = json!(["nowhere", 0, 0]),
            "layer `a` reads nowhere, which is not there",
        ),
        (|c| *reads(c, 2) = json!(["a", 1, 0]), "layer `b` reads a, which is not there"),
        (
            |c| *reads(c, 2) = json!(["a", 0, 1]),
            "the model refers to output 1 of use 0 of `a`, which is not there",
        ),
        (|c| *reads(c, 2) = json!(["a", -1, 0]), "expected [layer name, use, output]"),
        (
            |c| c["output_layers"] = json!(["c", 0, 0]),
            "at `config.output_layers`: unknown layer `c`",
        ),
        (
            |c| c["output_layers"] = json!(["b", 7, 0]),
            "output 0 of use 7 of `b`, which is not there",
        ),
        (|c| c["output_layers"] = json!([]), "a model needs at least one output"),
        (|c| c["input_layers"] = json!(["a", 0, 0]), "at `config.input_layers`: `x` is missing"),
        (|c| c["input_layers"] = json!([]), "at `config.input_layers`: `x` is missing"),
        (
            |c| c["input_layers"] = json!([["x", 0, 0], ["a", 0, 0]]),
            "at `config.input_layers`: `a` is no InputLayer",
        ),
        (
            |c| c["layers"][2]["inbound_nodes"] = json!([{"args": [3], "kwargs": {}}]),
            "at `config.layers[2].inbound_nodes[0]`: a call of a layer needs at least one tensor",
        ),
        (
            |c| c["layers"][2] = c["layers"][1].clone(),
            "at `config.layers[2]`: two layers are called `a`",
        ),
    ];
    for (change, expected) in cases {
        let message = message(change);
        assert!(message.contains(expected), "{message}\n{expected}");
    }
}

/// Two layers that wait for each other's second use.
#[test]
fn cycles_through_several_uses_are_found() {
    let message = message(|config| {
        let node = |name: &str, number: usize| {
            let history = json!([name, number, 0]);
            json!({"args": [{"class_name": "__keras_tensor__", "config": {
                "shape": [null, 2], "dtype": "float32", "keras_history": history}}], "kwargs": {}})
        };
        config["layers"][1]["inbound_nodes"] = json!([node("x", 0), node("b", 1)]);
        config["layers"][2]["inbound_nodes"] = json!([node("a", 0), node("a", 1)]);
    });
    assert!(message.contains("which is not there or depends on it"), "{message}");
}

#[test]
fn inputs_are_stated_once_and_lead_to_the_outputs() {
    let (x, y) = (Input::new([2]).name("x"), Input::new([2]).name("y"));
    let sum = (&x + &y).unwrap();
    let refused = |inputs: &[&sconce_model::SymbolicTensor]| {
        let inputs = inputs.iter().copied();
        Architecture::functional(inputs, [&sum]).map(drop).unwrap_err().to_string()
    };
    assert!(refused(&[&x]).contains("layer `y`: the outputs depend on this tensor"));
    assert!(refused(&[&x, &sum]).contains("an input of a model is made by `Input::new`"));
    assert!(refused(&[&x, &y, &x]).contains("layer `x`: is stated twice among the inputs"));
    let json = model(&[&x, &y], &[&sum]).to_json(None).unwrap();
    let mut twice = json.clone();
    twice["config"]["input_layers"] = json!([["x", 0, 0], ["y", 0, 0], ["x", 0, 0]]);
    let error = Architecture::from_json(&twice).map(drop).unwrap_err().to_string();
    assert!(error.contains("layer `x`: is stated twice among the inputs"), "{error}");
}

#[test]
fn an_input_shape_that_is_not_what_comes_in_is_refused() {
    let mut stack = Architecture::sequential();
    stack.add(Dense::new(4).input_shape([2])).unwrap();
    stack.add(Dense::new(1).name("late").input_shape([3])).unwrap();
    let error = stack.graph(None).unwrap_err().to_string();
    assert!(error.contains("layer `late`: its input_shape says (None, 3)"), "{error}");
    assert!(error.contains("the layer before it gives (None, 4)"), "{error}");
    let x = Input::new([2]);
    let error = Dense::new(1).input_shape([2, 2]).apply(&x).unwrap_err().to_string();
    assert!(error.contains("its input_shape says (None, 2, 2)"), "{error}");
    Dense::new(1).input_shape([2]).apply(&x).unwrap();
}
