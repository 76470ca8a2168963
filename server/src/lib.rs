//! A process of Dovetail: one layer, or all of them.
//!
//! [`config`] has the settings; [`process`] opens the log, the catalog and the store, and starts the layers; [`jobs`]
//! are long tasks on request; [`http`] has the routes besides those of the serving layer.

pub mod config;
pub mod http;
pub mod jobs;
pub mod process;
