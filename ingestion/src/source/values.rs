//! JSON values one after the other, in an array or bare, each found by its brackets and quotes alone.
//!
//! A value is not parsed: numbers and strings keep their bytes, and a value that is not JSON is passed on to become
//! a dead letter. White space between its tokens goes, so that a pretty-printed value becomes one line.

use super::{
    Raw, SourceError,
    text::{self, Text},
};

pub(super) struct Values {
    text: Text,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeArray,
    InArray,
    /// Values that no array holds.
    Bare,
    End,
}

impl Values {
    /// The elements of one array.
    pub(super) fn of_array(text: Text) -> Self {
        Self { text, place: Place::BeforeArray }
    }

    /// Values without an array around them.
    pub(super) fn bare(text: Text) -> Self {
        Self { text, place: Place::Bare }
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        loop {
            let Some(byte) = self.peek_token()? else { return self.at_end_of_text() };
            match (self.place, byte) {
                (Place::BeforeArray, b'[') => self.step(Place::InArray),
                (Place::InArray | Place::Bare, b',') => self.step(self.place),
                (Place::InArray, b']') => self.step(Place::End),
                (Place::BeforeArray, _) => return Err(self.text.no_array()),
                (Place::End, _) => return Err(self.text.after_array()),
                (Place::InArray | Place::Bare, _) => return self.value().map(Some),
            }
        }
    }

    fn at_end_of_text(&self) -> Result<Option<Raw>, SourceError> {
        match self.place {
            Place::End | Place::Bare => Ok(None),
            Place::BeforeArray | Place::InArray => Err(self.text.truncated("its JSON array")),
        }
    }

    /// Moves past one byte that is not a newline.
    fn step(&mut self, place: Place) {
        self.text.consume(1, 0);
        self.place = place;
    }

    /// The next byte that is not white space, not yet consumed.
    fn peek_token(&mut self) -> Result<Option<u8>, SourceError> {
        loop {
            let bytes = self.text.fill()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let token = bytes.get(blank).copied();
            let newlines = text::newlines(&bytes[..blank]);
            self.text.consume(blank, newlines);
            if token.is_some() {
                return Ok(token);
            }
        }
    }

    fn value(&mut self) -> Result<Raw, SourceError> {
        let line = self.text.line();
        let mut value = Value { bare: self.place == Place::Bare, ..Value::default() };
        loop {
            let bytes = self.text.fill()?;
            if bytes.is_empty() {
                return self.unfinished(value, line);
            }
            let (taken, ended) = value.take(bytes);
            let newlines = text::newlines(&bytes[..taken]);
            self.text.consume(taken, newlines);
            if ended {
                return Ok(Raw { value: value.bytes, line });
            }
            self.text.check_length(value.bytes.len(), line)?;
        }
    }

    /// A bare value without brackets ends with the text; any other is cut off.
    fn unfinished(&self, value: Value, line: u64) -> Result<Raw, SourceError> {
        match self.place {
            Place::Bare if value.depth == 0 && !value.in_string => Ok(Raw { value: value.bytes, line }),
            Place::Bare => Err(self.text.truncated("a JSON object")),
            _ => Err(self.text.truncated("its JSON array")),
        }
    }
}

/// A value as far as it was read.
#[derive(Debug, Default)]
struct Value {
    bytes: Vec<u8>,
    depth: u32,
    bare: bool,
    in_string: bool,
    escaped: bool,
    blank_before: bool,
}

impl Value {
    /// Takes bytes until the value ends: how many, and whether it did.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (i, &byte) in bytes.iter().enumerate() {
            if self.in_string {
                self.string_byte(byte);
                continue;
            }
            if self.depth == 0 && !self.bytes.is_empty() && self.ends_before(byte) {
                return (i, true);
            }
            self.token_byte(byte);
            if self.depth == 0 && matches!(byte, b'}' | b']') {
                return (i + 1, true);
            }
        }
        (bytes.len(), false)
    }

    fn ends_before(&self, byte: u8) -> bool {
        matches!(byte, b',' | b']') || (self.bare && byte.is_ascii_whitespace())
    }

    fn string_byte(&mut self, byte: u8) {
        self.bytes.push(byte);
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    fn token_byte(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            self.blank_before = true;
            return;
        }
        // Two words must not grow together: what was no JSON has to stay so.
        if self.blank_before && is_word(byte) && self.bytes.last().is_some_and(|&last| is_word(last)) {
            self.bytes.push(b' ');
        }
        self.blank_before = false;
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.in_string = true,
            _ => {}
        }
        self.bytes.push(byte);
    }
}

fn is_word(byte: u8) -> bool {
    !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"')
}
