use super::{draw, windows};
use crate::fields::require;
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, Error, Initializer, Json, Result, Stream};
use serde_json::json;

/// The real or imaginary part of a windowed short-time Fourier transform, as the kernel
/// `[frame_length, 1, bins]` of a convolution, for `bins = fft_length / 2 + 1`:
///
/// `kernel[t, 0, f] = cos(-2 pi t f / fft_length) * window[t] / norm` (real; `sin` for the imaginary part)
///
/// where `norm` is `sqrt(sum(window^2))` for the scaling `density`, `sum(|window|)` for `spectrum`, else 1. Without
/// a window there is no scaling. Errors: a weight of another shape, a window of another length or an
/// unknown name. Keras: `STFT`, `"stft"`.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(name = "STFT")]
pub struct Stft {
    /// Which part. Default `real`.
    #[config(default)]
    pub side: Side,
    /// Window; `None` weighs all times the same. Default `"hann"`.
    #[config(default = "hann")]
    pub window: Option<Window>,
    /// Whether a named window is one period of a periodic function instead of symmetric. Default
    /// `false`.
    #[config(default = false)]
    pub periodic: bool,
    /// How the window is scaled. Default `density`.
    #[config(default = Some(Scaling::Density))]
    pub scaling: Option<Scaling>,
}

/// The part of a complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Side {
    /// The real part.
    #[default]
    Real,
    /// The imaginary part.
    Imag,
}

/// A window function.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// A window of `scipy.signal.windows` that takes no parameters: `"hann"`, `"hamming"`, ...
    Name(String),
    /// Its values, one for each time.
    Values(Vec<f64>),
}

impl From<&str> for Window {
    fn from(name: &str) -> Self {
        Self::Name(name.to_string())
    }
}

impl From<Vec<f64>> for Window {
    fn from(values: Vec<f64>) -> Self {
        Self::Values(values)
    }
}

impl ConfigValue for Window {
    fn from_json(value: &Json) -> Result<Self> {
        match value {
            Json::String(name) => Ok(Self::Name(name.clone())),
            Json::Array(_) => Vec::from_json(value).map(Self::Values),
            _ => Err(mismatch("null, the name of a window or a list of numbers", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        match self {
            Self::Name(name) => name.to_json(),
            Self::Values(values) => values.to_json(),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"anyOf": [{"enum": windows::names()}, {"type": "array", "items": {"type": "number"}}]})
    }
}

/// What the window is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum Scaling {
    /// Its Euclidean norm.
    #[default]
    Density,
    /// The sum of its absolute values.
    Spectrum,
}

impl Stft {
    /// The scaled window, in f64.
    fn scaled_window(&self, length: usize) -> Result<Vec<f64>> {
        let window = match &self.window {
            None => return Ok(vec![1.0; length]),
            Some(Window::Name(name)) => windows::named(name, length, self.periodic)?,
            Some(Window::Values(values)) => values.clone(),
        };
        if window.len() != length {
            return Err(Error::layer(
                "",
                format!(
                    "the STFT initializer's window has {} values, but the frame length is {length}",
                    window.len()
                ),
            ));
        }
        let norm = match self.scaling {
            None => 1.0,
            Some(Scaling::Density) => window.iter().map(|w| w * w).sum::<f64>().sqrt(),
            Some(Scaling::Spectrum) => window.iter().map(|w| w.abs()).sum(),
        };
        Ok(window.iter().map(|w| w / norm).collect())
    }
}

impl Initializer for Stft {
    fn check(&self) -> Result<()> {
        match &self.window {
            Some(Window::Name(name)) => windows::named(name, 1, self.periodic).map(|_| ()),
            Some(Window::Values(values)) => require(
                values.iter().all(|v| v.is_finite()) && !values.is_empty(),
                "window",
                "a name or finite numbers",
                format!("{values:?}"),
            ),
            None => Ok(()),
        }
    }

    fn values(&self, dims: &[usize], _stream: &mut Stream) -> Result<Vec<f32>> {
        let [length, 1, bins @ (2..)] = *dims else {
            return Err(Error::layer(
                "",
                format!(
                    "the STFT initializer makes kernels of shape [frame_length, 1, fft_length / 2 + 1], but \
                     the weight has the shape {dims:?}"
                ),
            ));
        };
        let period = 2 * (bins - 1);
        let mut values = draw::reserve(dims)?;
        for (t, window) in self.scaled_window(length)?.into_iter().enumerate() {
            for f in 0..bins {
                // The angle is reduced in whole numbers, so that long frames lose no digits.
                let turns = (t as u128 * f as u128 % period as u128) as f64 / period as f64;
                let angle = -std::f64::consts::TAU * turns;
                let part = if self.side == Side::Real { angle.cos() } else { angle.sin() };
                values.push((part * window) as f32);
            }
        }
        Ok(values)
    }
}
