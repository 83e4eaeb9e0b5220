//! Keras's `.weights.h5`: an HDF5 file whose groups are the objects of a model and whose datasets are
//! their variables.
//!
//! Source: `H5IOStore` in Keras's `saving_lib.py`.

use crate::archive::{Place, allowance};
use crate::array::{byte_len, swap_bytes};
use crate::atomic::write_atomic;
use crate::h5_types::{datatype, element_of};
use crate::{Array, Element, NamedTensors};
use hdf5_pure::{
    AttrValue, Chunk, Dataset, DatasetBuilder, File, FileBuilder, FinishedGroup, Group,
    GroupBuilder, Layout, LibVer,
};
use sconce_core::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;

/// Nesting of groups that is read and written; models nest a few levels.
const MAX_DEPTH: usize = 64;

impl NamedTensors {
    /// Reads a `.weights.h5` file. Names that are numbers come in the order of the numbers, so that
    /// `vars/2` is before `vars/10`.
    pub fn read_h5(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
        Self::from_h5(bytes, &Place { file: path, member: None })
    }

    /// Reads the bytes of a `.weights.h5` file; `name` is what errors call it.
    pub fn from_h5_bytes(bytes: Vec<u8>, name: impl AsRef<Path>) -> Result<Self> {
        Self::from_h5(bytes, &Place { file: name.as_ref(), member: None })
    }

    /// Writes a `.weights.h5` file that Keras's `load_weights` reads; the old file stays until the new
    /// one is whole.
    pub fn write_h5(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let builder = self.h5_builder().map_err(|error| Error::file(path, error.to_string()))?;
        write_atomic(path, |sink| builder.finish_to(sink).map_err(io_error))
    }

    pub(crate) fn from_h5(bytes: Vec<u8>, place: &Place) -> Result<Self> {
        H5Contents::read(bytes, place).map(|contents| contents.tensors)
    }

    pub(crate) fn h5_builder(&self) -> Result<FileBuilder> {
        let mut root = Folder::default();
        for (path, name) in self.groups() {
            root.folder(path)?.name = name;
        }
        for (path, array) in self.iter() {
            let (parent, leaf) = path.rsplit_once('/').unwrap_or(("", path));
            root.folder(parent)?.arrays.push((leaf, array));
        }
        root.check("")?;
        let mut builder = FileBuilder::new();
        // The oldest format that can be written, for readers that are old themselves.
        builder.with_libver_bounds(LibVer::Earliest, LibVer::V18);
        for (name, folder) in &root.folders {
            let group = builder.create_group(name);
            builder.add_group(folder.finish(group)?);
        }
        for (name, array) in &root.arrays {
            describe(builder.create_dataset(name), array)?;
        }
        Ok(builder)
    }
}

