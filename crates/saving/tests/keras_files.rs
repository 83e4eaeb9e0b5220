//! Files that Keras made: what is read, and that what is written again has the same structure and is
//! opened by Keras itself where Python and Keras are installed.
#![allow(clippy::unwrap_used, clippy::panic)]

use sconce_core::{Device, Tensor};
use sconce_saving::{Array, Element, KERAS_VERSION, KerasArchive, NamedTensors};
use sconce_testkit::python;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

const ARCHIVES: [&str; 6] =
    ["uncompiled", "float32", "float16", "bfloat16", "mixed_float16", "nested"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saving").join(name)
}

fn archive(name: &str) -> KerasArchive {
    KerasArchive::read(golden(&format!("{name}.keras"))).unwrap()
}

fn values(array: &Array) -> Vec<f64> {
    let tensor = array.to_tensor(&Device::Cpu).unwrap().flatten_all().unwrap();
    tensor.to_dtype(sconce_core::DType::F64).unwrap().to_vec1().unwrap()
}

#[test]
fn every_part_of_an_archive_is_read() {
    let archive = archive("float32");
    assert_eq!(archive.config["class_name"], "Sequential");
    assert_eq!(archive.config["compile_config"]["optimizer"]["class_name"], "Adam");
    assert_eq!(archive.metadata["keras_version"], KERAS_VERSION);

    let weights = &archive.weights;
    let kernel = weights.get("layers/dense/vars/0").unwrap();
    assert_eq!((kernel.element(), kernel.shape()), (Element::Float32, &[4, 3][..]));
    assert_eq!(weights.get("layers/dense_1/vars/1").unwrap().shape(), [2]);
    let optimizer = weights.numbered("optimizer/vars");
    assert_eq!(optimizer.len(), 2 + 2 * 4);
    // Two epochs of two batches.
    assert_eq!((optimizer[0].element(), optimizer[0].scalar().unwrap()), (Element::Int32, 4.));
    assert_eq!(optimizer[1].element(), Element::Float32);
    assert!((optimizer[1].scalar().unwrap() - 0.001).abs() < 1e-9);

    // Keras names groups after objects, also groups without a variable.
    let groups: BTreeMap<_, _> = weights.groups().collect();
    let expected = [
        ("layers/dense/vars", Some("dense")),
        ("layers/dense_1/vars", Some("head")),
        ("layers/dropout/vars", Some("dropout")),
        ("optimizer/vars", Some("adam")),
        ("vars", Some("sequential")),
    ];
    assert_eq!(groups, BTreeMap::from(expected));
}

#[test]
fn element_types_are_kept() {
    for (name, element) in [
        ("float16", Element::Float16),
        ("bfloat16", Element::Bfloat16),
        ("mixed_float16", Element::Float32),
    ] {
        let weights = archive(name).weights;
        assert_eq!(weights.get("layers/dense/vars/0").unwrap().element(), element, "{name}");
    }
    // Keras writes the variables of a wrapped optimizer twice: with the wrapper's, and by themselves.
    let weights = archive("mixed_float16").weights;
    let (outer, inner) = ("optimizer/vars", "optimizer/inner_optimizer/vars");
    let (outer, inner) = (weights.numbered(outer), weights.numbered(inner));
    assert_eq!((outer.len(), inner.len()), (14, 10));
    assert_eq!(outer[4..], inner);
}

