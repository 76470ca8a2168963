//! One process with everything in it, and the commands that talk to it.
//!
//! [`engine`] puts the layers together; [`http`] adds the routes that change something to those of the serving
//! layer; [`commands`] has a file per command; [`client`] is how commands reach a server.

pub mod args;
pub mod backends;
pub mod client;
pub mod commands;
pub mod config;
pub mod engine;
pub mod http;
pub mod membership;
mod output;
pub mod plan;
mod replay;
pub mod roles;
mod verify;
