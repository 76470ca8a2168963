//! Settings that are passed through, and those that are refused.

use super::*;

fn with(settings: &[(&str, &str)]) -> Result<KafkaLog, LogError> {
    let mut config = config("127.0.0.1:1");
    config.patience = Duration::from_millis(500);
    config.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    KafkaLog::open(config)
}

#[test]
fn an_unknown_setting_is_named() {
    for (name, value) in [("no.such.setting", "1"), ("linger.ms", "soon"), ("auto.offset.reset", "earliest")] {
        match with(&[(name, value)]) {
            Err(LogError::KafkaSetting { name: named, .. }) => assert_eq!(named, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn settings_of_either_client_are_taken() {
    let settings = [("acks", "1"), ("enable.idempotence", "false"), ("fetch.wait.max.ms", "5"), ("group.id", "mine")];
    with(&settings).unwrap();
}

#[tokio::test]
async fn no_broker_is_an_error_that_says_which() {
    let log = with(&[]).unwrap();
    let error = log.partitions("t").await.unwrap_err();
    let LogError::Unreachable { brokers, why } = &error else { panic!("{error}") };
    assert_eq!(brokers, "127.0.0.1:1");
    assert!(!why.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acknowledgement_records_still_arrive() {
    let careless = |config: &mut KafkaConfig| {
        config.settings.insert("acks".to_owned(), "0".to_owned());
        config.settings.insert("enable.idempotence".to_owned(), "false".to_owned());
    };
    let Some(rig) = Rig::with("without_acknowledgement_records_still_arrive", careless).await else { return };
    rig.append(&["a", "b"]).await;
    until("the records", || async { rig.bounds().await.end == 2 }).await;
    assert_eq!(rig.values().await, ["a", "b"]);
}
