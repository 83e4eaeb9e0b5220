//! Breast Cancer Wisconsin (Diagnostic): 569 tumours, 30 measures of their cells' nuclei (mean,
//! standard error and worst of ten), malignant (0) or benign (1). W. N. Street, W. H. Wolberg,
//! O. L. Mangasarian, "Nuclear feature extraction for breast tumor diagnosis" (1993).

use super::{Table, table};

const DECIMALS: [u32; 31] =
    [3, 2, 2, 1, 5, 5, 7, 6, 4, 5, 4, 4, 4, 3, 6, 6, 7, 6, 6, 7, 3, 2, 2, 1, 5, 5, 6, 6, 4, 5, 0];

pub(super) fn load() -> Table {
    let names = &["malignant", "benign"];
    table::classes(include_bytes!("files/breast_cancer.bin"), &DECIMALS, names)
}
