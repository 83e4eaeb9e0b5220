//! What is to blame for a loss that is not finite: data, weights, a layer or the loss itself, and which
//! samples.

use crate::compiled::Compiled;
use sconce_core::finite::non_finite_rows;
use sconce_core::{Context, Error, Result};
use sconce_data::{Batch, BatchSource};
use sconce_model::Network;

/// Runs of numbers that a message lists.
const LISTED: usize = 8;

const SMALLER_UPDATES: &str = "Try a smaller learning rate or clipnorm, and standardise inputs and \
                               targets that are far from 0";
const MEND: &str = "Mend or leave out what is no finite number in the data";

/// Where in a run a batch is.
pub(crate) struct Place<'a> {
    pub source: &'a dyn BatchSource,
    /// From 0, as the batch.
    pub epoch: usize,
    pub batch: usize,
}

/// What is not finite, in which samples of the batch (none where no sample is to blame), and what to
/// do.
struct Blame {
    what: String,
    samples: Vec<usize>,
    advice: &'static str,
}

/// The error of a loss that is not finite at an update (from 0).
pub(crate) fn error(
    network: &Network,
    compiled: &Compiled,
    batch: &Batch,
    (seed, update): (u64, u64),
    place: Option<&Place<'_>>,
) -> Error {
    let blame = blame(network, compiled, batch, (seed, update)).unwrap_or_else(|error| Blame {
        what: format!("what is to blame cannot be found ({error})"),
        samples: Vec::new(),
        advice: SMALLER_UPDATES,
    });
    let Blame { what, samples, advice } = blame;
    let of_batch = samples_of(&samples, batch.rows(), place);
    let at = place.map_or(String::new(), |Place { epoch, batch, .. }| {
        format!(", batch {} of epoch {}", batch + 1, epoch + 1)
    });
    Error::training(format!(
        "the loss is not finite at update {}{at}; {what}{of_batch}. This update was not made. {advice}",
        update + 1
    ))
}

/// Looks in the order in which one thing makes the next not finite.
fn blame(
    network: &Network,
    compiled: &Compiled,
    batch: &Batch,
    (seed, update): (u64, u64),
) -> Result<Blame> {
    let weights = batch.sample_weight.iter().flatten().map(|array| ("a sample weight", array));
    let x = batch.x.iter().map(|array| ("a value of the inputs", array));
    let y = batch.y.iter().map(|array| ("a value of the targets", array));
    for (name, array) in x.chain(y).chain(weights) {
        let samples = non_finite_rows(array)?;
        if !samples.is_empty() {
            let what = format!("{name} is not finite");
            return Ok(Blame { what, samples, advice: MEND });
        }
    }
    let weights = network.non_finite_weights()?;
    let since = match weights.is_empty() {
        true => String::new(),
        false => format!(", since these weights are not: {}", weights.join(", ")),
    };
    let context = || Context::training(seed, update).recording(false);
    if let Some((layer, samples)) = network.first_non_finite(&batch.x, &mut context())? {
        return Ok(Blame {
            what: format!("the first layer whose output is not finite is `{layer}`{since}"),
            // No sample is to blame for a weight.
            samples: if weights.is_empty() { samples } else { Vec::new() },
            advice: SMALLER_UPDATES,
        });
    }
    let y_pred = network.forward_masked(&batch.x, &mut context())?;
    for (index, (head, y_pred)) in compiled.heads().iter().zip(&y_pred).enumerate() {
        let y_true = compiled.target_of(index, batch.y.len()).and_then(|place| batch.y.get(place));
        let (Some(loss), Some(y_true)) = (head.loss(), y_true) else { continue };
        let losses = loss.get()?.per_sample(y_true, &y_pred.tensor)?.values;
        let by_sample = losses.dims().first() == Some(&batch.rows());
        let samples = if by_sample { non_finite_rows(&losses)? } else { Vec::new() };
        if !samples.is_empty() {
            return Ok(Blame {
                what: format!(
                    "every layer's output is finite, and the loss of the output `{}` is not",
                    head.name()
                ),
                samples,
                advice: SMALLER_UPDATES,
            });
        }
    }
    Ok(Blame {
        what: format!(
            "every layer's output and the loss of every sample is finite, so their sum or a penalty is \
             not{since}"
        ),
        samples: Vec::new(),
        advice: SMALLER_UPDATES,
    })
}

