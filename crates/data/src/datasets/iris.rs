//! Iris: 150 flowers, 4 lengths in cm (sepal length and width, petal length and width), 3 species.
//! R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7
//! (1936).

use super::{Table, table};

const DECIMALS: [u32; 5] = [1, 1, 1, 1, 0];

pub(super) fn load() -> Table {
    let names = &["setosa", "versicolor", "virginica"];
    table::classes(include_bytes!("files/iris.bin"), &DECIMALS, names)
}
