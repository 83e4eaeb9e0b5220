//! Every layer of the groups `layers_*` against Keras: outputs, masks, gradients, added losses and
//! state, in f64 and, where there are fused kernels, in f32.

use sconce::core::{DTypePolicy, FirstValues, Store, Value, Var};
use sconce::layers::json::{from_json, to_json};
use sconce::layers::{BuildOptions, Options, Scope};
use sconce::prelude::*;
use sconce_testkit::assert_close;
use sconce_testkit::golden::{self, Case};
use serde_json::Value as Json;

/// The groups, by rooms of the layers.
pub const GROUPS: [&str; 10] = [
    "layers_activation",
    "layers_attention",
    "layers_core",
    "layers_images",
    "layers_merging",
    "layers_normalization",
    "layers_preprocessing",
    "layers_recurrent",
    "layers_regularization",
    "layers_reshaping",
];

/// Inputs as the case calls its layer with them: each an argument, or all in one; and its flags.
fn args<T>(case: &Case, mut all: Vec<T>) -> Args<T> {
    let mut args = match all.len() {
        1 => Args::one(all.remove(0)),
        _ if case.field("spread") == &Json::Bool(true) => {
            all.into_iter().fold(Args::new(), Args::tensor)
        }
        _ => Args::list(all),
    };
    for (name, flag) in case.field("flags").as_object().into_iter().flatten() {
        args = args.value(name, flag.clone());
    }
    args
}

/// The layer of a case, which computes in a type.
fn layer(case: &Case, dtype: DType) -> LayerEntry {
    let entry = computing_in(dtype, &from_json(case.config()).unwrap());
    let options = Options { name: Some("layer".into()), ..entry.options() };
    LayerEntry::new(entry.layer().clone(), options)
}

/// A layer and those inside it, which compute in a type.
pub fn computing_in(dtype: DType, entry: &LayerEntry) -> LayerEntry {
    let children = entry.layer().children();
    let children: Vec<LayerEntry> =
        children.iter().flat_map(Child::entries).map(|child| computing_in(dtype, child)).collect();
    let layer = match children.is_empty() {
        true => entry.layer().clone(),
        false => entry.layer().with_children(children).unwrap(),
    };
    let policy = DTypePolicy { compute: dtype, variable: dtype };
    LayerEntry::new(layer, Options { policy, ..entry.options() })
}

fn some(case: &Case, role: &str) -> Vec<Tensor> {
    if case.has(role) { case.tensors(role).into_iter().flatten().collect() } else { Vec::new() }
}

