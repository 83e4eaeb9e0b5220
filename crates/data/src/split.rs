//! Holding rows out for validation: Keras's `validation_split`, and seeded splits that do not
//! depend on the order of the data.

use sconce_core::{Device, Error, Result, Stream, Tensor};
use std::collections::BTreeMap;

/// The first row of the validation part: floor(rows (1 - validation_split)), as in Keras
/// (`train_validation_split`).
///
/// # Errors
/// A fraction outside (0, 1), or one that leaves either part without rows.
pub fn split_at(rows: usize, validation_split: f64) -> Result<usize> {
    if !(validation_split > 0.0 && validation_split < 1.0) {
        return Err(Error::data(format!(
            "validation_split is {validation_split}; it must lie between 0 and 1, both excluded"
        )));
    }
    let at = (rows as f64 * (1.0 - validation_split)).floor() as usize;
    if at == 0 || at >= rows {
        let empty = if at == 0 { "training" } else { "validation" };
        return Err(Error::data(format!(
            "validation_split={validation_split} of {rows} rows leaves none for {empty}; give more \
             rows or another validation_split"
        )));
    }
    Ok(at)
}

/// Keras's `train_validation_split`: the last part of every array (all with the same rows) is for
/// validation. Nothing is copied, and nothing shuffled: data sorted by class needs
/// [`stratified_split`].
///
/// # Errors
/// As [`split_at`] and [`crate::check::rows`].
pub fn train_validation_split(
    arrays: &[Tensor],
    validation_split: f64,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let rows = crate::check::rows(arrays.iter().map(|array| ("the data", array)))?;
    let at = split_at(rows, validation_split)?;
    let part = |start, len| -> Result<Vec<Tensor>> {
        arrays.iter().map(|array| Ok(array.narrow(0, start, len)?)).collect()
    };
    Ok((part(0, at)?, part(at, rows - at)?))
}

/// The rows of two parts, each in a seeded random order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows to train on.
    pub train: Vec<u32>,
    /// Rows held out.
    pub validation: Vec<u32>,
}

/// Holds out a random part of `rows` rows, of the size of [`split_at`].
///
/// # Errors
/// As [`split_at`].
pub fn random_split(rows: usize, validation_split: f64, seed: u64) -> Result<Split> {
    stratified_split(&vec![0; rows], validation_split, seed)
}

/// Holds out the same part of each class, at random. `classes` `[rows]` holds each row's class.
///
/// The whole is of the size of [`split_at`]; what rounding leaves over goes to the classes with the
/// largest remainders. No class is held out entirely.
///
/// # Errors
/// As [`split_at`]; classes of one row each, which leave nothing to hold out.
pub fn stratified_split(classes: &[i64], validation_split: f64, seed: u64) -> Result<Split> {
    let rows = classes.len();
    let wanted = rows - split_at(rows, validation_split)?;
    let mut sizes = BTreeMap::<i64, usize>::new();
    for class in classes {
        *sizes.entry(*class).or_default() += 1;
    }
    let share = |size: usize| size as f64 * wanted as f64 / rows as f64;
    let mut quotas: BTreeMap<i64, usize> =
        sizes.iter().map(|(class, size)| (*class, share(*size) as usize)).collect();
    let mut by_remainder: Vec<(f64, i64)> =
        sizes.iter().map(|(class, size)| (share(*size).fract(), *class)).collect();
    by_remainder.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut left = wanted - quotas.values().sum::<usize>().min(wanted);
    for (_, class) in by_remainder {
        let size = sizes.get(&class).copied().unwrap_or_default();
        if let Some(quota) = quotas.get_mut(&class)
            && left > 0
            && *quota + 1 < size
        {
            *quota += 1;
            left -= 1;
        }
    }
    let count = u32::try_from(rows).map_err(|_| {
        Error::data(format!("{rows} rows cannot be split at random; at most {} can", u32::MAX))
    })?;
    let mut order: Vec<u32> = (0..count).collect();
    Stream::named(seed, "split").shuffle(&mut order);
    let mut split = Split::default();
    for row in order {
        match classes.get(row as usize).and_then(|class| quotas.get_mut(class)) {
            Some(quota) if *quota > 0 => {
                *quota -= 1;
                split.validation.push(row);
            }
            _ => split.train.push(row),
        }
    }
    if split.validation.is_empty() {
        return Err(Error::data(format!(
            "a stratified validation_split={validation_split} of {rows} rows holds none out: every \
             class needs at least two rows"
        )));
    }
    Ok(split)
}

