//! Settings of a session.

use std::time::Duration;

use dovetail_core::name::Generation;

use crate::sql::turn::SharedTurn;

/// A session's settings for its statements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The schema of names without one; `public` by default.
    pub(crate) schema: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) timeout: Option<Duration>,
    /// Whether to answer also while partitions are missing, and to name them.
    pub(crate) partial: bool,
    /// The generation to read; the served one by default.
    pub(crate) generation: Option<Generation>,
    /// The permit of the connection, or else of one statement.
    pub(crate) turn: SharedTurn,
}

/// The version in `version()`: clients choose their catalog queries by it.
pub(crate) const SERVER_VERSION: &str = "16.6";
/// The setting to answer also while partitions are missing, and to name them.
pub(crate) const PARTIAL: &str = "dovetail.partial";
/// The setting of the generation that statements read.
pub(crate) const GENERATION: &str = "dovetail.generation";

/// The settings that a client may change, with their defaults.
pub(crate) const KNOWN: [(&str, &str); 29] = [
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, YMD"),
    ("default_table_access_method", "heap"),
    (GENERATION, "current"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    (PARTIAL, "off"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("jit", "off"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", "160006"),
    ("session_authorization", "dovetail"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
    ("is_superuser", "off"),
    ("row_security", "off"),
];

/// Every setting with its default.
pub(crate) fn known_settings() -> Vec<(&'static str, String)> {
    KNOWN.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}
