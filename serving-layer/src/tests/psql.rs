//! psql's backslash commands, with the real program.

use tokio::process::Command;

use super::postgres::{Wire, wire};
use super::world::config;

/// Runs one command; `None` when psql is not there, which is a failure in CI.
async fn psql(wire: &Wire, command: &str) -> Option<(String, String)> {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", "dovetail", "-d", "dovetail", "-c", command]);
    psql.env("PGPORT", wire.port.to_string());
    match psql.output().await {
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((text(&output.stdout), text(&output.stderr)))
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "psql is needed in CI: {error}");
            None
        }
    }
}

#[tokio::test]
async fn backslash_commands_describe_the_views() {
    let wire = wire(config()).await;
    for (command, expected) in [
        ("\\dn", &["public", "batch", "speed", "raw", "sys"][..]),
        ("\\d", &["public|by_page|view", "public|busy|view"]),
        ("\\dv", &["public|by_page|view"]),
        ("\\dt sys.*", &["sys|partitions|table"]),
        ("\\d by_page", &["page|text", "clicks|bigint", "total|numeric"]),
        ("\\d sys.views", &["name|text"]),
        ("\\l", &["dovetail|"]),
        ("\\l+", &["dovetail|"]),
        ("\\dt+ sys.*", &["sys|partitions|table"]),
        ("\\dv+", &["public|by_page|view"]),
        ("\\d+", &["public|by_page|view"]),
        ("\\d+ by_page", &["page|text", "total|numeric"]),
        ("\\d+ sys.views", &["name|text"]),
        ("\\dn+", &["public|dovetail|=U/dovetail"]),
        ("\\dp", &["public|by_page|view|=r/dovetail||"]),
        ("\\z", &["public|by_page|view|=r/dovetail||"]),
        ("\\du", &["dovetail|"]),
        ("\\dg", &["dovetail|"]),
        ("\\df", &[]),
        ("\\df+", &[]),
        ("\\da", &[]),
        ("\\dT", &[]),
        ("\\dT+", &[]),
        ("\\dD", &[]),
        ("\\di+", &[]),
        ("\\ds+", &[]),
        ("\\dm+", &[]),
        ("\\dx", &[]),
        ("\\db", &["pg_default"]),
        ("\\ddp", &[]),
        ("\\drds", &[]),
        ("\\dy", &[]),
        ("\\dX", &[]),
        ("\\sv by_page", &["CREATE OR REPLACE VIEW"]),
        ("\\copy (SELECT page, clicks FROM by_page ORDER BY 1) TO STDOUT WITH (FORMAT csv)", &["/a,2", "/b,1"]),
        ("SELECT version()", &["PostgreSQL 16"]),
        ("SELECT current_schema()", &["public"]),
        ("SELECT page, clicks FROM by_page ORDER BY 1", &["/a|2", "/b|1"]),
    ] {
        let Some((stdout, stderr)) = psql(&wire, command).await else { return };
        for line in expected {
            assert!(stdout.contains(line), "{command}: no `{line}` in\n{stdout}\n{stderr}");
        }
        // psql's own message about an answer without rows.
        let says_none = stderr.starts_with("Did not find any ") && stderr.lines().count() == 1;
        assert!(stderr.is_empty() || says_none, "{command}: {stderr}");
    }
}

#[tokio::test]
async fn errors_point_at_their_place() {
    let wire = wire(config()).await;
    let Some((_, stderr)) = psql(&wire, "SELECT page,\n  nope FROM by_page").await else { return };
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines[0].starts_with("ERROR:  "), "{stderr}");
    assert_eq!(lines[1], "LINE 2:   nope FROM by_page");
    assert_eq!(lines[2].find('^'), Some("LINE 2:   ".len()), "{stderr}");
}

#[tokio::test]
async fn a_view_is_described_once() {
    let wire = wire(config()).await;
    let Some((stdout, stderr)) = psql(&wire, "\\d by_page").await else { return };
    assert_eq!(stdout.matches("page|text").count(), 1, "{stdout}\n{stderr}");
    let Some((stdout, _)) = psql(&wire, "\\d *.by_page").await else { return };
    assert_eq!(stdout.matches("page|text").count(), 3, "{stdout}");
}
