//! Names of a pipeline that can be used.

use datafusion::sql::sqlparser::tokenizer::Location;

use super::error::ErrorReport;
use crate::name::NameError;

pub(super) const RESERVED: [&str; 8] =
    ["batch", "speed", "raw", "sys", "public", "kappa", "information_schema", "pg_catalog"];

/// Reports a name that is not valid or that Dovetail itself uses.
pub(super) fn usable<N: ToString>(name: Result<N, NameError>, at: Location, report: &mut ErrorReport<'_>) -> Option<N> {
    match name {
        Ok(name) if RESERVED.contains(&name.to_string().as_str()) => {
            let message = format!("`{}` is the name of a schema", name.to_string());
            report.hint(at, message, "choose another name");
            None
        }
        Ok(name) => Some(name),
        Err(NameError(name)) => {
            let hint = "write 1 to 63 lower-case letters, digits or `_`, starting with a letter";
            report.hint(at, format!("`{name}` is not a usable name"), hint);
            None
        }
    }
}
