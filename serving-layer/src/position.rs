//! The position of an error in a statement.

/// A place in a statement; both numbers begin at 1 and count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlPosition {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl SqlPosition {
    /// The 1-based index of the character in `sql`, for the PostgreSQL wire.
    pub fn character(self, sql: &str) -> usize {
        let before: usize =
            sql.split('\n').take(self.line.saturating_sub(1) as usize).map(|l| l.chars().count() + 1).sum();
        let within = usize::try_from(self.column.max(1)).unwrap_or(1);
        (before + within).min(sql.chars().count() + 1)
    }
}

/// Takes ` at Line: 2, Column: 7` off a parser's message.
pub(crate) fn cut_position(text: &str) -> (&str, Option<SqlPosition>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let position = place.split_once(", Column: ").and_then(|(line, column)| {
        let column: String = column.chars().take_while(char::is_ascii_digit).collect();
        let position = SqlPosition { line: line.parse().ok()?, column: column.parse().ok()? };
        (position.line > 0 && position.column > 0).then_some(position)
    });
    (message, position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_character() {
        let sql = "SELECT ü,\n  nope\nFROM t";
        assert_eq!(SqlPosition { line: 1, column: 1 }.character(sql), 1);
        assert_eq!(SqlPosition { line: 2, column: 3 }.character(sql), 13);
        assert_eq!(SqlPosition { line: 9, column: 9 }.character(sql), sql.chars().count() + 1);
    }

    #[test]
    fn a_parsers_message_loses_its_place() {
        let (message, position) = cut_position("Expected: an expression, found: FROM at Line: 2, Column: 7");
        assert_eq!(message, "Expected: an expression, found: FROM");
        assert_eq!(position, Some(SqlPosition { line: 2, column: 7 }));
        assert_eq!(cut_position("no place"), ("no place", None));
        assert_eq!(cut_position("empty at Line: 0, Column: 0").1, None);
    }
}
