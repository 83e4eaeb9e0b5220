//! What must be the same in a run that goes on.

use super::*;

#[test]
fn a_run_under_other_conditions_is_refused_with_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || Checkpoint::new(dir.path());
    train(&mut model(sgd()), fit().checkpoint(checkpoint())).unwrap();
    let refused = |optimizer: Optimizer, fit: Fit, expected: &str| {
        let fit = fit.checkpoint(checkpoint()).resume(true);
        let error = train(&mut model(optimizer), fit).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(sgd(), fit().batch_size(16), "`data.batch_size` is 16, in the checkpoint 8");
    refused(sgd(), fit().seed(12), "`fit.seed` is 12, in the checkpoint 11");
    refused(
        SGD::new(0.1).into(),
        fit(),
        "`compile.optimizer.config.momentum` is 0.0, in the checkpoint 0.9",
    );
    let patient = Fit::new(EPOCHS, BATCH).seed(11).validation_split(0.2).verbose(Verbose::Silent);
    let stopping = EarlyStopping::new("val_loss").patience(4).restore_best_weights(true);
    refused(
        sgd(),
        patient.callback(stopping),
        "`callbacks[0].config.patience` is 4, in the checkpoint 3",
    );
    let (x, y) = data();
    let fit = fit().checkpoint(checkpoint()).resume(true);
    let x = (x * 2.0).unwrap();
    let error = model(sgd()).fit_with(&x, &y, fit).unwrap_err().to_string();
    assert!(error.contains("the data has changed; the validation has changed"), "{error}");
    let mut other = Sequential::new().add(Dense::new(2).activation("softmax"));
    other.compile(sgd(), "sparse_categorical_crossentropy").unwrap();
    let fit = self::fit().checkpoint(checkpoint()).resume(true);
    let error = train(&mut other, fit).unwrap_err().to_string();
    assert!(error.contains("`model.config.layers` is"), "{error}");
}
