//! Types along edges.

use crate::stubs::{class, model, same};
use sconce_core::{Arg, Args, Context, DType, Device, Json, Result, Spec, Tensor};
use sconce_layers::operations::{Add, Multiply, Subtract, TrueDivide};
use sconce_layers::{Call, Dense, Layer, LayerEntry, LayerExt};
use sconce_model::{Apply, GraphLayer, Input};

/// Passes on what it is called with; takes integers as they are, or not.
struct Takes {
    integers: bool,
}
class!(Takes);

impl Layer for Takes {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        same(x)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![call.single()?.clone()])
    }

    fn casts_integers(&self) -> bool {
        !self.integers
    }
}

#[test]
fn integers_arrive_as_they_are_where_a_layer_takes_them() {
    let x = Input::typed([2], "int64");
    let z = Input::typed([2], "int64");
    let inner = model(&[&z], &[&Takes { integers: true }.apply(&z).unwrap()]);
    let ids = GraphLayer::new(inner).entry().apply(&x).unwrap();
    let floats = Takes { integers: false }.apply(&ids).unwrap();
    let network = crate::stubs::build(&model(&[&x], &[&ids, &floats]));
    let large = [(1i64 << 24) + 1, -3];
    let input = Tensor::new(&[large], &Device::Cpu).unwrap();
    let outputs = network.forward(&[input], &mut Context::inference()).unwrap();
    assert_eq!(outputs[0].to_vec2::<i64>().unwrap(), [large]);
    assert_eq!(outputs[1].to_vec2::<f32>().unwrap(), [[16_777_216.0, -3.0]]);
    for (edge, output) in network.graph().outputs().iter().zip(&outputs) {
        assert_eq!(network.graph().spec(*edge).dtype, output.dtype());
    }
}

/// What Keras 3.15 gives for these operands, with 64 bits where it declares them.
#[test]
fn operators_give_keras_s_types() {
    let add = || Add {}.entry();
    let cases: [(LayerEntry, &str, Result<&str, Json>, &str); 14] = [
        (add(), "uint8", Ok("int32"), "int32"),
        (add(), "uint8", Ok("int16"), "int16"),
        (add(), "int16", Ok("int32"), "int32"),
        (add(), "int32", Ok("int64"), "int64"),
        (add(), "uint8", Err(2.into()), "uint8"),
        (add(), "uint8", Ok("float32"), "float32"),
        (TrueDivide {}.entry(), "uint8", Ok("uint8"), "float32"),
        (TrueDivide {}.entry(), "int32", Err(2.into()), "float32"),
        (Multiply {}.entry(), "int32", Err(2.into()), "int32"),
        (Subtract {}.entry(), "int32", Err(2.0.into()), "float32"),
        (add(), "float32", Err(2.into()), "float32"),
        (add(), "int32", Ok("int32"), "int32"),
        (Multiply {}.entry(), "int64", Err(2.into()), "int64"),
        (add(), "int64", Ok("float32"), "float32"),
    ];
    for (index, (layer, a, b, expected)) in cases.into_iter().enumerate() {
        let a = Input::typed([1], a);
        let other = Input::typed([1], b.as_ref().copied().unwrap_or("float32"));
        let b = match b {
            Ok(_) => Arg::One(other.clone()),
            Err(number) => Arg::Json(number),
        };
        let y = layer.apply(Args::one(a.clone()).arg(b)).unwrap();
        let network = crate::stubs::build(&model(&[&a, &other], &[&y]));
        let five = Tensor::new(&[[5i64]], &Device::Cpu).unwrap();
        let inputs = network.graph().cast_inputs(vec![five.clone(), five]).unwrap();
        let output = network.forward(&inputs, &mut Context::inference()).unwrap().remove(0);
        let types = (y.spec().dtype, output.dtype());
        let expected = sconce_core::policy::dtype_of(expected).unwrap();
        assert_eq!(types, (expected, expected), "{index}");
    }
}

#[test]
fn numbers_and_divisions_keep_their_values() {
    let x = Input::typed([1], "int64");
    let twice = Multiply {}.apply(Args::one(x.clone()).arg(Arg::Json(2.into()))).unwrap();
    let half = (&x / 2.0).unwrap();
    let dense = Dense::new(1).apply(&x).unwrap();
    let whole = TrueDivide {}.apply((&x, &twice)).unwrap();
    let network = crate::stubs::build(&model(&[&x], &[&twice, &half, &dense, &whole]));
    let input = Tensor::new(&[[(1i64 << 24) + 1]], &Device::Cpu).unwrap();
    let outputs = network.forward(&[input], &mut Context::inference()).unwrap();
    assert_eq!(outputs[0].to_vec2::<i64>().unwrap(), [[(1 << 25) + 2]]);
    assert_eq!(outputs[1].to_vec2::<f32>().unwrap(), [[8_388_608.0]]);
    assert_eq!(outputs[2].dtype(), DType::F32);
    assert_eq!(outputs[3].to_vec2::<f32>().unwrap(), [[0.5]]);
}
