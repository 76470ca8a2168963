//! Kafka, PostgreSQL and an S3 store, as `dev/up` started them.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use dovetail_testkit::s3::S3Proxy;
use tokio::process::Command;

/// The backends' addresses, with names in them that no other test uses.
pub(crate) struct Backends {
    pub(crate) brokers: String,
    pub(crate) catalog: String,
    pub(crate) store: String,
    /// The way to the S3 store.
    pub(crate) s3: Arc<S3Proxy>,
    pub(crate) topic: String,
}

impl Backends {
    /// `None` where one is not to be had: said by the test's name, and an error in CI.
    pub(crate) async fn find(test: &str) -> Option<Self> {
        let names = ["KAFKA_BROKERS", "DOVETAIL_TEST_POSTGRES", "DOVETAIL_TEST_S3"];
        let found: Vec<String> = names.iter().filter_map(|name| std::env::var(name).ok()).collect();
        let [brokers, postgres, s3] = found.try_into().ok().or_else(|| {
            assert!(std::env::var_os("CI").is_none(), "{test} needs {names:?}: `eval \"$(dev/up)\"` sets them");
            eprintln!("{test}: skipped, `eval \"$(dev/up)\"` starts what it needs");
            None
        })?;
        let unique = format!("t{:08x}", rand::random::<u32>());
        let catalog = new_database(&postgres, &unique).await;
        let store = format!("{}/{unique}", s3.trim_end_matches('/'));
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
        let server = endpoint.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let s3 = Arc::new(S3Proxy::to(server).await);
        Some(Self { brokers, catalog, store, s3, topic: unique })
    }

    /// Runs one of the scripts in `dev/`.
    pub(crate) async fn dev(&self, script: &str, arguments: &[&str]) {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../dev")).join(script);
        // Told of the servers, the scripts would take them for somebody else's.
        let ran = Command::new(path).args(arguments).env_remove("KAFKA_BROKERS").stdin(Stdio::null()).output().await;
        let ran = ran.unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "dev/{script} {arguments:?}: {said}");
    }
}

async fn new_database(server: &str, name: &str) -> String {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await.unwrap();
    let connection = async {
        let create = format!("CREATE DATABASE {name}");
        tokio::select! {
            created = client.batch_execute(&create) => created.unwrap(),
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    };
    connection.await;
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
