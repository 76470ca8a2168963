//! `.slt` files: SQL in, answers out, over any interface.
//!
//! The part of sqllogictest's format that these files need, so that another runner reads them too:
//! ```text
//! statement ok | statement error TEXT      the SQL, a blank line
//! query TYPES [rowsort]                    the SQL, `----`, a line per row, a blank line
//! ```
//! `TYPES` has a letter per column: `T` text, `I` integer, `R` float (three decimals), `B` boolean, `P` timestamp
//! (ISO 8601 with its offset). A null is `NULL`, an empty text `(empty)`. The crate of that name would bring thirteen
//! others, four of them second versions of what is here.

use std::fmt::Write;
use std::path::Path;

/// Rows as text, as an interface returns them; `None` is null.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// Something that answers SQL.
pub(crate) trait Interface {
    fn name(&self) -> &'static str;
    /// The answer, or the error's message.
    async fn ask(&self, sql: &str) -> Result<Rows, String>;
}

#[derive(Debug, PartialEq)]
struct Record {
    line: usize,
    sql: String,
    expect: Expect,
}

#[derive(Debug, PartialEq)]
enum Expect {
    Ok,
    Error(String),
    Rows { types: String, sort: bool, rows: Vec<String> },
}

/// Runs all records of `file`, and panics with everything that was not as expected.
pub(crate) async fn run(file: &Path, interface: &impl Interface) {
    run_some(file, interface, |_| true).await;
}

/// The same for the records whose SQL is `wanted`.
pub(crate) async fn run_some(file: &Path, interface: &impl Interface, wanted: impl Fn(&str) -> bool) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut wrong = String::new();
    let mut records = parse(&text);
    records.retain(|record| wanted(&record.sql));
    for record in &records {
        let answer = interface.ask(&record.sql).await;
        if let Err(difference) = check(&record.expect, answer) {
            writeln!(wrong, "{}:{}: {}\n{difference}", file.display(), record.line, record.sql).unwrap();
        }
    }
    assert!(!records.is_empty(), "{} holds no records", file.display());
    assert!(wrong.is_empty(), "over {}:\n{wrong}", interface.name());
}

fn parse(text: &str) -> Vec<Record> {
    let mut lines = (1..).zip(text.lines()).peekable();
    let mut records = vec![];
    while let Some((line, head)) = lines.next() {
        if head.trim().is_empty() || head.starts_with('#') {
            continue;
        }
        let mut sql = vec![];
        let mut rows = None;
        for (_, text) in lines.by_ref().take_while(|(_, text)| !text.trim().is_empty()) {
            match &mut rows {
                None if text == "----" => rows = Some(vec![]),
                None => sql.push(text),
                Some(rows) => rows.push(words(text)),
            }
        }
        records.push(Record { line, sql: sql.join("\n"), expect: expect(head, rows.unwrap_or_default()) });
    }
    records
}

fn expect(head: &str, rows: Vec<String>) -> Expect {
    if head == "statement ok" {
        return Expect::Ok;
    }
    if let Some(text) = head.strip_prefix("statement error ") {
        return Expect::Error(text.to_owned());
    }
    let mut words = head.split_whitespace();
    assert_eq!(words.next(), Some("query"), "`{head}` is no record");
    let types = words.next().unwrap_or_else(|| panic!("`{head}` has no types")).to_owned();
    let sort = match words.next() {
        None | Some("nosort") => false,
        Some("rowsort") => true,
        Some(other) => panic!("`{other}` is no sort mode"),
    };
    Expect::Rows { types, sort, rows }
}

fn check(expect: &Expect, answer: Result<Rows, String>) -> Result<(), String> {
    match (expect, answer) {
        (Expect::Ok, Ok(_)) => Ok(()),
        (Expect::Error(text), Err(error)) if error.contains(text) => Ok(()),
        (Expect::Error(text), got) => Err(format!("  expected an error with `{text}`, got {got:?}\n")),
        (Expect::Ok | Expect::Rows { .. }, Err(error)) => Err(format!("  failed: {error}\n")),
        (Expect::Rows { types, sort, rows }, Ok(got)) => {
            let mut got = got.iter().map(|row| row_text(types, row)).collect::<Result<Vec<_>, _>>()?;
            let mut rows = rows.clone();
            if *sort {
                got.sort();
                rows.sort();
            }
            match got == rows {
                true => Ok(()),
                false => Err(format!("  expected\n    {}\n  got\n    {}\n", rows.join("\n    "), got.join("\n    "))),
            }
        }
    }
}

