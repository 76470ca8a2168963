//! The row formats of `COPY`: PostgreSQL's text, CSV and binary, with its options.

use arrow::array::ArrayRef;
use bytes::BytesMut;
use datafusion::sql::sqlparser::ast::{CopyLegacyCsvOption, CopyLegacyOption, CopyOption, Ident};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use crate::postgres::values::{Style, binary, sized, text};
use crate::postgres::wire_error::session_error;

/// The format and options of a statement.
#[derive(Debug, Default)]
pub(super) struct CopyFormat {
    kind: CopyKind,
    delimiter: Option<u8>,
    null: Option<String>,
    header: bool,
    quote: Option<u8>,
    escape: Option<u8>,
    force_quote: Vec<Ident>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum CopyKind {
    #[default]
    Text,
    Csv,
    Binary,
}

fn refused(what: impl std::fmt::Display) -> PgWireError {
    session_error("0A000", format!("`COPY` with {what} is not supported"))
}

fn byte(c: char) -> PgWireResult<u8> {
    let byte = u8::try_from(c).ok().filter(|byte| byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0));
    byte.ok_or_else(|| session_error("22023", format!("`{c}` cannot stand between values: write one ASCII character")))
}

impl CopyFormat {
    pub(super) fn of(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> PgWireResult<Self> {
        let mut format = Self::default();
        for option in options {
            match option {
                CopyOption::Format(name) => format.kind = kind(&name.value)?,
                CopyOption::Delimiter(c) => format.delimiter = Some(byte(*c)?),
                CopyOption::Null(null) => format.null = Some(null.clone()),
                CopyOption::Header(header) => format.header = *header,
                CopyOption::Quote(c) => format.quote = Some(byte(*c)?),
                CopyOption::Escape(c) => format.escape = Some(byte(*c)?),
                CopyOption::ForceQuote(columns) => format.force_quote.clone_from(columns),
                CopyOption::Encoding(name) if matches!(name.to_lowercase().as_str(), "utf8" | "utf-8") => {}
                other => return Err(refused(format_args!("`{other}`"))),
            }
        }
        for option in legacy {
            match option {
                CopyLegacyOption::Binary => format.kind = CopyKind::Binary,
                CopyLegacyOption::Delimiter(c) => format.delimiter = Some(byte(*c)?),
                CopyLegacyOption::Null(null) => format.null = Some(null.clone()),
                CopyLegacyOption::Header => format.header = true,
                CopyLegacyOption::Csv(options) => {
                    format.kind = CopyKind::Csv;
                    for option in options {
                        match option {
                            CopyLegacyCsvOption::Header => format.header = true,
                            CopyLegacyCsvOption::Quote(c) => format.quote = Some(byte(*c)?),
                            CopyLegacyCsvOption::Escape(c) => format.escape = Some(byte(*c)?),
                            CopyLegacyCsvOption::ForceQuote(columns) => format.force_quote.clone_from(columns),
                            CopyLegacyCsvOption::ForceNotNull(_) => return Err(refused("`FORCE NOT NULL`")),
                        }
                    }
                }
                other => return Err(refused(format_args!("`{other}`"))),
            }
        }
        format.check()
    }

    fn check(self) -> PgWireResult<Self> {
        let csv_only = self.quote.is_some() || self.escape.is_some() || !self.force_quote.is_empty();
        if self.kind != CopyKind::Csv && csv_only {
            return Err(session_error("22023", "`QUOTE`, `ESCAPE` and `FORCE_QUOTE` are options of CSV"));
        }
        if self.kind == CopyKind::Binary && (self.delimiter.is_some() || self.null.is_some() || self.header) {
            return Err(session_error("22023", "`DELIMITER`, `NULL` and `HEADER` are no options of binary"));
        }
        Ok(self)
    }

    /// A writer of rows with columns of these names.
    pub(super) fn writer(self, names: &[String]) -> PgWireResult<CopyWriter> {
        let is_csv = self.kind == CopyKind::Csv;
        let quote = self.quote.unwrap_or(b'"');
        let mut forced = vec![false; names.len()];
        for column in &self.force_quote {
            match names.iter().position(|name| *name == column.value) {
                Some(i) => forced[i] = true,
                None => return Err(session_error("42703", format!("column \"{}\" does not exist", column.value))),
            }
        }
        Ok(CopyWriter {
            kind: self.kind,
            delimiter: self.delimiter.unwrap_or(if is_csv { b',' } else { b'\t' }),
            null: self.null.unwrap_or_else(|| if is_csv { String::new() } else { "\\N".to_owned() }),
            quote,
            escape: self.escape.unwrap_or(quote),
            forced,
            header: self.header.then(|| names.to_vec()),
        })
    }
}

fn kind(name: &str) -> PgWireResult<CopyKind> {
    match name.to_lowercase().as_str() {
        "text" => Ok(CopyKind::Text),
        "csv" => Ok(CopyKind::Csv),
        "binary" => Ok(CopyKind::Binary),
        other => Err(session_error("22023", format!("COPY format \"{other}\" not recognized: text, csv or binary"))),
    }
}

/// Writes rows.
#[derive(Debug)]
pub(super) struct CopyWriter {
    kind: CopyKind,
    delimiter: u8,
    null: String,
    quote: u8,
    escape: u8,
    /// Columns whose values are always quoted.
    forced: Vec<bool>,
    header: Option<Vec<String>>,
}

impl CopyWriter {
    /// 0 for text and CSV, 1 for binary.
    pub(super) fn code(&self) -> i8 {
        i8::from(self.kind == CopyKind::Binary)
    }

