use super::{STREAM, check, check_options};

#[test]
fn statements_that_have_no_place() {
    let other = "p.sql:2:1: in `DROP TABLE s`: this statement has no place in a pipeline\n  hint: a pipeline has only \
                 `CREATE EXTERNAL TABLE` (a stream or a lookup) and `CREATE VIEW`";
    check(&format!("{STREAM}\nDROP TABLE s;"), other);
    check(&format!("{STREAM}\nCOPY s TO 'x.csv';"), &other.replace("DROP TABLE s", "COPY s TO 'x.csv'"));
    check(&format!("{STREAM}\nEXPLAIN SELECT 1;"), &other.replace("DROP TABLE s", "EXPLAIN SELECT 1"));
    check(
        &format!("{STREAM}\nSELECT a, a + 1 AS something_that_is_long_to_read FROM s;"),
        "p.sql:2:1: in `SELECT a, a + 1 AS something_that_is_lon...`: a query alone has no place in a pipeline\n  \
         hint: write `CREATE VIEW name AS` in front of it; to ask once, use `dovetail query`",
    );
    check(
        &format!("{STREAM}\nCREATE TABLE x (a INT);"),
        "p.sql:2:1: in `CREATE TABLE x (a INT)`: `CREATE TABLE` has no place in a pipeline\n  hint: write `CREATE \
         EXTERNAL TABLE .. STORED AS JSON LOCATION 'kafka://TOPIC'` for a stream, `CREATE VIEW .. AS` for a query",
    );
}

#[test]
fn an_empty_pipeline() {
    let expected = "p.sql: there is no stream\n  hint: add `CREATE EXTERNAL TABLE name (..) STORED AS JSON LOCATION \
                    'kafka://TOPIC'`";
    check("", expected);
    check("-- nothing\n;", expected);
    check("CREATE VIEW v AS SELECT 1;", expected);
}

#[test]
fn views_with_other_clauses() {
    let plain = "p.sql:2:1: in view `v`: a view has a name, options and a query, and no other clause\n  hint: write `CREATE VIEW \
                 name AS SELECT ..`, with columns named by `AS` in the query; options stand before `AS`: `WITH (on_error = 'null')`";
    for create in [
        "CREATE OR REPLACE VIEW v AS SELECT a FROM s",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM s",
        "CREATE VIEW IF NOT EXISTS v AS SELECT a FROM s",
        "CREATE TEMPORARY VIEW v AS SELECT a FROM s",
        "CREATE VIEW v (x) AS SELECT a FROM s",
        "CREATE VIEW v AS SELECT a FROM s WITH NO SCHEMA BINDING",
    ] {
        check(&format!("{STREAM}\n{create};"), plain);
    }
}

#[test]
fn clauses_of_tables_without_meaning() {
    check(
        "CREATE OR REPLACE EXTERNAL TABLE s (a INT) STORED AS JSON LOCATION 'kafka://S'",
        "p.sql:1:1: in stream `s`: `OR REPLACE` has no meaning in a pipeline\n  hint: leave it out",
    );
    check(
        "CREATE UNBOUNDED EXTERNAL TABLE IF NOT EXISTS s (a INT) STORED AS JSON PARTITIONED BY (a) WITH ORDER (a) \
         LOCATION 'kafka://S'",
        "p.sql:1:1: in stream `s`: `IF NOT EXISTS` has no meaning in a pipeline\n  hint: leave it out\n\
         p.sql:1:1: in stream `s`: `UNBOUNDED` has no meaning in a pipeline\n  hint: leave it out\n\
         p.sql:1:1: in stream `s`: `PARTITIONED BY` has no meaning in a pipeline\n  hint: leave it out\n\
         p.sql:1:1: in stream `s`: `WITH ORDER` has no meaning in a pipeline\n  hint: leave it out",
    );
    check(
        "CREATE EXTERNAL TABLE s (a INT, PRIMARY KEY (a)) STORED AS JSON LOCATION 'kafka://S'",
        "p.sql:1:1: in stream `s`: `PRIMARY KEY, UNIQUE, FOREIGN KEY or CHECK` has no meaning in a pipeline\n  hint: \
         leave it out",
    );
    check(
        "CREATE EXTERNAL TABLE s (a INT) STORED AS JSON LOCATION ('kafka://S', 'kafka://T')",
        "p.sql:1:1: in stream `s`: a table has one LOCATION\n  hint: write one statement for each of them",
    );
}

