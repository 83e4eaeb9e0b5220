//! TensorFlow's operations as layers (`TFOpLambda`, `SlicingOpLambda`; Keras 2.4 to 2.15) as the operations of
//! `keras.ops` that they are.

use sconce_core::{Error, Json, Result};
use serde_json::{Map, json};

const NUMPY: &str = "keras.src.ops.numpy";
const NN: &str = "keras.src.ops.nn";

/// A function of TensorFlow and the operation that does the same. `arguments`: what the two call one thing;
/// a name of the operation's in `config` is an argument of its configuration, the others are of the call.
struct Function {
    names: &'static [&'static str],
    module: &'static str,
    class: &'static str,
    tensors: &'static [(&'static str, &'static str)],
    config: &'static [(&'static str, &'static str)],
}

const fn binary(names: &'static [&'static str], class: &'static str) -> Function {
    Function { names, module: NUMPY, class, tensors: &[("x", "x1"), ("y", "x2")], config: &[] }
}

const fn unary(
    names: &'static [&'static str],
    module: &'static str,
    class: &'static str,
) -> Function {
    let tensors = &[("x", "x"), ("features", "x"), ("a", "x"), ("input", "x")];
    Function { names, module, class, tensors, config: &[] }
}

const fn reduction(names: &'static [&'static str], class: &'static str) -> Function {
    Function {
        names,
        module: NUMPY,
        class,
        tensors: &[("input_tensor", "x")],
        config: &[("axis", "axis"), ("keepdims", "keepdims")],
    }
}

const FUNCTIONS: [Function; 32] = [
    binary(&["__operators__.add", "math.add", "add"], "Add"),
    binary(&["math.subtract", "subtract"], "Subtract"),
    binary(&["math.multiply", "multiply"], "Multiply"),
    binary(&["math.truediv", "math.divide", "divide", "realdiv"], "TrueDivide"),
    binary(&["math.maximum", "maximum"], "Maximum"),
    binary(&["math.minimum", "minimum"], "Minimum"),
    binary(&["math.pow", "pow"], "Power"),
    Function {
        names: &["linalg.matmul", "matmul"],
        module: NUMPY,
        class: "Matmul",
        tensors: &[("a", "x1"), ("b", "x2")],
        config: &[],
    },
    reduction(&["math.reduce_mean", "reduce_mean"], "Mean"),
    reduction(&["math.reduce_sum", "reduce_sum"], "Sum"),
    reduction(&["math.reduce_max", "reduce_max"], "Max"),
    reduction(&["math.reduce_min", "reduce_min"], "Min"),
    unary(&["math.negative", "negative"], NUMPY, "Negative"),
    unary(&["math.abs", "abs"], NUMPY, "Absolute"),
    unary(&["math.exp", "exp"], NUMPY, "Exp"),
    unary(&["math.log", "math.log_1", "log"], NUMPY, "Log"),
    unary(&["math.sqrt", "sqrt"], NUMPY, "Sqrt"),
    unary(&["math.square", "square"], NUMPY, "Square"),
    unary(&["math.sin", "sin"], NUMPY, "Sin"),
    unary(&["math.cos", "cos"], NUMPY, "Cos"),
    unary(&["math.tanh", "nn.tanh", "tanh"], NN, "Tanh"),
    unary(&["math.sigmoid", "nn.sigmoid", "sigmoid"], NN, "Sigmoid"),
    unary(&["nn.relu"], NN, "Relu"),
    unary(&["nn.relu6"], NN, "Relu6"),
    unary(&["math.softplus", "nn.softplus"], NN, "Softplus"),
    Function {
        names: &["nn.softmax", "math.softmax", "softmax"],
        module: NN,
        class: "Softmax",
        tensors: &[("logits", "x")],
        config: &[("axis", "axis")],
    },
    Function {
        names: &["expand_dims"],
        module: NUMPY,
        class: "ExpandDims",
        tensors: &[("input", "x")],
        config: &[("axis", "axis")],
    },
    Function {
        names: &["squeeze"],
        module: NUMPY,
        class: "Squeeze",
        tensors: &[("input", "x")],
        config: &[("axis", "axis")],
    },
    Function {
        names: &["reshape"],
        module: NUMPY,
        class: "Reshape",
        tensors: &[("tensor", "x")],
        config: &[("shape", "newshape")],
    },
    Function {
        names: &["transpose"],
        module: NUMPY,
        class: "Transpose",
        tensors: &[("a", "x")],
        config: &[("perm", "axes")],
    },
    Function {
        names: &["concat"],
        module: NUMPY,
        class: "Concatenate",
        tensors: &[("values", "xs")],
        config: &[("axis", "axis")],
    },
    Function {
        names: &["stack"],
        module: NUMPY,
        class: "Stack",
        tensors: &[("values", "x")],
        config: &[("axis", "axis")],
    },
];

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
    let Some(function) = FUNCTIONS.iter().find(|f| f.names.contains(&called.as_str())) else {
        let message = format!(
            "TensorFlow's operation `tf.{called}` has no counterpart here; write it as a layer of your own"
        );
        return Err(Error::config("function", message));
    };
    let mut own = Map::new();
    own.insert("name".to_string(), json!(name));
    for node in layer.get_mut("inbound_nodes").and_then(Json::as_array_mut).into_iter().flatten() {
        rename_arguments(node, function, &mut own)?;
    }
    layer.insert("module".to_string(), function.module.into());
    layer.insert("class_name".to_string(), function.class.into());
    layer.insert("registered_name".to_string(), function.class.into());
    layer.insert("config".to_string(), own.into());
    Ok(())
}

/// Calls a call's keywords by their names in Keras 3; what belongs into the configuration goes to `own`.
fn rename_arguments(
    node: &mut Json,
    function: &Function,
    own: &mut Map<String, Json>,
) -> Result<()> {
    let Some(kwargs) = node.get_mut("kwargs").and_then(Json::as_object_mut) else { return Ok(()) };
    let mut renamed = Map::new();
    for (key, value) in std::mem::take(kwargs) {
        let of = |pairs: &[(&str, &'static str)]| {
            pairs.iter().find(|(old, _)| *old == key).map(|(_, new)| *new)
        };
        if let Some(new) = of(function.config) {
            if own.get(new).is_some_and(|other| *other != value) {
                let message = format!("`{key}` differs between two calls of one operation");
                return Err(Error::config(key, message));
            }
            own.insert(new.to_string(), value);
        } else if let Some(new) = of(function.tensors) {
            renamed.insert(new.to_string(), value);
        } else if key != "name" {
            let message =
                format!("the argument `{key}` of tf.{} is not supported", function.names[0]);
            return Err(Error::config(key, message));
        }
    }
    *kwargs = renamed;
    Ok(())
}
