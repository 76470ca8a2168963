#![expect(clippy::disallowed_methods, reason = "each run tries others")]

mod alone;
mod microseconds;
mod zones;
