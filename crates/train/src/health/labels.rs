//! Classes that no target holds.

use crate::head::Head;
use crate::model::Model;
use sconce_core::{DType, Result, Tensor};
use sconce_data::Batch;
use std::collections::BTreeSet;

/// Classes that a message lists.
const LISTED: usize = 8;

/// Adds a notice for each output whose training targets lack some of its classes, and for validation
/// targets that lack some of those trained on. Each is said once.
pub(crate) fn tell_of_unseen_classes(
    model: &mut Model,
    train: &Batch,
    validation: Option<&Batch>,
) -> Result<()> {
    let parts = model.parts()?;
    let outputs = parts.network.graph().output_dims();
    let mut notices = Vec::new();
    for (index, head) in parts.compiled.heads().iter().enumerate() {
        let width = outputs.get(index).and_then(|dims| dims.0.last().copied().flatten());
        let Some(labels) = width.and_then(|width| Labels::of(head, width)) else { continue };
        let target = |batch: &Batch| -> Result<Option<BTreeSet<i64>>> {
            let place = parts.compiled.target_of(index, batch.y.len());
            place.and_then(|place| batch.y.get(place)).map(|y| labels.seen(y)).transpose()
        };
        let Some(seen) = target(train)? else { continue };
        let of = if outputs.len() > 1 { format!(" of `{}`", head.name()) } else { String::new() };
        let classes = labels.classes();
        let missing: Vec<i64> = (0..classes).filter(|c| !seen.contains(c)).collect();
        if !missing.is_empty() {
            let them = if missing.len() == 1 { "it" } else { "them" };
            let fewer = if matches!(labels, Labels::Binary) { "" } else { ", or fewer units" };
            notices.push(format!(
                "the training targets{of} hold none of {}, of {classes} classes; the model cannot learn \
                 {them}. Give it samples of {them}{fewer}",
                listed(&missing),
            ));
        }
        let Some(validated) = validation.map(target).transpose()?.flatten() else { continue };
        let missing: Vec<i64> = seen.difference(&validated).copied().collect();
        if !missing.is_empty() {
            notices.push(format!(
                "the validation targets{of} hold none of {}, which the training targets hold, so that no \
                 score speaks of {}. `validation_split` takes the last rows as they lie: shuffle them \
                 first",
                listed(&missing),
                if missing.len() == 1 { "it" } else { "them" },
            ));
        }
    }
    for notice in notices {
        if !parts.compiled.notices().contains(&notice) {
            parts.compiled.add_notice(notice);
        }
    }
    Ok(())
}

/// How the targets of an output say which classes a sample has.
enum Labels {
    /// By number.
    Sparse { classes: usize, ignored: Option<i64> },
    /// As 0 or 1.
    Binary,
    /// A column for each class.
    Columns { classes: usize },
}

impl Labels {
    /// By the loss and the width of the output; `None` if it does not tell classes apart.
    fn of(head: &Head, width: usize) -> Option<Self> {
        let loss = head.loss()?;
        let config = loss.config();
        let axis = config.and_then(|config| config["axis"].as_i64());
        match loss.class_name() {
            _ if axis.is_some_and(|axis| axis != -1) => None,
            "SparseCategoricalCrossentropy" => {
                let ignored = config.and_then(|config| config["ignore_class"].as_i64());
                Some(Self::Sparse { classes: width, ignored })
            }
            "BinaryCrossentropy" | "BinaryFocalCrossentropy" if width == 1 => Some(Self::Binary),
            "CategoricalCrossentropy" | "CategoricalFocalCrossentropy" | "CategoricalHinge" => {
                Some(Self::Columns { classes: width })
            }
            _ => None,
        }
    }

    fn classes(&self) -> i64 {
        match self {
            Self::Sparse { classes, .. } | Self::Columns { classes } => *classes as i64,
            Self::Binary => 2,
        }
    }

    /// The classes that targets hold.
    fn seen(&self, y: &Tensor) -> Result<BTreeSet<i64>> {
        match self {
            Self::Sparse { ignored, .. } => {
                let labels = y.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
                // One that is ignored is missed by nobody.
                Ok(labels.into_iter().chain(*ignored).collect())
            }
            Self::Binary => {
                let labels = y.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                let class = |label: f32| match label {
                    0.0 => Some(0),
                    1.0 => Some(1),
                    _ => None,
                };
                let seen: Option<BTreeSet<i64>> = labels.into_iter().map(class).collect();
                // Grey values of pictures, say, are of no class.
                Ok(seen.unwrap_or_else(|| BTreeSet::from([0, 1])))
            }
            Self::Columns { classes } => {
                let columns = y.reshape(((), *classes))?.to_dtype(DType::F32)?;
                let largest = columns.max(0)?.to_vec1::<f32>()?;
                Ok((0..).zip(largest).filter(|(_, most)| *most > 0.0).map(|(c, _)| c).collect())
            }
        }
    }
}

/// "the class 3", "the classes 1, 2 and 7 more".
fn listed(classes: &[i64]) -> String {
    let names: Vec<String> = classes.iter().take(LISTED).map(i64::to_string).collect();
    let more = match classes.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if classes.len() == 1 { "class" } else { "classes" };
    format!("the {word} {}{more}", names.join(", "))
}
