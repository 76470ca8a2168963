//! Real input, through the real commands. What is read from outside the repository is skipped, by name, where it is
//! absent.

mod extracts;
mod refused;
mod requests;
mod streams;
mod variants;
mod weather;

use std::path::PathBuf;

/// The folder of real files, if there is one.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn shared(test: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("DOVETAIL_SHARED_DATA").map_or_else(beside, PathBuf::from);
    if !path.is_dir() {
        println!("skipped: {test}: no data at {}", path.display());
        return None;
    }
    Some(path)
}
