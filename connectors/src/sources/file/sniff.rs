//! Detection of a source's format by its name and its first bytes. Pure: tested without files.

use std::path::Path;

/// The format of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// A header row, then a record per row.
    Csv,
    /// A record per line, of any content.
    Lines,
    /// One array of objects.
    Array,
    /// JSON objects one after the other: one per line, or each over several lines.
    Objects,
}

/// The result of detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sniffed {
    Data(FileFormat),
    Empty,
    NotData { looks_like: &'static str, advice: &'static str },
}

const EXPORT: &str = "export it as CSV or JSON";
const NAME_IT: &str = "export it as CSV or JSON, or say which it is with `--input-format`";

const TWICE: &str = "unpack it once, and send what comes of it";

/// First bytes of files that contain no text of records.
const MAGIC: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "a zip archive or an Excel workbook",
        "send what is in it, as in `unzip -p FILE | dovetail ingest STREAM --from -`, or export the workbook as CSV",
    ),
    (b"PAR1", "a Parquet file", "it is read as a file, not through a pipe or compressed: name the file itself"),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"%PDF-", "a PDF", EXPORT),
    (b"SQLite format 3\0", "a SQLite database", EXPORT),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", EXPORT),
    (b"\xfd7zXZ\0", "xz data", "send what is in it, as in `xz -dc FILE | dovetail ingest STREAM --from -`"),
    (
        b"7z\xbc\xaf\x27\x1c",
        "a 7-Zip archive",
        "send what is in it, as in `7z e -so FILE | dovetail ingest STREAM --from -`",
    ),
    (b"\x04\x22\x4d\x18", "lz4 data", "send what is in it, as in `lz4 -dc FILE | dovetail ingest STREAM --from -`"),
    (b"\x28\xb5\x2f\xfd", "data that is compressed twice", TWICE),
    (b"BZh9", "data that is compressed twice", TWICE),
    (b"\x1f\x8b", "data that is compressed twice", TWICE),
    (b"\xff\xfe", "UTF-16 text", "convert it to UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it to UTF-8"),
    (b"version https://git-lfs", "a git-lfs pointer", "fetch the file it stands for with `git lfs pull`"),
];

/// Detects the format of the source called `name`, whose text begins with `prefix`.
///
/// The name decides between CSV and JSON where it can; the content decides the rest, and content that is neither is
/// refused.
pub(super) fn look(name: &str, prefix: &[u8]) -> Sniffed {
    let text = prefix.trim_ascii_start();
    if let Some(refused) = binary(prefix) {
        return refused;
    }
    let Some(first) = text.first() else { return Sniffed::Empty };
    let records = lines(text).any(is_object);
    match (first, extension(name).as_deref()) {
        (b'<', _) if !records => markup(text),
        (_, Some("csv" | "tsv")) => Sniffed::Data(FileFormat::Csv),
        (b'[', _) => Sniffed::Data(FileFormat::Array),
        (b'{', _) => Sniffed::Data(FileFormat::Objects),
        (_, Some("json" | "ndjson" | "jsonl")) if !lines(text).any(|line| line.starts_with(b"{")) => {
            Sniffed::NotData { looks_like: "text that is not JSON", advice: "call it .csv if that is what it is" }
        }
        (_, Some("json" | "ndjson" | "jsonl")) => Sniffed::Data(FileFormat::Objects),
        _ if records => Sniffed::Data(FileFormat::Objects),
        _ => Sniffed::Data(FileFormat::Csv),
    }
}

/// The format for a stream of lines: lines, unless the source is no text.
pub(super) fn look_for_lines(prefix: &[u8]) -> Sniffed {
    match binary(prefix) {
        Some(refused) => refused,
        None if prefix.trim_ascii().is_empty() => Sniffed::Empty,
        None => Sniffed::Data(FileFormat::Lines),
    }
}

