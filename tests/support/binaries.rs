//! The programs under test, built before the first story so that none is stale.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Names a folder that holds the programs: they are used as they are, and nothing is built.
const PROGRAMS: &str = "CANDELIVER_TEST_PROGRAMS";

/// With what scripts/previous-release ends then.
const NO_HISTORY: i32 = 77;

/// The path of `product`, `delivery` or `candeliver`.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| std::env::var_os(PROGRAMS).map_or_else(build, PathBuf::from)).join(name)
}

/// Which release a program is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The one before this, built by scripts/previous-release.
    Before,
    /// The one under test.
    This,
}

// === impl Release ===

impl Release {
    /// The path of its `product` or `delivery`.
    pub fn program(self, name: &str) -> PathBuf {
        match self {
            Self::This => path(name),
            Self::Before => before().expect("is_here says whether it is").join(name),
        }
    }

    /// Whether its programs can be had: those of the release before come out of the history, which a copy of the files lacks.
    pub fn is_here(self) -> bool {
        self == Self::This || before().is_some()
    }
}

fn before() -> Option<&'static PathBuf> {
    static BEFORE: OnceLock<Option<PathBuf>> = OnceLock::new();
    BEFORE.get_or_init(build_before).as_ref()
}

/// Has the script build what is not built yet, which takes minutes the first time. None: there is no history.
fn build_before() -> Option<PathBuf> {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/previous-release"));
    forget_our_package(&mut script);
    let output = script.stderr(Stdio::inherit()).output().expect("scripts/previous-release runs");
    if output.status.code() == Some(NO_HISTORY) {
        return None;
    }
    assert!(
        output.status.success(),
        "scripts/previous-release can't build the release before this one: see above"
    );
    Some(PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim()))
}

/// Builds in the profile that the stories themselves were built in. Where nothing changed it takes a moment.
fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--bins"]);
    cargo.args(["-p", "product", "-p", "delivery", "-p", "cli"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    forget_our_package(&mut cargo);
    assert!(cargo.status().expect("cargo runs").success(), "the programs under test don't build");
    // The stories' own binary lies in deps/, the programs beside that folder.
    let story = std::env::current_exe().expect("a test binary has a path");
    let folder = story.parent().and_then(Path::parent).expect("a test binary lies in target/PROFILE/deps");
    folder.to_owned()
}

/// The variables that describe the stories' own package are not for others: ring's build script watches them, and half of the
/// system would be built again for each change between a shell and a story.
fn forget_our_package(command: &mut Command) {
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PKG") || name.starts_with("CARGO_MANIFEST"))
    {
        command.env_remove(name);
    }
}
