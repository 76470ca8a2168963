//! Field names from the names in a file's header row. Pure.

use dovetail_core::pipeline::{Header, Stream, StreamOptions};

use super::SourceError;

/// Field names for the header `names`, one each, without repetition.
///
/// A repeated name gets a number (`location_2`), a blank name is that of its column (`column_3`): no cell is lost for
/// want of a name.
pub(super) fn fields(names: &[String], options: &StreamOptions) -> Vec<String> {
    let mut fields: Vec<String> = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let mut field = field(name.trim(), options);
        if field.is_empty() {
            field = format!("column_{}", i + 1);
        }
        let name = field.clone();
        for n in 2.. {
            if !fields.contains(&field) {
                break;
            }
            field = format!("{name}_{n}");
        }
        fields.push(field);
    }
    fields
}

fn field(name: &str, options: &StreamOptions) -> String {
    let single = options.header_names.iter().find(|(from, _)| from == name);
    match (single, options.header) {
        (Some((_, to)), _) => to.clone(),
        (None, Header::AsIs | Header::None) => name.to_owned(),
        (None, Header::SnakeCase) => snake_case(name),
    }
}

/// The name in lower case, with one `_` for each run of characters that are neither letter nor digit.
fn snake_case(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

pub(super) fn declares(stream: &Stream, field: &str) -> bool {
    stream.columns.column_with_name(field).is_some()
}

/// Refuses `fields` without a column of `stream`, and those that lack a NOT NULL column, unless `force` is set.
pub(super) fn check(name: &str, fields: &[String], stream: &Stream, force: bool) -> Result<(), SourceError> {
    let columns = stream.columns.fields();
    let found = || some_of(fields.iter().map(String::as_str));
    if !fields.iter().any(|field| declares(stream, field)) {
        return Err(SourceError::NoHeaderMatches {
            name: name.to_owned(),
            stream: stream.name.to_string(),
            found: found(),
            wanted: some_of(columns.iter().map(|field| field.name().as_str())),
            rule: match stream.options.header {
                Header::AsIs => "set the stream's option `header` to 'snake_case', map",
                Header::SnakeCase | Header::None => "map",
            },
        });
    }
    let missing = |column: &&str| !fields.iter().any(|field| field == column);
    let required = columns.iter().filter(|field| !field.is_nullable()).map(|field| field.name().as_str());
    let missing: Vec<&str> = required.filter(missing).collect();
    if missing.is_empty() || force {
        return Ok(());
    }
    let (missing, found) = (some_of(missing.into_iter()), found());
    Err(SourceError::HeaderLacks { name: name.to_owned(), stream: stream.name.to_string(), missing, found })
}

/// The first few names, in back-ticks and not too long.
fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.map(|name| format!("`{}`", name.chars().take(40).collect::<String>()));
    let mut some: Vec<String> = names.by_ref().take(4).collect();
    if names.next().is_some() {
        some.push("..".to_owned());
    }
    some.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;

    fn check(header: Header, names: &[&str], expected: &[&str]) {
        let mut options = options();
        options.header = header;
        options.header_names = vec![("Incident Zip".into(), "zip".into())];
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(fields(&names, &options), expected);
    }

    #[test]
    fn headers_become_field_names() {
        let names = ["X Coordinate (State Plane)", "Created Date", "BBL", "Incident Zip", " Größe "];
        check(Header::SnakeCase, &names, &["x_coordinate_state_plane", "created_date", "bbl", "zip", "größe"]);
        check(Header::AsIs, &["Created Date", "Incident Zip"], &["Created Date", "zip"]);
    }

    #[test]
    fn every_cell_has_a_name() {
        let names = ["", "Location", "location", "LOCATION", "--"];
        check(Header::SnakeCase, &names, &["column_1", "location", "location_2", "location_3", "column_5"]);
    }
}
