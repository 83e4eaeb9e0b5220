//! TensorFlow's operations as layers (`TFOpLambda`, `SlicingOpLambda`; Keras 2.4 to 2.15) as the operations of
//! `keras.ops` that they are.

use sconce_core::{Error, Json, Result};
use serde_json::{Map, json};

const NUMPY: &str = "keras.src.ops.numpy";
const NN: &str = "keras.src.ops.nn";
const MATH: &str = "keras.src.ops.math";
const CORE: &str = "keras.src.ops.core";

/// A function of TensorFlow and the operation that does the same.
struct Function {
    names: &'static [&'static str],
    module: &'static str,
    class: &'static str,
    /// What the arguments are called here.
    arguments: &'static [(&'static str, Place)],
    /// Settings, as JSON, where a default is another.
    defaults: &'static [(&'static str, &'static str)],
}

/// Where an argument stands in Keras 3, and under which name.
#[derive(Clone, Copy)]
enum Place {
    /// Among those of the call.
    Call(&'static str),
    /// In the configuration.
    Setting(&'static str),
    /// In the configuration, in other words.
    Converted(&'static str, fn(&Json) -> Option<Json>),
    /// Nowhere, with the one value that Keras 3 can say.
    Only(&'static str),
}

use Place::{Call, Converted, Only, Setting};

/// Of the last two axes of a matrix product, which Keras 3 writes as an Einsum.
const TRANSPOSES: [&str; 2] = ["transpose_a", "transpose_b"];

const AXIS: (&str, Place) = ("axis", Setting("axis"));

impl Function {
    const fn of(names: &'static [&'static str], module: &'static str, class: &'static str) -> Self {
        let arguments =
            &[("x", Call("x")), ("features", Call("x")), ("a", Call("x")), ("input", Call("x"))];
        Self { names, module, class, arguments, defaults: &[] }
    }

    const fn with(self, arguments: &'static [(&'static str, Place)]) -> Self {
        Self { arguments, ..self }
    }

    const fn default(self, defaults: &'static [(&'static str, &'static str)]) -> Self {
        Self { defaults, ..self }
    }
}

const fn numpy(names: &'static [&'static str], class: &'static str) -> Function {
    Function::of(names, NUMPY, class)
}

const fn nn(names: &'static [&'static str], class: &'static str) -> Function {
    Function::of(names, NN, class)
}

const fn binary(names: &'static [&'static str], class: &'static str) -> Function {
    numpy(names, class).with(&[("x", Call("x1")), ("y", Call("x2"))])
}

const fn reduction(names: &'static [&'static str], class: &'static str) -> Function {
    numpy(names, class).with(&[
        ("input_tensor", Call("x")),
        AXIS,
        ("keepdims", Setting("keepdims")),
    ])
}

