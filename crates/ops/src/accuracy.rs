//! Which rows of scores `[.., classes]` have their label on top. Not differentiable.
//!
//! Each has a kernel for f32 on the CPU and a composed form for the rest, which is given scores of
//! any float type and labels I64 `[..]`. Labels that are no class never match.

use candle_core::{D, DType, Result, Tensor, bail};
use sconce_kernels::vectorized;
use sconce_kernels::{with_labels, with_slice};

/// The index of the largest score of each row, the first of equal ones, I64 `[..]`.
pub fn argmax(scores: &Tensor) -> Result<Tensor> {
    let (rows, classes) = rows_of(scores)?;
    if !on_cpu(scores) {
        let largest = scores.broadcast_eq(&scores.max_keepdim(D::Minus1)?)?;
        let index = Tensor::arange(0, classes as i64, scores.device())?;
        let index = index.broadcast_as(scores.shape())?;
        let none = Tensor::full(classes as i64, scores.shape(), scores.device())?;
        return largest.where_cond(&index, &none)?.min(D::Minus1);
    }
    let mut found = Vec::with_capacity(rows);
    with_slice(&scores.contiguous()?, |scores| {
        found.extend(scores.chunks_exact(classes).map(|row| {
            let mut best = 0;
            for (i, score) in row.iter().enumerate() {
                if *score > row[best] {
                    best = i;
                }
            }
            best as i64
        }));
        Ok(())
    })?;
    Tensor::from_vec(found, front(scores), scores.device())
}

/// 1 for each row whose [`argmax`] is its label, else 0: `[..]` of the type of the scores.
pub fn argmax_hits(labels: &Tensor, scores: &Tensor) -> Result<Tensor> {
    if !on_cpu(scores) {
        let labels = labels.to_dtype(DType::I64)?.reshape(front(scores))?;
        return argmax(scores)?.eq(&labels)?.to_dtype(scores.dtype());
    }
    row_hits(
        labels,
        scores,
        #[inline(always)]
        |row, label| {
            let score = row[label];
            // Written without leaving the loops early, so that they vectorise.
            let before = row[..label].iter().fold(false, |beaten, s| beaten | (*s >= score));
            let after = row[label + 1..].iter().fold(false, |beaten, s| beaten | (*s > score));
            !(before | after | score.is_nan())
        },
    )
}

/// 1 for each row where fewer than `k` scores are larger than its label's, else 0 (Keras's
/// `in_top_k`): `[..]` of the type of the scores.
pub fn top_k_hits(labels: &Tensor, scores: &Tensor, k: usize) -> Result<Tensor> {
    let (_, classes) = rows_of(scores)?;
    if !on_cpu(scores) {
        let labels = labels.to_dtype(DType::I64)?.reshape(front(scores))?;
        let known = (labels.ge(0i64)? * labels.lt(classes as i64)?)?.to_dtype(scores.dtype())?;
        let index = labels.clamp(0i64, classes.saturating_sub(1) as i64)?.unsqueeze(D::Minus1)?;
        let score = scores.contiguous()?.gather(&index, D::Minus1)?;
        let larger = scores.broadcast_gt(&score)?.to_dtype(scores.dtype())?.sum(D::Minus1)?;
        return larger.lt(k as f64)?.to_dtype(scores.dtype())? * known;
    }
    row_hits(
        labels,
        scores,
        #[inline(always)]
        |row, label| {
            let score = row[label];
            let larger = row.iter().map(|s| u32::from(*s > score)).sum::<u32>();
            (larger as usize) < k && !score.is_nan()
        },
    )
}

/// Runs `hit` on each row whose label is a class.
fn row_hits(
    labels: &Tensor,
    scores: &Tensor,
    hit: impl Fn(&[f32], usize) -> bool,
) -> Result<Tensor> {
    let (rows, classes) = rows_of(scores)?;
    let mut hits = Vec::with_capacity(rows);
    with_slice(&scores.contiguous()?, |scores| {
        with_labels(labels, |labels| {
            if labels.len() != rows {
                bail!("{} labels for {rows} rows of scores", labels.len())
            }
            vectorized(
                #[inline(always)]
                || {
                    hits.extend(scores.chunks_exact(classes).zip(labels).map(|(row, label)| {
                        match usize::try_from(*label).ok().filter(|label| *label < classes) {
                            Some(label) => f32::from(hit(row, label)),
                            None => 0.0,
                        }
                    }));
                },
            );
            Ok(())
        })
    })?;
    Tensor::from_vec(hits, front(scores), scores.device())
}

fn on_cpu(scores: &Tensor) -> bool {
    scores.dtype() == DType::F32 && scores.device().is_cpu()
}

fn rows_of(scores: &Tensor) -> Result<(usize, usize)> {
    match scores.dims().split_last() {
        Some((&classes, front)) if classes > 0 => Ok((front.iter().product(), classes)),
        _ => bail!("scores of shape {:?} have no axis of classes", scores.dims()),
    }
}

fn front(scores: &Tensor) -> &[usize] {
    scores.dims().split_last().map_or(&[], |(_, front)| front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn ties_unknown_labels_and_both_forms() {
        let nan = f32::NAN;
        let scores = [[1f32, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0], [0.0, 1.0, nan, -1.0]];
        let scores = Tensor::new(&scores, &Device::Cpu).unwrap();
        let double = scores.to_dtype(DType::F64).unwrap();
        let first = scores.narrow(0, 0, 2).unwrap();
        assert_eq!(argmax(&first).unwrap().to_vec1::<i64>().unwrap(), [1, 0]);
        let composed = argmax(&double.narrow(0, 0, 2).unwrap()).unwrap();
        assert_eq!(composed.to_vec1::<i64>().unwrap(), [1, 0]);
        type Hits = fn(&Tensor, &Tensor) -> Result<Tensor>;
        let cases: [(Hits, [i64; 3], [f32; 3]); 7] = [
            (argmax_hits, [1, 0, 2], [1.0, 1.0, 0.0]),
            (argmax_hits, [2, 1, 9], [0.0, 0.0, 0.0]),
            (argmax_hits, [-1, 4, 2], [0.0, 0.0, 0.0]),
            (|l, s| top_k_hits(l, s, 1), [2, 3, 2], [1.0, 1.0, 0.0]),
            (|l, s| top_k_hits(l, s, 2), [3, 3, 0], [0.0, 1.0, 1.0]),
            (|l, s| top_k_hits(l, s, 3), [3, -1, 3], [1.0, 0.0, 1.0]),
            (|l, s| top_k_hits(l, s, 9), [0, 4, 3], [1.0, 0.0, 1.0]),
        ];
        for (hits, labels, expected) in cases {
            let labels = Tensor::new(&labels, &Device::Cpu).unwrap();
            assert_eq!(hits(&labels, &scores).unwrap().to_vec1::<f32>().unwrap(), expected);
            // Without the row that holds NaN, where the composed form makes no promise.
            let composed = hits(&labels.narrow(0, 0, 2).unwrap(), &double.narrow(0, 0, 2).unwrap());
            let composed = composed.unwrap().to_dtype(DType::F32).unwrap();
            assert_eq!(composed.to_vec1::<f32>().unwrap(), expected[..2]);
        }
    }
}
