//! CSVLogger.

use super::*;
use serde_json::json;

#[test]
fn csv_logger_writes_keras_s_bytes() {
    for (case, _) in cases("CSVLogger") {
        for interrupt in [None, Some(0), Some(2)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("logs/log.csv");
            let fresh = || -> Box<dyn Callback> {
                let separator = case["config"]["separator"].as_str().unwrap();
                Box::new(CSVLogger::new(&path).separator(separator))
            };
            drive(&case, fresh(), fresh, interrupt, &mut model());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), case["bytes"].as_str().unwrap());
        }
    }
}

#[test]
fn csv_logger_appends_and_cuts_what_came_after_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    let case = json!({"logs": [{"loss": 1.0}, {"loss": 0.5}]});
    let logger = |append| -> Box<dyn Callback> { Box::new(CSVLogger::new(&path).append(append)) };
    drive(&case, logger(false), || logger(false), None, &mut model());
    drive(&case, logger(true), || logger(true), None, &mut model());
    let text = std::fs::read_to_string(&path).unwrap();
    let rows = "0,1.0,NA\r\n1,0.5,NA\r\n";
    assert_eq!(text, format!("epoch,loss,val_loss\r\n{rows}{rows}"));

    // A run that was killed after two rows but goes on from its state after the first.
    let logged = logged();
    let mut model = model();
    let mut run = Run { model: &mut model, epochs: 3, steps: Some(1), logged: &logged };
    let mut first = CSVLogger::new(&path);
    let end = |epoch| Event::EpochEnd { epoch, logs: Logs(vec![("loss".into(), 7.0)]) };
    first.prepare(&run).unwrap();
    first.on(&Event::TrainBegin, &mut run).unwrap();
    first.on(&end(0), &mut run).unwrap();
    let state = first.state().unwrap();
    first.on(&end(1), &mut run).unwrap();
    let mut second = CSVLogger::new(&path);
    second.prepare(&run).unwrap();
    second.restore(state.clone()).unwrap();
    second.on(&Event::TrainBegin, &mut run).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "epoch,loss,val_loss\r\n0,7.0,NA\r\n");
    second.restore(state).unwrap();
    std::fs::write(&path, "epoch").unwrap();
    let error = second.on(&Event::TrainBegin, &mut run).unwrap_err().to_string();
    assert!(error.contains("shorter (5 bytes) than this run left it"), "{error}");
    assert!(error.contains("move it away, and a new one begins"), "{error}");
    std::fs::remove_file(&path).unwrap();
    second.on(&Event::TrainBegin, &mut run).unwrap();
    second.on(&end(1), &mut run).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "epoch,loss,val_loss\r\n1,7.0,NA\r\n");
}
