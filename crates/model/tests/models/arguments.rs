//! Calls of several arguments and keywords, and what JSON makes of them.

use crate::stubs::{Blend, build, model, run, tensor};
use sconce_core::{Arg, Args, Context, CustomObjects};
use sconce_layers::{Dense, LayerExt, Layers};
use sconce_model::{Apply, Architecture, Input, SymbolicTensor};
use serde_json::json;

fn objects() -> CustomObjects {
    CustomObjects::new().register::<Layers, Blend>()
}

fn one(x: &SymbolicTensor) -> Arg<SymbolicTensor> {
    Arg::One(x.clone())
}

#[test]
fn lists_dicts_nulls_and_values_go_through_json_unchanged() {
    let (q, v) = (Input::new([1]).name("q"), Input::new([1]).name("v"));
    let dict = |entries: Vec<(&str, Arg<SymbolicTensor>)>| {
        Arg::Dict(entries.into_iter().map(|(key, arg)| (key.to_string(), arg)).collect())
    };
    let mut calls = vec![
        Args::one(q.clone()),
        Args::new().named("query", q.clone()),
        Args::one(q.clone()).tensor(v.clone()).value("scale", 0.5),
        Args::one(q.clone()).arg(Arg::Json(json!(null))).value("scale", json!(null)),
        Args::one(q.clone()).arg(Arg::List(vec![one(&v), Arg::List(vec![one(&q), one(&v)])])),
        Args::one(q.clone()).value("options", json!({"a": [1, 2.5, null, "x", true], "b": {}})),
        Args::one(q.clone()).value("training", false).value("options", json!([])),
    ];
    let mut mixed = Args::one(q.clone());
    let nested =
        dict(vec![("z", one(&v)), ("a", Arg::Json(json!(3))), ("m", Arg::List(vec![one(&q)]))]);
    mixed.named.push(("options".to_string(), nested));
    calls.push(mixed);
    let sums = [1., 1., 6., 1., 22., 1., 1., 12.];
    // `query=` alone: the layer reads its query by position.
    for (index, (call, expected)) in calls.into_iter().zip(sums).enumerate() {
        let layer = Blend {}.name("blend").entry();
        let y = (&layer).apply(call.clone());
        let architecture = model(&[&q, &v], &[&y.unwrap()]);
        let json = architecture.to_json(None).unwrap();
        let read = objects().scope(|| Architecture::from_json(&json)).unwrap();
        assert_eq!(read.to_json(None).unwrap().to_string(), json.to_string(), "{index}");
        if index == 1 {
            continue;
        }
        let xs = [tensor(&[1.0], &[1, 1]), tensor(&[10.0], &[1, 1])];
        let outputs = run(&build(&read), &xs, &mut Context::inference());
        assert_eq!(outputs, [[expected]], "{index}");
    }
}

#[test]
fn arguments_that_a_layer_does_not_have_are_refused() {
    let x = Input::new([1]);
    let at = |n: usize| Args::list((0..n).map(|_| x.clone()));
    let mut five = Args::new();
    for _ in 0..5 {
        five = five.tensor(x.clone());
    }
    let cases: [(Args<SymbolicTensor>, &str); 5] = [
        (
            Args::one(x.clone()).value("scael", 2),
            "unknown argument `scael`. Did you mean `scale`? Known: query, values, scale, options, \
             training, mask.",
        ),
        (
            five,
            "Blend takes 4 positional arguments (query, values, scale, options), got 5; give several \
             tensors to one argument as a list",
        ),
        (Args::one(x.clone()).named("query", x.clone()), "got two values for the argument `query`"),
        (
            Args::one(x.clone()).value("scale", 1).value("scale", 2),
            "got two values for the argument `scale`",
        ),
        (Args::new().value("training", true), "is called without a tensor"),
    ];
    for (args, message) in cases {
        let error = Blend {}.name("blend").apply(args).unwrap_err().to_string();
        assert_eq!(error, format!("layer `blend`: {message}"));
    }
    let dense =
        |args: Args<SymbolicTensor>| Dense::new(1).name("d").apply(args).unwrap_err().to_string();
    assert_eq!(
        dense(Args::new().arg(Arg::Json(json!(3)))),
        "layer `d`: Dense is called with a tensor, got 3"
    );
    assert!(dense(at(2)).starts_with("layer `d`: Dense takes one input, got 2"));
    assert!(
        dense(Args::one(x.clone()).tensor(x.clone()))
            .starts_with("layer `d`: Dense takes 1 positional argument (inputs), got 2"),
    );
    let operator = sconce_layers::operations::Add {}.name("sum");
    let error = operator.apply(Args::one(x.clone()).arg(Arg::Json(json!("two")))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `sum`: argument x2: must be a tensor, a number, or nested lists of numbers that are all of one length at \
         each depth, found \"two\""
    );
}

/// Keras writes these keywords at every call of a model that it was given no mask for.
#[test]
fn null_masks_mean_nothing() {
    for mask in [json!(null), json!([null]), json!([null, null])] {
        let x = Input::new([2]);
        let y = Dense::new(1).apply(Args::one(x.clone()).value("mask", mask)).unwrap();
        let outputs = run(
            &build(&model(&[&x], &[&y])),
            &[tensor(&[0.0; 2], &[1, 2])],
            &mut Context::inference(),
        );
        assert_eq!(outputs, [[0.0]]);
    }
}
