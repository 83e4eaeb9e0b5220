//! What users hand to `fit`, `evaluate` and `predict`, turned into tensors.
//!
//! Every array keeps its type and its shape: the first axis is the rows (samples). `bool` becomes
//! `U8`; an integer type that tensors do not have becomes the nearest one that holds every value of
//! it (`i8` `I16`, `u16` `I32`, `u64` and `usize` `I64`).

use crate::messages::count;
use candle_core::WithDType;
use half::{bf16, f16};
use ndarray::{ArrayBase, ArrayD, Data, Dimension};
use sconce_core::{Device, Error, Result, Tensor};

/// One array of any kind, as a tensor.
///
/// Implemented for candle tensors (detached, on their own device), for `ndarray` arrays and views
/// of any dimension and layout, and for (nested) `Vec`s, slices and arrays of numbers. Everything
/// but a tensor arrives on the CPU.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an array of numbers",
    note = "data is an `ndarray` array, a candle tensor, or (nested) vectors and arrays of numbers"
)]
pub trait ToTensor {
    /// The tensor, of the same shape and type (see [`mod@crate::array`] for types that tensors lack).
    ///
    /// # Errors
    /// An unsigned value beyond `i64::MAX`; nested vectors of different lengths.
    fn to_tensor(&self) -> Result<Tensor>;
}

/// One or several arrays (the inputs or the targets of a model), as tensors.
///
/// Implemented for everything that is [`ToTensor`], for slices, arrays and vectors of tensors or of
/// `&dyn ToTensor`, and for tuples of up to four arrays. Functions take it as
/// `x: &(impl ToTensors + ?Sized)`, so that `fit(&x, &y, ..)` needs no annotations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an array of numbers, nor several of them",
    note = "data is an `ndarray` array, a candle tensor, or (nested) vectors and arrays of numbers; several \
            arrays are a tuple `(&a, &b)` or a list of tensors"
)]
pub trait ToTensors {
    /// The tensors, in order.
    ///
    /// # Errors
    /// As [`ToTensor::to_tensor`].
    fn to_tensors(&self) -> Result<Vec<Tensor>>;
}

impl<T: ToTensor + ?Sized> ToTensors for T {
    fn to_tensors(&self) -> Result<Vec<Tensor>> {
        Ok(vec![self.to_tensor()?])
    }
}

/// Tensors as `ndarray` arrays.
pub trait ToArray {
    /// A copy of the values on the CPU: `model.predict(&x)?.to_array::<f32>()?`.
    ///
    /// # Errors
    /// If the tensor's type is another one.
    fn to_array<T: WithDType>(&self) -> Result<ArrayD<T>>;
}

impl ToArray for Tensor {
    fn to_array<T: WithDType>(&self) -> Result<ArrayD<T>> {
        let values = self.flatten_all()?.to_vec1::<T>()?;
        ArrayD::from_shape_vec(self.dims(), values).map_err(|e| Error::data(e.to_string()))
    }
}

