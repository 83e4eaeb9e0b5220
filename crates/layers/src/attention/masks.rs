//! The masks of attention: which query sees which key.

use sconce_core::{DType, Result, Tensor};

/// A mask as truth values.
pub fn truth(mask: &Tensor) -> Result<Tensor> {
    let mask = mask.detach();
    Ok(if mask.dtype() == DType::U8 { mask } else { mask.ne(0f64)? })
}

/// Where both masks hold; the shapes broadcast.
pub fn both(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some(truth(&a)?.broadcast_minimum(&truth(&b)?)?)),
        (a, b) => a.or(b).as_ref().map(truth).transpose(),
    }
}

/// `[1, queries, keys]`: query i sees keys 0..=i.
pub fn causal(queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
    let seen = (0..queries).flat_map(|i| (0..keys).map(move |j| u8::from(j <= i)));
    let seen: Vec<u8> = seen.collect();
    Ok(Tensor::from_vec(seen, (1, queries, keys), like.device())?)
}
