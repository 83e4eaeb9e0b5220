//! Files that cannot be used: the message says which file, which part, and what is wrong with it.
#![allow(clippy::unwrap_used, clippy::panic)]

use sconce_saving::{KerasArchive, NamedTensors};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saving").join(name)
}

fn zipped(method: CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn stored(members: &[(&str, &[u8])]) -> Vec<u8> {
    zipped(CompressionMethod::Stored, members)
}

fn error(bytes: &[u8]) -> String {
    let error = KerasArchive::from_bytes(bytes, "m.keras").unwrap_err().to_string();
    assert!(error.starts_with("m.keras: "), "{error}");
    error
}

/// All occurrences of `from` become `to`, of the same length.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|i| bytes[*i..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn weights() -> Vec<u8> {
    std::fs::read(golden("float32.weights.h5")).unwrap()
}

#[test]
fn other_kinds_of_files_are_recognised() {
    let message = error(&weights());
    assert!(
        message.contains("is an HDF5 file") && message.contains("`ModelFile` reads both"),
        "{message}"
    );
    for bytes in [&b""[..], b"PK", b"{\"class_name\": \"Sequential\"}"] {
        let message = error(bytes);
        assert!(message.contains("is not a whole .keras archive"), "{message}");
    }
    let message = KerasArchive::read(golden("")).unwrap_err().to_string();
    assert!(message.contains("is a folder"), "{message}");
    let message = KerasArchive::read("no/such.keras").unwrap_err().to_string();
    assert!(message.starts_with("no/such.keras: cannot be read"), "{message}");
    let message = NamedTensors::from_h5_bytes(b"PK\x03\x04".to_vec(), "w").unwrap_err().to_string();
    assert!(message.starts_with("w: is not a whole HDF5 file"), "{message}");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = std::fs::read(golden("uncompiled.keras")).unwrap();
    for len in (0..bytes.len()).step_by(7) {
        let message = error(&bytes[..len]);
        assert!(message.contains("is not a whole .keras archive"), "{message}");
    }
}

#[test]
fn missing_members_are_named_beside_those_there_are() {
    let message = error(&stored(&[("model/config.json", b"{}"), ("model.weights.h5", &weights())]));
    assert!(message.contains("holds no `config.json`"), "{message}");
    assert!(message.contains("`model/config.json`, `model.weights.h5`"), "{message}");
    let message = error(&stored(&[("config.json", b"{}"), ("model.weights.npz", b"")]));
    assert!(message.contains("holds no `model.weights.h5`"), "{message}");
    assert!(message.contains("`model.weights.npz`"), "{message}");
    assert!(error(&stored(&[])).contains("found nothing"));
}

#[test]
fn metadata_may_be_missing_as_for_keras() {
    let bytes = stored(&[("config.json", b"{}"), ("model.weights.h5", &weights())]);
    let archive = KerasArchive::from_bytes(&bytes, "m.keras").unwrap();
    assert_eq!(archive.metadata, serde_json::json!({}));
}

#[test]
fn two_members_of_one_name_are_refused() {
    let bytes =
        stored(&[("config.json", b"{}"), ("config.jsox", b"[]"), ("model.weights.h5", &weights())]);
    let message = error(&replaced(bytes, b"config.jsox", b"config.json"));
    assert!(message.contains("same name") || message.contains("uplicate"), "{message}");
}