#[test]
fn values_are_those_h5py_wrote() {
    let types = NamedTensors::read_h5(golden("types.h5")).unwrap();
    for element in Element::ALL.into_iter().filter(|e| *e != Element::Bfloat16) {
        let get = |form: &str| types.get(&format!("{element}/{form}"));
        let expected: Vec<f64> =
            (0..6).map(|i| f64::from(if element == Element::Bool { i % 2 } else { i })).collect();
        let array = get("2x3").unwrap();
        assert_eq!((array.element(), array.shape()), (element, &[2, 3][..]));
        assert_eq!(values(array), expected, "{element}");
        assert_eq!(get("scalar").unwrap().shape(), [0usize; 0]);
        assert_eq!(get("scalar").unwrap().scalar().unwrap(), expected[5], "{element}");
        assert_eq!(get("empty").unwrap().shape(), [0, 3]);
        if let Some(big_endian) = get("big_endian") {
            assert_eq!(big_endian, array, "{element}");
        }
    }
    let rows: Vec<f64> = (0..60).map(f64::from).collect();
    assert_eq!(values(types.get("storage/gzip").unwrap()), rows);
    assert_eq!(values(types.get("storage/compact").unwrap()), rows);
    assert_eq!(values(types.get("storage/unwritten").unwrap()), [4.; 6]);
    let groups: BTreeMap<_, _> = types.groups().collect();
    let expected = [("bytes", Some("fixed")), ("group", Some("a näme")), ("number", None)];
    assert_eq!(groups, BTreeMap::from(expected));
}

#[test]
fn a_weights_file_is_the_weights_of_its_model() {
    let alone = NamedTensors::read_h5(golden("float32.weights.h5")).unwrap();
    assert_eq!(alone, archive("float32").weights);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.weights.h5");
    alone.write_h5(&path).unwrap();
    assert_eq!(NamedTensors::read_h5(&path).unwrap(), alone);
}

/// Everything in an HDF5 file: path -> kind, shape, type, attributes. Read with the crate alone.
fn structure(bytes: Vec<u8>) -> BTreeMap<String, String> {
    fn walk(group: &hdf5_pure::Group, path: &str, out: &mut BTreeMap<String, String>) {
        out.insert(format!("{path}/"), format!("{:?}", group.attrs().unwrap()));
        for (name, set) in group.iter_datasets().unwrap() {
            let (shape, datatype) = (set.shape().unwrap(), set.datatype().unwrap());
            let attributes = set.attrs().unwrap();
            out.insert(format!("{path}/{name}"), format!("{shape:?} {datatype:?} {attributes:?}"));
        }
        for (name, group) in group.iter_groups().unwrap() {
            walk(&group, &format!("{path}/{name}"), out);
        }
    }
    let mut out = BTreeMap::new();
    walk(&hdf5_pure::File::from_bytes(bytes).unwrap().root(), "", &mut out);
    out
}

/// The members of a zip file, in order: name, compression, contents.
fn members(bytes: &[u8]) -> Vec<(String, zip::CompressionMethod, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let member = |i: usize| {
        let mut entry = zip.by_index(i).unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        (entry.name().unwrap().into_owned(), entry.compression(), contents)
    };
    (0..3).map(member).collect()
}

#[test]
fn what_is_written_again_has_keras_structure() {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in [golden(""), golden("../keras_files")] {
        files.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "keras"));
    assert!(files.len() > ARCHIVES.len());
    for file in files {
        let archive = KerasArchive::read(&file).unwrap();
        let original = members(&std::fs::read(&file).unwrap());
        let bytes = archive.to_bytes().unwrap();
        let ours = members(&bytes);
        for (a, b) in original.iter().zip(&ours) {
            assert_eq!((&a.0, a.1), (&b.0, b.1));
        }
        let (theirs, again) = (structure(original[2].2.clone()), structure(ours[2].2.clone()));
        assert_eq!(theirs, again, "{}", file.display());
        assert_eq!(KerasArchive::from_bytes(&bytes, "again").unwrap(), archive);
        // The same contents are the same bytes.
        assert_eq!(archive.to_bytes().unwrap(), bytes);
    }
}

const CHECK: &str = r#"
import io, json, os, sys, warnings, zipfile
os.environ["KERAS_BACKEND"] = "jax"
import h5py, keras, numpy as np

