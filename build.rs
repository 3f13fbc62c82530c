//! Compiles `proto/**/*.proto` without protoc: the build script of the proto crate.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

use prost::Message;

/// The services, each with a folder of its own below `proto/candeliver/`.
const SERVICES: &[&str] = &["product", "delivery"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let contract = root.join("candeliver");
    println!("cargo::rerun-if-changed={}", contract.display());

    for service in SERVICES {
        let mut files = Vec::new();
        find_protos(&contract.join(service), &mut files)?;
        files.sort();
        let descriptors = protox::compile(&files, [&root])?;
        // What server reflection answers from, comments included.
        fs::write(out.join(format!("{service}.bin")), descriptors.encode_to_vec())?;
        tonic_prost_build::configure().codec_path("crate::codec::SliceCodec").compile_fds(descriptors)?;
    }
    Ok(())
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}