fn row_text(types: &str, row: &[Option<String>]) -> Result<String, String> {
    if types.len() != row.len() {
        return Err(format!("  {} types for {} columns\n", types.len(), row.len()));
    }
    let values = types.chars().zip(row).map(|(kind, value)| value_text(kind, value.as_deref()));
    Ok(words(&values.collect::<Result<Vec<_>, _>>()?.join(" ")))
}

/// The same text whichever interface wrote it.
fn value_text(kind: char, value: Option<&str>) -> Result<String, String> {
    let Some(value) = value else { return Ok("NULL".to_owned()) };
    let no = |what| format!("  `{value}` is no {what}\n");
    match kind {
        'T' if value.is_empty() => Ok("(empty)".to_owned()),
        'T' => Ok(value.to_owned()),
        'I' => value.parse::<i128>().map(|number| number.to_string()).map_err(|_| no("integer")),
        'R' => value.parse::<f64>().map(|number| format!("{number:.3}")).map_err(|_| no("float")),
        'B' => match value {
            "t" | "true" => Ok("true".to_owned()),
            "f" | "false" => Ok("false".to_owned()),
            _ => Err(no("boolean")),
        },
        'P' => timestamp(value).ok_or_else(|| no("timestamp")),
        _ => Err(format!("  `{kind}` is no type\n")),
    }
}

/// `2026-03-01 00:00:00.500000-05` and `2026-03-01T00:00:00.5-05:00` are the latter.
fn timestamp(text: &str) -> Option<String> {
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    let zone = rest.find(['+', '-', 'Z']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    let time = match time.contains('.') {
        true => time.trim_end_matches('0').trim_end_matches('.'),
        false => time,
    };
    let zone = match zone {
        "Z" => "+00:00".to_owned(),
        zone if zone.len() == 3 => format!("{zone}:00"),
        zone => zone.to_owned(),
    };
    Some(format!("{date}T{time}{zone}"))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn records_are_parsed() {
    let text = "# a comment\nstatement error no such\nSELECT x\n\nquery TI rowsort\nSELECT a,\n  b\n----\nx  1\n";
    let rows = Expect::Rows { types: "TI".into(), sort: true, rows: vec!["x 1".into()] };
    let expected = [
        Record { line: 2, sql: "SELECT x".into(), expect: Expect::Error("no such".into()) },
        Record { line: 5, sql: "SELECT a,\n  b".into(), expect: rows },
    ];
    assert_eq!(parse(text), expected);
}

#[test]
fn a_wrong_answer_is_seen() {
    let expect = || Expect::Rows { types: "TR".into(), sort: false, rows: vec!["x 1.500".into()] };
    let row = |a: &str, b: &str| Ok(vec![vec![Some(a.to_owned()), Some(b.to_owned())]]);
    assert_eq!(check(&expect(), row("x", "1.5")), Ok(()));
    assert!(check(&expect(), row("x", "1.6")).is_err());
    assert!(check(&expect(), Ok(vec![])).is_err());
    assert!(check(&expect(), Err("x 1.500".into())).is_err());
    assert!(check(&Expect::Error("gone".into()), row("x", "1.5")).is_err());
}

#[test]
fn the_interfaces_ways_of_writing_are_one() {
    let check = |kind, text: &str, expected: &str| assert_eq!(value_text(kind, Some(text)).unwrap(), expected);
    check('P', "2026-03-01 00:00:00.500000-05", "2026-03-01T00:00:00.5-05:00");
    check('P', "2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00+00:00");
    check('P', "2026-03-01 00:00:00", "2026-03-01T00:00:00");
    check('B', "t", "true");
    check('R', "1", "1.000");
    check('T', "", "(empty)");
}
