//! What several targets need.

use libfuzzer_sys::fuzzer_mutate;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A file of these bytes; one for each process and name, written over by the next input.
#[allow(dead_code)] // Each target takes what it needs.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sconce-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

/// Changes one member of a zip archive, whose checksum would hide every change of it, and stores all of
/// them anew; changes bytes as they are where there is no archive, and now and then where there is one.
#[allow(dead_code)]
pub fn mutate_archive(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let changed = match seed % 8 {
        0 => None,
        _ => with_a_changed_member(&data[..size], max_size, seed as usize / 8),
    };
    match changed {
        Some(bytes) if bytes.len() <= max_size => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
}

fn with_a_changed_member(bytes: &[u8], max_size: usize, seed: usize) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let chosen = seed.checked_rem(archive.len())?;
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let member = archive.by_index(index).ok()?;
        let name = member.name().ok()?.to_string();
        let mut content = Vec::new();
        member.take(max_size as u64).read_to_end(&mut content).ok()?;
        if index == chosen {
            let len = content.len();
            content.resize((len + len / 4 + 64).min(max_size), 0);
            let room = content.len();
            let len = fuzzer_mutate(&mut content, len.min(room), room);
            content.truncate(len);
        }
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        out.start_file(name, stored).ok()?;
        out.write_all(&content).ok()?;
    }
    Some(out.finish().ok()?.into_inner())
}
