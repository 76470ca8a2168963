//! The outer form of a value: a quick check that keeps most non-objects away from the parser.

/// Greatest number of opening brackets in a value. The parser is a loop, but its error messages recurse.
const MAX_OPEN: usize = 512;

/// Whether `value` begins and ends like an object and nests at most [`MAX_OPEN`] deep. Whitespace around it is
/// fine.
pub(super) fn looks_like_object(value: &[u8]) -> bool {
    match value.trim_ascii() {
        // Every bracket that opens has to close, so a short value needs no count.
        [b'{', .., b'}'] if value.len() <= 2 * MAX_OPEN => true,
        object @ [b'{', .., b'}'] => open_brackets(object) <= MAX_OPEN,
        _ => false,
    }
}

/// Whether `values`, a text or several one after the other, may contain an escape of a character beyond U+FFFF that the
/// fast decoder misreads: it joins the halves of a pair with `|` where they have to be added, which differs where the
/// first half has bit 6 set, as it has for U+20000.
pub(super) fn has_misread_pair(values: &[u8]) -> bool {
    memchr::memmem::find_iter(values, br"\u").any(|at| {
        matches!(
            &values[at + 2..],
            [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', b'4'..=b'7' | b'c'..=b'f' | b'C'..=b'F', ..]
        )
    })
}

/// Counts opening brackets, also in strings: a text full of brackets only takes the slow path.
fn open_brackets(value: &[u8]) -> usize {
    // Blocks short enough for a byte to hold the sum: the compiler makes vector instructions of it.
    let in_block =
        |block: &[u8]| block.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(u8::from(byte == b'{' || byte == b'[')));
    value.chunks(u8::MAX as usize).map(|block| usize::from(in_block(block))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_by_their_ends() {
        for value in ["{}", " {\"a\":1}\r\n", "{[}"] {
            assert!(looks_like_object(value.as_bytes()), "{value}");
        }
        for value in ["", " ", "{", "}", "[]", "{}x", "5"] {
            assert!(!looks_like_object(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn deep_ones_are_kept_away() {
        let nested = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(looks_like_object(nested(MAX_OPEN).as_bytes()));
        assert!(!looks_like_object(nested(MAX_OPEN + 1).as_bytes()));
        assert!(!looks_like_object(format!("{{\"a\":{}1}}", "[".repeat(100_000)).as_bytes()));
    }
}