const FUNCTIONS: &[Function] = &[
    binary(&["__operators__.add", "math.add", "add"], "Add"),
    binary(&["math.subtract", "subtract"], "Subtract"),
    binary(&["math.multiply", "multiply"], "Multiply"),
    binary(&["math.truediv", "math.divide", "divide", "realdiv"], "TrueDivide"),
    binary(&["math.floordiv", "floor_div"], "FloorDivide"),
    binary(&["math.floormod", "math.mod"], "Mod"),
    binary(&["math.maximum", "maximum"], "Maximum"),
    binary(&["math.minimum", "minimum"], "Minimum"),
    binary(&["math.pow", "pow"], "Power"),
    binary(&["math.equal", "equal"], "Equal"),
    binary(&["math.not_equal", "not_equal"], "NotEqual"),
    binary(&["math.greater", "greater"], "Greater"),
    binary(&["math.greater_equal", "greater_equal"], "GreaterEqual"),
    binary(&["math.less", "less"], "Less"),
    binary(&["math.less_equal", "less_equal"], "LessEqual"),
    binary(&["math.logical_and", "logical_and"], "LogicalAnd"),
    binary(&["math.logical_or", "logical_or"], "LogicalOr"),
    numpy(&["math.logical_not", "logical_not"], "LogicalNot"),
    numpy(&["linalg.matmul", "matmul"], "Matmul").with(&[
        ("a", Call("x1")),
        ("b", Call("x2")),
        (TRANSPOSES[0], Setting(TRANSPOSES[0])),
        (TRANSPOSES[1], Setting(TRANSPOSES[1])),
    ]),
    reduction(&["math.reduce_mean", "reduce_mean"], "Mean"),
    reduction(&["math.reduce_sum", "reduce_sum"], "Sum"),
    reduction(&["math.reduce_max", "reduce_max"], "Max"),
    reduction(&["math.reduce_min", "reduce_min"], "Min"),
    reduction(&["math.reduce_prod", "reduce_prod"], "Prod"),
    reduction(&["math.reduce_variance"], "Var"),
    reduction(&["math.reduce_std"], "Std"),
    reduction(&["math.reduce_any", "reduce_any"], "Any"),
    reduction(&["math.reduce_all", "reduce_all"], "All"),
    Function { module: MATH, ..reduction(&["math.reduce_logsumexp"], "Logsumexp") },
    numpy(&["math.argmax", "argmax"], "Argmax")
        .with(&[("input", Call("x")), AXIS, ("output_type", Only("\"int64\""))])
        .default(&[("axis", "0")]),
    numpy(&["math.argmin", "argmin"], "Argmin")
        .with(&[("input", Call("x")), AXIS, ("output_type", Only("\"int64\""))])
        .default(&[("axis", "0")]),
    numpy(&["math.cumsum", "cumsum"], "Cumsum")
        .with(&[("x", Call("x")), AXIS, ("exclusive", Only("false")), ("reverse", Only("false"))])
        .default(&[("axis", "0")]),
    numpy(&["math.negative", "negative"], "Negative"),
    numpy(&["math.abs", "abs"], "Absolute"),
    numpy(&["math.exp", "exp"], "Exp"),
    numpy(&["math.log", "math.log_1", "log"], "Log"),
    numpy(&["math.sqrt", "sqrt"], "Sqrt"),
    Function::of(&["math.rsqrt", "rsqrt"], MATH, "Rsqrt"),
    numpy(&["math.square", "square"], "Square"),
    numpy(&["math.reciprocal", "reciprocal"], "Reciprocal"),
    numpy(&["math.sign", "sign"], "Sign"),
    numpy(&["math.round", "round"], "Round"),
    numpy(&["math.floor", "floor"], "Floor"),
    numpy(&["math.ceil", "ceil"], "Ceil"),
    numpy(&["math.sin", "sin"], "Sin"),
    numpy(&["math.cos", "cos"], "Cos"),
    numpy(&["math.tan", "tan"], "Tan"),
    Function::of(&["math.erf", "erf"], MATH, "Erf"),
    numpy(&["math.is_nan"], "Isnan"),
    numpy(&["math.is_inf"], "Isinf"),
    numpy(&["math.is_finite"], "Isfinite"),
    nn(&["math.tanh", "nn.tanh", "tanh"], "Tanh"),
    nn(&["math.sigmoid", "nn.sigmoid", "sigmoid"], "Sigmoid"),
    nn(&["nn.relu"], "Relu"),
    nn(&["nn.relu6"], "Relu6"),
    nn(&["math.softplus", "nn.softplus"], "Softplus"),
    nn(&["math.softsign", "nn.softsign"], "Softsign"),
    nn(&["nn.elu"], "Elu"),
    nn(&["nn.selu"], "Selu"),
    nn(&["nn.silu", "nn.swish"], "Silu").with(&[("features", Call("x")), ("beta", Only("1.0"))]),
    nn(&["nn.gelu"], "Gelu")
        .with(&[("features", Call("x")), ("approximate", Setting("approximate"))])
        .default(&[("approximate", "false")]),
    nn(&["nn.leaky_relu"], "LeakyRelu")
        .with(&[("features", Call("x")), ("alpha", Setting("negative_slope"))])
        .default(&[("negative_slope", "0.2")]),
    nn(&["nn.softmax", "math.softmax", "softmax"], "Softmax").with(&[("logits", Call("x")), AXIS]),
    nn(&["nn.log_softmax", "math.log_softmax"], "LogSoftmax").with(&[("logits", Call("x")), AXIS]),
    // Keras 3 bounds the norm, TensorFlow its square.
    nn(&["math.l2_normalize", "nn.l2_normalize", "linalg.l2_normalize"], "Normalize")
        .with(&[("x", Call("x")), AXIS, ("epsilon", Converted("epsilon", square_root))])
        .default(&[("epsilon", "1e-6"), ("axis", "null")]),
    nn(&["one_hot"], "OneHot").with(&[
        ("indices", Call("x")),
        ("depth", Setting("num_classes")),
        AXIS,
        ("dtype", Setting("dtype")),
        ("on_value", Only("1.0")),
        ("off_value", Only("0.0")),
    ]),
    Function::of(&["cast"], CORE, "Cast").with(&[("x", Call("x")), ("dtype", Setting("dtype"))]),
    Function::of(&["stop_gradient"], CORE, "StopGradient"),
    numpy(&["identity"], "Copy"),
    numpy(&["ones_like"], "OnesLike"),
    numpy(&["zeros_like"], "ZerosLike"),
    numpy(&["clip_by_value"], "Clip").with(&[
        ("t", Call("x")),
        ("clip_value_min", Setting("x_min")),
        ("clip_value_max", Setting("x_max")),
    ]),
    numpy(&["where", "where_v2"], "Where").with(&[
        ("condition", Call("condition")),
        ("x", Call("x1")),
        ("y", Call("x2")),
    ]),
    numpy(&["__operators__.getitem"], "GetItem").with(&[("slice_spec", Call("key"))]),
    numpy(&["gather"], "Take")
        .with(&[
            ("params", Call("x")),
            ("indices", Call("indices")),
            AXIS,
            ("batch_dims", Only("0")),
        ])
        .default(&[("axis", "0")]),
    numpy(&["expand_dims"], "ExpandDims").with(&[("input", Call("x")), AXIS]),
    numpy(&["squeeze"], "Squeeze").with(&[("input", Call("x")), AXIS]),
    numpy(&["reshape"], "Reshape").with(&[("tensor", Call("x")), ("shape", Setting("newshape"))]),
    numpy(&["transpose"], "Transpose").with(&[
        ("a", Call("x")),
        ("perm", Setting("axes")),
        ("conjugate", Only("false")),
    ]),
    numpy(&["concat"], "Concatenate").with(&[("values", Call("xs")), AXIS]),
    numpy(&["stack"], "Stack").with(&[("values", Call("x")), AXIS]),
    Function::of(&["unstack"], CORE, "Unstack").with(&[
        ("value", Call("x")),
        ("num", Setting("num")),
        AXIS,
    ]),
    numpy(&["split"], "Split").with(&[
        ("value", Call("x")),
        ("num_or_size_splits", Converted("indices_or_sections", places_of_splits)),
        AXIS,
    ]),
    numpy(&["tile"], "Tile").with(&[("input", Call("x")), ("multiples", Setting("repeats"))]),
    numpy(&["repeat"], "Repeat").with(&[
        ("input", Call("x")),
        ("repeats", Setting("repeats")),
        AXIS,
    ]),
    numpy(&["reverse"], "Flip").with(&[("tensor", Call("x")), AXIS]),
    numpy(&["roll"], "Roll").with(&[("input", Call("x")), ("shift", Setting("shift")), AXIS]),
    numpy(&["pad"], "Pad").with(&[
        ("tensor", Call("x")),
        ("paddings", Setting("pad_width")),
        ("mode", Converted("mode", lower_case)),
        ("constant_values", Call("constant_values")),
    ]),
    Function::of(&["math.add_n", "add_n"], "keras.layers", "Add"),
];