def structure(path):
    with zipfile.ZipFile(path) as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    found = {}
    def visit(name, item):
        value = (item.shape, item.dtype, item[()].tobytes()) if isinstance(item, h5py.Dataset) else None
        found[name] = (value, dict(item.attrs))
    file.visititems(visit)
    return found

def config(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))

def load(path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        return keras.models.load_model(path), [str(t.message) for t in told]

def variables(model):
    # A new session names objects anew; random seeds are not part of the file.
    optimizer = getattr(model, "optimizer", None)
    found = list(model.weights) + list(optimizer.variables if optimizer else [])
    return [np.array(keras.ops.convert_to_numpy(v)) for v in found if "seed_generator" not in v.path]

def same(a, b):
    assert len(a) == len(b) > 0
    for x, y in zip(a, b):
        assert x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()

for theirs, ours in zip(sys.argv[1::2], sys.argv[2::2]):
    assert structure(theirs) == structure(ours), ours
    assert config(theirs) == config(ours), ours
    (a, told_a), (b, told_b) = load(theirs), load(ours)
    # Keras itself cannot restore the optimizer of a mixed_float16 model, and says so.
    assert told_a == told_b and (not told_b or "mixed_float16" in ours), told_b
    same(variables(a), variables(b))
    assert a.compiled == b.compiled
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((8, *t.shape[1:])).astype("float32") for t in a.inputs]
    y = [rng.standard_normal((8, *t.shape[1:])).astype("float32") for t in a.outputs]
    x, y = [v if len(v) > 1 else v[0] for v in (x, y)]
    same(*([np.array(o) for o in keras.tree.flatten(m.predict(x, verbose=0))] for m in (a, b)))
    # Compiling a step takes Keras seconds; these two have every kind of variable.
    if ours.endswith(("float32.keras", "nested.keras")):
        for model in (a, b):
            keras.utils.set_random_seed(0)
            for layer in model._flatten_layers():
                if hasattr(layer, "seed_generator"):
                    layer.seed_generator.state.assign([1, 2])
            model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        same(variables(a), variables(b))
print("same")
"#;

#[test]
fn keras_opens_what_we_write_and_trains_on() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command.env("JAX_PLATFORMS", "cpu").args(["-c", CHECK]);
    for name in ARCHIVES {
        let ours = dir.path().join(format!("{name}.keras"));
        archive(name).write(&ours).unwrap();
        command.arg(golden(&format!("{name}.keras"))).arg(ours);
    }
    let output = command.output().unwrap();
    let (stdout, stderr) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.ends_with(b"same\n"), "{stderr}");
}

const CHECK_LARGE: &str = r#"
import h5py, sys
import numpy as np
with h5py.File(sys.argv[1]) as file:
    group = file["optimizer/vars"]
    assert len(group) == 5000
    assert all(float(group[str(i)][()]) == i for i in range(5000))
    for name in "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64".split():
        assert file["types"][name].dtype == np.dtype(name), name
        assert file["types"][name].shape == (2, 0)
    assert file["a"].attrs["name"] == "näme"
print("same")
"#;

#[test]
fn h5py_reads_many_variables_and_every_type() {
    let Some(python) = python() else { return };
    let mut tensors = NamedTensors::new();
    for i in 0..5000 {
        let value = Tensor::new(i as f32, &Device::Cpu).unwrap();
        tensors.insert(format!("optimizer/vars/{i}"), Array::from_tensor(&value).unwrap()).unwrap();
    }
    for element in Element::ALL.into_iter().filter(|e| *e != Element::Bfloat16) {
        let empty = Array::new(element, &[2, 0], vec![]).unwrap();
        tensors.insert(format!("types/{element}"), empty).unwrap();
    }
    tensors.insert_group("a", Some("näme")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.weights.h5");
    tensors.write_h5(&path).unwrap();
    let output = Command::new(python).args(["-c", CHECK_LARGE]).arg(path).output().unwrap();
    assert!(output.stdout.ends_with(b"same\n"), "{}", String::from_utf8_lossy(&output.stderr));
}