macro_rules! several {
    ($($item:ty),*) => {$(
        impl ToTensors for [$item] {
            fn to_tensors(&self) -> Result<Vec<Tensor>> {
                self.iter().map(ToTensor::to_tensor).collect()
            }
        }

        impl<const N: usize> ToTensors for [$item; N] {
            fn to_tensors(&self) -> Result<Vec<Tensor>> {
                self.as_slice().to_tensors()
            }
        }

        impl ToTensors for Vec<$item> {
            fn to_tensors(&self) -> Result<Vec<Tensor>> {
                self.as_slice().to_tensors()
            }
        }
    )*};
}
several!(Tensor, &Tensor, &dyn ToTensor, Box<dyn ToTensor>);

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: ToTensor),*> ToTensors for ($($name,)*) {
            fn to_tensors(&self) -> Result<Vec<Tensor>> {
                Ok(vec![$(self.$index.to_tensor()?),*])
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

impl<T: ToTensor + ?Sized> ToTensor for &T {
    fn to_tensor(&self) -> Result<Tensor> {
        (**self).to_tensor()
    }
}

impl<T: ToTensor + ?Sized> ToTensor for Box<T> {
    fn to_tensor(&self) -> Result<Tensor> {
        (**self).to_tensor()
    }
}

impl ToTensor for Tensor {
    fn to_tensor(&self) -> Result<Tensor> {
        Ok(self.detach())
    }
}

impl<A: Element, S: Data<Elem = A>, D: Dimension> ToTensor for ArrayBase<S, D> {
    fn to_tensor(&self) -> Result<Tensor> {
        let mut values = Vec::with_capacity(self.len());
        match self.as_slice() {
            Some(slice) => A::extend(slice, &mut values)?,
            // Any other layout is visited in logical order, row by row where rows are contiguous.
            None => {
                for row in self.rows() {
                    match row.as_slice() {
                        Some(slice) => A::extend(slice, &mut values)?,
                        None => row.iter().try_for_each(|v| A::extend(&[*v], &mut values))?,
                    }
                }
            }
        }
        Ok(Tensor::from_vec(values, self.shape(), &Device::Cpu)?)
    }
}

/// A number that arrays may hold: every float of 16 to 64 bits, every integer up to 64 bits, `bool`.
pub trait Element: Copy + 'static {
    /// What it is in a tensor.
    type Stored: WithDType;

    /// Appends values, as they are in a tensor.
    ///
    /// # Errors
    /// A value that the tensor's type cannot hold.
    fn extend(slice: &[Self], values: &mut Vec<Self::Stored>) -> Result<()>;
}

macro_rules! element {
    ($($ty:ty),*) => {$(
        impl Element for $ty {
            type Stored = Self;

            fn extend(slice: &[Self], values: &mut Vec<Self>) -> Result<()> {
                values.extend_from_slice(slice);
                Ok(())
            }
        }
    )*};
}
element!(bf16, f16, f32, f64, u8, i16, i32, u32, i64);

macro_rules! converted {
    ($($ty:ty => $stored:ty),*) => {$(
        impl Element for $ty {
            type Stored = $stored;

            fn extend(slice: &[Self], values: &mut Vec<$stored>) -> Result<()> {
                values.extend(slice.iter().map(|value| <$stored>::from(*value)));
                Ok(())
            }
        }
    )*};
}
converted!(bool => u8, i8 => i16, u16 => i32);

macro_rules! wide_unsigned {
    ($($ty:ty),*) => {$(
        impl Element for $ty {
            type Stored = i64;

            fn extend(slice: &[Self], values: &mut Vec<i64>) -> Result<()> {
                for value in slice {
                    values.push(i64::try_from(*value).map_err(|_| too_wide(*value as u64))?);
                }
                Ok(())
            }
        }
    )*};
}
wide_unsigned!(u64, usize);

pub(crate) fn too_wide(value: u64) -> Error {
    Error::data(format!("the value {value} is beyond {}, the largest a tensor can hold", i64::MAX))
}

/// What the numbers of a nested list are in a tensor.
type Stored<T> = <<T as Nested>::Number as Element>::Stored;

/// Numbers nested in vectors and arrays, all of one shape: `[[0.0, 1.0], [1.0, 0.0]]`.
pub trait Nested {
    /// The number at the bottom.
    type Number: Element;
    /// The shape, read along the first item of each level.
    fn shape(&self, shape: &mut Vec<usize>);
    /// Appends the numbers in order; an item whose shape differs from `shape` is an error.
    ///
    /// # Errors
    /// Ragged nesting, or as [`Element::extend`].
    fn fill(&self, shape: &[usize], values: &mut Vec<Stored<Self>>) -> Result<()>;
}

macro_rules! bottom {
    ($($ty:ty),*) => {$(
        impl Nested for $ty {
            type Number = Self;

            fn shape(&self, _: &mut Vec<usize>) {}

            fn fill(&self, _: &[usize], values: &mut Vec<Stored<Self>>) -> Result<()> {
                Self::extend(&[*self], values)
            }
        }
    )*};
}
bottom!(bf16, f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, usize, bool);

impl<T: Nested> Nested for [T] {
    type Number = T::Number;

    fn shape(&self, shape: &mut Vec<usize>) {
        shape.push(self.len());
        if let Some(first) = self.first() {
            first.shape(shape);
        }
    }

    fn fill(&self, shape: &[usize], values: &mut Vec<Stored<T>>) -> Result<()> {
        let (len, inner) = shape.split_first().map_or((0, shape), |(len, inner)| (*len, inner));
        if self.len() != len {
            return Err(Error::data(format!(
                "rows of different lengths: expected {}, found {}; every row of an array needs the \
                 same length",
                count(len, "value"),
                self.len()
            )));
        }
        self.iter().try_for_each(|item| item.fill(inner, values))
    }
}

macro_rules! nested_list {
    ($([$($generics:tt)*] $ty:ty),*) => {$(
        impl<$($generics)*> Nested for $ty {
            type Number = T::Number;

            fn shape(&self, shape: &mut Vec<usize>) {
                self.as_slice().shape(shape);
            }

            fn fill(&self, shape: &[usize], values: &mut Vec<Stored<T>>) -> Result<()> {
                self.as_slice().fill(shape, values)
            }
        }

        impl<$($generics)*> ToTensor for $ty {
            fn to_tensor(&self) -> Result<Tensor> {
                self.as_slice().to_tensor()
            }
        }
    )*};
}
nested_list!([T: Nested] Vec<T>, [T: Nested, const N: usize] [T; N]);

impl<T: Nested> ToTensor for [T] {
    fn to_tensor(&self) -> Result<Tensor> {
        let mut shape = Vec::new();
        self.shape(&mut shape);
        let mut values = Vec::new();
        self.fill(&shape, &mut values)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, Array3, Axis, Slice, array};
    use sconce_core::DType;

    fn floats(x: &(impl ToTensors + ?Sized)) -> (Vec<usize>, Vec<f32>) {
        let tensor = x.to_tensors().unwrap().remove(0);
        let flat = tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
        (tensor.dims().to_vec(), flat.to_vec1().unwrap())
    }

    #[test]
    fn tensors_become_arrays() {
        let x: Array2<f32> = array![[1., 2., 3.], [4., 5., 6.]];
        let tensor = x.to_tensor().unwrap();
        assert_eq!(tensor.to_array::<f32>().unwrap(), x.clone().into_dyn());
        assert_eq!(tensor.t().unwrap().to_array::<f32>().unwrap(), x.t().into_owned().into_dyn());
        assert_eq!(tensor.sum_all().unwrap().to_array::<f32>().unwrap().ndim(), 0);
        assert!(tensor.to_array::<i64>().is_err());
    }

    #[test]
    fn every_layout_keeps_its_logical_order() {
        let x: Array2<f32> = array![[1., 2., 3.], [4., 5., 6.]];
        assert_eq!(floats(&x), (vec![2, 3], vec![1., 2., 3., 4., 5., 6.]));
        assert_eq!(floats(&x.t()), (vec![3, 2], vec![1., 4., 2., 5., 3., 6.]));
        let columns = x.slice_axis(Axis(1), (1..).into());
        assert_eq!(floats(&columns), (vec![2, 2], vec![2., 3., 5., 6.]));
        let mut reversed = x.slice_axis(Axis(1), Slice::new(0, None, -2));
        reversed.invert_axis(Axis(0));
        assert_eq!(floats(&reversed), (vec![2, 2], vec![6., 4., 3., 1.]));
        assert_eq!(floats(&x.broadcast((2, 2, 3)).unwrap()).1.len(), 12);
        assert_eq!(floats(&x.into_dyn()), (vec![2, 3], vec![1., 2., 3., 4., 5., 6.]));
        let cube = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as f64);
        let mut moved = cube.view();
        moved.swap_axes(0, 2);
        let wanted: Vec<f32> = moved.iter().map(|v| *v as f32).collect();
        assert_eq!(floats(&moved), (vec![4, 3, 2], wanted));
        assert_eq!(floats(&cube.index_axis(Axis(1), 2)).0, [2, 4]);
        assert_eq!(floats(&ndarray::arr0(2.5f64)), (vec![], vec![2.5]));
        assert_eq!(floats(&Array2::<f32>::zeros((0, 3))), (vec![0, 3], vec![]));
    }

    /// The tensor has this type and, read as that type, these values.
    fn arrives<T: WithDType + std::fmt::Debug>(x: &(impl ToTensor + ?Sized), values: &[T]) {
        let tensor = x.to_tensor().unwrap();
        assert_eq!(tensor.dtype(), T::DTYPE);
        assert_eq!(tensor.flatten_all().unwrap().to_vec1::<T>().unwrap(), values);
    }

    #[test]
    fn every_number_keeps_its_type_and_value() {
        arrives(&vec![1.5f64, 1e300, 0.1], &[1.5f64, 1e300, 0.1]);
        arrives(&[0.1f32], &[0.1f32]);
        arrives(&array![f16::MAX], &[f16::MAX]);
        arrives(&[bf16::MIN_POSITIVE], &[bf16::MIN_POSITIVE]);
        // The first whole number that an f32 cannot hold.
        arrives(&array![16_777_217i32], &[16_777_217i32]);
        arrives(&vec![i64::MAX, 16_777_217], &[i64::MAX, 16_777_217]);
        arrives(&array![u32::MAX], &[u32::MAX]);
        arrives(&[1i16, i16::MIN][..], &[1i16, i16::MIN]);
        arrives(&vec![u8::MAX; 2], &[u8::MAX; 2]);
        arrives(&Array1::from(vec![1i32, 2]), &[1i32, 2]);
        let ids = Tensor::from_vec(vec![16_777_217u32], 1, &Device::Cpu).unwrap();
        arrives(&ids, &[16_777_217u32]);
    }

    #[test]
    fn types_that_tensors_lack_become_the_nearest_that_holds_them() {
        arrives(&array![[true], [false]], &[1u8, 0]);
        arrives(&[i8::MIN, i8::MAX], &[-128i16, 127]);
        arrives(&[u16::MAX], &[65535i32]);
        arrives(&array![[7usize]], &[7i64]);
        arrives(&[u64::MAX / 2], &[i64::MAX]);
        let message = [1, u64::MAX].to_tensor().unwrap_err().to_string();
        assert!(message.contains("18446744073709551615"), "{message}");
    }

    #[test]
    fn nested_vectors_are_arrays() {
        assert_eq!(floats(&[[0.0, 1.0], [1.0, 0.0]]), (vec![2, 2], vec![0., 1., 1., 0.]));
        let nested = vec![vec![[1u8], [2]]; 2];
        assert_eq!(nested.to_tensor().unwrap().dims(), [2, 2, 1]);
        arrives(&nested, &[1u8, 2, 1, 2]);
        assert_eq!(floats(&Vec::<Vec<f32>>::new()), (vec![0], vec![]));
        let message = vec![vec![1.0], vec![1.0, 2.0]].to_tensor().unwrap_err().to_string();
        assert!(message.contains("expected 1 value, found 2"), "{message}");
    }

    /// The forms of `fit(&x, &y, ..)` that must be inferred without annotations.
    #[test]
    fn one_or_several() {
        fn count<X: ToTensors + ?Sized, Y: ToTensors + ?Sized>(x: &X, y: &Y) -> (usize, usize) {
            (x.to_tensors().unwrap().len(), y.to_tensors().unwrap().len())
        }
        let x = Array2::<f32>::zeros((4, 2));
        let y = Array1::<i64>::zeros(4);
        let t = Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(count(&x, &y), (1, 1));
        assert_eq!(count(&x.view(), &vec![1, 2, 3, 4]), (1, 1));
        assert_eq!(count(&[[0., 1.]], &[1]), (1, 1));
        assert_eq!(count(&t, &&t), (1, 1));
        assert_eq!(count(&(&x, &y), &(&t,)), (2, 1));
        assert_eq!(count(&vec![t.clone(), t.clone()], &[&t, &t]), (2, 2));
        assert_eq!(count(&[t.clone(), t.clone()][..], &vec![&t]), (2, 1));
        let mixed: Vec<&dyn ToTensor> = vec![&x, &y, &t];
        assert_eq!(count(&mixed, &mixed[1..]), (3, 2));
        let boxed: [Box<dyn ToTensor>; 2] = [Box::new(x), Box::new(y)];
        assert_eq!(count(&boxed, &boxed[0]), (2, 1));
    }

    #[test]
    fn tensors_are_detached() {
        let var = sconce_core::Var::from_slice(&[1f64, 2.], 2, &Device::Cpu).unwrap();
        let tensor = var.as_tensor().to_tensor().unwrap();
        assert!(!tensor.track_op());
    }
}
