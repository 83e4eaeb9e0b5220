//! The types of HDF5 datasets that stand for our element types, as h5py writes them.

use crate::Element;
use hdf5_pure::{
    AttrValue, Dataset, Datatype, DatatypeByteOrder, EnumTypeBuilder, FixedPointLayout,
    FloatingPointLayout, make_i8_type,
};
use sconce_core::{Error, Result};

/// The type h5py gives a NumPy array: booleans are an enumeration, and bfloat16, which HDF5 does not
/// know, is opaque (Keras adds the attribute `dtype`).
pub(crate) fn datatype(element: Element) -> Result<Datatype> {
    if let Some(numeric) = numeric(element, DatatypeByteOrder::LittleEndian) {
        return Ok(numeric);
    }
    match element {
        Element::Bool => EnumTypeBuilder::with_base(make_i8_type())
            .value("FALSE", 0)
            .value("TRUE", 1)
            .build()
            .map_err(|error| Error::data(error.to_string())),
        _ => Ok(Datatype::Opaque { size: element.size() as u32, tag: Vec::new() }),
    }
}

/// The element type of a dataset, and whether its bytes are in big-endian order.
pub(crate) fn element_of(found: &Datatype, dataset: &Dataset) -> Option<(Element, bool)> {
    for (order, swapped) in
        [(DatatypeByteOrder::LittleEndian, false), (DatatypeByteOrder::BigEndian, true)]
    {
        if *found == float(8, 7, order) {
            return Some((Element::Bfloat16, swapped));
        }
        let same = |element: &Element| numeric(*element, order).as_ref() == Some(found);
        if let Some(element) = Element::ALL.into_iter().find(same) {
            return Some((element, swapped));
        }
    }
    if datatype(Element::Bool).is_ok_and(|ours| ours == *found) {
        return Some((Element::Bool, false));
    }
    let attributes = match found {
        Datatype::Opaque { size: 2, .. } => dataset.attrs().ok()?,
        _ => return None,
    };
    let name = attributes.get("dtype").and_then(AttrValue::as_str);
    (name == Some(Element::Bfloat16.name())).then_some((Element::Bfloat16, false))
}

/// The types that are numbers in HDF5 too.
fn numeric(element: Element, byte_order: DatatypeByteOrder) -> Option<Datatype> {
    let size = element.size() as u32;
    let signed = match element {
        Element::Bool | Element::Bfloat16 => return None,
        Element::Float16 => return Some(float(5, 10, byte_order)),
        Element::Float32 => return Some(float(8, 23, byte_order)),
        Element::Float64 => return Some(float(11, 52, byte_order)),
        Element::Uint8 | Element::Uint16 | Element::Uint32 | Element::Uint64 => false,
        Element::Int8 | Element::Int16 | Element::Int32 | Element::Int64 => true,
    };
    let layout = FixedPointLayout { signed, bit_offset: 0, bit_precision: 8 * size as u16 };
    Some(Datatype::FixedPoint { size, byte_order, layout })
}

/// An IEEE 754 layout: sign, exponent, mantissa, from the highest bit down.
fn float(exponent: u8, mantissa: u8, byte_order: DatatypeByteOrder) -> Datatype {
    let bits = 1 + exponent + mantissa;
    Datatype::FloatingPoint {
        size: u32::from(bits) / 8,
        byte_order,
        layout: FloatingPointLayout {
            bit_offset: 0,
            bit_precision: u16::from(bits),
            exponent_location: mantissa,
            exponent_size: exponent,
            mantissa_location: 0,
            mantissa_size: mantissa,
            exponent_bias: (1 << (exponent - 1)) - 1,
        },
    }
}
