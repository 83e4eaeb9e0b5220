//! Every file of `configs/` runs as it is and reaches the score that `configs/README.md` states.

use crate::sconce;
use std::collections::BTreeSet;
use std::path::PathBuf;

#[test]
fn every_configuration_reaches_its_score() {
    let configs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let data: Vec<PathBuf> = std::fs::read_dir(configs.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "npy"))
        .collect();
    let mut left: BTreeSet<String> = std::fs::read_dir(&configs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    let table = std::fs::read_to_string(configs.join("README.md")).unwrap();
    for row in table.lines().filter(|row| row.starts_with("| ") && row.contains(".json")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, file, score, least, most, _] = cells.as_slice() else { panic!("{row}") };
        assert!(left.remove(*file), "{file} is not in configs/, or twice in the table");
        let folder = tempfile::tempdir().unwrap();
        let path = configs.join(file).display().to_string();
        // Paths of data are relative to where the command runs.
        let beside = folder.path().join("configs/data");
        std::fs::create_dir_all(&beside).unwrap();
        for file in &data {
            std::fs::copy(file, beside.join(file.file_name().unwrap())).unwrap();
        }
        let out = sconce(folder.path(), &["train", &path, "--quiet"]).ok().out;
        let (part, name) = match score.strip_suffix(" (training)") {
            Some(name) => ("training: ", name),
            None => ("validation: ", *score),
        };
        let scores = out.lines().find_map(|line| line.strip_prefix(part)).unwrap();
        let reached =
            scores.split(" - ").find_map(|s| s.strip_prefix(&format!("{name}: "))).unwrap();
        let reached: f64 = reached.parse().unwrap();
        let bound = |text: &str, default: f64| {
            if text.is_empty() { default } else { text.parse().unwrap() }
        };
        let (least, most) = (bound(least, f64::NEG_INFINITY), bound(most, f64::INFINITY));
        assert!((least..=most).contains(&reached), "{file}: {name} is {reached}\n{out}");
    }
    assert!(left.is_empty(), "these have no row in configs/README.md: {left:?}");
}
