//! Arrays in PostgreSQL's text form, and their comparison.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StringArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::{cmp, comparison};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, UInt64Type};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::functions_nested;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;

use super::function::{ColumnNaming, Function};
use crate::functions::guard::unguarded;

/// An element of PostgreSQL's array literal: `None` for NULL, text, or an array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element {
    Null,
    Text(String),
    Array(Vec<Element>),
}

/// Reads `{a,"b,c",NULL,{..}}`.
pub(super) fn parsed(literal: &str) -> Result<Vec<Element>> {
    let wrong = || DataFusionError::Execution(format!("malformed array literal: \"{literal}\""));
    let mut reader = ArrayReader { rest: literal.trim().chars().peekable() };
    // `[1:2]={..}`: bounds that do not begin at 1 cannot be kept.
    if reader.rest.peek() != Some(&'{') {
        return Err(wrong());
    }
    reader.rest.next();
    let elements = reader.elements(0).ok_or_else(wrong)?;
    if reader.rest.next().is_some() {
        return Err(wrong());
    }
    Ok(elements)
}

/// PostgreSQL's greatest number of dimensions.
const MAX_DIMENSIONS: usize = 6;

struct ArrayReader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl ArrayReader<'_> {
    /// Reads the elements behind `{`, up to its `}`.
    fn elements(&mut self, depth: usize) -> Option<Vec<Element>> {
        if depth == MAX_DIMENSIONS {
            return None;
        }
        let mut elements = vec![];
        self.spaces();
        if self.rest.next_if_eq(&'}').is_some() {
            return Some(elements);
        }
        loop {
            self.spaces();
            elements.push(self.element(depth)?);
            self.spaces();
            match self.rest.next()? {
                ',' => {}
                '}' => return Some(elements),
                _ => return None,
            }
        }
    }

    fn spaces(&mut self) {
        while self.rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
    }

    fn element(&mut self, depth: usize) -> Option<Element> {
        if self.rest.next_if_eq(&'{').is_some() {
            return self.elements(depth + 1).map(Element::Array);
        }
        if self.rest.next_if_eq(&'"').is_some() {
            let mut text = String::new();
            loop {
                match self.rest.next()? {
                    '"' => return Some(Element::Text(text)),
                    '\\' => text.push(self.rest.next()?),
                    other => text.push(other),
                }
            }
        }
        let mut text = String::new();
        let mut escaped = false;
        // Length of the text without the spaces behind it.
        let mut end = 0;
        while let Some(c) = self.rest.next_if(|c| !matches!(c, ',' | '}' | '{' | '"')) {
            if c == '\\' {
                escaped = true;
                text.push(self.rest.next()?);
                end = text.len();
            } else {
                text.push(c);
                if !c.is_ascii_whitespace() {
                    end = text.len();
                }
            }
        }
        text.truncate(end);
        match text.is_empty() {
            true => None,
            false if !escaped && text.eq_ignore_ascii_case("null") => Some(Element::Null),
            false => Some(Element::Text(text)),
        }
    }
}

/// Casts the texts of elements to their type.
type ReadElements = fn(&ArrayRef, &DataType) -> Result<ArrayRef>;

/// Parses texts as arrays of `wanted`, a list type; `read` casts the elements.
pub(super) fn from_text(array: &ArrayRef, wanted: &DataType, read: ReadElements) -> Result<ArrayRef> {
    let texts = cast(array, &DataType::Utf8)?;
    let rows: Vec<Option<Vec<Element>>> =
        texts.as_string::<i32>().iter().map(|text| text.map(parsed).transpose()).collect::<Result<_>>()?;
    lists(rows, wanted, read)
}

fn lists(rows: Vec<Option<Vec<Element>>>, wanted: &DataType, read: ReadElements) -> Result<ArrayRef> {
    let (DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _)) = wanted else {
        return exec_err!("an array literal is no `{wanted}`");
    };
    let lengths: Vec<usize> = rows.iter().map(|row| row.as_ref().map_or(0, Vec::len)).collect();
    let valid = NullBuffer::from_iter(rows.iter().map(Option::is_some));
    let elements: Vec<Element> = rows.into_iter().flatten().flatten().collect();
    let values = match field.data_type() {
        inner @ (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)) => {
            let inner_rows = elements.into_iter().map(|element| match element {
                Element::Null => Ok(None),
                Element::Array(elements) => Ok(Some(elements)),
                Element::Text(_) => exec_err!("the array literal has fewer dimensions than its type"),
            });
            lists(inner_rows.collect::<Result<_>>()?, inner, read)?
        }
        inner => {
            let texts = elements.into_iter().map(|element| match element {
                Element::Null => Ok(None),
                Element::Text(text) => Ok(Some(text)),
                Element::Array(_) => {
                    exec_err!("the array literal has more dimensions than its type: write `{inner}[][]`")
                }
            });
            let texts: StringArray = texts.collect::<Result<_>>()?;
            read(&(Arc::new(texts) as ArrayRef), inner)?
        }
    };
    let list = ListArray::try_new(
        Arc::new(Field::new_list_field(field.data_type().clone(), true)),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(valid),
    )?;
    Ok(cast(&list, wanted)?)
}

