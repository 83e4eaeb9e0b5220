//! `report`, `"output": {"report": ..}` and `compare`: the pages, and what they say.

use crate::{Ran, config, folder, sconce};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use std::path::Path;

/// A page that must be whole and need nothing else.
struct Page(Html);

impl Page {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let page = Html::parse_document(&text);
        assert_eq!(page.errors, Vec::<String>::new(), "the page parses");
        let page = Self(page);
        for attribute in ["src", "href", "action", "data", "srcset"] {
            for element in page.0.select(&Selector::parse(&format!("[{attribute}]")).unwrap()) {
                let value = element.attr(attribute).unwrap();
                // The arrows of the model's graph name parts of the page itself.
                let inside = value.starts_with("data:image/png;base64,") || value.starts_with('#');
                assert!(inside, "{attribute}={value}");
            }
        }
        assert!(page.all("script, link, iframe, object, base").is_empty(), "nothing is loaded");
        let style = text.replace("url(#", "");
        assert!(!style.contains("url(") && !style.contains("@import"), "nor by the style");
        let policy = page.all("meta[http-equiv=Content-Security-Policy]");
        assert_eq!(policy.len(), 1);
        assert!(text.contains("prefers-color-scheme: dark") && text.contains("name=\"viewport\""));
        page
    }

    /// The texts of all elements that a selector finds.
    fn all(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).unwrap();
        let text = |element: scraper::ElementRef<'_>| element.text().collect::<String>();
        self.0.select(&selector).map(|element| text(element).trim().to_string()).collect()
    }

    /// The rows of a table that a selector finds.
    fn rows(&self, table: &str) -> Vec<Vec<String>> {
        let (row, cell) = (Selector::parse("tr").unwrap(), Selector::parse("th, td").unwrap());
        let table = self.0.select(&Selector::parse(table).unwrap()).next().expect("a table");
        let cells = |row: scraper::ElementRef<'_>| {
            row.select(&cell).map(|cell| cell.text().collect::<String>()).collect()
        };
        table.select(&row).map(cells).collect()
    }

    fn text(&self) -> String {
        self.all("body").concat()
    }
}

/// A run that leaves everything in `runs/a`.
fn run() -> Value {
    let mut config = config();
    config["fit"] = json!({"epochs": 3, "batch_size": 16});
    config["output"] = json!({
        "model": "runs/a/model.keras", "history": "runs/a/history.json",
        "report": "runs/a/at-the-end.html",
    });
    config
}

fn train(folder: &Path, set: &[&str]) -> Ran {
    let set = set.iter().flat_map(|set| ["--set", set]);
    let args: Vec<&str> = ["train", "run.json", "--quiet"].into_iter().chain(set).collect();
    sconce(folder, &args).ok()
}