/// What came out of writing HDF5, as an error of writing a file.
pub(crate) fn io_error(error: hdf5_pure::Error) -> io::Error {
    match error {
        hdf5_pure::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// The bytes that every HDF5 file starts with.
pub(crate) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// What an HDF5 file holds.
pub(crate) struct H5Contents {
    pub(crate) tensors: NamedTensors,
    /// Attributes of groups, by group and name; `None` where they are no strings.
    attributes: HashMap<(String, String), Option<Vec<String>>>,
}

impl H5Contents {
    pub(crate) fn read(bytes: Vec<u8>, place: &Place) -> Result<Self> {
        // The last resort: the checks here and in the parser leave no known way to a panic, but the
        // parser is large and the file is anybody's.
        std::panic::catch_unwind(AssertUnwindSafe(|| Reader::read(bytes, place))).unwrap_or_else(
            |_| {
                Err(place.error(
                    "is damaged in a way that the HDF5 reader was not made for; it is refused",
                ))
            },
        )
    }

    /// The string that a group ("" for the root) has as an attribute.
    pub(crate) fn text(&self, group: &str, attribute: &str) -> Option<&str> {
        match self.texts(group, attribute)? {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The strings that a group has as an attribute.
    pub(crate) fn texts(&self, group: &str, attribute: &str) -> Option<&[String]> {
        self.attribute(group, attribute)?.as_deref()
    }

    /// Whether a group has the attribute, of whatever type.
    pub(crate) fn has_attribute(&self, group: &str, attribute: &str) -> bool {
        self.attribute(group, attribute).is_some()
    }

    fn attribute(&self, group: &str, attribute: &str) -> Option<&Option<Vec<String>>> {
        self.attributes.get(&(group.to_string(), attribute.to_string()))
    }
}

struct Reader<'a> {
    place: &'a Place<'a>,
    tensors: NamedTensors,
    attributes: HashMap<(String, String), Option<Vec<String>>>,
    objects_left: u64,
    bytes_left: u64,
}

impl<'a> Reader<'a> {
    fn read(bytes: Vec<u8>, place: &'a Place<'a>) -> Result<H5Contents> {
        let size = bytes.len() as u64;
        let mut reader = Self {
            place,
            tensors: NamedTensors::new(),
            attributes: HashMap::new(),
            // A group takes more than this, so only a cycle of links can have more objects.
            objects_left: size / 32 + 64,
            bytes_left: allowance(size),
        };
        let file = File::from_bytes(bytes)
            .map_err(|error| place.error(format!("is not a whole HDF5 file: {error}")))?;
        reader.group(&file.root(), "", 0)?;
        Ok(H5Contents { tensors: reader.tensors, attributes: reader.attributes })
    }

    fn error(&self, path: &str, message: impl std::fmt::Display) -> Error {
        let at = if path.is_empty() { "the root group".to_string() } else { format!("`{path}`") };
        self.place.error(format!("{at}: {message}"))
    }

    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(self.error(path, format!("groups are nested more than {MAX_DEPTH} deep")));
        }
        let join = |name: &str| match path {
            "" => name.to_string(),
            _ => format!("{path}/{name}"),
        };
        let broken = |error| self.error(path, format!("the group is damaged: {error}"));
        let attributes = group.attrs().map_err(broken)?;
        let mut groups: Vec<_> = group.iter_groups().map_err(broken)?.collect();
        let mut datasets: Vec<_> = group.iter_datasets().map_err(broken)?.collect();
        let count = (groups.len() + datasets.len()) as u64;
        self.objects_left = self.objects_left.checked_sub(count).ok_or_else(|| {
            self.error(
                path,
                "there are more objects than a file of this size can hold (a cycle of links?)",
            )
        })?;
        groups.sort_by(|a, b| natural(&a.0, &b.0));
        datasets.sort_by(|a, b| natural(&a.0, &b.0));

        let name = attributes.get("name").and_then(AttrValue::as_str);
        if !path.is_empty() && (name.is_some() || count == 0) {
            self.tensors.insert_group(path, name).map_err(|e| self.error(path, e))?;
        }
        for (key, value) in &attributes {
            let texts = value.as_strings().map(<[String]>::to_vec);
            self.attributes.insert((path.to_string(), key.clone()), texts);
        }
        for (name, dataset) in &datasets {
            let path = join(name);
            let array = self.dataset(dataset, &path)?;
            self.tensors.insert(path.as_str(), array).map_err(|e| self.error(&path, e))?;
        }
        for (name, group) in &groups {
            self.group(group, &join(name), depth + 1)?;
        }
        Ok(())
    }

    fn dataset(&mut self, dataset: &Dataset, path: &str) -> Result<Array> {
        let broken = |error| self.error(path, format!("the dataset is damaged: {error}"));
        let datatype = dataset.datatype().map_err(broken)?;
        let (element, swapped) = element_of(&datatype, dataset).ok_or_else(|| {
            let known = Element::ALL.map(Element::name).join(", ");
            self.error(path, format!("its type is {datatype}; supported are {known}"))
        })?;
        let shape = dataset.shape().map_err(broken)?;
        let axes: Option<Vec<usize>> =
            shape.iter().map(|axis| usize::try_from(*axis).ok()).collect();
        let wanted = axes.as_deref().and_then(|axes| byte_len(element, axes));
        let left = wanted.and_then(|wanted| self.bytes_left.checked_sub(wanted as u64));
        let (Some(axes), Some(left)) = (axes, left) else {
            return Err(self.error(
                path,
                format!(
                    "its shape {shape:?} of {element} announces more data than a file of this size can \
                     hold; it is refused"
                ),
            ));
        };
        self.check_chunks(dataset, element, &shape).map_err(|error| self.error(path, error))?;
        let bytes = dataset.read_raw().map_err(broken)?;
        self.bytes_left = left;
        let bytes = if swapped { swap_bytes(element.size(), bytes) } else { bytes };
        Array::new(element, &axes, bytes).map_err(|error| self.error(path, error))
    }

    /// Keras's own datasets are in one piece; others may be in chunks, whose places and sizes the
    /// parser takes on trust.
    fn check_chunks(
        &self,
        dataset: &Dataset,
        element: Element,
        shape: &[u64],
    ) -> Result<(), String> {
        let layout = dataset.layout().map_err(|error| error.to_string())?;
        let Layout::Chunked { chunk_shape, .. } = layout else { return Ok(()) };
        let chunks = dataset.chunks().map_err(|error| error.to_string())?;
        let outside = |chunk: &Chunk| {
            chunk.offset.len() != shape.len()
                || chunk.offset.iter().zip(shape).any(|(at, end)| at >= end)
        };
        if chunks.iter().any(outside) {
            return Err(format!(
                "the dataset is damaged: a chunk lies outside its shape {shape:?}"
            ));
        }
        let one =
            chunk_shape.iter().try_fold(element.size() as u64, |n, axis| n.checked_mul(*axis));
        match one.and_then(|one| one.checked_mul(chunks.len() as u64)) {
            Some(all) if all <= self.bytes_left => Ok(()),
            _ => Err(format!(
                "its {} chunks of shape {chunk_shape:?} announce more data than a file of this size can \
                 hold; it is refused",
                chunks.len()
            )),
        }
    }
}

/// "2" before "10"; everything else by its characters.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(x), Ok(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
        _ => a.cmp(b),
    }
}