fn square_root(value: &Json) -> Option<Json> {
    value.as_f64().map(|value| json!(value.sqrt()))
}

fn lower_case(text: &Json) -> Option<Json> {
    text.as_str().map(|text| json!(text.to_lowercase()))
}

/// A number of parts, or the places between parts of these lengths.
fn places_of_splits(splits: &Json) -> Option<Json> {
    let Json::Array(lengths) = splits else { return splits.is_u64().then(|| splits.clone()) };
    let mut place = 0u64;
    let mut places = Vec::new();
    for length in lengths.split_last()?.1 {
        place = place.checked_add(length.as_u64()?)?;
        places.push(place);
    }
    Some(json!(places))
}

/// The parts of a key in the words of Keras 3.
fn key(spec: Json) -> Json {
    match spec {
        Json::Array(parts) => parts.into_iter().map(key).collect(),
        Json::Object(mut part) if part.contains_key("start") => {
            part.retain(|field, _| ["start", "stop", "step"].contains(&field.as_str()));
            json!({"class_name": "__slice__", "config": part})
        }
        Json::Object(part) if part.get("class_name").is_some_and(|c| c == "__ellipsis__") => {
            json!({"class_name": "__ellipsis__", "config": {}})
        }
        other => other,
    }
}

/// The operation that a layer of TensorFlow's is; other objects stay as they are. The calls are in the form
/// of Keras 3 already.
///
/// # Errors
/// For a function that has no counterpart here.
pub(super) fn translate(layer: &mut Map<String, Json>) -> Result<()> {
    let class = layer.get("class_name").and_then(Json::as_str).unwrap_or_default();
    if !["TFOpLambda", "SlicingOpLambda", "ClassMethod"].contains(&class) {
        return Ok(());
    }
    let config = layer.get("config").and_then(Json::as_object);
    let text = |key: &str| config.and_then(|config| config.get(key)).and_then(Json::as_str);
    let name = text("name").map(str::to_string);
    let called = text("function").unwrap_or_default().to_string();
    let named = called.strip_prefix("compat.v1.").unwrap_or(&called);
    let Some(function) = FUNCTIONS.iter().find(|function| function.names.contains(&named)) else {
        let message = format!(
            "TensorFlow's operation `tf.{called}` has no counterpart here; write it as a layer of your own"
        );
        return Err(Error::config("function", message));
    };
    let mut own = Map::new();
    own.insert("name".to_string(), json!(name));
    for (setting, json) in function.defaults {
        own.insert(setting.to_string(), serde_json::from_str(json).unwrap_or_default());
    }
    let mut stated = Map::new();
    for node in layer.get_mut("inbound_nodes").and_then(Json::as_array_mut).into_iter().flatten() {
        rename_arguments(node, function, &mut stated)?;
    }
    own.extend(stated);
    let class = match TRANSPOSES.map(|setting| own.shift_remove(setting) == Some(json!(true))) {
        [false, false] => function.class,
        [a, b] => {
            let subscripts =
                [["...ij,", "...ji,"][usize::from(a)], ["...jk", "...kj"][usize::from(b)]];
            own.insert("subscripts".to_string(), json!(subscripts.concat() + "->...ik"));
            "Einsum"
        }
    };
    if class == "Einsum" {
        // Which takes its tensors by place alone.
        let nodes = layer.get_mut("inbound_nodes").and_then(Json::as_array_mut);
        for node in nodes.into_iter().flatten() {
            let named = node.get_mut("kwargs").and_then(Json::as_object_mut);
            let second = named.and_then(|named| named.shift_remove("x2"));
            if let (Some(args), Some(second)) =
                (node.get_mut("args").and_then(Json::as_array_mut), second)
            {
                args.push(second);
            }
        }
    }
    layer.insert("module".to_string(), function.module.into());
    layer.insert("class_name".to_string(), class.into());
    layer.insert("registered_name".to_string(), class.into());
    layer.insert("config".to_string(), own.into());
    Ok(())
}

