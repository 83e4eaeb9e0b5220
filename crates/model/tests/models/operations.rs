//! Operations as nodes of functional models, against Keras: the JSON of each model, what comes out, in
//! f64 and f32, and gradients.

use sconce_core::device::{cast, held_as};
use sconce_core::{Context, DType, DTypePolicy, Kind, Tensor, Value, Var};
use sconce_layers::operations::Operations;
use sconce_layers::{LayerEntry, Options, Scope};
use sconce_model::{Architecture, EdgeId, Graph};
use sconce_testkit::assert_close;
use sconce_testkit::golden::{self, Case};
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};

fn architecture(case: &Case) -> Architecture {
    let json = json!({"class_name": "Functional", "config": case.config()});
    Architecture::from_json(&json).unwrap_or_else(|e| panic!("{}: {e}", case.name()))
}

fn some(case: &Case, role: &str) -> Vec<Tensor> {
    case.tensors(role).into_iter().flatten().collect()
}

/// Runs the nodes of a graph, each layer computing in a type.
fn run(
    case: &Case,
    graph: &Graph,
    inputs: &[Tensor],
    dtype: DType,
    cx: &mut Context,
) -> Vec<Tensor> {
    let given = graph.inputs().iter().copied().zip(inputs.iter().cloned());
    let mut values: HashMap<EdgeId, Tensor> = given.collect();
    for node in graph.nodes() {
        if node.args.flat().is_empty() {
            continue;
        }
        let policy = DTypePolicy { compute: dtype, variable: dtype };
        let entry = &graph.layers()[node.layer];
        let options = Options { policy, name: Some("op".into()), ..entry.options() };
        let entry = LayerEntry::new(entry.layer().clone(), options);
        let args = node.args.try_map(|edge| Ok(Value::from(values[edge].clone())));
        let ran = Scope::new(cx, None).run(&entry, args.unwrap(), 7);
        let ran = ran.unwrap_or_else(|e| panic!("{}: {e}", case.name()));
        let outputs = ran.into_iter().map(|value| value.tensor);
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    graph.outputs().iter().map(|edge| values[edge].clone()).collect()
}

fn compare(case: &Case, dtype: DType, tolerance: f64) {
    let architecture = architecture(case);
    let graph = architecture.graph(None).unwrap();
    let specs: Vec<_> = graph.inputs().iter().map(|edge| graph.spec(*edge).clone()).collect();
    let inputs: Vec<Tensor> = some(case, "x")
        .iter()
        .zip(&specs)
        .map(|(x, spec)| match spec.dtype.is_float() {
            true => Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap().into_inner(),
            false => cast(x, spec.dtype).unwrap(),
        })
        .collect();
    let name = case.name();
    // The context holds the tape until the gradients are taken.
    let mut cx = Context::inference().recording(true);
    let outputs = run(case, &graph, &inputs, dtype, &mut cx);
    let keras = some(case, "y");
    assert_eq!(outputs.len(), keras.len(), "{name}");
    for ((ours, keras), edge) in outputs.iter().zip(&keras).zip(graph.outputs()) {
        let spec = graph.spec(*edge);
        assert!(spec.dims.fits(ours.dims()), "{name}: {spec}, {:?}", ours.dims());
        if dtype == DType::F32 {
            assert_eq!(held_as(spec.dtype, case.device()), ours.dtype(), "{name}");
        }
        assert_eq!(keras.dtype().is_float(), ours.dtype().is_float(), "{name}");
        assert_close(&format!("{name} in {dtype:?}"), ours, keras, tolerance);
    }
    let expected = some(case, "gradient_x");
    if expected.is_empty() {
        return;
    }
    let mut total = Tensor::zeros((), dtype, case.device()).unwrap();
    for (y, g) in outputs.iter().zip(some(case, "g")) {
        let product = y.mul(&g.to_dtype(dtype).unwrap()).unwrap();
        total = (total + product.sum_all().unwrap()).unwrap();
    }
    let variables: Vec<&Tensor> = inputs.iter().filter(|x| x.is_variable()).collect();
    let gradients = sconce_core::gradients(&total, &variables).unwrap();
    for (ours, keras) in gradients.into_iter().zip(&expected) {
        let ours = ours.unwrap_or_else(|| keras.zeros_like().unwrap());
        assert_close(&format!("{name} in {dtype:?}: gradient"), &ours, keras, tolerance);
    }
}

#[test]
fn they_give_keras_s_numbers() {
    golden::check_each(golden::load_on_devices("operations"), |case| {
        // Keras takes means and norms in float32, whatever the type.
        compare(case, DType::F64, 1e-6);
        compare(case, DType::F32, 3e-5);
    });
}

/// Keras says "bool" where we have no such type.
fn normalized(json: &Json) -> Json {
    match json {
        Json::String(text) if text == "bool" => json!("uint8"),
        Json::Array(items) => items.iter().map(normalized).collect(),
        Json::Object(map) => map.iter().map(|(k, v)| (k.clone(), normalized(v))).collect(),
        Json::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

#[test]
fn json_is_written_as_keras_writes_it() {
    for case in golden::load("operations") {
        let written = architecture(&case).to_json(None).unwrap();
        let layers = |config: &Json| {
            let layers = config["layers"].as_array().unwrap();
            layers.iter().map(normalized).collect::<Vec<_>>()
        };
        assert_eq!(layers(&written["config"]), layers(case.config()), "{}", case.name());
        assert_eq!(written["config"]["output_layers"], case.config()["output_layers"]);
    }
}

#[test]
fn every_operation_has_a_case() {
    let cases = golden::load("operations");
    let layers = cases.iter().flat_map(|case| case.config()["layers"].as_array().unwrap().clone());
    let seen: HashSet<String> =
        layers.map(|layer| layer["class_name"].as_str().unwrap().to_string()).collect();
    let missing: Vec<&str> = Operations::entries()
        .iter()
        .map(|entry| entry.class_name)
        .filter(|name| !seen.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_cannot_be_is_refused_in_so_many_words() {
    let call = |class: &str, config: Json, args: Json| {
        let x = json!({"class_name": "__keras_tensor__", "config": {
            "shape": [null, 3, 4], "dtype": "float32", "keras_history": ["x", 0, 0]}});
        let mut all = vec![x];
        all.extend(args.as_array().unwrap().clone());
        let model = json!({"class_name": "Functional", "config": {
            "layers": [
                {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                 "config": {"batch_shape": [null, 3, 4], "dtype": "float32", "name": "x"}},
                {"class_name": class, "module": "keras.src.ops.numpy", "name": "op", "config": config,
                 "inbound_nodes": [{"args": all, "kwargs": {}}]},
            ],
            "input_layers": ["x", 0, 0], "output_layers": ["op", 0, 0],
        }});
        Architecture::from_json(&model).map(drop).unwrap_err().to_string()
    };
    let huge = i64::MAX;
    for (class, config, args, message) in [
        ("Mean", json!({"axis": 3}), json!([]), "axis 3 does not exist"),
        ("Add", json!({}), json!([[1, [2]]]), "nested lists of numbers"),
        ("Add", json!({}), json!([[1.0, 2.0, 3.0]]), "cannot be broadcast"),
        ("Add", json!({}), json!([]), "the argument x2 is missing"),
        ("GetItem", json!({}), json!([[0, 0, 0, 0]]), "4 places"),
        ("GetItem", json!({}), json!([[null, 5, 9]]), "place 9 is not in an axis of length 3"),
        (
            "GetItem",
            json!({}),
            json!([[0, {"class_name": "__slice__", "config": {"start": 0, "stop": 1, "step": 0}}]]),
            "step of a slice must not be 0",
        ),
        ("Split", json!({"indices_or_sections": 0, "axis": 1}), json!([]), "0 equal parts"),
        ("Tile", json!({"repeats": [1, huge, 1]}), json!([]), "too many"),
        ("Pad", json!({"pad_width": [[0, 0], [huge, 0], [0, 0]]}), json!([]), "too much"),
        ("Transpose", json!({"axes": [0, 1, 1]}), json!([]), "each of 3 axes once"),
        ("Einsum", json!({"subscripts": "ab->a"}), json!([]), "names 2 axes, the operand has 3"),
        ("Cast", json!({"dtype": "int31"}), json!([]), "int32"),
        ("Where", json!({}), json!([]), "state both"),
        ("Tensordot", json!({"axes": 9}), json!([1.0]), "do not fit"),
        ("OneHot", json!({"num_classes": 0}), json!([]), "num_classes"),
        ("Meen", json!({}), json!([]), "Did you mean `Mean`"),
    ] {
        let error = call(class, config, args);
        assert!(error.contains(message), "{class}: {error}");
    }
}
