//! Whether a value holds exactly one JSON object, seen from its bytes alone.
//!
//! A batch of values is parsed as one text, without a separator and without a copy. That is only right when no
//! value can lean on its neighbours, as these three would: `{"a":1}{"b":2}`, then `{"a":"}`, then `{"}`. Three
//! rows come out of three values, but not one of each.
//!
//! [`stands_alone`] passes a value only when, read from outside a string at depth 0, it ends outside a string
//! and leaves no array open. By induction every value then begins outside a string:
//!
//! - What stands at a boundary is `}` and `{`, both outside a string. The parser takes `{` after `}` only
//!   between rows, or in an array, as it does not insist on commas there. No array is open, so every boundary
//!   lies between rows.
//! - Every value therefore makes at least one row, and as many rows as values means one row each.
//!
//! Quotes are escaped by a backslash only inside a string; a backslash elsewhere is an error of the parser.
//! So parity of quotes is enough for a value without a backslash, and a value without `[` opens no array. All
//! others are walked byte by byte.

/// Deeper values are not passed: the parser itself is a loop, but its error messages recurse.
const MAX_DEPTH: usize = 64;

/// Whether `value` can be parsed between others of its kind: see above. Whitespace around it is fine.
pub(super) fn stands_alone(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let braces = value.len() >= 2 && value[0] == b'{' && value[value.len() - 1] == b'}';
    braces && {
        let counts = Counts::of(value);
        if counts.needs_walk || counts.open_braces > MAX_DEPTH { walk(value) } else { counts.quotes % 2 == 0 }
    }
}

struct Counts {
    quotes: usize,
    open_braces: usize,
    /// A backslash or an opening bracket occurs.
    needs_walk: bool,
}

impl Counts {
    /// Counts in blocks short enough for a byte to hold the sum: the compiler makes vector instructions of it.
    fn of(value: &[u8]) -> Self {
        let mut counts = Self { quotes: 0, open_braces: 0, needs_walk: false };
        for block in value.chunks(u8::MAX as usize) {
            let (mut quotes, mut braces, mut walk) = (0_u8, 0_u8, 0_u8);
            for &byte in block {
                quotes += u8::from(byte == b'"');
                braces += u8::from(byte == b'{');
                walk |= u8::from(byte == b'\\') | u8::from(byte == b'[');
            }
            counts.quotes += usize::from(quotes);
            counts.open_braces += usize::from(braces);
            counts.needs_walk |= walk != 0;
        }
        counts
    }
}

/// Whether depth returns to 0 with the last byte and not before, outside a string, and stays below the limit.
fn walk(value: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (i, &byte) in value.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'\\' => return false,
            b'{' | b'[' if depth == MAX_DEPTH => return false,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return depth == 1 && i + 1 == value.len(),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_stands_alone() {
        for value in [
            "{}",
            r#" {"a":1} "#,
            r#"{"a":{"b":[1,{"c":"]}"}]}}"#,
            r#"{"a":"say \"hi\" {"}"#,
            r#"{"a":"\\"}"#,
            r#"{"a":"{[}"}"#,
        ] {
            assert!(stands_alone(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn what_leans_on_its_neighbours_does_not() {
        for value in [
            "",
            "{",
            "}",
            "[]",
            r#"{"a":"}"#,
            r#"{"}"#,
            r#"{"a":[{"x":1}"#,
            r#"{"y":2}]}"#,
            r#"{"a":"]","b":[{"x":1}"#,
            r#"{"a":"\"}"#,
            r#"{"a":"\\\"}"#,
            r#"{"a":[1]}{"b":[2]}"#,
            r#"\{}"#,
        ] {
            // Closing too often is the parser's error at once, so the counts alone may pass it.
            let closes_too_often = value == r#"{"y":2}]}"#;
            assert!(!stands_alone(value.as_bytes()) || closes_too_often, "{value}");
        }
    }

    #[test]
    fn deep_values_do_not() {
        let nested = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(stands_alone(nested(64).as_bytes()));
        assert!(!stands_alone(nested(65).as_bytes()));
    }
}
