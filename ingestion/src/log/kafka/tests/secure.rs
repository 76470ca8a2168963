//! SASL and TLS, by librdkafka's own settings.

use super::own::Brokers;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn sasl_and_tls_are_only_settings() {
    if brokers("sasl_and_tls_are_only_settings").is_none() {
        return;
    }
    let own = Brokers::start(1, &["--secure"]);
    let ca = own.variable("KAFKA_CA");
    let sasl =
        |mechanism| [("sasl.mechanism", mechanism), ("sasl.username", "dovetail"), ("sasl.password", "dovetail")];
    let tls = [("ssl.ca.location", ca.as_str())];
    let with = |protocol, parts: &[&[(&'static str, &str)]]| {
        let pairs = parts.concat().into_iter().chain([("security.protocol", protocol)]);
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    for (variable, settings) in [
        ("KAFKA_SASL_BROKERS", with("sasl_plaintext", &[&sasl("PLAIN")])),
        ("KAFKA_SASL_BROKERS", with("sasl_plaintext", &[&sasl("SCRAM-SHA-256")])),
        ("KAFKA_TLS_BROKERS", with("ssl", &[&tls])),
        ("KAFKA_SASL_TLS_BROKERS", with("sasl_ssl", &[&tls, &sasl("SCRAM-SHA-256")])),
    ] {
        let log = KafkaLog::open(KafkaConfig { settings, ..config(&own.variable(variable)) }).unwrap();
        let topic = fresh("secure");
        log.create_topic(&topic, 1).await.unwrap();
        log.append(&topic, 0, values_of(&["a"]), None).await.unwrap();
        assert_eq!(texts(&log.read(&topic, 0, 0, PLENTY).await.unwrap().records), ["a"], "{variable}");
    }
    let mut wrong = config(&own.variable("KAFKA_SASL_BROKERS"));
    wrong.settings = with("sasl_plaintext", &[&sasl("PLAIN")]);
    wrong.settings.insert("sasl.password".to_owned(), "wrong".to_owned());
    wrong.patience = Duration::from_secs(2);
    let error = KafkaLog::open(wrong).unwrap().partitions("t").await.unwrap_err();
    let LogError::Unreachable { why, .. } = &error else { panic!("{error}") };
    assert!(why.to_lowercase().contains("authentication"), "{why}");
}