fn history(folder: &Path, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

/// A number as the page and the progress bar write it.
fn short(value: &Value) -> String {
    let value = value.as_f64().unwrap();
    if value.abs() < 1e-3 { format!("{value:.4e}") } else { format!("{value:.4}") }
}

#[test]
fn a_report_holds_the_numbers_of_the_run() {
    let dir = folder(&run());
    let ran = train(dir.path(), &[]);
    assert!(ran.out.ends_with("report: runs/a/at-the-end.html\n"), "{}", ran.out);
    let page = Page::read(&dir.path().join("runs/a/at-the-end.html"));
    let history = history(dir.path(), "runs/a/history.json");

    let scores = page.rows("table");
    assert_eq!(scores[0], ["", "Last epoch", "Best", "Best epoch"]);
    let names: Vec<&str> = scores[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["loss", "accuracy", "val_loss", "val_accuracy"]);
    let (losses, accuracies) =
        (&history["history"]["val_loss"], &history["history"]["val_accuracy"]);
    let values: Vec<f64> =
        losses.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let best = (0..3).min_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap();
    assert_eq!(scores[3][1..], [short(&losses[2]), short(&losses[best]), (best + 1).to_string()]);
    let titles = page.all("figure > svg > text:first-of-type");
    assert!(
        titles[0] == format!("loss: best {} in epoch {}", short(&losses[best]), best + 1),
        "{titles:?}"
    );
    assert_eq!(titles.last().unwrap(), "learning rate");

    // The confusion matrix adds up to the samples, its diagonal to the accuracy.
    let rows = page.rows("table.confusion");
    assert_eq!(rows[0], ["", "0", "1", "2", "right"]);
    let count = |row: usize, column: usize| rows[row + 1][column + 1].parse::<usize>().unwrap();
    let samples: usize = (0..9).map(|i| count(i / 3, i % 3)).sum();
    let right: usize = (0..3).map(|i| count(i, i)).sum();
    assert_eq!(samples, 12, "{rows:?}");
    assert_eq!(format!("{:.4}", right as f64 / samples as f64), short(&accuracies[2]));
    assert_eq!(page.all(".mistakes figcaption").len(), (samples - right).min(12));

    let layers: Vec<String> = page.all("section:nth-last-of-type(2) tbody th");
    assert_eq!(layers, ["input_layer", "dense", "dense_1"]);
    assert!(page.text().contains("67 weights, 67 of them trainable."), "{}", page.text());
    let written: Value = serde_json::from_str(&page.all("pre")[0]).unwrap();
    assert_eq!(written["fit"]["epochs"], json!(3));
    assert_eq!(written["fit"]["validation_freq"], json!(1), "defaults are stated");
    assert_eq!(written, history["run"]["configuration"]);
}

#[test]
fn a_report_can_be_made_later() {
    let dir = folder(&run());
    train(dir.path(), &[]);
    let at_the_end = Page::read(&dir.path().join("runs/a/at-the-end.html"));
    let ran = sconce(dir.path(), &["report", "runs/a"]).ok();
    assert_eq!(ran.out, "report: runs/a/report.html\n");
    let page = Page::read(&dir.path().join("runs/a/report.html"));
    assert_eq!(page.all("h1"), ["a"]);
    assert_eq!(page.all("p.note"), Vec::<String>::new());
    for part in ["table.confusion", "section:first-of-type", ".curves", ".mistakes", "dl", "pre"] {
        assert_eq!(page.all(part), at_the_end.all(part), "{part}");
    }
    // The folder may be moved, and the model may go.
    std::fs::rename(dir.path().join("runs/a"), dir.path().join("moved")).unwrap();
    sconce(dir.path(), &["report", "moved", "--output", "moved.html"]).ok();
    let page = Page::read(&dir.path().join("moved.html"));
    assert_eq!(page.all("table.confusion"), at_the_end.all("table.confusion"));
    std::fs::remove_file(dir.path().join("moved/model.keras")).unwrap();
    sconce(dir.path(), &["report", "moved/history.json", "--output", "moved.html"]).ok();
    let page = Page::read(&dir.path().join("moved.html"));
    let notes = page.all("p.note");
    assert!(notes.len() == 1 && notes[0].starts_with("The model is not there"), "{notes:?}");
    // The schedule of the learning rate is the model's.
    assert_eq!(page.all(".curves figure"), at_the_end.all(".curves figure")[..2]);
}

/// The model reshapes rows of 64 values to images of 8x8.
#[test]
fn mistakes_on_images_are_shown_as_pictures() {
    let mut config = config();
    config["model"]["config"]["layers"] = json!([
        {"class_name": "InputLayer", "config": {"batch_shape": [null, 64]}},
        {"class_name": "Rescaling", "config": {"scale": 0.0625}},
        {"class_name": "Reshape", "config": {"target_shape": [8, 8, 1]}},
        {"class_name": "Flatten", "config": {}},
        {"class_name": "Dense", "config": {"units": 10}},
    ]);
    config["data"] = json!({"train": {"dataset": "digits", "split": "train"}});
    config["fit"] = json!({"epochs": 1, "batch_size": 64, "validation_split": 0.2});
    config["output"] = json!({"report": "report.html"});
    let dir = folder(&config);
    train(dir.path(), &[]);
    let page = Page::read(&dir.path().join("report.html"));
    let pictures = page.0.select(&Selector::parse(".mistakes img").unwrap()).count();
    assert!(pictures == 12 && page.all(".mistakes figure").len() == 12, "{pictures}");
    assert_eq!(page.rows("table.confusion").len(), 11);
}

#[test]
fn a_run_that_has_not_ended_is_shown_by_its_checkpoint() {
    let mut config = run();
    config["checkpoint"] = json!({"directory": "runs/a/checkpoints"});
    let dir = folder(&config);
    train(dir.path(), &[]);
    for file in ["history.json", "model.keras"] {
        std::fs::remove_file(dir.path().join("runs/a").join(file)).unwrap();
    }
    sconce(dir.path(), &["report", "runs/a"]).ok();
    let page = Page::read(&dir.path().join("runs/a/report.html"));
    let notes = page.all("p.note");
    assert!(notes[0].contains("has not ended") && notes[0].contains("step-000000009"), "{notes:?}");
    assert_eq!(page.rows("table")[1][0], "loss");
}

#[test]
fn what_is_no_run_is_refused() {
    let dir = folder(&run());
    train(dir.path(), &[]);
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let error = sconce(dir.path(), &["report", "empty"]).fails(2);
    assert!(error.contains("empty: holds no history and no whole checkpoint of a run"), "{error}");
    let error = sconce(dir.path(), &["report", "nowhere"]).fails(2);
    assert!(error.contains("nowhere: cannot be read"), "{error}");
    let error = sconce(dir.path(), &["report", "run.json"]).fails(1);
    assert!(error.contains("run.json: is no history"), "{error}");
    std::fs::copy(dir.path().join("runs/a/history.json"), dir.path().join("runs/a/b.json"))
        .unwrap();
    let error = sconce(dir.path(), &["report", "runs/a"]).fails(2);
    assert!(error.contains("histories of several runs (b.json, history.json)"), "{error}");
    // No output may replace another.
    let set = "output.report=runs/a/history.json";
    let error = sconce(dir.path(), &["train", "run.json", "--set", set]).fails(2);
    assert!(error.contains("`output.report`"), "{error}");
}

#[test]
fn a_report_survives_odd_names_and_a_regression() {
    let mut config = config();
    config["model"]["config"]["name"] = json!("<b>&\"m\"");
    config["model"]["config"]["layers"][2]["config"] = json!({"units": 1});
    config["compile"] = json!({"optimizer": "sgd", "loss": "mse"});
    config["data"] = json!({"train": {"dataset": "diabetes", "split": "train"}});
    config["model"]["config"]["layers"][0]["config"]["batch_shape"] = json!([null, 10]);
    config["fit"] = json!({"epochs": 1});
    config["output"] = json!({"report": "report.html"});
    let dir = folder(&config);
    train(dir.path(), &[]);
    let page = Page::read(&dir.path().join("report.html"));
    assert!(page.text().contains("Model <b>&\"m\""), "{}", page.text());
    assert!(page.all("table.confusion").is_empty());
}

#[test]
fn runs_are_compared() {
    let dir = folder(&run());
    train(dir.path(), &[]);
    let other = |key: &str, file: &str| format!("output.{key}=runs/b/{file}");
    let set = [
        other("model", "model.keras"),
        other("history", "history.json"),
        other("report", "report.html"),
        "compile.optimizer=adam".into(),
        "fit.epochs=4".into(),
        "model.config.layers[1].config.units=5".into(),
    ];
    train(dir.path(), &set.iter().map(String::as_str).collect::<Vec<_>>());
    let args = ["compare", "runs/a", "runs/b", "--output", "compare.html"];
    let out = sconce(dir.path(), &args).ok().out;
    let rows: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect())
        .collect();
    let row = |key: &str| {
        let found = rows.iter().find(|row| row.first().is_some_and(|cell| cell.trim() == key));
        let row = found.unwrap_or_else(|| panic!("{key} is in {out}"));
        row[1..].iter().map(|cell| cell.trim().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(row("fit.epochs"), ["3", "4"]);
    assert_eq!(row("model.config.layers[1].config.units"), ["8", "5"]);
    assert_eq!(row("compile.optimizer.class_name"), ["\"SGD\"", "\"Adam\""]);
    assert!(!out.contains("output.") && !out.contains("compile.loss"), "{out}");
    assert_eq!(row("epochs"), ["3", "4"]);
    let (a, b) =
        (history(dir.path(), "runs/a/history.json"), history(dir.path(), "runs/b/history.json"));
    assert_eq!(row("loss"), [short(&a["history"]["loss"][2]), short(&b["history"]["loss"][3])]);
    let last = short(&b["history"]["val_loss"][3]);
    assert_eq!(row("val_loss")[1], last);

    let page = Page::read(&dir.path().join("compare.html"));
    assert_eq!(page.rows("table")[0], ["", "a", "b"]);
    assert!(page.rows("section:last-of-type table").iter().any(|row| row[0] == "fit.epochs"));
    assert_eq!(page.all("figure").len(), 4);
    let args = ["compare", "runs/a", "runs/b", "--output", "compare.svg"];
    sconce(dir.path(), &args).ok();
    let svg = std::fs::read_to_string(dir.path().join("compare.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("val_accuracy"), "{svg}");
    let error =
        sconce(dir.path(), &["compare", "runs/a", "runs/b", "--output", "compare.pdf"]).fails(2);
    assert!(error.contains("must end in .html or .svg"), "{error}");
    let same = sconce(dir.path(), &["compare", "runs/a", "runs/a"]).ok().out;
    assert!(same.contains("The configurations are the same.") && same.contains("a (2)"), "{same}");
}

/// In a real browser, the width of a phone: nothing to complain of, and nothing to scroll sideways.
const PHONE: &str = r#"<body><iframe id="f" width="360" height="700" src="report.html"></iframe><script>
f.onload = () => {
    const page = f.contentDocument.documentElement;
    document.body.dataset.seen = page.scrollWidth <= 360 ? "fits" : `${page.scrollWidth} wide`;
    document.body.dataset.title = f.contentDocument.title;
};
</script></body>"#;

/// With `SCONCE_CHROMIUM`, the name of a Chromium.
#[test]
fn a_browser_shows_the_page_on_a_phone() {
    let Some(chromium) = std::env::var_os("SCONCE_CHROMIUM") else { return };
    let mut config = run();
    let name = "sparse_categorical_accuracy_with_a_name_that_is_longer_than_the_screen_of_a_phone";
    let metric = json!({"class_name": "SparseCategoricalAccuracy", "config": {"name": name}});
    config["compile"]["metrics"] = json!(["accuracy", metric]);
    config["model"]["config"]["layers"][1]["config"]["name"] = json!("long".repeat(30));
    let dir = folder(&config);
    train(dir.path(), &["output.report=report.html"]);
    let phone = dir.path().join("phone.html");
    std::fs::write(&phone, PHONE).unwrap();
    for scheme in ["0", "1"] {
        let output = std::process::Command::new(&chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
            .args(["--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
            .arg(format!("file://{}", phone.display()))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (page, said) = (text(&output.stdout), text(&output.stderr));
        assert!(page.contains(r#"data-seen="fits""#), "{page}\n{said}");
        assert!(page.contains(r#"data-title="run"#), "{page}");
        assert!(!said.contains("CONSOLE"), "{said}");
    }
}
