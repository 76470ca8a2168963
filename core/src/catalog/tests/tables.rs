//! The page of tables for people, against the migrations.

use std::collections::BTreeMap;

use sqlx::{Connection, Row, SqliteConnection};

use crate::catalog::migrations::MIGRATIONS;

const PAGE: &str = include_str!("../../../../migrations/README.md");
const COLUMNS: &str = "SELECT tables.name, columns.name FROM sqlite_master tables \
                       JOIN pragma_table_info(tables.name) columns \
                       WHERE tables.type = 'table' ORDER BY tables.name, columns.cid";

#[tokio::test]
async fn the_page_has_every_table_with_its_columns() {
    let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for (_, _, sql) in MIGRATIONS {
        sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
    }
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for row in sqlx::query(COLUMNS).fetch_all(&mut database).await.unwrap() {
        tables.entry(row.get(0)).or_default().push(row.get(1));
    }
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let page: BTreeMap<String, Vec<String>> = rows
        .map(|(table, rest)| {
            let columns = rest.split(" | ").next().unwrap_or_default();
            (table.to_owned(), columns.split(", ").map(ToOwned::to_owned).collect())
        })
        .collect();
    assert_eq!(page, tables);
}
