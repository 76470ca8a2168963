//! An engine in the test's own process, behind its HTTP interface, on an object store that can fail.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use dovetail_api::Client;
use dovetail_core::store::Store;
use dovetail_server::config::Config;
use dovetail_server::http;
use dovetail_server::process::backends::Backends;
use dovetail_server::process::engine::{Engine, Surroundings};
use dovetail_server::process::membership::Addresses;
use dovetail_server::process::plan::Plan;
use dovetail_server::process::roles::Roles;
use dovetail_testkit::store::{FakeStore, Op, StoreFault};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// A running engine.
pub(crate) struct Local {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
}

/// Quick, and runs only on demand.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.landing.segment_age = Duration::from_millis(200);
    config.landing.segment_size = ByteSize::kib(256);
    config.batch.schedule = "never".to_owned();
    config
}

impl Local {
    pub(crate) async fn start(pipeline: &str, config: Config) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("pipeline.sql");
        std::fs::write(&file, pipeline).unwrap();
        let plan = Plan::load(&file).await.unwrap();
        let config = Config { data_dir: Some(folder.path().join("data")), ..config };
        let local = Store::local(&config.data_dir().join("store")).unwrap();
        let store = FakeStore::over(local.object_store());
        let fake = Store::new(Arc::<FakeStore>::clone(&store));
        let backends = Backends::open(&config).await.unwrap().with_store(fake);
        let surroundings = Surroundings {
            backends,
            roles: Roles::All,
            addresses: Addresses::default(),
            config: &config,
            metrics: None,
            work: Handle::current(),
        };
        let engine = Engine::start_on(&plan, surroundings).await.unwrap();
        let engine = Arc::new(engine);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (router, stop) = (http::router(&engine, &config).unwrap(), engine.shutdown().clone());
        engine.tracker().spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap();
        });
        Self { engine, store, client: Client::new(&url).unwrap(), url, folder }
    }

    /// The store does not answer whoever puts or reads.
    pub(crate) fn stall_store(&self) {
        self.store.faults.set(StoreFault::HoldsBefore, |call| matches!(call.op, Op::Put | Op::Read | Op::Head));
    }

    pub(crate) async fn append(&self, stream: &str, records: Vec<u8>) {
        self.client.append(stream, None, records).await.unwrap();
    }
}
