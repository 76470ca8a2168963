//! Errors in one line.

use std::error::Error;

/// The error and its causes, outermost first, without repetition.
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    with_causes(error.to_string(), error)
}

/// The same with `text` in place of the error's own message.
pub fn with_causes(text: String, error: &(dyn Error + 'static)) -> String {
    let mut line = text;
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !line.contains(&why) {
            line = format!("{line}: {why}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Told(&'static str, #[source] Option<Box<Told>>);

    #[test]
    fn what_was_said_is_not_said_again() {
        let bottom = Told("disk full", None);
        let middle = Told("write failed: disk full", Some(Box::new(bottom)));
        let top = Told("no segment", Some(Box::new(middle)));
        assert_eq!(in_one_line(&top), "no segment: write failed: disk full");
    }
}
