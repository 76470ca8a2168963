//! Support for the tests of all crates. There is one fake of each thing that can fail. It wraps the real one, passes
//! all calls on, and fails as a test sets its `faults`.
//!
//! | fake | wraps |
//! |---|---|
//! | `store::FakeStore` | any object store |
//! | `log::FakeLog` | any log |
//! | [`s3::S3Proxy`] | an S3 server: requests meet the faults |
//! | [`wire::Wire`] | any server: connections break, freeze and lose answers |
//!
//! `conformance` is the contract of logs, `oracle` the expected answers of views, and `fixtures` are pipelines,
//! records, a log and a catalog in a folder.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

#[cfg(feature = "dovetail")]
pub mod conformance;
pub mod faults;
#[cfg(feature = "dovetail")]
pub mod fixtures;
#[cfg(feature = "dovetail")]
pub mod log;
#[cfg(feature = "dovetail")]
pub mod oracle;
pub mod s3;
pub mod store;
pub mod waiting;
pub mod wire;