/// Calls a call's keywords by their names in Keras 3; what belongs into the configuration goes to `stated`.
fn rename_arguments(
    node: &mut Json,
    function: &Function,
    stated: &mut Map<String, Json>,
) -> Result<()> {
    let Some(kwargs) = node.get_mut("kwargs").and_then(Json::as_object_mut) else { return Ok(()) };
    let mut renamed = Map::new();
    for (name, value) in std::mem::take(kwargs) {
        let refused = |what: &str| {
            let message = format!("the argument `{name}` of tf.{} {what}", function.names[0]);
            Err(Error::config(&name, message))
        };
        let place = function.arguments.iter().find(|(old, _)| *old == name).map(|(_, place)| place);
        let (setting, value) = match place {
            None if name == "name" => continue,
            None => return refused("is not supported"),
            Some(Call("key")) => {
                renamed.insert("key".to_string(), key(value));
                continue;
            }
            Some(Call(new)) => {
                renamed.insert(new.to_string(), value);
                continue;
            }
            Some(Only(only)) => {
                let is_it = serde_json::from_str::<Json>(only).is_ok_and(|only| {
                    only == value || only.as_f64().is_some_and(|x| value.as_f64() == Some(x))
                });
                match is_it {
                    true => continue,
                    false => return refused(&format!("is {value}; only {only} is supported")),
                }
            }
            Some(Setting(new)) => (new, value),
            Some(Converted(new, convert)) => match convert(&value) {
                Some(converted) => (new, converted),
                None => return refused(&format!("is {value}, which is not supported")),
            },
        };
        if stated.get(*setting).is_some_and(|other| *other != value) {
            return refused("differs between two calls of one operation");
        }
        stated.insert(setting.to_string(), value);
    }
    *kwargs = renamed;
    Ok(())
}
