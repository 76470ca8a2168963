//! The elements of a JSON array, each found by its brackets and quotes alone.
//!
//! A value is not parsed: numbers and strings keep their bytes, and a value that is not JSON is passed on to become a
//! dead letter. White space between its tokens is dropped, so that a pretty-printed value becomes one line.

use super::{
    Raw, SourceError,
    text::{self, SourceText},
};

pub(super) struct ArrayValues {
    text: SourceText,
    place: ScanPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScanPlace {
    BeforeArray,
    InArray,
    End,
}

impl ArrayValues {
    /// The elements of one array.
    pub(super) fn of_array(text: SourceText) -> Self {
        Self { text, place: ScanPlace::BeforeArray }
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        loop {
            let Some(byte) = self.peek_token()? else { return self.at_end_of_text() };
            match (self.place, byte) {
                (ScanPlace::BeforeArray, b'[') => self.step(ScanPlace::InArray),
                (ScanPlace::InArray, b',') => self.step(self.place),
                (ScanPlace::InArray, b']') => self.step(ScanPlace::End),
                (ScanPlace::BeforeArray, _) => return Err(self.text.no_array()),
                (ScanPlace::End, _) => return Err(self.text.after_array()),
                (ScanPlace::InArray, _) => return self.value().map(Some),
            }
        }
    }

    fn at_end_of_text(&self) -> Result<Option<Raw>, SourceError> {
        match self.place {
            ScanPlace::End => Ok(None),
            ScanPlace::BeforeArray | ScanPlace::InArray => Err(self.text.truncated("its JSON array")),
        }
    }

    /// Moves past one byte that is not a newline.
    fn step(&mut self, place: ScanPlace) {
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
        let mut value = ScannedValue::new(self.text.longest());
        loop {
            let bytes = self.text.fill()?;
            if bytes.is_empty() {
                return Err(self.text.truncated("its JSON array"));
            }
            let (taken, ended) = value.take(bytes);
            let newlines = text::newlines(&bytes[..taken]);
            self.text.consume(taken, newlines);
            if ended {
                let too_long = (value.length > value.longest).then_some(value.length as u64);
                return Ok(Raw { value: value.bytes, line, too_long });
            }
            self.text.check_passed(value.length as u64, line)?;
        }
    }
}

/// The part of a value read so far.
#[derive(Debug, Default)]
pub(super) struct ScannedValue {
    /// Its bytes; none once it is longer than `longest`.
    pub(super) bytes: Vec<u8>,
    length: usize,
    longest: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    blank_before: bool,
    last: u8,
}

impl ScannedValue {
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, ..Self::default() }
    }

    /// Reads bytes until the value ends; returns their number, and whether it did.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (i, &byte) in bytes.iter().enumerate() {
            if self.in_string {
                self.string_byte(byte);
                continue;
            }
            if self.depth == 0 && self.length > 0 && matches!(byte, b',' | b']') {
                return (i, true);
            }
            self.token_byte(byte);
            if self.depth == 0 && matches!(byte, b'}' | b']') {
                return (i + 1, true);
            }
        }
        (bytes.len(), false)
    }

    fn push(&mut self, byte: u8) {
        self.length += 1;
        self.last = byte;
        match self.length <= self.longest {
            true => self.bytes.push(byte),
            false => self.bytes = Vec::new(),
        }
    }

    fn string_byte(&mut self, byte: u8) {
        self.push(byte);
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
        // Two words must not be joined: invalid JSON has to stay invalid.
        if self.blank_before && self.length > 0 && is_word(byte) && is_word(self.last) {
            self.push(b' ');
        }
        self.blank_before = false;
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.in_string = true,
            _ => {}
        }
        self.push(byte);
    }
}

fn is_word(byte: u8) -> bool {
    !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"')
}