    /// The bytes before the rows.
    pub(super) fn beginning(&self) -> BytesMut {
        let mut out = BytesMut::new();
        if self.kind == CopyKind::Binary {
            out.extend_from_slice(b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0");
        }
        for (i, name) in self.header.iter().flatten().enumerate() {
            self.between(i, &mut out);
            match self.kind {
                CopyKind::Csv => self.csv(name.as_bytes(), self.forced.len() == 1, false, &mut out),
                _ => self.escaped(name.as_bytes(), &mut out),
            }
        }
        if self.header.is_some() {
            out.extend_from_slice(b"\n");
        }
        out
    }

    /// Whether these bytes are a message of their own; in binary the first row is in the same message.
    pub(super) fn begins_alone(&self) -> bool {
        self.kind != CopyKind::Binary
    }

    /// The bytes after the rows.
    pub(super) fn end(&self) -> &'static [u8] {
        match self.kind {
            CopyKind::Binary => b"\xFF\xFF",
            CopyKind::Text | CopyKind::Csv => b"",
        }
    }

    pub(super) fn row(&self, columns: &[ArrayRef], row: usize, style: Style, out: &mut BytesMut) -> PgWireResult<()> {
        if self.kind == CopyKind::Binary {
            out.extend_from_slice(&i16::try_from(columns.len()).unwrap_or(i16::MAX).to_be_bytes());
            return columns.iter().try_for_each(|column| sized(out, |out| binary(column.as_ref(), row, out)));
        }
        for (i, column) in columns.iter().enumerate() {
            self.between(i, out);
            let mut value = BytesMut::new();
            match (text(column.as_ref(), row, style, &mut value)?, self.kind) {
                (false, _) => out.extend_from_slice(self.null.as_bytes()),
                (true, CopyKind::Csv) => self.csv(&value, columns.len() == 1, self.forced[i], out),
                (true, _) => self.escaped(&value, out),
            }
        }
        out.extend_from_slice(b"\n");
        Ok(())
    }

    fn between(&self, i: usize, out: &mut BytesMut) {
        if i > 0 {
            out.extend_from_slice(&[self.delimiter]);
        }
    }

    fn escaped(&self, value: &[u8], out: &mut BytesMut) {
        for byte in value {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                0x08 => out.extend_from_slice(b"\\b"),
                0x0C => out.extend_from_slice(b"\\f"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0x0B => out.extend_from_slice(b"\\v"),
                byte if *byte == self.delimiter => out.extend_from_slice(&[b'\\', *byte]),
                byte => out.extend_from_slice(&[*byte]),
            }
        }
    }

    /// Writes a field, quoted where it is ambiguous; also when it looks like a null.
    fn csv(&self, value: &[u8], is_only: bool, is_forced: bool, out: &mut BytesMut) {
        let special = |byte: &u8| *byte == self.delimiter || *byte == self.quote || matches!(byte, b'\n' | b'\r');
        let is_end = is_only && value == b"\\.";
        if !(is_forced || is_end || value == self.null.as_bytes() || value.iter().any(special)) {
            out.extend_from_slice(value);
            return;
        }
        out.extend_from_slice(&[self.quote]);
        for byte in value {
            if *byte == self.quote || *byte == self.escape {
                out.extend_from_slice(&[self.escape]);
            }
            out.extend_from_slice(&[*byte]);
        }
        out.extend_from_slice(&[self.quote]);
    }
}
