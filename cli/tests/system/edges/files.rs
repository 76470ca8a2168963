//! Files of the nastiest cells, and what has to come of them: the generator knows what it wrote.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

/// Keyed streams of two columns that are filled at random, and one of a single column.
pub(crate) const PIPELINE: &str = r#"
CREATE EXTERNAL TABLE js ("key" VARCHAR, n BIGINT, a VARCHAR, "we#i r&d,+%?é" VARCHAR)
STORED AS JSON LOCATION 'kafka://js' OPTIONS ('key' 'key', 'partitions' '3');
CREATE EXTERNAL TABLE cs ("key" VARCHAR, n BIGINT, a VARCHAR, "we#i r&d,+%?é" VARCHAR)
STORED AS CSV LOCATION 'kafka://cs' OPTIONS ('key' 'key', 'partitions' '3');
CREATE EXTERNAL TABLE one (a VARCHAR) STORED AS CSV LOCATION 'kafka://one' OPTIONS ('partitions' '1');
CREATE VIEW js_rows AS SELECT _partition, _offset, key, n, a, "we#i r&d,+%?é" AS b FROM js;
CREATE VIEW cs_rows AS SELECT _partition, _offset, key, n, a, "we#i r&d,+%?é" AS b FROM cs;
CREATE VIEW one_rows AS SELECT _partition, _offset, 'one' AS key, 0 AS n, a, '' AS b FROM one;
"#;

const HEADER: [&str; 4] = ["key", "n", "a", "we#i r&d,+%?é"];
const CELLS: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "\u{2028}",
    "\u{85}",
    "\u{b}",
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "|",
    "\0",
    "\u{feff}",
    "#",
    "&",
    "+",
    "%",
    "?",
    "/",
    "..",
    " ",
    "\u{1f980}",
    "é",
    "a",
    "0",
    "\\",
    "'",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\u{10ffff}",
];
const NAMES: &[&str] =
    &["#", "&", "+", "%", "?", "..", " ", "=", ";", "é", "\u{1f980}", "%2F", "@", "'", "\n", "a", "-"];

/// Two cells of a row; none is a NULL.
pub(crate) type Cells = (Option<String>, Option<String>);

/// The expected content of streams.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Per key the rows, in order.
    pub(crate) rows: BTreeMap<String, Vec<(i64, Cells)>>,
    /// The first bytes of the dead letters' values.
    pub(crate) dead: Vec<Vec<u8>>,
}

impl Expected {
    pub(crate) fn add(&mut self, other: Self) {
        for (key, rows) in other.rows {
            self.rows.entry(key).or_default().extend(rows);
        }
        self.dead.extend(other.dead);
    }
}

/// A file that was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) stream: &'static str,
    pub(crate) format: Option<&'static str>,
    /// Records that are too long for any log.
    pub(crate) too_long: u64,
    pub(crate) expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Lines,
    Pretty,
    Array,
}

enum Row {
    Good(String, i64, Cells),
    Bad,
    TooLong,
}

