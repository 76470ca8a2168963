//! Text to BYTEA.

use datafusion::common::{Result, exec_err};

/// Reads `\x00ff`, or bytes as text with `\\` and `\ooo` escapes.
pub(crate) fn bytes_of(text: &str) -> Result<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let pairs = digits.chunks(2).map(|pair| {
            let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            Some((digit(0)? * 16 + digit(1)?) as u8)
        });
        return match pairs.collect() {
            Some(bytes) => Ok(bytes),
            None => exec_err!("invalid hexadecimal data: \"{text}\""),
        };
    }
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        (rest, bytes) = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => (behind, pushed(bytes, b'\\')),
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                (behind, pushed(bytes, (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0')))
            }
            (b'\\', _) => return exec_err!("invalid input syntax for type bytea: \"{text}\""),
            (byte, behind) => (behind, pushed(bytes, *byte)),
        };
    }
    Ok(bytes)
}

fn pushed(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}
