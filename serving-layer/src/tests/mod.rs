//! The serving layer over a hand-made speed layer and hand-made generations.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

mod answers;
mod cache;
mod clients;
mod consistency;
mod drift;
mod generations;
mod harm;
mod http;
mod landing;
mod limits;
mod partial;
mod postgres;
mod psql;
mod read_only;
mod semantics;
mod silent;
mod stopped;
mod times;
mod wire_cases;
mod wire_sessions;
mod wire_types;
mod world;
