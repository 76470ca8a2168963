//! Every log does what any log has to do.

use std::sync::Arc;

use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use dovetail_testkit::conformance;

mod embedded {
    use super::*;

    #[tokio::test]
    async fn conforms_with_a_tail_and_without_one() {
        for tail_bytes in [0, 2_000, 64 << 20] {
            let folder = tempfile::tempdir().unwrap();
            let config = EmbeddedLogConfig { queue_bytes: 8 << 20, tail_bytes };
            let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(folder.path(), &config).unwrap());
            conformance::run(&log, "conformance").await;
        }
    }
}

/// On the real broker that `KAFKA_BROKERS` names; `dev/kafka up` starts one.
mod kafka {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use dovetail_core::clock::Clock;
    use dovetail_ingestion::log::kafka::{KafkaConfig, KafkaLog};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn it_conforms() {
        let Some(brokers) = std::env::var("KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty()) else {
            assert!(std::env::var("CI").is_err(), "it_conforms needs KAFKA_BROKERS; `dev/kafka up` prints it");
            println!("skipped it_conforms: it needs KAFKA_BROKERS; `dev/kafka up` prints it");
            return;
        };
        let config = KafkaConfig {
            brokers,
            settings: BTreeMap::new(),
            replication: None,
            topic: BTreeMap::new(),
            patience: Duration::from_secs(20),
            readers: 3,
        };
        let log: Arc<dyn Log> = Arc::new(KafkaLog::open(config).unwrap());
        // A name that no topic has had.
        let fresh = format!("test-conformance-{}-{}", Clock::System.now_ms(), std::process::id());
        conformance::run(&log, &fresh).await;
    }
}