/// The functions `any_of(x, array)` for `x = ANY(array)`, one for each operator, and `all_of_..` for ALL.
pub(super) fn quantified() -> Vec<Arc<ScalarUDF>> {
    macro_rules! both {
        ($($name:literal, $operator:literal, $compare:expr;)*) => {
            vec![$(
                Function::named(concat!("any_", $name), ColumnNaming::Infix(concat!($operator, " ANY")), types, |arguments, _| {
                    reduced(arguments, $compare, true)
                }).udf(),
                Function::named(concat!("all_", $name), ColumnNaming::Infix(concat!($operator, " ALL")), types, |arguments, _| {
                    reduced(arguments, $compare, false)
                }).udf(),
            )*]
        };
    }
    both! {
        "eq", "=", |a, b| cmp::eq(a, b);
        "ne", "<>", |a, b| cmp::neq(a, b);
        "lt", "<", |a, b| cmp::lt(a, b);
        "le", "<=", |a, b| cmp::lt_eq(a, b);
        "gt", ">", |a, b| cmp::gt(a, b);
        "ge", ">=", |a, b| cmp::gt_eq(a, b);
        "like", "LIKE", |a, b| comparison::like(a, b);
        "ilike", "ILIKE", |a, b| comparison::ilike(a, b);
        "nlike", "NOT LIKE", |a, b| comparison::nlike(a, b);
        "nilike", "NOT ILIKE", |a, b| comparison::nilike(a, b);
    }
}

/// The name of the function for `operator ANY` or `operator ALL`.
pub(super) fn function_for(operator: &str, is_any: bool) -> Option<String> {
    let name = match operator {
        "=" => "eq",
        "<>" | "!=" => "ne",
        "<" => "lt",
        "<=" => "le",
        ">" => "gt",
        ">=" => "ge",
        "~~" | "LIKE" => "like",
        "~~*" | "ILIKE" => "ilike",
        "!~~" | "NOT LIKE" => "nlike",
        "!~~*" | "NOT ILIKE" => "nilike",
        _ => return None,
    };
    Some(format!("{}_{name}", if is_any { "any" } else { "all" }))
}

/// Whether `function` is one of [`quantified`].
pub(super) fn is_quantified(function: &ScalarUDF) -> bool {
    let name = function.name();
    (name.starts_with("any_") || name.starts_with("all_")) && unguarded(function).inner().is::<Function>()
}

fn types(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    let [left, right] = types else { return plan_err!("ANY and ALL take an array") };
    let element = match right {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            field.data_type().clone()
        }
        // A literal, or a parameter of no known type, is read as an array of the other operand's type, as in
        // PostgreSQL.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => left.clone(),
        other => return plan_err!("ANY and ALL take an array, not `{other}`"),
    };
    let common = match (is_text(left), is_text(&element)) {
        (true, false) if !element.is_null() => element,
        (false, true) if !left.is_null() => left.clone(),
        _ => match comparison_coercion(left, &element) {
            Some(common) => common,
            None => return plan_err!("`{left}` cannot be compared with elements of type `{element}`"),
        },
    };
    let list = DataType::List(Arc::new(Field::new_list_field(common.clone(), true)));
    Ok((vec![common, list], DataType::Boolean))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

type Compare = fn(&ArrayRef, &ArrayRef) -> std::result::Result<BooleanArray, arrow::error::ArrowError>;

/// ANY is true when one comparison is, ALL is false when one is false; otherwise a comparison with NULL makes the
/// answer NULL.
fn reduced(arguments: &[ArrayRef], compare: Compare, is_any: bool) -> Result<ArrayRef> {
    let lists = arguments[1].as_list::<i32>();
    let offsets = lists.offsets();
    let rows = 0..lists.len();
    let spread: UInt32Array = rows
        .clone()
        .flat_map(|row| std::iter::repeat_n(row as u32, (offsets[row + 1] - offsets[row]) as usize))
        .collect::<Vec<u32>>()
        .into();
    let first = offsets[0] as usize;
    let elements = lists.values().slice(first, offsets[lists.len()] as usize - first);
    let compared = compare(&take(&arguments[0], &spread, None)?, &elements)?;
    let decides = |row: usize| {
        if lists.is_null(row) {
            return None;
        }
        let mut has_null = false;
        for at in offsets[row] as usize - first..offsets[row + 1] as usize - first {
            match compared.is_null(at) {
                true => has_null = true,
                false if compared.value(at) == is_any => return Some(is_any),
                false => {}
            }
        }
        if has_null { None } else { Some(!is_any) }
    };
    Ok(Arc::new(rows.map(decides).collect::<BooleanArray>()))
}

/// `array_length`: NULL for an array without elements.
pub(super) fn array_length() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(crate::sql::wrapped_function::Wrapped::after(
        functions_nested::length::array_length_udf(),
        "array_length",
        |lengths| {
            let numbers = lengths.as_primitive::<UInt64Type>();
            let numbers: arrow::array::UInt64Array = numbers.iter().map(|n| n.filter(|n| *n > 0)).collect();
            Ok(Arc::new(numbers))
        },
    )))
}

/// `array_remove`: removes every element that is equal.
pub(super) fn array_remove() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(crate::sql::wrapped_function::Wrapped::renamed(
        functions_nested::remove::array_remove_all_udf(),
        "array_remove",
    )))
}
