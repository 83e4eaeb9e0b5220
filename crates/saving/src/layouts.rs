//! Layouts that weights had in older versions of Keras, and those of cuDNN's layers.
//!
//! Source: `preprocess_weights_for_loading` and `_convert_rnn_weights` of Keras 2.15's `hdf5_format.py`;
//! `convert_kernel` of Keras 2.3's `conv_utils.py`.

use crate::legacy_weights::Source;
use sconce_core::{Error, Result, Tensor};
use sconce_layers::LayerEntry;

/// The weights of a layer as Keras 3 lays them out.
///
/// # Errors
/// Weights that no version of the layer had.
pub(crate) fn converted(
    entry: &LayerEntry,
    mut values: Vec<Tensor>,
    source: Source,
) -> Result<Vec<Tensor>> {
    let class = entry.class_name();
    if source.version == 1 {
        values = of_keras_1(entry, class, values)?;
    }
    if source.backend == Some("theano") && CONVOLUTIONS.contains(&class) {
        // Theano turned kernels around. Dilated ones it did not, nor does Keras.
        let kernels = if class == "ConvLSTM2D" { 2 } else { 1 };
        for kernel in values.iter_mut().take(kernels) {
            *kernel = flipped(kernel)?;
        }
    }
    match (class, values.as_slice()) {
        ("LSTM", [kernel, recurrent, bias]) => of_cudnn(kernel, recurrent, bias, 4),
        ("GRU", [kernel, recurrent, bias]) => of_cudnn(kernel, recurrent, bias, 3),
        _ => Ok(values),
    }
}

const CONVOLUTIONS: [&str; 5] = ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D"];

fn of_keras_1(entry: &LayerEntry, class: &str, values: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let channels_first = || {
        let config = entry.layer().config().unwrap_or_default();
        config.get("data_format").and_then(|f| f.as_str()) == Some("channels_first")
    };
    let axes: &[usize] = match class {
        "Conv1D" => return of_conv1d(values),
        // [filters, channels, rows, columns] to [rows, columns, channels, filters]
        "Conv2D" if channels_first() => &[2, 3, 1, 0],
        "Conv3D" if channels_first() => &[2, 3, 4, 1, 0],
        "Conv2DTranspose" if channels_first() => &[2, 3, 0, 1],
        "Conv2DTranspose" => &[0, 1, 3, 2],
        "GRU" if values.len() == 9 => return gates(&values, &[0, 3, 6], false),
        // Gates were i, c, f, o and are i, f, c, o.
        "ConvLSTM2D" if values.len() == 12 && channels_first() => {
            let mut joined = gates(&values, &[0, 6, 3, 9], true)?;
            for kernel in joined.iter_mut().filter(|kernel| kernel.rank() == 4) {
                *kernel = kernel.permute((2, 3, 1, 0))?.contiguous()?;
            }
            return Ok(joined);
        }
        "LSTM" | "ConvLSTM2D" if values.len() == 12 => {
            return gates(&values, &[0, 6, 3, 9], false);
        }
        _ => return Ok(values),
    };
    let mut values = values;
    if let Some(kernel) = values.first_mut()
        && kernel.rank() == axes.len()
    {
        *kernel = kernel.permute(axes)?.contiguous()?;
    }
    Ok(values)
}

/// Kernels were those of a convolution of two axes: [length, 1, channels, filters], or [filters, channels,
/// length, 1] until Keras 1.1.
fn of_conv1d(mut values: Vec<Tensor>) -> Result<Vec<Tensor>> {
    if let Some(kernel) = values.first_mut()
        && let [_, second, _, last] = *kernel.dims()
    {
        *kernel = match (second, last) {
            (1, _) => kernel.squeeze(1)?,
            (_, 1) => kernel.permute((2, 3, 1, 0))?.squeeze(1)?.contiguous()?,
            _ => return Err(Error::data("the kernel is no kernel of a Convolution1D of Keras 1")),
        };
    }
    Ok(values)
}

/// Kernel, recurrent kernel and bias from those of each gate. `first`: where the weights of the gates start;
/// `by_rows`: whether filters are the first axis, not the last.
fn gates(values: &[Tensor], first: &[usize], by_rows: bool) -> Result<Vec<Tensor>> {
    let joined = |offset: usize| -> Result<Tensor> {
        let parts: Vec<&Tensor> = first.iter().filter_map(|at| values.get(at + offset)).collect();
        let last = parts.first().map_or(0, |part| part.rank().saturating_sub(1));
        Ok(Tensor::cat(&parts, if by_rows { 0 } else { last })?)
    };
    (0..3).map(joined).collect()
}

/// All axes but the last two turned around.
fn flipped(kernel: &Tensor) -> Result<Tensor> {
    let axes: Vec<usize> = (0..kernel.rank().saturating_sub(2)).collect();
    Ok(kernel.flip(&axes)?.contiguous()?)
}

/// Weights of cuDNN's layers, which their bias of twice the length tells from others, as those of LSTM (four
/// gates) or of GRU with `reset_after` (three); all others as they are.
fn of_cudnn(
    kernel: &Tensor,
    recurrent: &Tensor,
    bias: &Tensor,
    gates: usize,
) -> Result<Vec<Tensor>> {
    let units = recurrent.dims().first().copied().unwrap_or_default();
    let plain = || vec![kernel.clone(), recurrent.clone(), bias.clone()];
    if units == 0
        || *bias.dims() != [2 * units * gates]
        || *recurrent.dims() != [units, units * gates]
    {
        return Ok(plain());
    }
    let each = |x: &Tensor, f: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<Tensor> {
        let parts = x.chunk(gates, 1)?;
        let parts: Vec<Tensor> = parts.iter().map(f).collect::<Result<_>>()?;
        Ok(Tensor::cat(&parts, 1)?)
    };
    // k.T.reshape(k.shape, order="F") is k read row by row into the rows of its transpose, transposed.
    let turned = |k: &Tensor| -> Result<Tensor> {
        let (rows, columns) = k.dims2()?;
        Ok(k.contiguous()?.reshape((columns, rows))?.t()?.contiguous()?)
    };
    let kernel = each(kernel, &turned)?;
    let recurrent = each(recurrent, &|k| Ok(k.t()?.contiguous()?))?;
    let bias = match gates {
        4 => bias.reshape((2, ()))?.sum(0)?,
        _ => bias.reshape((2, ()))?,
    };
    Ok(vec![kernel, recurrent, bias])
}
