//! A CSV file with a header row: every row becomes a JSON object of strings, or a line in the stream's own CSV.
//!
//! A row that has another width than the header, or is not UTF-8, keeps its bytes and does not decode: it becomes a
//! dead letter instead of being lost or guessed at.

use csv_core::ReadRecordResult;
use dovetail_core::pipeline::{Format, Header, Stream};

use dovetail_ingestion::formats::{QUOTES_DO_NOT_CLOSE, split_line};

use super::{
    Raw, SourceError, header,
    text::{self, SourceText},
};

/// The rows of a CSV file below its header.
pub(super) struct CsvTable {
    rows: CsvRows,
    layout: RowLayout,
    null_texts: Vec<String>,
    width: usize,
    pub(super) malformed: u64,
    /// Fields that the records leave out because the stream does not declare them.
    pub(super) ignored: Vec<String>,
}

/// The form in which a row is written.
enum RowLayout {
    /// A JSON object, with `"name":` for each cell.
    Json(Vec<Vec<u8>>),
    /// CSV: for each declared column the index of the cell that fills it, and the delimiter.
    Csv(Vec<Option<usize>>, u8),
}

impl CsvTable {
    /// Reads the header row; refuses one without a column of `stream`.
    pub(super) fn new(
        name: &str,
        text: SourceText,
        prefix: &[u8],
        stream: &Stream,
        force: bool,
    ) -> Result<Self, SourceError> {
        let mut rows = CsvRows::new(text, stream.options.delimiter.unwrap_or_else(|| delimiter(prefix)));
        let fields = match stream.options.header {
            Header::None => stream.columns.fields().iter().map(|field| field.name().clone()).collect(),
            Header::AsIs | Header::SnakeCase => {
                match rows.next()? {
                    None => return Err(SourceError::Empty { name: name.to_owned() }),
                    Some(RowSpan { line, too_long: Some(_), .. }) => return Err(rows.text.too_long(line)),
                    Some(_) => {}
                }
                let names: Vec<String> = rows.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
                header::fields(&names, &stream.options)
            }
        };
        header::check(name, &fields, stream, force)?;
        let ignored = match stream.format {
            Format::Json | Format::Text => Vec::new(),
            Format::Csv => fields.iter().filter(|field| !header::declares(stream, field)).cloned().collect(),
        };
        let null_texts = stream.options.null_texts.clone();
        let layout = RowLayout::new(&fields, stream);
        Ok(Self { rows, layout, null_texts, width: fields.len(), malformed: 0, ignored })
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        let Some(RowSpan { line, too_long, is_last }) = self.rows.next()? else { return Ok(None) };
        if too_long.is_some() {
            return Ok(Some(Raw { value: Vec::new(), line, too_long }));
        }
        // A quote that does not close has taken the whole rest for its field.
        let is_cut = is_last && self.rows.ends_inside_quotes(self.width);
        let value = self.well_formed().filter(|_| !is_cut).unwrap_or_else(|| {
            self.malformed += 1;
            self.undecodable()
        });
        Ok(Some(Raw { value, line, too_long }))
    }

    /// The row in the stream's form; none when it is malformed.
    fn well_formed(&self) -> Option<Vec<u8>> {
        if self.rows.cells().count() != self.width {
            return None;
        }
        let cells: Option<Vec<&str>> = self.rows.cells().map(|cell| std::str::from_utf8(cell).ok()).collect();
        let value = |cell: &&str| !cell.is_empty() && !self.null_texts.iter().any(|null| null == cell);
        let cells: Vec<Option<&str>> = cells?.into_iter().map(|cell| Some(cell).filter(value)).collect();
        match &self.layout {
            RowLayout::Json(names) => json_object(names, &cells),
            RowLayout::Csv(columns, delimiter) => {
                Some(csv_line(columns.iter().map(|column| cells[(*column)?]), *delimiter))
            }
        }
    }

    /// The row's bytes; with one more delimiter where they would pass for a record of the stream.
    fn undecodable(&self) -> Vec<u8> {
        let mut value = self.rows.raw().to_vec();
        if self.passes(&value) {
            value.push(if let RowLayout::Csv(_, delimiter) = self.layout { delimiter } else { b',' });
        }
        value
    }

    fn passes(&self, value: &[u8]) -> bool {
        match &self.layout {
            RowLayout::Json(_) => value.trim_ascii().starts_with(b"{"),
            RowLayout::Csv(columns, delimiter) => {
                let split = |line| split_line(line, columns.len(), char::from(*delimiter));
                let fields = std::str::from_utf8(value).map(split);
                fields.is_ok_and(|fields| fields.is_ok_and(|fields| fields.len() == columns.len()))
            }
        }
    }
}

