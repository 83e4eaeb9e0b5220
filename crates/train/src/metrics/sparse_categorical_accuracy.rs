//! Sparse categorical accuracy.

use super::{Mean, Metric, Running};
use sconce_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// acc
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseCategoricalAccuracy {
    /// Name in logs.
    pub name: Option<String>,
}

impl Metric for SparseCategoricalAccuracy {
    fn name(&self) -> String {
        self.name.clone().unwrap_or("accuracy".into())
    }

    fn start(&self) -> Box<dyn Running> {
        Box::new(State(Mean::default()))
    }
}

struct State(Mean);

impl Running for State {
    fn update(&mut self, y: &Tensor, p: &Tensor, _: Option<&Tensor>) -> Result<()> {
        let rows = y.dims().first().copied().unwrap_or(1) as f64;
        let hit = p.argmax(candle_core::D::Minus1)?.to_dtype(DType::I64)?.eq(y)?;
        self.0.add(&hit.to_dtype(DType::F32)?.mean_all()?, rows)
    }

    fn result(&self) -> Result<f64> {
        self.0.result()
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}