/// Writes the file of this number.
pub(crate) fn write(random: &mut StdRng, folder: &Path, number: u64, too_long: bool) -> Written {
    let kind = *[Kind::Csv, Kind::Csv, Kind::Lines, Kind::Pretty, Kind::Array].choose(random).unwrap();
    let stream = match kind {
        Kind::Csv => *["js", "cs", "one"].choose(random).unwrap(),
        _ => "js",
    };
    let count = match random.random_range(0..40) {
        0 => random.random_range(0..2_000),
        _ => random.random_range(0..24),
    };
    let mut rows: Vec<Row> = (0..count).map(|n| row(random, number, n)).collect();
    // Files that begin with the same record are taken for one another.
    if let Some(Row::Good(_, _, (first, _))) = rows.first_mut() {
        first.get_or_insert_default();
    }
    if too_long {
        rows.insert(random.random_range(0..=rows.len()), Row::TooLong);
    }
    // A source without any record is refused.
    if kind != Kind::Csv && !rows.iter().any(|row| matches!(row, Row::Good(..))) {
        rows.push(Row::Good(format!("{number}/0"), count, (None, None)));
    }
    // Objects over several lines have no format of their own that could be named: one comes first.
    let first = rows.iter().position(|row| matches!(row, Row::Good(..))).filter(|_| kind == Kind::Pretty);
    if let Some(first) = first {
        rows[..=first].rotate_right(1);
    }
    let mut expected = Expected::default();
    let text = match kind {
        Kind::Csv => csv(random, stream, number, &rows, &mut expected),
        _ => json_text(random, kind, number, &rows, &mut expected),
    };
    let extension = match kind {
        Kind::Csv => "csv",
        // Without a name that says so, a record has to come first.
        Kind::Lines if matches!(rows[0], Row::Good(..)) => *["ndjson", "json", "jsonl", "txt"].choose(random).unwrap(),
        Kind::Lines => "ndjson",
        Kind::Pretty => *["json", "ndjson"].choose(random).unwrap(),
        Kind::Array => "json",
    };
    let gzip = random.random_bool(0.3);
    let name: String = (0..4).map(|_| *NAMES.choose(random).unwrap()).collect();
    let path = folder.join(format!("{number}{name}.{extension}{}", if gzip { ".gz" } else { "" }));
    let format = match kind {
        Kind::Csv => text.contains(&0).then_some("csv"),
        // A pipe has no name, and what comes first may be a bad record that looks like a header.
        Kind::Lines if !matches!(rows[0], Row::Good(..)) => Some("ndjson"),
        Kind::Lines | Kind::Pretty | Kind::Array => None,
    };
    std::fs::write(&path, if gzip { compressed(random, &text) } else { text }).unwrap();
    Written { path, stream, format, too_long: too_long.into(), expected }
}

fn row(random: &mut StdRng, number: u64, n: i64) -> Row {
    if random.random_bool(0.05) {
        return Row::Bad;
    }
    let key = format!("{number}/{}", random.random_range(0..2));
    Row::Good(key, n, (cell(random), cell(random)))
}

fn cell(random: &mut StdRng) -> Option<String> {
    random.random_bool(0.8).then(|| (0..random.random_range(0..9)).map(|_| *CELLS.choose(random).unwrap()).collect())
}

/// One or two members.
fn compressed(random: &mut StdRng, text: &[u8]) -> Vec<u8> {
    let at = if random.random_bool(0.3) { random.random_range(0..=text.len()) } else { text.len() };
    let member = |part: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let (first, second) = text.split_at(at);
    if second.is_empty() { member(first) } else { [member(first), member(second)].concat() }
}

fn long() -> String {
    "x".repeat(17 << 20)
}