#[test]
fn names() {
    let usable = "hint: write 1 to 63 lower-case letters, digits or `_`, starting with a letter";
    check(
        "CREATE EXTERNAL TABLE \"Söme\" (a INT) STORED AS JSON LOCATION 'kafka://S'",
        &format!("p.sql:1:23: in stream `Söme`: `Söme` is not a usable name\n  {usable}"),
    );
    check(
        &format!("{STREAM}\nCREATE VIEW _v AS SELECT a FROM s"),
        &format!("p.sql:2:13: in view `_v`: `_v` is not a usable name\n  {usable}"),
    );
    for name in ["batch", "speed", "raw", "sys", "public", "kappa", "information_schema", "pg_catalog"] {
        check(
            &format!("{STREAM}\nCREATE VIEW {name} AS SELECT a FROM s"),
            &format!("p.sql:2:13: in view `{name}`: `{name}` is the name of a schema\n  hint: choose another name"),
        );
    }
    check(
        &format!("{STREAM}\nCREATE VIEW public.v AS SELECT a FROM s"),
        "p.sql:2:1: in view `public`: `public.v` names a schema\n  hint: write the name alone: schemas are Dovetail's",
    );
    check(
        &format!(
            "{STREAM}\nCREATE VIEW v AS SELECT a FROM s;\nCREATE VIEW v AS SELECT t FROM s;\nCREATE VIEW S AS SELECT 1;"
        ),
        "p.sql:3:1: in view `v`: the name is taken by view `v` at line 2\n  hint: give each a name of its own\n\
         p.sql:4:1: in view `s`: the name is taken by stream `s` at line 1\n  hint: give each a name of its own",
    );
}

#[test]
fn locations_and_formats() {
    let create = |format: &str, location: &str| {
        format!("CREATE EXTERNAL TABLE s (a INT) STORED AS {format} LOCATION '{location}'")
    };
    check(
        &create("JSON", "kafka://"),
        "p.sql:1:57: in stream `s`: the location names no topic\n  hint: write `kafka://TOPIC`",
    );
    for topic in ["a b", "größe", "host:9092/t", "..", &"x".repeat(250)] {
        check(
            &create("JSON", &format!("kafka://{topic}")),
            &format!(
                "p.sql:1:57: in stream `s`: `{topic}` is not a topic's name\n  hint: write 1 to 249 letters, digits, `.`, \
                 `_` or `-` after `kafka://`; brokers are not named here"
            ),
        );
    }
    check(
        &create("PARQUET", "kafka://S"),
        "p.sql:1:1: in stream `s`: a stream cannot be stored as PARQUET\n  hint: write `STORED AS JSON`, `STORED AS CSV` or `STORED AS TEXT`",
    );
    check(
        &create("JSON", "kafak://S"),
        "p.sql:1:57: in lookup `s`: `kafak://S` is neither a topic nor a local file\n  hint: did you mean `kafka://S`?",
    );
    check(
        &create("CSV", "s3://bucket/x.csv"),
        "p.sql:1:56: in lookup `s`: `s3://bucket/x.csv` is neither a topic nor a local file\n  hint: write \
         `kafka://TOPIC` for a stream, a local file's path for a lookup",
    );
    check(
        &create("CSV", ""),
        "p.sql:1:56: in lookup `s`: the location is empty\n  hint: write `kafka://TOPIC` for a stream, a file's path for \
         a lookup",
    );
    check(
        &format!("{STREAM}\nCREATE EXTERNAL TABLE s2 (a INT) STORED AS JSON LOCATION 'kafka://S';"),
        "p.sql:2:1: in stream `s2`: the topic is read by stream `s` at line 1 already\n  hint: a topic has one schema: \
         declare all columns in one stream, and select from it in views",
    );
}

