//! The place of the demonstration: its folder, its pipeline's files, its addresses.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The pipeline's files, from `data/nyc311`.
const FILES: [(&str, &str); 2] = [
    ("pipeline.sql", include_str!("../../../../data/nyc311/pipeline.sql")),
    ("agencies.csv", include_str!("../../../../data/nyc311/agencies.csv")),
];

/// The data folder; a temporary one is removed when this is dropped.
pub(super) enum DataFolder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl DataFolder {
    /// Opens the folder `named`, or else a temporary one, and puts the pipeline into it.
    pub(super) fn new(named: Option<&Path>) -> Result<Self> {
        let folder = match named {
            Some(path) => Self::Kept(path.to_owned()),
            None => Self::Temporary(tempfile::Builder::new().prefix("dovetail-demo-").tempdir()?),
        };
        std::fs::create_dir_all(folder.path())
            .with_context(|| format!("cannot create `{}`", folder.path().display()))?;
        for (name, text) in FILES {
            let path = folder.path().join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    pub(super) fn pipeline(&self) -> PathBuf {
        self.path().join(FILES[0].0)
    }
}

/// The requested address; else `default`, or a free port beside it when that is taken.
pub(super) fn address(asked: Option<&str>, default: &str) -> String {
    match asked {
        Some(address) => address.to_owned(),
        None if TcpListener::bind(default).is_ok() => default.to_owned(),
        None => "127.0.0.1:0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dovetail_server::process::plan::Plan;

    #[tokio::test]
    async fn the_pipeline_in_the_binary_is_whole() {
        let folder = DataFolder::new(None).unwrap();
        let plan = Plan::load(&folder.pipeline()).await.unwrap();
        assert_eq!(plan.folded().len(), 4);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_port_that_is_taken_is_given_up_unless_it_was_asked_for() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = held.local_addr().unwrap().to_string();
        assert_eq!(address(None, &taken), "127.0.0.1:0");
        assert_eq!(address(Some(&taken), "127.0.0.1:1"), taken);
    }
}
