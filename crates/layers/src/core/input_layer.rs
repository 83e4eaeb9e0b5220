//! InputLayer: where data enters a model.

use crate::{Call, Layer};
use sconce_core::device::cast;
use sconce_core::policy::dtype_of;
use sconce_core::{Args, Config, DType, Dims, Error, Result, Spec, Tensor};

/// Declares the shape and type of one input. Data of another type is brought to it: a declared
/// `"int32"` truncates toward zero. Layers that compute bring integers to float32 themselves.
#[derive(Clone, Debug, Config)]
#[config(no_new, only(sparse = false), only(ragged = false), only(optional = false))]
pub struct InputLayer {
    /// Shape with the batch axis first; `None` for any length.
    #[config(no_builder)]
    pub batch_shape: Dims,
    /// Type of the data: "float32" or an integer type.
    #[config(default = "float32", no_builder, with = data_type)]
    pub dtype: String,
}

/// The key `dtype`.
mod data_type {
    use sconce_core::schema::Definitions;
    use sconce_core::{ConfigValue, Json, Result, policy};

    pub(super) fn from_json(value: &Json) -> Result<String> {
        String::from_json(value)
    }

    pub(super) fn to_json(name: &String) -> Result<Json> {
        name.to_json()
    }

    pub(super) fn schema(_: &mut Definitions) -> Json {
        serde_json::json!({"enum": policy::DTYPES})
    }
}

impl InputLayer {
    /// Keras's class name.
    pub const CLASS_NAME: &'static str = "InputLayer";

    /// Samples of the given shape (without the batch axis), float32.
    pub fn new(shape: impl AsRef<[usize]>) -> Self {
        Self::of(Dims::batch_of(shape.as_ref()))
    }

    /// Of a shape with its batch axis.
    pub fn of(batch_shape: Dims) -> Self {
        Self { batch_shape, dtype: "float32".to_string() }
    }

    /// Sets the type of the data, by Keras's name: `"int32"`.
    pub fn dtype(mut self, dtype: &str) -> Self {
        self.dtype = dtype.to_string();
        self
    }

    /// What enters the model. The batch size that the shape may state is no limit, as in Keras, which
    /// writes that of the first batch it saw.
    pub fn spec(&self) -> Result<Spec> {
        let mut dims = self.batch_shape.clone();
        if let Some(batch) = dims.0.first_mut() {
            *batch = None;
        }
        // Floats are computed with in float32, whatever precision they were declared in.
        let dtype = match dtype_of(&self.dtype)? {
            dtype if dtype.is_float() => DType::F32,
            dtype => dtype,
        };
        Ok(Spec { dims, dtype })
    }

    /// The values in the declared type.
    pub fn cast(&self, x: &Tensor) -> Result<Tensor> {
        let declared = dtype_of(&self.dtype)?;
        let x = match (self.dtype.as_str(), declared) {
            // A bool is whether a number is not 0, not what is left of it in 8 bits.
            ("bool", _) => x.ne(&x.zeros_like()?)?,
            // Precision that the type does not have is lost here.
            (_, DType::F16 | DType::BF16) => x.to_dtype(declared)?,
            _ => x.clone(),
        };
        Ok(cast(&x, self.spec()?.dtype)?)
    }
}

impl Layer for InputLayer {
    fn check(&self) -> Result<()> {
        if self.batch_shape.rank() == 0 {
            return Err(Error::config("batch_shape", "needs at least the batch axis"));
        }
        dtype_of(&self.dtype).map(drop)
    }

    fn outputs(&self, _: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![self.spec()?])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![self.cast(call.single()?)?])
    }

    fn supports_masking(&self) -> bool {
        true
    }

    fn casts_integers(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sconce_core::Device;

    #[test]
    fn data_is_brought_to_the_declared_type() {
        let x = Tensor::new(&[-1.75f32, 0.0, 0.1, 2.5], &Device::Cpu).unwrap();
        for (dtype, expected) in [
            ("float32", [-1.75, 0.0, 0.1, 2.5]),
            ("int32", [-1.0, 0.0, 0.0, 2.0]),
            ("bool", [1.0, 0.0, 1.0, 1.0]),
            ("float16", [-1.75, 0.0, 0.099975586, 2.5]),
        ] {
            let y = InputLayer::new([4]).dtype(dtype).cast(&x).unwrap();
            assert_eq!(y.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap(), expected);
        }
    }

    #[test]
    fn integers_arrive_as_they_are() {
        let ids = Tensor::new(&[(1i64 << 24) + 1, i64::MAX], &Device::Cpu).unwrap();
        let y = InputLayer::new([2]).dtype("int64").cast(&ids).unwrap();
        assert_eq!(y.to_vec1::<i64>().unwrap(), [(1 << 24) + 1, i64::MAX]);
        assert_eq!(InputLayer::new([2]).dtype("uint8").spec().unwrap().dtype, DType::U8);
    }
}
