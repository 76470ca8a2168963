//! "Did you mean": the nearest valid word, and hints for errors of DataFusion.

use datafusion::arrow::error::ArrowError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{DataFusionError, SchemaError};

/// The candidate with the fewest edits, ignoring case; none when it would take so many that it is another word.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() + 1) / 3;
    candidates
        .into_iter()
        .map(|candidate| (levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// A hint for those errors of DataFusion that have none: names in another case, local times that a zone has twice or
/// never.
pub fn hint_of(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => {
            let SchemaError::FieldNotFound { field, valid_fields } = error.as_ref() else { return None };
            let other_case = |valid: &str| valid != field.name && valid.to_lowercase() == field.name.to_lowercase();
            let meant = valid_fields.iter().map(|valid| valid.name.as_str()).find(|valid| other_case(valid))?;
            Some(format!("names without double quotes are folded to lower case: write \"{meant}\""))
        }
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::ParseError(why) if why.contains("error computing timezone offset") => Some(TWICE_OR_NEVER),
            ArrowError::CastError(why) if why.contains("Cannot cast timezone") => Some(TWICE_OR_NEVER),
            _ => None,
        }
        .map(str::to_owned),
        _ => None,
    }
}

const TWICE_OR_NEVER: &str = "the zone's clocks change there, so this local time exists twice or never: write it with \
                              its offset, as in TIMESTAMPTZ '2024-11-03 01:30:00-05:00'";

/// A hint that names the nearest candidate, or else all of them.
pub(super) fn did_you_mean(word: &str, candidates: &[&str], all: &str) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if candidates.is_empty() => format!("there are no {all}"),
        None => format!("{all} are {}", list(candidates)),
    }
}

/// "`a`, `b` and `c`".
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_needs_few_edits() {
        let words = ["event_time", "timezone", "key"];
        assert_eq!(nearest("event_tme", words), Some("event_time"));
        assert_eq!(nearest("TimeZone", words), Some("timezone"));
        assert_eq!(nearest("partitions", words), None);
        assert_eq!((nearest("kye", words), nearest("k", words), nearest("", words)), (None, None, None));
        assert_eq!(nearest("T", ["t", "a"]), Some("t"));
    }

    #[test]
    fn without_a_near_word_the_hint_lists_all() {
        assert_eq!(did_you_mean("kye2", &["key", "null"], "options"), "options are `key` and `null`");
        assert_eq!(did_you_mean("kez", &["key", "null"], "options"), "did you mean `key`?");
        assert_eq!(did_you_mean("x", &[], "columns"), "there are no columns");
    }
}