impl RowLayout {
    fn new(fields: &[String], stream: &Stream) -> Self {
        match stream.format {
            Format::Json | Format::Text => Self::Json(fields.iter().map(|field| quoted_name(field)).collect()),
            Format::Csv => {
                let cell = |column: &str| fields.iter().position(|field| field == column);
                let columns = stream.columns.fields().iter().map(|column| cell(column.name())).collect();
                Self::Csv(columns, stream.options.delimiter.unwrap_or(b','))
            }
        }
    }
}

fn quoted_name(field: &str) -> Vec<u8> {
    let mut name = serde_json::Value::from(field).to_string().into_bytes();
    name.push(b':');
    name
}

fn json_object(names: &[Vec<u8>], cells: &[Option<&str>]) -> Option<Vec<u8>> {
    let mut object = vec![b'{'];
    for (name, cell) in names.iter().zip(cells) {
        let Some(cell) = cell else { continue };
        if object.len() > 1 {
            object.push(b',');
        }
        object.extend_from_slice(name);
        serde_json::to_writer(&mut object, cell).ok()?;
    }
    object.push(b'}');
    Some(object)
}

/// One line of RFC 4180 without its end.
pub(super) fn csv_line<'a>(cells: impl Iterator<Item = Option<&'a str>>, delimiter: u8) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            line.push(delimiter);
        }
        let cell = cell.unwrap_or_default();
        if cell.contains([char::from(delimiter), '"', '\n', '\r']) {
            line.push(b'"');
            line.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            line.push(b'"');
        } else {
            line.extend_from_slice(cell.as_bytes());
        }
    }
    line
}

/// The delimiter: a comma, unless the header row has none and another usual delimiter instead.
fn delimiter(prefix: &[u8]) -> u8 {
    let header = prefix.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let usual = [b',', b'\t', b';', b'|'];
    usual.into_iter().find(|delimiter| header.contains(delimiter)).unwrap_or(b',')
}

/// The start of a row, and its length if it is too long.
struct RowSpan {
    line: u64,
    too_long: Option<u64>,
    /// Whether the text ended it, not a line break.
    is_last: bool,
}

/// Splits text into rows and cells, and keeps the bytes of the row.
struct CsvRows {
    text: SourceText,
    core: csv_core::Reader,
    delimiter: u8,
    cells: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    raw: Vec<u8>,
}

impl CsvRows {
    fn new(text: SourceText, delimiter: u8) -> Self {
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { text, core, delimiter, cells: vec![0; 4096], ends: vec![0; 64], count: 0, raw: Vec::new() }
    }

    /// Reads the next row.
    fn next(&mut self) -> Result<Option<RowSpan>, SourceError> {
        let line = self.text.line();
        let (mut written, mut count, mut passed) = (0, 0, 0);
        self.raw.clear();
        let is_last = loop {
            let bytes = self.text.fill()?;
            let is_end = bytes.is_empty();
            let (cells, ends) = (&mut self.cells[written..], &mut self.ends[count..]);
            let (result, taken, cell_bytes, cell_count) = self.core.read_record(bytes, cells, ends);
            self.raw.extend_from_slice(&bytes[..taken]);
            let newlines = text::newlines(&bytes[..taken]);
            self.text.consume(taken, newlines);
            (written, count) = (written + cell_bytes, count + cell_count);
            match result {
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break is_end,
                // Nothing of a row that is too long is kept.
                _ if passed > 0 || self.raw.len() > self.text.longest() => {
                    passed += self.raw.len() as u64;
                    self.text.check_passed(passed, line)?;
                    self.raw.clear();
                    (written, count) = (0, 0);
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        };
        if passed > 0 || self.raw.len() > self.text.longest() {
            return Ok(Some(RowSpan { line, too_long: Some(passed + self.raw.len() as u64), is_last }));
        }
        self.count = count;
        let blank = line_ends(self.raw.iter());
        Ok(Some(RowSpan { line: line + text::newlines(&self.raw[..blank]), too_long: None, is_last }))
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends[..self.count]).map(|(start, &end)| &self.cells[start..end])
    }

    /// Whether the row's last field, of `width` fields, has no closing quote.
    fn ends_inside_quotes(&self, width: usize) -> bool {
        let split = |row| split_line(row, width, char::from(self.delimiter));
        std::str::from_utf8(self.raw()).is_ok_and(|row| split(row).is_err_and(|why| why == QUOTES_DO_NOT_CLOSE))
    }

    /// The row's own bytes, without blank lines before it and without its end.
    fn raw(&self) -> &[u8] {
        let start = line_ends(self.raw.iter());
        let end = line_ends(self.raw[start..].iter().rev());
        &self.raw[start..self.raw.len() - end]
    }
}

/// Number of leading bytes that are line ends.
fn line_ends<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take_while(|byte| matches!(byte, b'\n' | b'\r')).count()
}
