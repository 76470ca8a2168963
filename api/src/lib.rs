//! The HTTP interface of Dovetail as types, for servers and for clients: [`paths`], the documents that go over the
//! wire ([`records`], [`stream`], [`runs`], [`verify`], [`jobs`], [`layers`], [`error`]), the framing of records ([`frames`]),
//! and a typed [`client`].
//!
//! Nothing here knows how a server works: names are texts, and the server checks them.

#![deny(missing_docs)]

pub mod client;
pub mod error;
pub mod frames;
pub mod jobs;
pub mod layers;
pub mod paths;
pub mod prefix;
pub mod records;
pub mod runs;
pub mod stream;
pub mod verify;

pub use client::{Client, ClientError};
