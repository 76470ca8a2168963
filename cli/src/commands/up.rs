//! `dovetail up`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::args::Up;
use crate::config::Config;
use crate::engine::{Engine, Plan};
use crate::http;
use crate::output::counted;

pub(super) fn run(args: &Up) -> Result<ExitCode> {
    let config = Config::load(&args.place)?;
    let (connections, work) = runtimes(&config)?;
    let handle = work.handle().clone();
    connections.block_on(async {
        let plan = match Plan::load(&args.pipeline).await {
            Ok(plan) => {
                for note in &plan.pipeline.notes {
                    tracing::warn!("{}:{note}", args.pipeline.display());
                }
                plan
            }
            Err(errors) => {
                eprintln!("{errors}");
                return Ok(ExitCode::from(1));
            }
        };
        let running = Running::start(plan, &config, &handle).await?;
        eprintln!("dovetail serves {}", counted(running.engine.views.len() as u64, "view"));
        eprintln!("  http      http://{}", running.http);
        eprintln!("  psql      {}", running.psql());
        eprintln!("  data in   {}", config.data_dir().display());
        wait_for_stop().await?;
        eprintln!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Plans are walked recursively: a query of some hundred operators needs more than the usual 2 MiB.
const STACK: usize = 8 << 20;

/// One runtime for connections and queries, one for folding and landing.
pub(super) fn runtimes(config: &Config) -> Result<(Runtime, Runtime)> {
    let runtime = |name: &str| {
        Builder::new_multi_thread()
            .worker_threads(config.cores())
            .thread_stack_size(STACK)
            .thread_name(name)
            .enable_all()
            .build()
    };
    Ok((runtime("serve")?, runtime("work")?))
}

/// An engine behind its two addresses.
pub(super) struct Running {
    pub(super) engine: Arc<Engine>,
    pub(super) http: std::net::SocketAddr,
    postgres: std::net::SocketAddr,
}

impl Running {
    pub(super) async fn start(plan: Plan, config: &Config, work: &tokio::runtime::Handle) -> Result<Self> {
        let metrics = PrometheusBuilder::new().install_recorder().context("metrics cannot be recorded")?;
        let http_listener = listen("http", config.http_listen()).await?;
        let postgres_listener = listen("postgres", config.postgres_listen()).await?;
        let (http, postgres) = (http_listener.local_addr()?, postgres_listener.local_addr()?);
        let engine = Arc::new(Engine::start(plan, config, Some(metrics), work).await?);
        let stop = engine.shutdown().clone();
        let serving = Arc::clone(&engine.serving);
        engine.tracker().spawn(async move {
            if let Err(error) = dovetail_serving_layer::serve_postgres(serving, postgres_listener, stop).await {
                tracing::error!(%error, "the PostgreSQL wire stopped");
            }
        });
        let router = http::router(&engine, config);
        let stop = engine.shutdown().clone();
        engine.tracker().spawn(async move {
            let served = axum::serve(http_listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP server stopped");
            }
        });
        Ok(Self { engine, http, postgres })
    }

    pub(super) fn psql(&self) -> String {
        format!("psql -h {} -p {} -U dovetail dovetail", self.postgres.ip(), self.postgres.port())
    }

    pub(super) async fn stop(self) {
        self.engine.stop().await;
    }
}

async fn listen(section: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with `--{section} ADDRESS`"))
}

/// Returns when somebody wants the process to stop.
pub(super) async fn wait_for_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        stop = tokio::signal::ctrl_c() => stop?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