fn compare(case: &Case, dtype: DType, tolerance: f64) {
    let close = |what: &str, ours: &Tensor, keras: &Tensor| {
        assert_close(&format!("{} in {dtype:?}: {what}", case.name()), ours, keras, tolerance);
    };
    let entry = layer(case, dtype);
    let given = |x: &Tensor| match x.dtype().is_float() {
        true => Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap().into_inner(),
        false => x.clone(),
    };
    let inputs: Vec<Tensor> = some(case, "x").iter().map(given).collect();
    let spec = |x: &Tensor| Spec { dims: Dims::batch_of(&x.dims()[1..]), dtype: x.dtype() };
    let build = BuildOptions { device: case.device(), first: FirstValues::Zeros };
    let specs = args(case, inputs.iter().map(spec).collect());
    entry.build(&specs, "", build).unwrap();
    let mut store = Store::new();
    entry.collect(&mut store, "", true).unwrap();
    let weights = some(case, "weights");
    assert_eq!(store.parameters().len(), weights.len(), "{}", case.name());
    for (parameter, value) in store.parameters().iter().zip(&weights) {
        parameter.set(value).unwrap();
    }

    let training = case.field("training").as_bool().unwrap();
    let mut cx = if training { Context::training(0, 0) } else { Context::inference() };
    cx = cx.recording(true);
    let mut masks = if case.has("masks") { case.tensors("masks") } else { Vec::new() };
    masks.resize(inputs.len(), None);
    let mask = |mask: Option<Tensor>| mask.map(|mask| mask.to_dtype(DType::U8).unwrap());
    let value = |(tensor, m): (&Tensor, _)| Value { tensor: tensor.clone(), mask: mask(m) };
    let values: Vec<Value> = inputs.iter().zip(masks).map(value).collect();
    let mut values = args(case, values);
    if case.has("attention_mask") {
        let seen = case.tensor("attention_mask").to_dtype(DType::U8).unwrap();
        values = values.named("attention_mask", seen.into());
    }
    let run = Scope::new(&mut cx, None).run(&entry, values, 7);
    let mut outputs = run.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
    let promised = entry.outputs(&specs).unwrap();
    assert_eq!(promised.len(), outputs.len(), "{}", case.name());
    for (promised, output) in promised.iter().zip(&outputs) {
        assert!(promised.dims.fits(output.tensor.dims()), "{}: {promised}", case.name());
    }
    let output = outputs.remove(0);
    let y = output.tensor;
    close("y", &y, &case.tensor("y"));
    let more = some(case, "more");
    assert_eq!(outputs.len(), more.len(), "{}", case.name());
    for (ours, keras) in outputs.iter().zip(&more) {
        close("another output", &ours.tensor, keras);
    }
    match (&output.mask, case.has("y_mask")) {
        (Some(mask), true) => close("mask", mask, &case.tensor("y_mask")),
        (mask, keras) => assert_eq!(mask.is_some(), keras, "{}: mask", case.name()),
    }

    let mut added = Tensor::zeros((), dtype, case.device()).unwrap();
    for loss in cx.take_losses() {
        added = (added + loss.to_dtype(dtype).unwrap()).unwrap();
    }
    for parameter in store.trainable() {
        if let Some(regularizer) = &parameter.regularizer {
            added = (added + regularizer.penalty(parameter.var.as_tensor()).unwrap()).unwrap();
        }
    }
    close("added loss", &added, &case.tensor("added_loss"));

    let g = case.tensor("g").to_dtype(dtype).unwrap();
    let mut total = (&y * g).unwrap().sum_all().unwrap();
    for (output, g) in outputs.iter().zip(some(case, "g_more")) {
        let part = (&output.tensor * g.to_dtype(dtype).unwrap()).unwrap().sum_all().unwrap();
        total = (total + part).unwrap();
    }
    let mut variables: Vec<&Tensor> = inputs.iter().filter(|x| x.is_variable()).collect();
    variables.extend(store.trainable().map(|p| p.var.as_tensor()));
    let gradients = sconce::core::gradients(&total, &variables).unwrap();
    let mut keras = some(case, "gradient_x");
    keras.extend(some(case, "gradient_weights"));
    assert_eq!(gradients.len(), keras.len(), "{}", case.name());
    for (index, (ours, keras)) in gradients.iter().zip(&keras).enumerate() {
        let zeros = || keras.zeros_like().unwrap();
        let ours = ours.clone().unwrap_or_else(zeros);
        close(&format!("gradient {index}"), &ours, keras);
    }
    cx.apply_updates().unwrap();
    let state = store.parameters().iter().filter(|p| !p.trainable);
    for (parameter, keras) in state.zip(some(case, "state")) {
        close(&format!("{} after the call", parameter.name), parameter.var.as_tensor(), &keras);
    }
}

#[test]
fn calls_give_keras_s_numbers() {
    for group in GROUPS {
        // Keras takes statistics in f32, also of f64.
        let tolerance = if group == "layers_normalization" { 1e-5 } else { 1e-9 };
        golden::check_each(golden::load_on_devices(group), |case| {
            // Keras computes these in float32 whatever the policy.
            let rounded = case.name().starts_with("GlobalAveragePooling")
                || [
                    "attention/concat",
                    "additive",
                    "multi_head",
                    "group_query",
                    "time_distributed/batch",
                    "lora",
                ]
                .iter()
                .any(|name| case.name().starts_with(name))
                || case.tensor("y").dtype() == DType::F32;
            compare(case, DType::F64, if rounded { 2e-6 } else { tolerance });
            compare(case, DType::F32, 2e-5);
        });
    }
}

/// Keras's configuration comes back, key by key.
#[test]
fn configurations_are_written_as_keras_writes_them() {
    fn same(ours: &Json, keras: &Json) -> bool {
        match (ours, keras) {
            (Json::Number(a), Json::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                (a - b).abs() <= 1e-7 * b.abs()
            }
            (Json::Array(a), Json::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Json::Object(a), Json::Object(b)) => {
                let equal = |(key, b): (&String, &Json)| same(a.get(key).unwrap_or(&Json::Null), b);
                b.iter().filter(|(key, _)| *key != "dtype").all(equal)
            }
            (ours, keras) => ours == keras,
        }
    }
    for case in GROUPS.iter().flat_map(|group| golden::load(group)) {
        let name = case.config()["config"]["name"].as_str().unwrap();
        let written = to_json(&from_json(case.config()).unwrap(), name, None).unwrap();
        for (key, keras) in case.config()["config"].as_object().unwrap() {
            let ours = &written["config"][key];
            // Of the policy, float32 is the one that golden cases have.
            let equal = same(ours, keras) || key == "dtype";
            assert!(equal, "{}: {key} is {ours}, Keras's {keras}", case.name());
        }
        assert_eq!(written["module"], case.config()["module"], "{}", case.name());
    }
}
