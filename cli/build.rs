//! Names the commit that is built: `DOVETAIL_COMMIT`, or else git's. An archive of the sources has neither.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DOVETAIL_COMMIT");
    let given = std::env::var("DOVETAIL_COMMIT").ok().filter(|commit| !commit.is_empty());
    if let Some(commit) = given.or_else(|| tracked().then(commit).flatten()) {
        println!("cargo::rustc-env=DOVETAIL_COMMIT={commit}");
    }
}

/// Whether this file belongs to git: an archive may lie in somebody else's repository.
fn tracked() -> bool {
    git(&["ls-files", "--error-unmatch", "build.rs"]).is_some()
}

fn commit() -> Option<String> {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    // A packed branch has no file until it moves; then the log of HEAD does too. Absent files are not named, because
    // Cargo would run this at every build.
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