/// The given rows of an array, copied: [rows, ...] to [order.len(), ...].
///
/// # Errors
/// A row that the array does not have.
pub fn take_rows(array: &Tensor, order: &[u32]) -> Result<Tensor> {
    let order = Tensor::from_slice(order, order.len(), &Device::Cpu)?.to_device(array.device())?;
    Ok(array.contiguous()?.index_select(&order, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToTensor;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Case(usize, f64, Option<usize>);

    /// Cases made by Keras's own `train_validation_split` (tests/golden/make_golden.py).
    #[test]
    fn the_place_is_keras_s() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../tests/golden/validation_split.json")).unwrap();
        assert!(cases.len() > 100);
        for Case(rows, fraction, expected) in cases {
            assert_eq!(split_at(rows, fraction).ok(), expected, "{rows} rows, {fraction}");
        }
    }

    #[test]
    fn messages_say_what_is_left() {
        let message = |rows, fraction| split_at(rows, fraction).unwrap_err().to_string();
        assert!(message(3, 0.9).contains("of 3 rows leaves none for training"));
        assert!(message(5, 1e-18).contains("leaves none for validation"));
        for fraction in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(message(10, fraction).contains("between 0 and 1"));
        }
        let classes: Vec<i64> = (0..10).collect();
        let error = stratified_split(&classes, 0.2, 0).unwrap_err().to_string();
        assert!(error.contains("every class needs at least two rows"), "{error}");
    }

    #[test]
    fn arrays_are_cut_at_the_same_row() {
        let x = ndarray::Array2::from_shape_fn((10, 2), |(i, _)| i as f32).to_tensor().unwrap();
        let y = (0..10).collect::<Vec<i64>>().to_tensor().unwrap();
        let (train, held) = train_validation_split(&[x.clone(), y.clone()], 0.25).unwrap();
        assert_eq!((train[0].dims(), held[0].dims()), (&[7, 2][..], &[3, 2][..]));
        assert_eq!(held[1].to_vec1::<i64>().unwrap(), [7, 8, 9]);
        let short = y.narrow(0, 0, 9).unwrap();
        let error = train_validation_split(&[x.clone(), short], 0.25).unwrap_err().to_string();
        assert!(error.contains("10 rows") && error.contains('9'), "{error}");
        assert_eq!(take_rows(&y, &[9, 0]).unwrap().to_vec1::<i64>().unwrap(), [9, 0]);
        assert!(take_rows(&x, &[10]).is_err());
    }

    proptest! {
        #[test]
        fn a_split_is_a_partition_with_every_class_in_it(
            classes in prop::collection::vec(0i64..5, 2..200), fraction in 0.05f64..0.95, seed: u64,
        ) {
            let (Ok(at), Ok(split)) =
                (split_at(classes.len(), fraction), stratified_split(&classes, fraction, seed))
            else { return Ok(()) };
            prop_assert_eq!(&split, &stratified_split(&classes, fraction, seed).unwrap());
            let mut all: Vec<u32> = [&split.train[..], &split.validation].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..classes.len() as u32).collect::<Vec<_>>());
            let count = |rows: &[u32], c| rows.iter().filter(|r| classes[**r as usize] == c).count();
            let held = classes.len() - at;
            for class in 0..5 {
                let size = classes.iter().filter(|c| **c == class).count();
                let share = size as f64 * held as f64 / classes.len() as f64;
                prop_assert!((count(&split.validation, class) as f64 - share).abs() <= 1.0);
                prop_assert!(size == 0 || count(&split.train, class) > 0);
            }
            prop_assert!(split.validation.len() <= held);
            let random = random_split(classes.len(), fraction, seed).unwrap();
            prop_assert_eq!(random.validation.len(), held);
        }
    }
}
