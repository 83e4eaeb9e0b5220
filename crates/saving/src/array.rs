//! One array of numbers as files hold it: the element type is kept as it is, also where the tensor
//! runtime has no such type (booleans, unsigned 64-bit integers).

use candle_core::{DType, Device, Tensor};
use safetensors::View;
use sconce_core::{Error, Result};
use std::fmt;

/// The type of an array's elements, named as NumPy and Keras name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    Uint8,
    /// Signed, 8 bits.
    Int8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Signed, 16 bits.
    Int16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Signed, 32 bits.
    Int32,
    /// Unsigned, 64 bits.
    Uint64,
    /// Signed, 64 bits.
    Int64,
    /// IEEE 754 half precision.
    Float16,
    /// The upper half of a float32.
    Bfloat16,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
}

impl Element {
    /// Every element type.
    pub const ALL: [Element; 13] = [
        Self::Bool,
        Self::Uint8,
        Self::Int8,
        Self::Uint16,
        Self::Int16,
        Self::Uint32,
        Self::Int32,
        Self::Uint64,
        Self::Int64,
        Self::Float16,
        Self::Bfloat16,
        Self::Float32,
        Self::Float64,
    ];

    /// NumPy's name: "float32".
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
            Self::Uint32 => "uint32",
            Self::Int32 => "int32",
            Self::Uint64 => "uint64",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 | Self::Float16 | Self::Bfloat16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 => 8,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An array in row-major order, in main memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    element: Element,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// From little-endian bytes; their number must be that of the shape (the empty shape is one
    /// element).
    pub fn new(element: Element, shape: &[usize], bytes: Vec<u8>) -> Result<Self> {
        match byte_len(element, shape) {
            Some(expected) if expected == bytes.len() => {
                Ok(Self { element, shape: shape.to_vec(), bytes })
            }
            expected => Err(Error::data(format!(
                "an array of shape {shape:?} and type {element} takes {} bytes, got {}",
                expected.map_or("too many".to_string(), |n| n.to_string()),
                bytes.len()
            ))),
        }
    }

    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Its shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements, little-endian, in row-major order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Copies a tensor of any device; its type is kept.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let element = match tensor.dtype() {
            DType::U8 => Element::Uint8,
            DType::U32 => Element::Uint32,
            DType::I16 => Element::Int16,
            DType::I32 => Element::Int32,
            DType::I64 => Element::Int64,
            DType::F16 => Element::Float16,
            DType::BF16 => Element::Bfloat16,
            DType::F32 => Element::Float32,
            DType::F64 => Element::Float64,
            other => {
                return Err(Error::data(format!(
                    "tensors of type {other:?} cannot be saved; convert to float32 first"
                )));
            }
        };
        let on_cpu = tensor.to_device(&Device::Cpu)?;
        let bytes = little_endian(element.size(), View::data(&on_cpu).into_owned());
        Self::new(element, tensor.dims(), bytes)
    }

    /// A tensor on `device`. Types that the runtime lacks take the next one that holds every value:
    /// bool as u8, int8 as i16, uint16 as u32, uint64 as i64 (an error if a value does not fit).
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        let dtype = match self.element {
            Element::Bool | Element::Uint8 => DType::U8,
            Element::Int16 => DType::I16,
            Element::Uint32 => DType::U32,
            Element::Int32 => DType::I32,
            Element::Int64 => DType::I64,
            Element::Float16 => DType::F16,
            Element::Bfloat16 => DType::BF16,
            Element::Float32 => DType::F32,
            Element::Float64 => DType::F64,
            Element::Int8 => {
                let values = self.bytes.iter().map(|b| i16::from(*b as i8)).collect();
                return Ok(Tensor::from_vec::<_, i16>(values, self.shape.as_slice(), device)?);
            }
            Element::Uint16 => {
                let values =
                    self.words().map(|w: [u8; 2]| u32::from(u16::from_le_bytes(w))).collect();
                return Ok(Tensor::from_vec::<_, u32>(values, self.shape.as_slice(), device)?);
            }
            Element::Uint64 => {
                let values = self.words().map(|w| i64::try_from(u64::from_le_bytes(w)));
                let values: Vec<i64> = values.collect::<Result<_, _>>().map_err(|_| {
                    Error::data(
                        "an unsigned 64-bit value is too large for a signed one".to_string(),
                    )
                })?;
                return Ok(Tensor::from_vec(values, self.shape.as_slice(), device)?);
            }
        };
        let native = little_endian(self.element.size(), self.bytes.clone());
        Ok(Tensor::from_raw_buffer(&native, dtype, &self.shape, device)?)
    }

    /// The only element of an array, as a number.
    pub fn scalar(&self) -> Result<f64> {
        let tensor = self.to_tensor(&Device::Cpu)?;
        if tensor.elem_count() != 1 {
            return Err(Error::data(format!("expected a single number, got {self:?}")));
        }
        Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.get(0)?.to_scalar()?)
    }

    fn words<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> + '_ {
        self.bytes.as_chunks::<N>().0.iter().copied()
    }
}