#[test]
fn bad_json_is_shown() {
    let config = |text: &str| error(&stored(&[("config.json", text.as_bytes())]));
    let message = config(r#"{"class_name": "Sequential", "config": {"layers": [}}"#);
    assert!(message.contains("m.keras: `config.json`: is not JSON"), "{message}");
    assert!(message.contains(r#""layers": [}}"#), "{message}");
    let message = config(r#"{"max_value": NaN}"#);
    assert!(message.contains("no number this way"), "{message}");
    let deep = "[".repeat(100_000);
    assert!(config(&deep).contains("recursion limit"));
    let message = error(&stored(&[("config.json", b"{\"name\": \"\xff\"}")]));
    assert!(message.contains("is not JSON"), "{message}");
}

#[test]
fn a_decompression_bomb_is_refused() {
    let blank = vec![b' '; 33 << 20];
    let bytes = zipped(CompressionMethod::Deflated, &[("config.json", &blank)]);
    assert!(bytes.len() < 100_000);
    let message = error(&bytes);
    assert!(message.contains("`config.json`: unpacks to 34603008 bytes"), "{message}");
    assert!(message.contains("decompression bomb"), "{message}");
}

/// Members that are each within the file's allowance are not all of them together.
#[test]
fn what_members_unpack_to_adds_up() {
    let blank = vec![b' '; 30 << 20];
    let mut config = blank.clone();
    config.extend(b"{}");
    // The claim of a member of 240 MiB, which the allowance of 256 MiB has room for on its own.
    let (held, claim) = (1000u32, 240u32 << 20);
    let weights = vec![0u8; held as usize];
    let claimed = |members: &[(&str, &[u8])]| {
        let bytes = zipped(CompressionMethod::Deflated, members);
        error(&replaced(bytes, &held.to_le_bytes(), &claim.to_le_bytes()))
    };
    let alone = claimed(&[("config.json", b"{}"), ("model.weights.h5", &weights)]);
    assert!(!alone.contains("decompression bomb"), "{alone}");
    let both = claimed(&[("config.json", &config), ("model.weights.h5", &weights)]);
    assert!(both.contains("`model.weights.h5`: unpacks to 251658240 bytes"), "{both}");
    assert!(both.contains("decompression bomb"), "{both}");
}

#[test]
fn declared_sizes_are_not_believed() {
    let contents = vec![b' '; 1000];
    let bytes = zipped(CompressionMethod::Deflated, &[("config.json", &contents)]);
    for claim in [999u32, 1001, 20_000_000, u32::MAX - 1] {
        let bytes = replaced(bytes.clone(), &1000u32.to_le_bytes(), &claim.to_le_bytes());
        let message = error(&bytes);
        assert!(
            message.contains("`config.json`: ") || message.contains("not a whole"),
            "{message}"
        );
    }
}

#[test]
fn a_wrong_checksum_is_found() {
    let bytes =
        stored(&[("config.json", b"{\"name\": \"model\"}"), ("model.weights.h5", &weights())]);
    let message = error(&replaced(bytes, b"\"model\"", b"\"modem\""));
    assert!(
        message.contains("`config.json`: is damaged") && message.contains("checksum"),
        "{message}"
    );
}

#[test]
fn a_shape_that_the_file_cannot_hold_is_refused() {
    let axes =
        |axes: [u64; 2]| -> Vec<u8> { axes.iter().flat_map(|axis| axis.to_le_bytes()).collect() };
    for huge in [[1 << 40, 3], [u64::MAX, u64::MAX], [1 << 30, 1 << 33]] {
        let bytes = replaced(weights(), &axes([4, 3]), &axes(huge));
        let message = NamedTensors::from_h5_bytes(bytes, "w").unwrap_err().to_string();
        assert!(message.starts_with("w: `layers/dense/vars/0`: its shape"), "{message}");
        assert!(message.contains("announces more data"), "{message}");
    }
}

#[test]
fn a_chunk_outside_its_dataset_is_refused() {
    let numbers =
        |numbers: [u64; 3]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let bytes = std::fs::read(golden("types.h5")).unwrap();
    let bytes = replaced(bytes, &numbers([7, 2, 0]), &numbers([7, 1 << 62, 0]));
    let message = NamedTensors::from_h5_bytes(bytes, "w").unwrap_err().to_string();
    assert!(
        message.contains("`storage/gzip`: ") && message.contains("outside its shape"),
        "{message}"
    );
}

#[test]
fn links_lead_neither_out_of_the_file_nor_round_in_it() {
    let message = NamedTensors::read_h5(golden("links.h5")).unwrap_err().to_string();
    assert!(message.contains("links.h5: `a/cycle/a/cycle"), "{message}");
    assert!(message.contains("deep") || message.contains("cycle of links"), "{message}");
}

#[test]
fn a_type_that_is_no_number_is_named() {
    let mut builder = hdf5_pure::FileBuilder::new();
    builder.create_dataset("names").with_vlen_strings(&["a"]);
    let message =
        NamedTensors::from_h5_bytes(builder.finish().unwrap(), "w").unwrap_err().to_string();
    assert!(
        message.contains("w: `names`: its type is ") && message.contains("bfloat16"),
        "{message}"
    );
}