fn binary(prefix: &[u8]) -> Option<Sniffed> {
    let text = prefix.trim_ascii_start();
    if let Some(&(_, looks_like, advice)) = MAGIC.iter().find(|(magic, ..)| text.starts_with(magic)) {
        return Some(Sniffed::NotData { looks_like, advice });
    }
    prefix.contains(&0).then_some(Sniffed::NotData { looks_like: "binary data", advice: NAME_IT })
}

fn markup(text: &[u8]) -> Sniffed {
    let start = text[..text.len().min(64)].to_ascii_lowercase();
    let xml = start.starts_with(b"<?xml") && !text.windows(5).any(|word| word.eq_ignore_ascii_case(b"<html"));
    if xml {
        return Sniffed::NotData { looks_like: "XML", advice: EXPORT };
    }
    let advice = "it is what a browser shows, perhaps a login or an error page: download the data itself";
    Sniffed::NotData { looks_like: "an HTML page", advice }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii)
}

fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// The extension in lower case, ignoring that of a compression.
fn extension(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let packed = [".gz", ".bz2", ".zst"].into_iter().find_map(|packed| name.strip_suffix(packed));
    let name = Path::new(packed.unwrap_or(&name));
    Some(name.extension()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, prefix: &str, format: FileFormat) {
        assert_eq!(look(name, prefix.as_bytes()), Sniffed::Data(format), "{name}: {prefix}");
    }

    #[test]
    fn content_decides_what_a_name_leaves_open() {
        check("-", "{\"a\":1}\n{\"a\":2}\n", FileFormat::Objects);
        check("-", "  \n[{\"a\":1}\n,{\"a\":2}]", FileFormat::Array);
        check("-", "[\n  {\n", FileFormat::Array);
        check("-", "a,b\n1,2\n", FileFormat::Csv);
        check("x.json", "{\n  \"a\": 1\n}\n", FileFormat::Objects);
        check("x.json", "{\"a\":1}\n", FileFormat::Objects);
        check("x.ndjson", "{\n{\"a\":1", FileFormat::Objects);
        check("x.csv.gz", "[a],{b}\n", FileFormat::Csv);
        check("X.JSONL.GZ", "junk\n{\"a\":1}\n", FileFormat::Objects);
    }

    #[test]
    fn bad_first_lines_do_not_make_a_file_bad() {
        check("x.ndjson", "<html><body>502</body></html>\n{\"a\":1}\n", FileFormat::Objects);
        check("-", "<html><body>502</body></html>\n{\"a\":1}\n", FileFormat::Objects);
        check("-", "{\"a\":\n{\"a\":1}\n", FileFormat::Objects);
    }

    #[test]
    fn what_is_no_data_is_named() {
        let named = |name: &str, prefix: &[u8]| match look(name, prefix) {
            Sniffed::NotData { looks_like, .. } => looks_like,
            other => panic!("{name} taken for {other:?}"),
        };
        assert_eq!(named("a.csv", b"\n <!DOCTYPE html><html>"), "an HTML page");
        assert_eq!(named("a.csv", b"<?xml version=\"1.0\"?><Error/>"), "XML");
        assert_eq!(named("-", b"<?xml version=\"1.0\"?>\n<html>"), "an HTML page");
        assert_eq!(named("a.json", b"PAR1\x15\x04"), "a Parquet file");
        assert_eq!(named("a.json", b"just text\n"), "text that is not JSON");
        assert_eq!(named("a.csv", b"a\0b\0"), "binary data");
        assert_eq!(named("a.csv", b"\xff\xfea\0"), "UTF-16 text");
        assert_eq!(look("a.csv", b" \r\n"), Sniffed::Empty);
        assert_eq!(look_for_lines(b"<34>Oct 11 22:14:15 su: failed"), Sniffed::Data(FileFormat::Lines));
        assert_eq!(look_for_lines(b"{\"a\":1}\n"), Sniffed::Data(FileFormat::Lines));
        assert!(matches!(look_for_lines(b"PK\x03\x04"), Sniffed::NotData { .. }));
    }
}
