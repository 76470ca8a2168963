//! The commands of Dovetail: `up` and its variants start a process ([`dovetail_server`]), all others talk to one
//! through its HTTP interface ([`dovetail_api`]). [`commands`] has a file or folder for each.

pub mod args;
pub mod commands;
mod output;
mod version;
