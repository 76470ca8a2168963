//! Settings: defaults, then `dovetail.toml`, then `DOVETAIL_SECTION_KEY` variables, then flags.

mod layers;
mod least;
mod sections;
#[cfg(test)]
mod tests;
mod variables;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use layers::bytes;
pub use sections::{
    BatchSettings, CatalogPlace, Config, IngestSettings, Kafka, Keep, LandingSettings, Listen, LogSettings,
    MemberSettings, Query, Speed, StorePlace,
};
pub use variables::refuse_unknown;

/// The file of settings when none is named, in the working directory.
const FILE: &str = "dovetail.toml";

/// Settings of the command line, which take precedence over all others.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// File of settings; without it, `dovetail.toml` in the working directory if it exists.
    pub config: Option<PathBuf>,
    /// Folder for the log, the catalog and the landing.
    pub data_dir: Option<PathBuf>,
    /// `HOST:PORT` of the HTTP server.
    pub http: Option<String>,
    /// `HOST:PORT` of the PostgreSQL wire.
    pub postgres: Option<String>,
    /// `HOST:PORT` of a speed layer's Flight service, when the layer is a process of its own.
    pub flight: Option<String>,
}

impl Config {
    /// Reads the file and the environment, and applies the flags.
    pub fn load(flags: &Flags) -> Result<Self> {
        let file = flags.config.clone().or_else(|| Path::new(FILE).exists().then(|| PathBuf::from(FILE)));
        let text = match &file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?,
            None => String::new(),
        };
        let name = file.map_or_else(|| "settings".to_owned(), |f| f.display().to_string());
        let mut config = Self::parse(&name, &text, std::env::vars())?;
        config.data_dir = flags.data_dir.clone().or(config.data_dir);
        config.http.listen = flags.http.clone().or(config.http.listen);
        config.postgres.listen = flags.postgres.clone().or(config.postgres.listen);
        config.flight.listen = flags.flight.clone().or(config.flight.listen);
        Ok(config)
    }

    fn parse(name: &str, text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        // An error in the file itself contains its lines; variables are applied afterwards.
        let _: Self = toml::from_str(text).with_context(|| format!("in `{name}`"))?;
        let mut table: toml::Table = toml::from_str(text).with_context(|| format!("in `{name}`"))?;
        variables::lay_over(&mut table, variables)?;
        let config: Self = table.try_into().with_context(|| format!("in `{name}` and the environment"))?;
        config.check_least().with_context(|| format!("in `{name}` and the environment"))?;
        Ok(config)
    }
}