fn quoted(random: &mut StdRng, cell: &str, always: bool) -> String {
    let needed = cell.contains([',', '"', '\n', '\r']);
    match always || needed || random.random_bool(0.2) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

/// A cell of CSV that is empty is a NULL.
fn filled(cell: &Option<String>) -> Option<String> {
    cell.clone().filter(|cell| !cell.is_empty())
}

fn csv(random: &mut StdRng, stream: &str, number: u64, rows: &[Row], expected: &mut Expected) -> Vec<u8> {
    let end = if random.random_bool(0.5) { "\n" } else { "\r\n" };
    let extra = random.random_bool(0.3);
    let columns: &[&str] = if stream == "one" { &["a"] } else { &HEADER };
    let mut header: Vec<String> = columns.iter().map(|name| quoted(random, name, false)).collect();
    if extra {
        header.push("extra".to_owned());
    }
    let mut text = if random.random_bool(0.2) { "\u{feff}".to_owned() } else { String::new() };
    text += &(header.join(",") + end);
    for (at, row) in rows.iter().enumerate() {
        match row {
            Row::Good(key, n, (a, b)) => {
                let cells = match stream {
                    // The key is in the cell: there is no other.
                    "one" => vec![a.as_ref().map(|a| format!("{number}:{a}"))],
                    _ => vec![Some(key.clone()), Some(n.to_string()), a.clone(), b.clone()],
                };
                let only = cells.len() == 1 && !extra;
                let mut line: Vec<String> =
                    cells.iter().map(|cell| quoted(random, cell.as_deref().unwrap_or_default(), only)).collect();
                if extra {
                    line.push(quoted(random, "left out", false));
                }
                text += &line.join(",");
                match stream {
                    "one" => expected
                        .rows
                        .entry("one".to_owned())
                        .or_default()
                        .push((0, (cells[0].clone(), Some(String::new())))),
                    _ => {
                        let cells = (filled(a), filled(b));
                        expected.rows.entry(key.clone()).or_default().push((*n, cells));
                    }
                }
            }
            Row::Bad => {
                let bad = match (stream, random.random_bool(0.5)) {
                    ("one", _) => format!("bad {number}/{at},\"x\n,\",y"),
                    (_, true) => format!("bad {number}/{at},\"x\ny\"\"\",z"),
                    (_, false) => format!("bad {number}/{at},1,2,3,4,\"x\r\n\""),
                };
                text += &bad;
                expected.dead.push(bad.into_bytes());
            }
            Row::TooLong => text += &format!("{number},1,\"{}\n\",", long()),
        }
        text += end;
        if random.random_bool(0.05) {
            text += end;
        }
    }
    text.into_bytes()
}

fn object(key: &str, n: i64, (a, b): &Cells, random: &mut StdRng) -> Value {
    let mut object = json!({"key": key, "n": n, "a": a, "unknown": {"a": ["{", "\n", null]}, HEADER[3]: b});
    if b.is_none() && random.random_bool(0.5) {
        object.as_object_mut().unwrap().remove(HEADER[3]);
    }
    object
}

fn json_text(random: &mut StdRng, kind: Kind, number: u64, rows: &[Row], expected: &mut Expected) -> Vec<u8> {
    let end = if random.random_bool(0.7) { "\n" } else { "\r\n" };
    let mut values = vec![];
    for (at, row) in rows.iter().enumerate() {
        let value = match row {
            Row::Good(key, n, cells) => {
                expected.rows.entry(key.clone()).or_default().push((*n, cells.clone()));
                let object = object(key, *n, cells, random);
                match kind == Kind::Pretty || (kind == Kind::Array && random.random_bool(0.5)) {
                    true => serde_json::to_string_pretty(&object).unwrap(),
                    false => object.to_string(),
                }
            }
            Row::Bad => {
                let bad = match (kind, random.random_range(0..3)) {
                    (Kind::Array, 0) => format!("\"bad {number}/{at}\""),
                    (Kind::Array, 1) => format!("[\"bad {number}/{at}\",{{}}]"),
                    (Kind::Array, _) => format!("{{\"bad {number}/{at}\":nul \"x\ny\"}}"),
                    // Objects over several lines may be cut off at the end only.
                    (_, 0) => format!("bad {number}/{at}\u{2028}\u{85}"),
                    (_, 1) => format!("{{\"bad {number}/{at}\":\"x"),
                    (_, _) => format!("{{\"bad {number}/{at}\":1}}}}"),
                };
                expected.dead.push(bad.clone().into_bytes());
                bad
            }
            // Files that begin with the same record are taken for one another.
            Row::TooLong => format!("{{\"key\":\"{number} {}\"}}", long()),
        };
        values.push(value);
    }
    let bom = if random.random_bool(0.2) { "\u{feff}" } else { "" };
    match kind {
        Kind::Array => format!("{bom}[{}]{end}", values.join(&format!(",{end}"))).into_bytes(),
        _ => {
            let last = if random.random_bool(0.5) { end } else { "" };
            let blank = format!("{end}{}", if random.random_bool(0.2) { end } else { "" });
            format!("{bom}{}{last}", values.join(&blank)).into_bytes()
        }
    }
}
