//! Whatever the text, parsing returns: a pipeline or errors, never a panic.

use proptest::prelude::*;

use super::{STREAM, check, parse};

const GOOD: &str = r#"-- streams; and views
CREATE EXTERNAL TABLE s (a BIGINT NOT NULL, "tÜ" TIMESTAMP(3), n STRUCT<x ARRAY<INT>, y VARCHAR[]>)
STORED AS JSON LOCATION 'kafka://S' OPTIONS ('event_time' 'tÜ', timezone 'Europe/Berlin', 'header.A b' 'a', 'null' 'x|y');
/* one; */ CREATE VIEW v AS SELECT a, count(*) AS n, 'x;y' FROM s WHERE a > 1 GROUP BY a;
CREATE VIEW w AS SELECT * FROM (SELECT a::INT + 1 FROM s) q;
"#;

const BITS: [&str; 24] = [
    ";",
    "'",
    "\"",
    "(",
    ")",
    "<",
    ">",
    ",",
    "--",
    "/*",
    "*/",
    "\r\n",
    "CREATE VIEW ",
    " AS ",
    "OPTIONS (",
    "LOCATION ''",
    "STRUCT<",
    "INT[",
    "\u{0}",
    "$$",
    "E'\\",
    "😀",
    " WITH ",
    "`",
];

fn returns(text: &str) {
    if let Err(errors) = parse(text) {
        assert!(!errors.errors.is_empty());
        let lines = text.matches('\n').count() + 1;
        assert!(
            errors.errors.iter().all(|error| error.line.is_none_or(|line| (1..=lines).contains(&line))),
            "{errors}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn random_text(text in "\\PC{0,80}") {
        returns(&text);
    }

    #[test]
    fn random_words(bits in prop::collection::vec(prop::sample::select(&BITS[..]), 0..30)) {
        returns(&bits.concat());
        returns(&format!("{STREAM}{}", bits.join(" ")));
    }

    #[test]
    fn good_text_with_a_piece_cut_out_and_another_put_in(
        from in 0..GOOD.chars().count(), cut in 0..40_usize, bit in prop::sample::select(&BITS[..]), keep in any::<bool>(),
    ) {
        let chars: Vec<char> = GOOD.chars().collect();
        let head: String = chars[..from].iter().collect();
        let tail: String = chars[(from + cut).min(chars.len())..].iter().collect();
        returns(&format!("{head}{}{tail}", if keep { "" } else { bit }));
    }
}

#[test]
fn the_good_text_is_good() {
    assert_eq!(parse(GOOD).unwrap().views.len(), 2);
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}INT{}", "ARRAY<".repeat(20_000), ">".repeat(20_000));
    check(
        &format!("CREATE EXTERNAL TABLE s (a {deep}) STORED AS JSON LOCATION 'kafka://S'"),
        "p.sql:1:1: in table `s`: brackets nest deeper than 64",
    );
    check(
        &format!("CREATE VIEW v AS SELECT {}1", "(".repeat(20_000)),
        "p.sql:1:1: in view `v`: brackets nest deeper than 64",
    );
    check(
        &format!("CREATE VIEW v AS SELECT {} 1", "- ".repeat(1_000)),
        "p.sql:1:1: in view `v`: expressions nest too deeply",
    );
}

#[test]
fn long_chains_end_in_an_answer() {
    returns(&format!("{STREAM} CREATE VIEW v AS SELECT 1{}", " + 1".repeat(4_900)));
    returns(&format!("{STREAM} CREATE VIEW v AS SELECT 1{}", " UNION SELECT 1".repeat(3_300)));
    returns(&format!("{STREAM} CREATE VIEW v AS SELECT a{}", "::INT".repeat(4_900)));
    returns(&format!("{STREAM} CREATE VIEW v AS SELECT {} 1", "CASE WHEN ".repeat(4_900)));
    check(
        &format!("{STREAM}\nCREATE VIEW v AS SELECT a IN (1{}) FROM s", ", 1".repeat(5_000)),
        "p.sql:2:1: in view `v`: the statement has more than 10000 words\n  hint: a long list of values belongs into a lookup",
    );
    check(
        &format!("CREATE EXTERNAL TABLE s (a INT{}) STORED AS JSON LOCATION 'kafka://S'", "[]".repeat(65)),
        "p.sql:1:1: in table `s`: brackets nest deeper than 64",
    );
}
