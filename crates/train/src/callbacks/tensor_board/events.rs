//! TensorBoard's event files: TFRecords of protocol buffers.
//!
//! Source: `event.proto`, `summary.proto` and `tensor.proto` of TensorFlow, `plugin_data.proto` of TensorBoard's
//! hparams plugin, and
//! <https://www.tensorflow.org/tutorials/load_data/tfrecord> for the records. Of the messages only the
//! few fields that are needed are written, each by its number.

use sconce_core::{Error, Json, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers of `DataType`.
const DT_FLOAT: u64 = 1;
const DT_DOUBLE: u64 = 2;
const DT_STRING: u64 = 7;

/// One event file of one run.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// A new one in a folder: a run that goes on adds one, and TensorBoard shows all of them.
    pub fn create(folder: &Path) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "events.out.tfevents.{:010}.sconce.{}.{count}.v2",
            now().as_secs(),
            std::process::id()
        );
        let path = folder.join(name);
        let made = fs::create_dir_all(folder).and_then(|()| File::create_new(&path));
        let file = made.map_err(|e| Error::file(&path, format!("cannot be written: {e}")))?;
        let mut file = Self { path, file: BufWriter::new(file) };
        let mut event = Message::new();
        event.double(1, now().as_secs_f64());
        event.bytes(3, b"brain.Event:2");
        file.record(&event.0)?;
        Ok(file)
    }

    /// A value at a step.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        let mut tensor = tensor(DT_FLOAT, &[]);
        tensor.bytes(4, &(value as f32).to_le_bytes());
        self.summary(tag, "scalars", b"", step, &tensor)
    }

    /// Markdown.
    pub fn text(&mut self, tag: &str, text: &str) -> Result<()> {
        let mut tensor = tensor(DT_STRING, &[1]);
        tensor.bytes(8, text.as_bytes());
        self.summary(tag, "text", b"", 0, &tensor)
    }

    /// Keras's JSON of a model.
    pub fn graph(&mut self, tag: &str, json: &str) -> Result<()> {
        let mut tensor = tensor(DT_STRING, &[]);
        tensor.bytes(8, json.as_bytes());
        self.summary(tag, "graph_keras_model", b"1", 0, &tensor)
    }

    /// How values are distributed.
    pub fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<()> {
        let mut tensor = tensor(DT_DOUBLE, &[histogram.buckets.len() as u64, 3]);
        let values = histogram.buckets.iter().flatten();
        let content: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        tensor.bytes(4, &content);
        self.summary(tag, "histograms", b"", step, &tensor)
    }

    /// The hyperparameters of a run, for the plugin `hparams` (its `plugin_data.proto`): numbers, texts and
    /// flags; others are left out.
    pub fn session_start(&mut self, values: &[(String, Json)]) -> Result<()> {
        let mut info = Message::new();
        for (name, value) in values {
            let mut any = Message::new();
            match value {
                Json::Number(number) => any.double(2, number.as_f64().unwrap_or(f64::NAN)),
                Json::String(text) => any.bytes(3, text.as_bytes()),
                Json::Bool(flag) => any.number(4, u64::from(*flag)),
                _ => continue,
            }
            let mut entry = Message::new();
            entry.bytes(1, name.as_bytes());
            entry.bytes(2, &any.0);
            info.bytes(1, &entry.0);
        }
        info.double(5, now().as_secs_f64());
        self.session("_hparams_/session_start_info", 3, &info)
    }

    /// How the run with these hyperparameters ended.
    pub fn session_end(&mut self, succeeded: bool) -> Result<()> {
        let mut info = Message::new();
        info.number(1, if succeeded { 1 } else { 2 });
        info.double(2, now().as_secs_f64());
        self.session("_hparams_/session_end_info", 4, &info)
    }

    fn session(&mut self, tag: &str, field: u64, info: &Message) -> Result<()> {
        let mut data = Message::new();
        data.bytes(field, &info.0);
        self.summary(tag, "hparams", &data.0, 0, &tensor(DT_FLOAT, &[0]))
    }

    fn summary(
        &mut self,
        tag: &str,
        plugin: &str,
        content: &[u8],
        step: u64,
        tensor: &Message,
    ) -> Result<()> {
        let mut plugin_data = Message::new();
        plugin_data.bytes(1, plugin.as_bytes());
        plugin_data.bytes(2, content);
        let mut metadata = Message::new();
        metadata.bytes(1, &plugin_data.0);
        let mut value = Message::new();
        value.bytes(1, tag.as_bytes());
        value.bytes(8, &tensor.0);
        value.bytes(9, &metadata.0);
        let mut summary = Message::new();
        summary.bytes(1, &value.0);
        let mut event = Message::new();
        event.double(1, now().as_secs_f64());
        event.number(2, step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let parts: [&[u8]; 4] =
            [&length, &masked(&length).to_le_bytes(), data, &masked(data).to_le_bytes()];
        let written = parts.iter().try_for_each(|part| self.file.write_all(part));
        written.map_err(|e| Error::file(&self.path, format!("cannot be written: {e}")))
    }

    /// Lets readers see everything that was written.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.file.flush();
        flushed.map_err(|e| Error::file(&self.path, format!("cannot be written: {e}")))
    }
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Buckets `[from, to, count]` of values.
pub(super) struct Histogram {
    buckets: Vec<[f64; 3]>,
}

