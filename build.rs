//! Compiles `proto/**/*.proto` without protoc: the build script of the proto crate.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    find_protos(&root.join("candeliver"), &mut files)?;
    files.sort();
    println!("cargo::rerun-if-changed={}", root.join("candeliver").display());

    let descriptors = protox::compile(&files, [&root])?;
    // Reflection and the command line's JSON both read the contract from this file, comments left out.
    fs::write(out.join("candeliver.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
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
