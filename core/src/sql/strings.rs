//! Functions of text that DataFusion lacks or answers otherwise.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::kernels::regexp::regexp_match;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{ColumnNaming, Function};

fn all_text(types: &[DataType], count: std::ops::RangeInclusive<usize>) -> Result<(Vec<DataType>, DataType)> {
    if !count.contains(&types.len()) {
        return plan_err!("{} arguments are too many or too few", types.len());
    }
    Ok((vec![DataType::Utf8; types.len()], DataType::Utf8))
}

/// `SUBSTRING(t FROM 'pattern')`: the first group of the match, or all of it when there is no group.
pub(super) fn substring_matching() -> Arc<ScalarUDF> {
    let types = |types: &[DataType]| all_text(types, 2..=2);
    Function::new("substring", types, |arguments, _| {
        let found = regexp_match(&arguments[0], &arguments[1], None)?;
        let found = found.as_list::<i32>();
        let first = (0..found.len()).map(|row| {
            let groups = if found.is_null(row) { None } else { Some(found.value(row)) };
            groups.and_then(|groups| {
                let groups = groups.as_string::<i32>();
                (!groups.is_empty() && !groups.is_null(0)).then(|| groups.value(0).to_owned())
            })
        });
        Ok(Arc::new(first.collect::<StringArray>()))
    })
    .udf()
}

/// `similar_to_regex(pattern, escape)`: a pattern of `SIMILAR TO` as a regular expression.
pub(super) fn similar_to_regex() -> Arc<ScalarUDF> {
    let types = |types: &[DataType]| all_text(types, 2..=2);
    Function::new("similar_to_regex", types, |arguments, _| {
        let (patterns, escapes) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
        let each = patterns.iter().zip(escapes).map(|pair| match pair {
            (Some(pattern), Some(escape)) => regex_of(pattern, escape).map(Some),
            _ => Ok(None),
        });
        Ok(Arc::new(each.collect::<Result<StringArray>>()?))
    })
    .udf()
}

fn regex_of(pattern: &str, escape: &str) -> Result<String> {
    let mut letters = escape.chars();
    let (escape, None) = (letters.next(), letters.next()) else {
        return exec_err!("invalid escape string: it has to be empty or one character");
    };
    let mut regex = "^(?:".to_owned();
    let mut in_brackets = false;
    let mut pattern = pattern.chars();
    while let Some(c) = pattern.next() {
        match c {
            c if Some(c) == escape => match pattern.next() {
                Some(c) if c.is_alphanumeric() => regex.push(c),
                Some(c) => regex.extend(['\\', c]),
                None => return exec_err!("the pattern of SIMILAR TO ends with its escape character"),
            },
            ']' if in_brackets => {
                in_brackets = false;
                regex.push(c);
            }
            '\\' => regex.push_str("\\\\"),
            c if in_brackets => regex.push(c),
            '[' => {
                in_brackets = true;
                regex.push(c);
            }
            '%' => regex.push_str("(?s:.*)"),
            '_' => regex.push_str("(?s:.)"),
            '(' => regex.push_str("(?:"),
            '.' | '^' | '$' => regex.extend(['\\', c]),
            c => regex.push(c),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}

/// `varchar(t, n)`: the result of a cast to `VARCHAR(n)`.
pub(super) fn varchar() -> Arc<ScalarUDF> {
    Function::named("varchar", ColumnNaming::First, text_and_length, |arguments, _| cut(arguments, false)).udf()
}

/// `bpchar(t, n)`: the result of a cast to `CHAR(n)`. Spaces at its end mean nothing, so they are removed.
pub(super) fn bpchar() -> Arc<ScalarUDF> {
    Function::named("bpchar", ColumnNaming::First, text_and_length, |arguments, _| cut(arguments, true)).udf()
}

fn text_and_length(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    match types {
        [_, _] => Ok((vec![DataType::Utf8, DataType::Int64], DataType::Utf8)),
        _ => plan_err!("a text and a length are wanted"),
    }
}

fn cut(arguments: &[ArrayRef], trim: bool) -> Result<ArrayRef> {
    let (texts, lengths) = (arguments[0].as_string::<i32>(), arguments[1].as_primitive::<Int64Type>());
    let each = texts.iter().zip(lengths).map(|(text, length)| {
        let length = usize::try_from(length?).unwrap_or(usize::MAX);
        let text = text?;
        let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
        let kept = &text[..end];
        Some(if trim { kept.trim_end_matches(' ') } else { kept })
    });
    Ok(Arc::new(each.collect::<StringArray>()))
}

/// `chr(code)`: code 0 is an error, because no text contains a NUL.
pub(super) fn chr() -> Arc<ScalarUDF> {
    let types = |types: &[DataType]| match types {
        [code] if code.is_integer() || code.is_null() => Ok((vec![DataType::Int64], DataType::Utf8)),
        _ => plan_err!("`chr` takes the number of a character"),
    };
    Function::new("chr", types, |arguments, _| {
        let letter = |code: i64| match u32::try_from(code).ok().and_then(char::from_u32) {
            Some('\0') => exec_err!("null character not permitted"),
            Some(letter) => Ok(letter.to_string()),
            None => exec_err!("invalid Unicode scalar value: {code}"),
        };
        let codes = arguments[0].as_primitive::<Int64Type>();
        Ok(Arc::new(codes.iter().map(|code| code.map(letter).transpose()).collect::<Result<StringArray>>()?))
    })
    .udf()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same patterns match as in PostgreSQL; the expressions are in the syntax of Rust's regex crate.
    #[test]
    fn patterns_of_similar_to_become_expressions() {
        let cases = [
            ("A%", "^(?:A(?s:.*))$"),
            ("a_c|b.d", "^(?:a(?s:.)c|b\\.d)$"),
            ("(ab)+[%_]", "^(?:(?:ab)+[%_])$"),
            ("50\\%", "^(?:50\\%)$"),
        ];
        for (pattern, regex) in cases {
            assert_eq!(regex_of(pattern, "\\").unwrap(), regex);
        }
        assert!(regex_of("a", "ab").is_err());
    }
}
