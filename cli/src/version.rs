//! The text of `dovetail --version`.

use std::sync::LazyLock;

use dovetail_core::DATAFUSION_VERSION;
use dovetail_ingestion::log::kafka::librdkafka_version;

pub(crate) fn long() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| told(option_env!("DOVETAIL_COMMIT")));
    &VERSION
}

fn told(commit: Option<&str>) -> String {
    let commit = commit.map_or_else(|| "built without git".to_owned(), |commit| format!("commit {commit}"));
    let (own, librdkafka) = (env!("CARGO_PKG_VERSION"), librdkafka_version());
    format!("{own} ({commit}; DataFusion {DATAFUSION_VERSION}, librdkafka {librdkafka})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_commit_and_what_it_stands_on() {
        let text = told(Some("0123456789ab"));
        assert!(
            text.starts_with(&format!("{} (commit 0123456789ab; DataFusion 55.", env!("CARGO_PKG_VERSION"))),
            "{text}"
        );
        let librdkafka = text.split_once("librdkafka ").unwrap().1.trim_end_matches(')');
        assert!(librdkafka.starts_with(|c: char| c.is_ascii_digit()), "{text}");
        assert!(told(None).contains("(built without git; "), "{}", told(None));
    }
}
