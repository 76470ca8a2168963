//! A statement with its arguments, and a row of its result, for either database.
//!
//! The `.sql` files are the same for both: numbered arguments, 32- and 64-bit integers, floats, and text.

use serde::de::DeserializeOwned;
use sqlx::database::Database;
use sqlx::encode::Encode;
use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Type;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite};

#[derive(Debug, Clone)]
pub(super) struct Statement {
    sql: &'static str,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone)]
pub(super) enum Argument {
    Int(i32),
    BigInt(Option<i64>),
    Double(Option<f64>),
    Text(Option<String>),
}

impl Statement {
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql, arguments: vec![] }
    }

    /// Binds the next of `$1, $2, ..`.
    pub(super) fn bind(mut self, argument: impl Into<Argument>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn query<D: Database>(&self) -> Query<'_, D, D::Arguments>
    where
        i32: for<'q> Encode<'q, D> + Type<D>,
        Option<i64>: for<'q> Encode<'q, D> + Type<D>,
        Option<f64>: for<'q> Encode<'q, D> + Type<D>,
        Option<String>: for<'q> Encode<'q, D> + Type<D>,
    {
        self.arguments.iter().fold(sqlx::query(self.sql), |query, argument| match argument {
            Argument::Int(value) => query.bind(*value),
            Argument::BigInt(value) => query.bind(*value),
            Argument::Double(value) => query.bind(*value),
            Argument::Text(value) => query.bind(value.clone()),
        })
    }
}

macro_rules! arguments {
    ($($of:ty => |$value:ident| $argument:expr;)+) => {
        $(impl From<$of> for Argument {
            fn from($value: $of) -> Self {
                $argument
            }
        })+
    };
}

arguments! {
    i32 => |value| Self::Int(value);
    i64 => |value| Self::BigInt(Some(value));
    Option<i64> => |value| Self::BigInt(value);
    Option<f64> => |value| Self::Double(value);
    String => |value| Self::Text(Some(value));
    &str => |value| Self::Text(Some(value.to_owned()));
    &String => |value| Self::Text(Some(value.clone()));
    &Option<String> => |value| Self::Text(value.clone());
    Option<&String> => |value| Self::Text(value.cloned());
}

/// A row of a result.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Reads a column's value, by the column's name or number.
    pub(super) fn get<T>(&self, column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>) -> sqlx::Result<T>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// A column of text, parsed.
    pub(super) fn parse<T, E>(&self, column: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> sqlx::Result<T>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let text: String = self.get(column)?;
        parse(&text).map_err(|e| sqlx::Error::Decode(e.into()))
    }

    /// A column of JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> sqlx::Result<T> {
        self.parse(column, |text| serde_json::from_str(text))
    }
}

/// A type that can be read from a row.
pub(super) trait FromRow: Sized {
    fn from_row(row: &Row) -> sqlx::Result<Self>;
}

/// A single number.
impl FromRow for i64 {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        row.get(0)
    }
}

/// A single text.
impl FromRow for String {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        row.get(0)
    }
}

/// A count as the database stores it.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A stored count; the tables' checks keep it from being negative.
pub(super) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