#[test]
fn columns() {
    let columns = |columns: &str, expected: &str| {
        check(&format!("CREATE EXTERNAL TABLE s {columns} STORED AS JSON LOCATION 'kafka://S'"), expected);
    };
    columns(
        "",
        "p.sql:1:23: in stream `s`: a stream declares its columns\n  hint: write them after the name: `(user_id BIGINT, \
         url VARCHAR, ..)`",
    );
    columns("(a INT, b INT, A INT)", "p.sql:1:40: in stream `s`: column `a` is declared twice");
    columns(
        "(a INT, _offset BIGINT)",
        "p.sql:1:33: in stream `s`: column name `_offset` is reserved\n  hint: every stream has this column already; \
         leave it out",
    );
    columns(
        "(a INT DEFAULT 3)",
        "p.sql:1:26: in stream `s`: column `a` has the constraint `DEFAULT 3`\n  hint: the only constraint a column can \
         have is `NOT NULL`",
    );
    columns("(a STRUCT<x INT, b STRUCT<y INT, Y INT>>)", "p.sql:1:26: in stream `s`: column `a.b` has two fields `y`");
    columns(
        "(a JSON, b DATETIME, c MONEY)",
        "p.sql:1:26: in stream `s`: column `a` has type `JSON`: it is not supported\n  hint: write `STRUCT<name TYPE, \
         ..>` for the fields you need, or VARCHAR\n\
         p.sql:1:34: in stream `s`: column `b` has type `DATETIME`: it is not supported\n  hint: write TIMESTAMP\n\
         p.sql:1:46: in stream `s`: column `c` has type `MONEY`: it is not supported\n  hint: types are \
         `BOOLEAN`, `TINYINT`, `SMALLINT`, `INT`, `INTEGER`, `BIGINT`, `TINYINT UNSIGNED`, `SMALLINT UNSIGNED`, \
         `INT UNSIGNED`, `BIGINT UNSIGNED`, `REAL`, `FLOAT`, `DOUBLE`, `DECIMAL`, `VARCHAR`, `TEXT`, `STRING`, \
         `BYTEA`, `DATE`, `TIME` and `TIMESTAMP`",
    );
    columns(
        "(a BIGNT)",
        "p.sql:1:26: in stream `s`: column `a` has type `BIGNT`: it is not supported\n  hint: did you mean `BIGINT`?",
    );
    columns(
        "(a TIMESTAMP(4))",
        "p.sql:1:26: in stream `s`: column `a` has type `TIMESTAMP(4)`: it is not supported\n  hint: write TIMESTAMP(0), \
         (3) or (6)",
    );
    columns(
        "(a DECIMAL(90, 2))",
        "p.sql:1:26: in stream `s`: column `a` has type `DECIMAL(90,2)`: decimal(precision = 90, scale = 2) should \
         satisfy `0 < precision <= 76`, and `scale <= precision`.\n  hint: write DECIMAL(precision, scale), up to 76 digits",
    );
}

#[test]
fn csv_streams_are_flat() {
    check(
        "CREATE EXTERNAL TABLE s (a INT[], b STRUCT<c INT>) STORED AS CSV LOCATION 'kafka://S'",
        "p.sql:1:1: in stream `s`: column `a` is an array, which a CSV field cannot hold\n  hint: declare it as VARCHAR, or \
         store the stream as JSON\n\
         p.sql:1:1: in stream `s`: column `b` is a struct, which a CSV field cannot hold\n  hint: declare it as VARCHAR, or \
         store the stream as JSON",
    );
}

