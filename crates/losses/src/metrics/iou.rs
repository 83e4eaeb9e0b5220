//! Intersection over union of classes, one table row each.

use super::confusion_matrix::{ConfusionMatrix, CountType, Encoding};
use super::totals::{Sums, totalled};
use super::{Goal, Metric, MetricState};
use sconce_core::names::snake_case_of;
use sconce_core::{Config, Dims, Error, Result, Tensor};
use sconce_ops::losses::EPSILON;

/// Writes a metric for each row: its fields with their docs, its matrix and its target classes as functions of
/// `self`.
macro_rules! ious {
    ($(
        $(#[$doc:meta])*
        $ty:ident { $($(#[$attribute:meta])* $field:ident: $field_ty:ty,)* }
        |$this:ident| $matrix:expr, $targets:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Config)]
        pub struct $ty {
            $($(#[$attribute])* pub $field: $field_ty,)*
            /// Its name in logs; left out, the type's in snake case.
            #[config(skip_none)]
            pub name: Option<String>,
            /// The type that counts are in. With whole numbers, sample weights are truncated toward zero.
            #[config(default, null = CountType::Int32)]
            pub dtype: CountType,
        }

        impl $ty {
            fn matrix(&self) -> ConfusionMatrix {
                let $this = self;
                $matrix
            }

            fn targets(&self) -> Vec<usize> {
                let $this = self;
                $targets
            }
        }

        impl Metric for $ty {
            fn check(&self) -> Result<()> {
                check_targets(&self.targets(), self.matrix().num_classes)
            }

            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(snake_case_of::<Self>)
            }

            fn goal(&self) -> Option<Goal> {
                Some(Goal::Max)
            }

            fn check_shape(&self, name: &str, y_true: &[usize], y_pred: &Dims) -> Result<()> {
                self.matrix().check_shape(&snake_case_of::<Self>(), name, y_true, y_pred)
            }

            fn new_state(&self) -> Box<dyn MetricState> {
                totalled(self.clone())
            }
        }

        impl Sums for $ty {
            fn sums(&self, y_true: &Tensor, y_pred: &Tensor, w: Option<&Tensor>) -> Result<Tensor> {
                self.matrix().count(y_true, y_pred, w)
            }

            fn finish(&self, sums: &[Vec<f64>]) -> Vec<f64> {
                vec![mean_iou(sums, &self.targets())]
            }
        }
    )*};
}

ious! {
    /// `true_positives / (true_positives + false_positives + false_negatives)`, the mean over target
    /// classes that occur in targets or predictions; 0 if none does. Targets and predictions of as many
    /// labels, `[batch, ..]`, or scores with an axis of classes. Labels that are no class do not count.
    /// Keras's `IoU`.
    IoU {
        /// The number of classes.
        #[config(range = "[1, 10000]")]
        num_classes: usize,
        /// The classes whose mean it is.
        target_class_ids: Vec<usize>,
        /// A class whose targets do not count.
        ignore_class: Option<i64>,
        /// Whether targets are class indices, not scores.
        #[config(default = true)]
        sparse_y_true: bool,
        /// Whether predictions are class indices, not scores.
        #[config(default = true)]
        sparse_y_pred: bool,
        /// The axis of the scores.
        #[config(default = -1)]
        axis: i64,
    }
    |it| ConfusionMatrix {
        num_classes: it.num_classes,
        ignore_class: it.ignore_class,
        y_true: Encoding::new(it.sparse_y_true, it.axis),
        y_pred: Encoding::new(it.sparse_y_pred, it.axis),
        dtype: it.dtype,
    }, it.target_class_ids.clone();

    /// The [`IoU`] of two classes, of targets 0 or 1 and one number a label, both `[batch, ..]`. Keras's
    /// `BinaryIoU`.
    BinaryIoU {
        /// The classes whose mean it is.
        #[config(default = vec![0, 1])]
        target_class_ids: Vec<usize>,
        /// What is not below it is of class 1.
        #[config(default = 0.5, range = "(-inf, inf)")]
        threshold: f64,
    }
    |it| ConfusionMatrix {
        num_classes: 2,
        ignore_class: None,
        y_true: Encoding::Sparse,
        y_pred: Encoding::Binary { threshold: it.threshold },
        dtype: it.dtype,
    }, it.target_class_ids.clone();

    /// The mean of the [`IoU`] of all classes. Keras's `MeanIoU`.
    MeanIoU {
        /// The number of classes.
        #[config(range = "[1, 10000]")]
        num_classes: usize,
        /// A class whose targets do not count.
        ignore_class: Option<i64>,
        /// Whether targets are class indices, not scores.
        #[config(default = true)]
        sparse_y_true: bool,
        /// Whether predictions are class indices, not scores.
        #[config(default = true)]
        sparse_y_pred: bool,
        /// The axis of the scores.
        #[config(default = -1)]
        axis: i64,
    }
    |it| ConfusionMatrix {
        num_classes: it.num_classes,
        ignore_class: it.ignore_class,
        y_true: Encoding::new(it.sparse_y_true, it.axis),
        y_pred: Encoding::new(it.sparse_y_pred, it.axis),
        dtype: it.dtype,
    }, (0..it.num_classes).collect();

    /// The [`IoU`] of one-hot targets. Keras's `OneHotIoU`.
    OneHotIoU {
        /// The number of classes.
        #[config(range = "[1, 10000]")]
        num_classes: usize,
        /// The classes whose mean it is.
        target_class_ids: Vec<usize>,
        /// A class whose targets do not count.
        ignore_class: Option<i64>,
        /// Whether predictions are class indices, not scores.
        #[config(default = false)]
        sparse_y_pred: bool,
        /// The axis of the scores.
        #[config(default = -1)]
        axis: i64,
    }
    |it| ConfusionMatrix {
        num_classes: it.num_classes,
        ignore_class: it.ignore_class,
        y_true: Encoding::Dense { axis: it.axis },
        y_pred: Encoding::new(it.sparse_y_pred, it.axis),
        dtype: it.dtype,
    }, it.target_class_ids.clone();

    /// The mean of the [`IoU`] of all classes, of one-hot targets. Keras's `OneHotMeanIoU`.
    OneHotMeanIoU {
        /// The number of classes.
        #[config(range = "[1, 10000]")]
        num_classes: usize,
        /// A class whose targets do not count.
        ignore_class: Option<i64>,
        /// Whether predictions are class indices, not scores.
        #[config(default = false)]
        sparse_y_pred: bool,
        /// The axis of the scores.
        #[config(default = -1)]
        axis: i64,
    }
    |it| ConfusionMatrix {
        num_classes: it.num_classes,
        ignore_class: it.ignore_class,
        y_true: Encoding::Dense { axis: it.axis },
        y_pred: Encoding::new(it.sparse_y_pred, it.axis),
        dtype: it.dtype,
    }, (0..it.num_classes).collect();
}

fn check_targets(targets: &[usize], num_classes: usize) -> Result<()> {
    let message = match targets.iter().find(|class| **class >= num_classes) {
        Some(wrong) => format!("must be classes below {num_classes}, found {wrong}"),
        None if targets.is_empty() => "must hold at least one class".to_string(),
        None => return Ok(()),
    };
    Err(Error::config("target_class_ids", message))
}

/// The mean over the target classes that occur.
fn mean_iou(matrix: &[Vec<f64>], targets: &[usize]) -> f64 {
    let cell = |row: usize, column: usize| {
        matrix.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0.0)
    };
    let (mut sum, mut occurring) = (0.0, 0.0);
    for &class in targets {
        let both = cell(class, class);
        let either = (0..matrix.len()).map(|i| cell(class, i) + cell(i, class)).sum::<f64>() - both;
        if either > 1e-9 {
            sum += both / (either + EPSILON);
            occurring += 1.0;
        }
    }
    sum / (occurring + EPSILON)
}
