//! A Python with Keras, which tests let open what Sconce writes.

use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;

/// A Python with Keras on JAX and h5py: the one that the environment variable `SCONCE_PYTHON` names,
/// or else `python3`. `None` if there is none; then one line on stderr, which tests do not capture,
/// says what is not proved. It is looked for once in a process.
///
/// # Panics
/// If `SCONCE_PYTHON` is set and does not work.
pub fn python() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND.get_or_init(|| find(std::env::var("SCONCE_PYTHON").ok())).as_deref()
}

fn find(named: Option<String>) -> Option<String> {
    let python = named.clone().unwrap_or("python3".to_string());
    let import = ["-c", "import keras, h5py, jax"];
    let ran = Command::new(&python).env("KERAS_BACKEND", "jax").args(import).output();
    let works = ran.is_ok_and(|output| output.status.success());
    assert!(works || named.is_none(), "SCONCE_PYTHON: `{python} {}` fails", import.join(" "));
    if !works {
        // `eprintln` would be captured.
        let _ = writeln!(
            std::io::stderr(),
            "not proved: that Keras opens what Sconce writes, since there is no Python with Keras; \
             name one with SCONCE_PYTHON"
        );
    }
    works.then_some(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "SCONCE_PYTHON: `no-such-python -c import keras, h5py, jax` fails")]
    fn one_that_is_named_must_work() {
        find(Some("no-such-python".to_string()));
    }
}
