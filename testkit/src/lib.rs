//! What tests share. There is one fake of each thing that can fail: it does what the real one does, over which it is
//! put, and goes wrong where a test tells its [`faults`] to.
//!
//! | what | is put over |
//! |---|---|
//! | [`store::FakeStore`] | any object store |
//! | [`log::FakeLog`] | any log |
//! | [`s3::S3Proxy`] | a server of objects: requests meet the faults |
//! | [`wire::Wire`] | any server: connections break, freeze and lose answers |
//!
//! What any log has to do is [`conformance`]; [`oracle`] is what views should answer; [`fixtures`] are pipelines, records,
//! a log and a catalog in a folder.

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