impl Histogram {
    /// 30 buckets of one width from the least to the greatest value, as TensorFlow's default; values
    /// that are not finite are left out.
    pub fn of(values: &[f64]) -> Self {
        const BUCKETS: usize = 30;
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (least, most) = finite()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        if least > most {
            return Self { buckets: Vec::new() };
        }
        if least == most {
            // As TensorFlow: one bucket around it.
            return Self { buckets: vec![[least - 0.5, most + 0.5, finite().count() as f64]] };
        }
        let width = (most - least) / BUCKETS as f64;
        let mut buckets: Vec<[f64; 3]> = (0..BUCKETS)
            .map(|i| [least + width * i as f64, least + width * (i + 1) as f64, 0.0])
            .collect();
        for value in finite() {
            let at = (((value - least) / width) as usize).min(BUCKETS - 1);
            buckets[at][2] += 1.0;
        }
        Self { buckets }
    }
}

/// A `TensorProto` without values.
fn tensor(dtype: u64, shape: &[u64]) -> Message {
    let mut dims = Message::new();
    for size in shape {
        let mut dim = Message::new();
        dim.number(1, *size);
        dims.bytes(2, &dim.0);
    }
    let mut tensor = Message::new();
    tensor.number(1, dtype);
    tensor.bytes(2, &dims.0);
    tensor
}

/// A protocol buffer being written.
struct Message(Vec<u8>);

impl Message {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

/// The checksum of a record: CRC-32C, rotated and shifted.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut value, mut bit) = (byte as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    let step = |sum: u32, byte: &u8| sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)];
    !data.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4, and the usual check value.
    #[test]
    fn checksums_are_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn every_finite_value_is_in_a_bucket() {
        let values = [-1.0, 0.0, 0.5, 2.0, f64::NAN, f64::INFINITY];
        let of = |values: &[f64]| Histogram::of(values).buckets;
        let buckets = of(&values);
        assert_eq!((buckets.len(), buckets[0][0], buckets[29][1]), (30, -1.0, 2.0));
        assert_eq!(buckets.iter().map(|bucket| bucket[2]).sum::<f64>(), 4.0);
        assert_eq!((buckets[0][2], buckets[29][2]), (1.0, 1.0));
        assert_eq!(of(&[3.0, 3.0]), [[2.5, 3.5, 2.0]]);
        assert_eq!(of(&[f64::NAN]), Vec::<[f64; 3]>::new());
    }
}