/// Groups and arrays of a file to be written, as a tree.
#[derive(Default)]
struct Folder<'a> {
    name: Option<&'a str>,
    folders: BTreeMap<&'a str, Folder<'a>>,
    arrays: Vec<(&'a str, &'a Array)>,
}

impl<'a> Folder<'a> {
    fn folder(&mut self, path: &'a str) -> Result<&mut Folder<'a>> {
        if path.split('/').count() > MAX_DEPTH {
            return Err(Error::data(format!("`{path}` is nested more than {MAX_DEPTH} deep")));
        }
        let names = path.split('/').filter(|name| !name.is_empty());
        Ok(names.fold(self, |folder, name| folder.folders.entry(name).or_default()))
    }

    fn check(&self, path: &str) -> Result<()> {
        for (name, _) in &self.arrays {
            if self.folders.contains_key(name) {
                return Err(Error::data(format!("`{path}{name}` is both an array and a group")));
            }
        }
        self.folders.iter().try_for_each(|(name, folder)| folder.check(&format!("{path}{name}/")))
    }

    fn finish(&self, mut group: GroupBuilder) -> Result<FinishedGroup> {
        if let Some(name) = self.name {
            group.set_attr("name", AttrValue::VarLenString(name.to_string()));
        }
        for (name, folder) in &self.folders {
            let child = group.create_group(name);
            group.add_group(folder.finish(child)?);
        }
        for (name, array) in &self.arrays {
            describe(group.create_dataset(name), array)?;
        }
        Ok(group.finish())
    }
}

fn describe(dataset: &mut DatasetBuilder, array: &Array) -> Result<()> {
    let shape: Vec<u64> = array.shape().iter().map(|axis| *axis as u64).collect();
    let datatype = datatype(array.element())?;
    let count = shape.iter().product();
    dataset.with_raw_data(datatype, array.bytes().to_vec(), count).with_shape(&shape);
    if array.element() == Element::Bfloat16 {
        dataset.set_attr("dtype", AttrValue::VarLenString(Element::Bfloat16.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(element: Element, shape: &[usize]) -> Array {
        let len = byte_len(element, shape).unwrap();
        Array::new(element, shape, (0..len).map(|b| (b % 2) as u8).collect()).unwrap()
    }

    fn round_trip(tensors: &NamedTensors) -> NamedTensors {
        let bytes = tensors.h5_builder().unwrap().finish().unwrap();
        NamedTensors::from_h5(bytes, &Place { file: Path::new("w.weights.h5"), member: None })
            .unwrap()
    }

    #[test]
    fn every_type_and_rank_comes_back() {
        let mut tensors = NamedTensors::new();
        let shapes: [&[usize]; 4] = [&[], &[3], &[2, 2], &[2, 0, 1]];
        for element in Element::ALL {
            for (i, shape) in shapes.iter().enumerate() {
                tensors.insert(format!("{element}/vars/{i}"), array(element, shape)).unwrap();
            }
        }
        tensors.insert_group("layers/dropout/vars", Some("dröpout")).unwrap();
        tensors.insert_group("layers/none", None).unwrap();
        let back = round_trip(&tensors);
        assert_eq!(back.len(), tensors.len());
        for (path, array) in tensors.iter() {
            assert_eq!(back.get(path), Some(array), "{path}");
        }
        let groups: Vec<_> = back.groups().collect();
        assert_eq!(groups, [("layers/dropout/vars", Some("dröpout")), ("layers/none", None)]);
    }

    #[test]
    fn many_variables_of_one_object_come_back_in_order() {
        let mut tensors = NamedTensors::new();
        for i in 0..3000 {
            tensors.insert(format!("optimizer/vars/{i}"), array(Element::Float32, &[2])).unwrap();
        }
        let back = round_trip(&tensors);
        assert_eq!(back.numbered("optimizer/vars").len(), 3000);
        assert!(back.iter().map(|(path, _)| path).eq(tensors.iter().map(|(path, _)| path)));
    }

    #[test]
    fn nothing_at_all_is_a_file_too() {
        assert_eq!(round_trip(&NamedTensors::new()), NamedTensors::new());
    }

    #[test]
    fn an_array_cannot_be_a_group() {
        let mut tensors = NamedTensors::new();
        tensors.insert("a/b", array(Element::Uint8, &[])).unwrap();
        tensors.insert("a/b/c", array(Element::Uint8, &[])).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let error = tensors.write_h5(dir.path().join("w.weights.h5")).unwrap_err().to_string();
        assert!(error.contains("w.weights.h5: `a/b` is both an array and a group"), "{error}");
    }

    #[test]
    fn too_deep_is_refused() {
        let mut tensors = NamedTensors::new();
        tensors.insert(vec!["g"; 5000].join("/"), array(Element::Uint8, &[])).unwrap();
        let error = tensors.h5_builder().err().unwrap().to_string();
        assert!(error.contains("more than 64 deep"), "{error}");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let mut tensors = NamedTensors::new();
        tensors.insert("vars/0", array(Element::Float32, &[4])).unwrap();
        let bytes = tensors.h5_builder().unwrap().finish().unwrap();
        let place = Place { file: Path::new("m.keras"), member: Some("model.weights.h5") };
        for len in 0..bytes.len() {
            let error =
                NamedTensors::from_h5(bytes[..len].to_vec(), &place).unwrap_err().to_string();
            assert!(error.starts_with("m.keras: `model.weights.h5`: "), "{error}");
        }
    }
}