/// The number of bytes of a shape, if it can be counted at all.
pub(crate) fn byte_len(element: Element, shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(element.size(), |product, axis| product.checked_mul(*axis))
}

/// Swaps elements of `size` bytes between the machine's order and little-endian.
fn little_endian(size: usize, bytes: Vec<u8>) -> Vec<u8> {
    if cfg!(target_endian = "little") { bytes } else { swap_bytes(size, bytes) }
}

/// Reverses the bytes of each element.
pub(crate) fn swap_bytes(size: usize, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.chunks_exact_mut(size.max(1)).for_each(<[u8]>::reverse);
    bytes
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.element, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_runtime_goes_there_and_back() {
        for dtype in [
            DType::U8,
            DType::U32,
            DType::I16,
            DType::I32,
            DType::I64,
            DType::F16,
            DType::BF16,
            DType::F32,
            DType::F64,
        ] {
            let tensor = Tensor::arange(0f32, 6., &Device::Cpu).unwrap();
            let tensor = tensor.reshape((2, 3)).unwrap().to_dtype(dtype).unwrap();
            let transposed = tensor.t().unwrap();
            for tensor in [tensor, transposed] {
                let array = Array::from_tensor(&tensor).unwrap();
                let back = array.to_tensor(&Device::Cpu).unwrap();
                assert_eq!(back.dtype(), dtype);
                assert_eq!(back.dims(), tensor.dims());
                let same = back.eq(&tensor).unwrap().to_dtype(DType::U32).unwrap();
                assert_eq!(same.sum_all().unwrap().to_scalar::<u32>().unwrap(), 6, "{dtype:?}");
            }
        }
    }

    #[test]
    fn types_the_runtime_lacks_widen() {
        let array = |element, bytes: &[u8]| Array::new(element, &[2], bytes.to_vec()).unwrap();
        let values = |a: Array| {
            let t = a.to_tensor(&Device::Cpu).unwrap();
            t.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
        };
        assert_eq!(values(array(Element::Bool, &[0, 1])), [0., 1.]);
        assert_eq!(values(array(Element::Int8, &[0xff, 2])), [-1., 2.]);
        assert_eq!(values(array(Element::Uint16, &[0xff, 0xff, 1, 0])), [65535., 1.]);
        let mut big = 7u64.to_le_bytes().to_vec();
        big.extend(1u64.to_le_bytes());
        assert_eq!(values(array(Element::Uint64, &big)), [7., 1.]);
        big[7] = 0x80;
        let error = array(Element::Uint64, &big).to_tensor(&Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }

    #[test]
    fn a_scalar_has_one_element_and_no_axes() {
        let array = Array::from_tensor(&Tensor::new(5i32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!((array.element(), array.shape()), (Element::Int32, &[][..]));
        assert_eq!(array.scalar().unwrap(), 5.);
        let two = Array::new(Element::Uint8, &[2], vec![1, 2]).unwrap();
        assert!(two.scalar().unwrap_err().to_string().contains("uint8[2]"));
    }

    #[test]
    fn bytes_must_fit_the_shape() {
        let error = Array::new(Element::Float32, &[2, 2], vec![0; 15]).unwrap_err().to_string();
        assert!(error.contains("[2, 2]") && error.contains("16 bytes, got 15"), "{error}");
        let error = Array::new(Element::Float32, &[usize::MAX, 2], vec![]).unwrap_err().to_string();
        assert!(error.contains("too many"), "{error}");
    }

    #[test]
    fn swapping_reverses_each_element() {
        assert_eq!(swap_bytes(2, vec![1, 2, 3, 4]), [2, 1, 4, 3]);
        assert_eq!(swap_bytes(1, vec![1, 2]), [1, 2]);
    }
}
