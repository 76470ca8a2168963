use super::parse;

const BASE: &str =
    "CREATE EXTERNAL TABLE s (a INT, t TIMESTAMP) STORED AS JSON LOCATION 'kafka://S' OPTIONS ('key' 'a')";

fn fingerprint(sql: &str) -> String {
    parse(sql).unwrap().streams[0].fingerprint()
}

#[test]
fn a_streams_fingerprint_changes_with_what_decoding_depends_on() {
    let mut seen = vec![fingerprint(BASE)];
    assert_eq!(seen[0].len(), 64);
    for (from, to) in [
        ("TABLE s", "TABLE s2"),
        ("kafka://S", "kafka://S2"),
        ("JSON", "CSV"),
        ("a INT", "a BIGINT"),
        ("a INT", "a INT NOT NULL"),
        ("a INT, t TIMESTAMP", "t TIMESTAMP, a INT"),
        ("'key' 'a'", "'timezone' 'Europe/Berlin'"),
        ("'key' 'a'", "'timestamp_format' '%Y'"),
        ("'key' 'a'", "'timestamp_unit' 's'"),
        ("'key' 'a'", "'null' 'NA'"),
    ] {
        let found = fingerprint(&BASE.replace(from, to));
        assert!(!seen.contains(&found), "{to}");
        seen.push(found);
    }
}

#[test]
fn other_options_leave_the_fingerprint_alone() {
    for options in [
        "'event_time' 't'",
        "'partitions' 9",
        "'on_bad_record' 'stop'",
        "'on_data_loss' 'continue'",
        "'header' 'snake_case'",
    ] {
        assert_eq!(fingerprint(&BASE.replace("'key' 'a'", options)), fingerprint(BASE), "{options}");
    }
}
