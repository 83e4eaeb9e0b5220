//! What a classifier takes samples for whose classes are known.

use crate::head::Head;
use sconce_core::{DType, Result, Tensor};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Mistakes that are kept.
const KEPT: usize = 12;

/// How often samples of each class were taken for each.
pub(crate) struct Confusion {
    /// The name of the output, if the model has several.
    pub output: Option<String>,
    pub classes: usize,
    /// (true class, predicted class): how many samples.
    pub counts: BTreeMap<(usize, usize), usize>,
    /// The samples with the least probability for their class among those taken for another.
    pub worst: Vec<Mistake>,
}

/// A sample that was taken for another class.
pub(crate) struct Mistake {
    /// Its row, from 0.
    pub row: usize,
    pub class: usize,
    pub predicted: usize,
    /// The probabilities of the two.
    pub of_class: f64,
    pub of_predicted: f64,
}

impl Confusion {
    /// For the output of a head; `None` if it does not tell classes apart, one a sample.
    pub fn of(
        head: &Head,
        output: Option<String>,
        is_probability: bool,
        y_true: &Tensor,
        y_pred: &Tensor,
    ) -> Result<Option<Self>> {
        let Some(loss) = head.loss() else { return Ok(None) };
        let binary = match loss.class_name() {
            "SparseCategoricalCrossentropy"
            | "CategoricalCrossentropy"
            | "CategoricalFocalCrossentropy" => false,
            "BinaryCrossentropy" | "BinaryFocalCrossentropy" => true,
            _ => return Ok(None),
        };
        let rows = y_true.dims().first().copied().unwrap_or(0);
        let width = y_pred.elem_count() / rows.max(1);
        // A sequence of classes is more than one a sample, several labels at once are no classes.
        if y_pred.dims().len() > 2 || binary != (width == 1) || rows == 0 {
            return Ok(None);
        }
        let logits = loss.get()?.takes_logits().flatten().unwrap_or(!is_probability);
        let y_pred = y_pred.reshape((rows, width))?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let Some(labels) = labels(y_true, rows)? else { return Ok(None) };
        let mut confusion =
            Self { output, classes: width.max(2), counts: BTreeMap::new(), worst: Vec::new() };
        for (row, (scores, class)) in y_pred.into_iter().zip(labels).enumerate() {
            confusion.add(row, class, &probabilities(scores, logits));
        }
        Ok(Some(confusion))
    }

