//! The reasons why a record does not decode.

use arrow::datatypes::DataType;

use super::types::a_type;

/// A reason in two parts: one shared by many records, and one specific to this record, such as a value or a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) error: String,
    pub(super) detail: Option<String>,
}

/// Greatest length of a quoted value in bytes.
const VALUE_BYTES_MAX: usize = 100;

impl Why {
    pub(super) fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), detail: None }
    }

    pub(super) fn of(error: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { error: error.into(), detail: Some(detail.into()) }
    }

    /// ``column `position.latitude` is not a DOUBLE``, and the value.
    pub(super) fn not_a(path: &str, data_type: &DataType, value: &str) -> Self {
        Self::of(format!("column `{path}` is not {}", a_type(data_type)), shortened(value))
    }

    /// A text that is no JSON object.
    pub(super) fn no_object(error: &serde_json::Error) -> Self {
        Self::of("not a JSON object", error.to_string())
    }

    pub(super) fn no_text(error: std::str::Utf8Error) -> Self {
        Self::of("the value is not UTF-8", format!("its byte {} does not belong there", error.valid_up_to()))
    }
}

impl From<&str> for Why {
    fn from(error: &str) -> Self {
        Self::new(error)
    }
}

/// At most about 100 bytes of `value`.
pub(super) fn shortened(value: &str) -> String {
    if value.len() <= VALUE_BYTES_MAX {
        return value.to_owned();
    }
    let end = (0..=VALUE_BYTES_MAX).rev().find(|&i| value.is_char_boundary(i)).unwrap_or(0);
    format!("{}..", &value[..end])
}