/// ", for samples 3 to 5 of the batch, rows 17, 4, 99 of the data (both from 0)"
fn samples_of(samples: &[usize], all: usize, place: Option<&Place<'_>>) -> String {
    let numbered = |word: &str, numbers: &[usize]| match numbers {
        [one] => format!("{word} {one}"),
        _ => format!("{word}s {}", ranges(numbers)),
    };
    let rows = place.and_then(|place| place.source.rows(place.epoch, place.batch));
    let rows: Option<Vec<usize>> =
        rows.and_then(|rows| samples.iter().map(|sample| rows.get(*sample).copied()).collect());
    match (samples.len(), rows) {
        (0, _) => String::new(),
        (count, _) if count == all => ", for every sample of the batch".to_string(),
        (_, None) => format!(", for {} of the batch (from 0)", numbered("sample", samples)),
        (_, Some(rows)) => format!(
            ", for {} of the batch, {} of the data (both from 0)",
            numbered("sample", samples),
            numbered("row", &rows)
        ),
    }
}

/// "3 to 5, 9 and 7 more"
fn ranges(numbers: &[usize]) -> String {
    let runs: Vec<&[usize]> = numbers.chunk_by(|a, b| a + 1 == *b).collect();
    let text = |run: &&[usize]| match run {
        [first, .., last] => format!("{first} to {last}"),
        _ => run.iter().map(usize::to_string).collect(),
    };
    let listed: Vec<String> = runs.iter().take(LISTED).map(text).collect();
    match runs.iter().skip(LISTED).map(|run| run.len()).sum() {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;
    use crate::callbacks::{Flow, LambdaCallback};
    use crate::losses::custom_loss;
    use crate::optimizers::SGD;
    use crate::{Fit, Sequential, Verbose};
    use sconce_core::{DType, Device, Tensor};
    use sconce_data::sources::{ArraySpec, Batch, SourceSpec, from_fn};
    use sconce_layers::{Activation, Dense, LayerExt};

    const ROWS: usize = 24;

    fn column(value: impl Fn(usize) -> f32) -> Tensor {
        let values: Vec<f32> = (0..ROWS).map(value).collect();
        Tensor::from_vec(values, (ROWS, 1), &Device::Cpu).unwrap()
    }

    /// `exp(x)`, with the identity before it.
    fn exponential() -> Sequential {
        let mut model = Sequential::new()
            .add(Dense::new(1).kernel_initializer("ones").name("before"))
            .add(Activation::new("exponential").name("exp"))
            .add(Dense::new(1).name("after"));
        model.compile(SGD::new(0.0), "mse").unwrap();
        model
    }

    fn fit() -> Fit {
        Fit::new(3, 8).seed(3).verbose(Verbose::Silent)
    }

    /// A row that is too large is found wherever shuffling has put it.
    #[test]
    fn the_layer_the_batch_and_the_row_of_the_data_are_named() {
        let x = column(|row| if row == 13 { 1000.0 } else { 0.5 });
        let error = exponential().fit_with(&x, &x, fit()).unwrap_err().to_string();
        assert!(
            error.contains(
                "of epoch 1; the first layer whose output is not finite is `exp`, for sample "
            ),
            "{error}"
        );
        assert!(error.contains(" of the batch, row 13 of the data (both from 0)."), "{error}");
        assert!(error.contains("This update was not made. Try a smaller learning rate"), "{error}");
        // Without shuffling everything is known.
        let x = column(|row| if (10..=12).contains(&row) || row == 15 { 1000.0 } else { 0.5 });
        let error = exponential().fit_with(&x, &x, fit().shuffle(false)).unwrap_err().to_string();
        let expected = "not finite at update 2, batch 2 of epoch 1; the first layer whose output is not \
                        finite is `exp`, for samples 2 to 4, 7 of the batch, rows 10 to 12, 15 of the \
                        data (both from 0)";
        assert!(error.contains(expected), "{error}");
        let x = column(|row| if row < 8 { 1000.0 } else { 0.5 });
        let error = exponential().fit_with(&x, &x, fit().shuffle(false)).unwrap_err().to_string();
        assert!(error.contains("is `exp`, for every sample of the batch. This update"), "{error}");
        // A batch by itself has no place in a run.
        let error = exponential().train_on_batch(&x, &x).unwrap_err().to_string();
        let expected = "at update 1; the first layer whose output is not finite is `exp`, for samples 0 \
                        to 7 of the batch (from 0). This";
        assert!(error.contains(expected), "{error}");
    }

    /// Arrays are looked at before a run, batches of a source are not.
    #[test]
    fn values_of_a_source_that_are_not_finite_are_named_and_not_a_layer() {
        for target in [false, true] {
            let spec = SourceSpec {
                x: vec![ArraySpec::new(&[1], DType::F32)],
                y: vec![ArraySpec::new(&[1], DType::F32)],
                sample_weight: Vec::new(),
            };
            let source = from_fn(spec, Some(3), move |epoch, from| {
                Ok((from..3).map(move |batch| {
                    let good = column(|_| 0.5);
                    let is_bad = |row| (epoch, batch) == (1, 2) && row == 4;
                    let bad = column(|row| if is_bad(row) { f32::NAN } else { 0.5 });
                    let (x, y) = if target { (good, bad) } else { (bad, good) };
                    Ok(Batch { x: vec![x], y: vec![y], sample_weight: Vec::new() })
                }))
            });
            let error = exponential().fit_source(&source, fit()).unwrap_err().to_string();
            let what = if target { "targets" } else { "inputs" };
            let expected = format!(
                "at update 6, batch 3 of epoch 2; a value of the {what} is not finite, for sample 4 of the \
                 batch (from 0). This update was not made. Mend or leave out"
            );
            assert!(error.contains(&expected), "{error}");
        }
    }

    #[test]
    fn weights_and_losses_that_are_not_finite_are_named_as_such() {
        let x = column(|row| row as f32);
        let spoil = LambdaCallback::new().on_train_batch_end(|batch, run| {
            if batch == 1 {
                let nan = Tensor::new(&[f32::NAN], &Device::Cpu)?;
                run.model.network()?.set_weight("after/bias", &nan)?;
            }
            Ok(Flow::Continue)
        });
        let small = x.affine(0.1, 0.0).unwrap();
        let error =
            exponential().fit_with(&small, &small, fit().callback(spoil)).unwrap_err().to_string();
        let expected = "at update 3, batch 3 of epoch 1; the first layer whose output is not finite is \
                        `after`, since these weights are not: after/bias. This";
        assert!(error.contains(expected), "{error}");

        let logarithm =
            custom_loss("logarithm", |t, p| Ok(((t - 5.0)?.abs()?.log()? * p)?.sum(1)?));
        let mut model = Sequential::new().add(Dense::new(1).kernel_initializer("ones").name("out"));
        model.compile(SGD::new(0.0), logarithm).unwrap();
        let ones = column(|_| 1.0);
        let error = model.fit_with(&ones, &x, fit().shuffle(false)).unwrap_err().to_string();
        let expected = "at update 1, batch 1 of epoch 1; every layer's output is finite, and the loss of \
                        the output `out` is not, for sample 5 of the batch, row 5 of the data";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn many_samples_are_ranges() {
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[3, 4, 5, 9, 11, 12]), "3 to 5, 9, 11 to 12");
        let scattered: Vec<usize> = (0..20).map(|n| n * 2).collect();
        assert_eq!(ranges(&scattered), "0, 2, 4, 6, 8, 10, 12, 14 and 12 more");
    }
}
