//! Serving reads speed layers in other processes: each member here has a runtime of its own, which can be ended as
//! suddenly as a process, and a wire that can be cut and stalled.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]
#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod members;
mod random;
mod rig;
mod wire;