    fn add(&mut self, row: usize, class: i64, probabilities: &[f64]) {
        let best = probabilities.iter().enumerate().max_by(|a, b| {
            // Of equal ones the first, as argmax takes it.
            a.1.total_cmp(b.1).then(Ordering::Greater)
        });
        let Some((predicted, of_predicted)) = best.map(|(class, p)| (class, *p)) else { return };
        // A label outside of the classes (`ignore_class`) is not counted.
        let Ok(class) = usize::try_from(class) else { return };
        let Some(of_class) = probabilities.get(class).copied() else { return };
        *self.counts.entry((class, predicted)).or_default() += 1;
        if class == predicted {
            return;
        }
        let at = self.worst.partition_point(|other| other.of_class <= of_class);
        if at < KEPT {
            self.worst.insert(at, Mistake { row, class, predicted, of_class, of_predicted });
            self.worst.truncate(KEPT);
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.counts.values().sum()
    }

    /// How many were taken for their own class.
    pub fn right(&self) -> usize {
        self.counts.iter().filter(|((class, as_class), _)| class == as_class).map(|(_, n)| n).sum()
    }

    /// How many samples of a class were taken for another.
    pub fn count(&self, class: usize, predicted: usize) -> usize {
        self.counts.get(&(class, predicted)).copied().unwrap_or(0)
    }

    /// How many samples of a class there are.
    pub fn of_class(&self, class: usize) -> usize {
        self.counts.range((class, 0)..=(class, usize::MAX)).map(|(_, n)| n).sum()
    }

    /// The confusions, most frequent first.
    pub fn most_frequent(&self) -> Vec<((usize, usize), usize)> {
        let wrong = self.counts.iter().filter(|((class, as_class), _)| class != as_class);
        let mut wrong: Vec<_> = wrong.map(|(pair, count)| (*pair, *count)).collect();
        wrong.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        wrong
    }
}

/// The class of each row, from numbers or from one-hot rows.
fn labels(y_true: &Tensor, rows: usize) -> Result<Option<Vec<i64>>> {
    let labels = match y_true.dims() {
        [_, width] if *width > 1 => y_true.argmax(1)?.to_dtype(DType::I64)?,
        _ if y_true.elem_count() != rows => return Ok(None),
        _ => y_true.flatten_all()?.to_dtype(DType::F64)?.round()?.to_dtype(DType::I64)?,
    };
    Ok(Some(labels.to_vec1()?))
}

/// The probability of each class.
fn probabilities(scores: Vec<f64>, logits: bool) -> Vec<f64> {
    match scores.as_slice() {
        [one] => {
            let p = if logits { 1.0 / (1.0 + (-one).exp()) } else { *one };
            vec![1.0 - p, p]
        }
        _ if logits => {
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exp: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let sum: f64 = exp.iter().sum();
            exp.into_iter().map(|e| e / sum).collect()
        }
        _ => scores,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequential;
    use sconce_core::Device;
    use sconce_layers::{Dense, LayerExt};

    fn confusion(loss: &str, units: usize, y_true: &Tensor, y_pred: &Tensor) -> Confusion {
        let mut model = Sequential::new().add(Dense::new(units).input_shape([1]));
        model.compile("sgd", loss).unwrap();
        let head = &model.compiled().unwrap().heads()[0];
        Confusion::of(head, None, false, y_true, y_pred).unwrap().unwrap()
    }

    #[test]
    fn classes_are_counted_and_the_surest_mistakes_come_first() {
        let y_pred =
            Tensor::new(&[[9f32, 0., 0.], [0., 9., 0.], [0., 0., 2.], [0., 5., 0.]], &Device::Cpu);
        let y_pred = y_pred.unwrap();
        let y_true = Tensor::new(&[0i64, 0, 1, 2], &Device::Cpu).unwrap();
        let found = confusion("sparse_categorical_crossentropy", 3, &y_true, &y_pred);
        assert_eq!((found.samples(), found.right(), found.of_class(0)), (4, 1, 2));
        assert_eq!((found.count(0, 1), found.count(2, 1), found.count(1, 1)), (1, 1, 0));
        let rows: Vec<usize> = found.worst.iter().map(|mistake| mistake.row).collect();
        assert_eq!(rows, [1, 3, 2]);
        let worst = &found.worst[0];
        let expected = (9f64.exp() / (9f64.exp() + 2.0), 1.0 / (9f64.exp() + 2.0));
        assert!((worst.of_predicted - expected.0).abs() < 1e-12);
        assert!((worst.of_class - expected.1).abs() < 1e-12);
        // One-hot targets say the same.
        let one_hot = [[1f32, 0., 0.], [1., 0., 0.], [0., 1., 0.], [0., 0., 1.]];
        let y_true = Tensor::new(&one_hot, &Device::Cpu).unwrap();
        let same = confusion("categorical_crossentropy", 3, &y_true, &y_pred);
        assert_eq!(same.counts, found.counts);
    }

    #[test]
    fn one_unit_tells_two_classes_apart() {
        let y_pred = Tensor::new(&[[2f32], [-2.], [1.]], &Device::Cpu).unwrap();
        let y_true = Tensor::new(&[1f32, 1., 0.], &Device::Cpu).unwrap();
        let found = confusion("binary_crossentropy", 1, &y_true, &y_pred);
        assert_eq!(
            (found.classes, found.right(), found.count(1, 0), found.count(0, 1)),
            (2, 1, 1, 1)
        );
        let worst = &found.worst[0];
        assert_eq!((worst.row, worst.class, worst.predicted), (1, 1, 0));
        assert!((worst.of_class - 1.0 / (1.0 + 2f64.exp())).abs() < 1e-12);
        // A label that is no class is passed over.
        let y_true = Tensor::new(&[1f32, -1., 7.], &Device::Cpu).unwrap();
        assert_eq!(confusion("binary_crossentropy", 1, &y_true, &y_pred).samples(), 1);
    }
}