#[test]
fn options_and_what_they_name() {
    check_options(
        "'event_tme' 't'",
        "p.sql:1:91: in stream `s`: unknown option `event_tme`\n  hint: did you mean `event_time`?",
    );
    check_options(
        "format.compression gzip",
        "p.sql:1:91: in stream `s`: unknown option `format.compression`\n  hint: options are `event_time`, `timezone`, \
         `timestamp_format`, `timestamp_unit`, `key`, `partitions`, `on_bad_record`, `on_data_loss`, `header`, `header.NAME`, `delimiter` and `null`",
    );
    check_options("'null' 'x', 'null' 'y'", "p.sql:1:103: in stream `s`: option `null` is given twice");
    check_options(
        "'event_time' 'T'",
        "p.sql:1:104: in stream `s`: option `event_time` names `T`, which is not a declared column\n  hint: did you mean \
         `t`?",
    );
    check_options(
        "'key' 'user_id'",
        "p.sql:1:97: in stream `s`: option `key` names `user_id`, which is not a declared column\n  hint: columns are `a` \
         and `t`",
    );
    check_options(
        "'header.Zip Code' 'zip'",
        "p.sql:1:109: in stream `s`: option `header.Zip Code` names `zip`, which is not a declared column\n  hint: columns \
         are `a` and `t`",
    );
    check_options(
        "'event_time' 'a'",
        "p.sql:1:104: in stream `s`: event time `a` is Int32, not a timestamp\n  hint: declare it as `a TIMESTAMP`",
    );
    check(
        "CREATE EXTERNAL TABLE s (a INT[]) STORED AS JSON LOCATION 'kafka://S' OPTIONS ('key' 'a')",
        "p.sql:1:86: in stream `s`: key `a` is an array\n  hint: a key is one text or number: declare the field you need as \
         its own column",
    );
}

#[test]
fn values_of_options() {
    check_options(
        "'timezone' 'America/New_Yrok'",
        "p.sql:1:102: in stream `s`: unknown time zone `America/New_Yrok`\n  hint: did you mean `America/New_York`?",
    );
    check_options(
        "'timezone' '+02:00'",
        "p.sql:1:102: in stream `s`: unknown time zone `+02:00`\n  hint: write a name of the IANA time zone database, such \
         as `America/New_York` or `UTC`",
    );
    for number in ["0", "1025", "-1", "many", "1.5"] {
        check_options(
            &format!("'partitions' '{number}'"),
            &format!(
                "p.sql:1:104: in stream `s`: option `partitions` cannot be `{number}`\n  hint: write a number from 1 to 1024"
            ),
        );
    }
    check_options(
        "'timestamp_unit' 'sec'",
        "p.sql:1:108: in stream `s`: option `timestamp_unit` cannot be `sec`\n  hint: values are `s`, `ms`, `us` and `ns`",
    );
    check_options(
        "'timestamp_format' '%Y|%Q'",
        "p.sql:1:110: in stream `s`: `%Q` is not a timestamp format\n  hint: write chrono's specifiers, such as `%m/%d/%Y \
         %I:%M:%S %p`",
    );
    check_options(
        "'timestamp_format' ''",
        "p.sql:1:110: in stream `s`: option `timestamp_format` cannot be ``\n  hint: write a format, such as `%m/%d/%Y \
         %I:%M:%S %p`, or leave it out",
    );
    check_options(
        "'on_bad_record' 'dead-letter'",
        "p.sql:1:107: in stream `s`: option `on_bad_record` cannot be `dead-letter`\n  hint: did you mean `dead_letter`?",
    );
    check_options(
        "'header' 'camel'",
        "p.sql:1:100: in stream `s`: option `header` cannot be `camel`\n  hint: values are `as_is`, `snake_case` and `none`",
    );
}
