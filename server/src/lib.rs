//! A process of Dovetail: one layer, or all of them.
//!
//! [`config`] says where things run; [`process`] opens the log, the catalog and the store, and starts the layers;
//! [`jobs`] are the works that are asked for and take a while; [`http`] has the routes that change something, beside
//! those of the serving layer.

#![warn(missing_docs)]

pub mod config;
pub mod http;
pub mod jobs;
pub mod process;
