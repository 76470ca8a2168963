//! Places of errors: lines and columns through comments, line ends and strings.

use std::path::Path;

use super::super::{Pipeline, PipelineError, PipelineErrors, ViewSql};
use super::{STREAM, check, parse};
use crate::name::ViewName;

#[test]
fn all_errors_come_at_once_by_line() {
    let sql = "CREATE EXTERNAL TABLE s (a INT, b BIGNT,) STORED AS JSON LOCATION 'kafka://S'\n\
               OPTIONS ('event_time' 'c',\n  'partitons' 3);\n\
               CREATE VIEW v AS SELECT a FROM s ORDER a;\n\n\
               SELECT 1;";
    check(
        sql,
        "p.sql:1:33: in stream `s`: column `b` has type `BIGNT`: it is not supported\n  hint: did you mean `BIGINT`?\n\
         p.sql:2:23: in stream `s`: option `event_time` names `c`, which is not a declared column\n  hint: columns are `a` \
         and `b`\n\
         p.sql:3:3: in stream `s`: unknown option `partitons`\n  hint: did you mean `partitions`?\n\
         p.sql:4:34: in view `v`: expected end of statement, found ORDER\n\
         p.sql:6:1: in `SELECT 1`: a query alone has no place in a pipeline\n  hint: write `CREATE VIEW name AS` in front \
         of it; to ask once, use `dovetail query`",
    );
}

#[test]
fn lines_count_through_comments_strings_and_crlf() {
    let sql = "-- one; two\r\n/* three;\r\n four */\r\n".to_owned()
        + STREAM
        + "\r\nCREATE VIEW v AS\r\n  SELECT 'x;\r\ny' AS text, a\r\n  FROM s;\r\n  CREATE VIEW w AS SELECT 1 1;";
    check(&sql, "p.sql:9:29: in view `w`: expected end of statement, found 1");
    let good = parse(sql.trim_end_matches(" 1;")).unwrap();
    assert_eq!((good.views[0].sql.as_str(), good.views[0].line), ("SELECT 'x;\r\ny' AS text, a\r\n  FROM s", 5));
    assert_eq!((good.views[1].sql.as_str(), good.views[1].line), ("SELECT 1", 9));
}

#[test]
fn characters_are_counted_not_bytes() {
    let good = parse(&format!("{STREAM}\n/* größe */ CREATE VIEW v AS SELECT '東京;' AS \"Stadt\", a FROM s /* ü */;"))
        .unwrap();
    assert_eq!(good.views[0].sql, "SELECT '東京;' AS \"Stadt\", a FROM s");
    check(
        &format!("{STREAM}\n/* größe */ DROP TABLE s"),
        &parse(&format!("{STREAM}\n/* groesz */ DROP TABLE s")).unwrap_err().to_string().replace("2:14", "2:13"),
    );
}

#[test]
fn syntax_errors_name_the_word() {
    check(
        "CREATE EXTERNAL TABLE s (a INT) STORED AS JSON LOCATION 7 OPTIONS ('key' 'a');",
        "p.sql:1:57: in table `s`: expected literal string, found 7",
    );
    check(
        "CREATE EXTERNAL TABLE s (a INT) LOCATION 'kafka://S'",
        "p.sql:1:1: in table `s`: missing STORED AS clause in CREATE EXTERNAL TABLE statement",
    );
    check(
        &format!("{STREAM}\nCREATE VIEW v AS SELECT a FROM s\nCREATE VIEW w AS SELECT a FROM s;"),
        "p.sql:3:8: in view `v`: expected end of statement, found VIEW\n  hint: is a `;` missing before the `CREATE` at line \
         3?",
    );
    check("CREATE VIEW v AS SELECT a FROM\n\n  ;", "p.sql:3:3: in view `v`: expected identifier, found ;");
    check("\n CREATE VIEW v AS SELECT a FROM", "p.sql:2:2: in view `v`: expected identifier, found EOF");
}

#[test]
fn a_string_without_an_end_does_not_hide_earlier_errors() {
    check(
        &format!("{STREAM}\nDROP TABLE s;\nCREATE VIEW v AS\n SELECT 'oops FROM s;\n"),
        "p.sql:2:1: in `DROP TABLE s`: this statement has no place in a pipeline\n  hint: a pipeline has only `CREATE \
         EXTERNAL TABLE` (a stream or a lookup) and `CREATE VIEW`\n\
         p.sql:4:9: in view `v`: unterminated string literal",
    );
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.sql");
    let error = Pipeline::load(&missing).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: the file cannot be read: no such file or directory (os error 2)", missing.display())
    );
    let latin = folder.path().join("latin.sql");
    std::fs::write(&latin, b"-- gr\xf6sse").unwrap();
    let error = Pipeline::load(&latin).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: the file cannot be read: byte 5 is not UTF-8\n  hint: save it as UTF-8", latin.display())
    );
    let good = folder.path().join("good.sql");
    std::fs::write(&good, STREAM).unwrap();
    assert_eq!(Pipeline::load(&good).unwrap().streams.len(), 1);
}

#[test]
fn errors_of_planning_join_the_list() {
    let view = ViewSql { name: ViewName::parse("v").unwrap(), sql: "SELECT 1".to_owned(), on_error: None, line: 7 };
    let errors = vec![
        PipelineError::in_view(&view, "no", "say yes".to_owned()),
        PipelineError::in_view(&ViewSql { line: 3, ..view }, "never", None),
    ];
    let errors = PipelineErrors::check(Path::new("p.sql"), errors).unwrap_err();
    assert_eq!(errors.to_string(), "p.sql:3: in view `v`: never\np.sql:7: in view `v`: no\n  hint: say yes");
    assert_eq!(PipelineErrors::check(Path::new("p.sql"), Vec::new()), Ok(()));
}
