//! Settings of a session.

use std::time::Duration;

use dovetail_core::name::Generation;

use crate::sql::turn::SharedTurn;

/// What a session has set for its statements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Where names without a schema are looked for; `public` when none is set.
    pub(crate) schema: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) timeout: Option<Duration>,
    /// Answer also while partitions are missing, and say which.
    pub(crate) partial: bool,
    /// As of which generation; of the one that is served when none is set.
    pub(crate) generation: Option<Generation>,
    /// Of one statement, where nothing else is set.
    pub(crate) turn: SharedTurn,
}

/// What `version()` begins with: clients choose their catalog queries by it.
pub(crate) const SERVER_VERSION: &str = "16.6";
/// Answers also while partitions are missing, and says which.
pub(crate) const PARTIAL: &str = "dovetail.partial";
/// The generation that statements are as of.
pub(crate) const GENERATION: &str = "dovetail.generation";

/// What a client may set, and what `SHOW` says before it does.
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

/// Every setting, and its value before anybody sets it.
pub(crate) fn known_settings() -> Vec<(&'static str, String)> {
    KNOWN.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}
