//! Handwritten digits: 1,797 images of 8 x 8 pixels from 0 to 16, row by row, and the digit. The test
//! part of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
//! Learning Repository (1998).

use super::{Table, Target};

const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

pub(super) fn load() -> Table {
    let (images, _) = include_bytes!("files/digits.bin").as_chunks::<41>();
    let mut x = Vec::with_capacity(64 * images.len());
    let mut y = Vec::with_capacity(images.len());
    for [pixels @ .., digit] in images {
        // Eight pixels of five bits fill five bytes.
        for [a, b, c, d, e] in pixels.as_chunks::<5>().0 {
            let bits = u64::from_le_bytes([*a, *b, *c, *d, *e, 0, 0, 0]);
            x.extend((0..8).map(|i| (bits >> (5 * i) & 31) as f32));
        }
        y.push(i64::from(*digit));
    }
    Table { x, features: 64, target: Target::Classes(y, &NAMES) }
}
