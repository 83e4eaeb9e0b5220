//! Samples as pictures, where they are images.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use png::{BitDepth, ColorType, Encoder};
use sconce_core::{DType, Error, Result, Tensor};
use sconce_layers::Reshape;
use sconce_model::Graph;

/// Images up to so many pixels on a side become pictures.
const WIDEST: usize = 512;

/// Samples of a model's first input as images `[rows, height, width, channels]`, if that is what they are:
/// by their shape, or since the model gives them one in its first layers. Values as they are.
pub(crate) fn images(graph: &Graph, x: &Tensor) -> Option<Tensor> {
    let is_image = |dims: &[usize]| match dims {
        [_, height, width, 1 | 3 | 4] => *height.max(width) <= WIDEST && *height.min(width) > 1,
        _ => false,
    };
    if is_image(x.dims()) {
        return Some(x.clone());
    }
    let rows = x.dims().first()?;
    // Through layers that keep the shape (Rescaling, Normalization) to one that reshapes.
    let mut edge = *graph.inputs().first()?;
    for _ in 0..graph.nodes().len() {
        let mut readers = graph.nodes().iter().filter(|node| node.args.flat().contains(&&edge));
        let (Some(reader), None) = (readers.next(), readers.next()) else { return None };
        let next = *reader.outputs.first()?;
        let sample: Option<Vec<usize>> = graph.dims(next).0.get(1..)?.iter().copied().collect();
        let dims: Vec<usize> = std::iter::once(*rows).chain(sample?).collect();
        let entry = graph.layers().get(reader.layer)?;
        if entry.downcast::<Reshape>().is_some() {
            return if is_image(&dims) { x.reshape(dims).ok() } else { None };
        }
        if dims != x.dims() {
            return None;
        }
        edge = next;
    }
    None
}

/// The least and the greatest value of images, which become black and white.
pub(crate) fn extremes(images: &Tensor) -> Result<(f32, f32)> {
    let flat = images.flatten_all()?.to_dtype(DType::F32)?;
    Ok((flat.min(0)?.to_scalar()?, flat.max(0)?.to_scalar()?))
}

/// One of the images as a PNG in a `data:` address.
pub(crate) fn data_url(images: &Tensor, row: usize, (low, high): (f32, f32)) -> Result<String> {
    let image = images.get(row)?;
    let (height, width, channels) = image.dims3()?;
    let values = image.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    let span = if high > low { high - low } else { 1.0 };
    // `as` takes what is not finite to 0 and cuts at 255.
    let bytes: Vec<u8> =
        values.iter().map(|value| ((value - low) / span * 255.0).round() as u8).collect();
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(match channels {
        1 => ColorType::Grayscale,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    });
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&bytes));
    written.map_err(|e| Error::data(format!("a picture cannot be made: {e}")))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(file)))
}
