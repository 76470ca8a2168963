//! A running process: the engine and its servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dovetail_core::background;
use dovetail_core::catalog::{CatalogError, MemberLayer};
use dovetail_core::clock;
use dovetail_ingestion::decoded_log::DecodedLogError;
use dovetail_ingestion::log::LogError;
use dovetail_serving_layer::{QueryError, Reason};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::http;
use crate::http::starting::Starting;
use crate::process::backends::Backends;
use crate::process::engine::{Engine, Surroundings};
use crate::process::plan::Plan;
use crate::process::roles::Roles;

#[cfg(test)]
mod tests;

/// Size of a stack in bytes. Plans are walked recursively: a query of some hundred operators needs more than the usual
/// 2 MiB.
const STACK: usize = 8 << 20;

/// Number of threads for blocking work: files, encoding, waiting for brokers. Without a limit there would be hundreds.
const BLOCKING: usize = 64;

/// Builds two runtimes: one for connections and queries, one for folding and landing.
pub fn runtimes(config: &Config) -> Result<(Runtime, Runtime)> {
    let runtime = |name: &str| {
        Builder::new_multi_thread()
            .worker_threads(config.cores())
            .thread_stack_size(STACK)
            .max_blocking_threads(BLOCKING)
            .thread_name(name)
            .enable_all()
            .build()
    };
    Ok((runtime("serve")?, runtime("work")?))
}

/// An engine with its servers.
pub struct Running {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Address of the HTTP server.
    pub http: SocketAddr,
    /// Address of the PostgreSQL wire, if the process serves it.
    pub postgres: Option<SocketAddr>,
    /// Address of the Flight service, if the process is a speed layer of its own.
    pub flight: Option<SocketAddr>,
}

/// Interval of attempts to reach the backends.
const START_RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Running {
    /// Binds the servers, opens the backends and starts the layers of `roles`; `work` is the runtime for folding and
    /// landing. HTTP answers from the beginning.
    pub async fn start(plan: Plan, roles: Roles, config: &Config, work: &tokio::runtime::Handle) -> Result<Self> {
        let metrics = PrometheusBuilder::new().install_recorder().context("metrics cannot be recorded")?;
        let http_listener = listen("http", &config.http_listen(roles)).await?;
        let http = http_listener.local_addr()?;
        let postgres = listen_if(roles.has(MemberLayer::Serve), "postgres", config.postgres_listen()).await?;
        let flight = listen_if(roles == Roles::One(MemberLayer::Speed), "flight", config.flight_listen()).await?;
        let starting = Arc::<Starting>::default();
        let answering = tokio_util::sync::CancellationToken::new();
        let (router, stop) = (starting.router(), answering.clone());
        let served = tokio::runtime::Handle::current().spawn(async move {
            axum::serve(http_listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        });
        let addresses = config.advertised(http, local(flight.as_ref())?);
        let surroundings = async || {
            let backends = Backends::open(config).await?;
            let (addresses, metrics, work) = (addresses.clone(), Some(metrics.clone()), work.clone());
            anyhow::Ok(Surroundings { backends, roles, addresses, config, metrics, work })
        };
        let is_alone = roles.one().is_none() && config.needs_folder();
        let engine = Arc::new(ready(&plan, surroundings, is_alone, &starting).await?);
        let running = Self { http, postgres: local(postgres.as_ref())?, flight: local(flight.as_ref())?, engine };
        running.serve(postgres, flight, config)?;
        starting.ready(http::router(&running.engine, config)?);
        let stop = running.engine.shutdown().clone();
        background::spawn_to_end(running.engine.tracker(), "http", async move {
            stop.cancelled().await;
            answering.cancel();
            match served.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => background::report_failure("http", &error),
                Err(panic) => background::report_failure("http", &panic),
            }
        });
        Ok(running)
    }

    /// Starts the servers besides HTTP.
    fn serve(&self, postgres: Option<TcpListener>, flight: Option<TcpListener>, config: &Config) -> Result<()> {
        let engine = &self.engine;
        if let Some(listener) = postgres {
            let (serving, stop) = (Arc::clone(engine.serving()?), engine.shutdown().clone());
            background::spawn_to_end(engine.tracker(), "postgres", async move {
                if let Err(error) = dovetail_serving_layer::serve_postgres(serving, listener, stop).await {
                    background::report_failure("postgres", &error);
                }
            });
        }
        if let Some(listener) = flight {
            let (speed, stop, config) = (Arc::clone(engine.speed()?), engine.shutdown().clone(), config.flight());
            background::spawn_to_end(engine.tracker(), "flight", async move {
                if let Err(error) = dovetail_speed_layer::serve(speed, listener, config, stop).await {
                    background::report_failure("flight", &error);
                }
            });
        }
        Ok(())
    }

    /// The command that opens psql on this process; empty without a PostgreSQL wire.
    pub fn psql(&self) -> String {
        match self.postgres {
            Some(at) => format!("psql -h {} -p {} -U dovetail dovetail", at.ip(), at.port()),
            None => String::new(),
        }
    }

    /// Stops the engine and its servers, see [`Engine::stop`].
    pub async fn stop(self) {
        self.engine.stop().await;
    }
}

fn local(listener: Option<&TcpListener>) -> Result<Option<SocketAddr>> {
    Ok(listener.map(TcpListener::local_addr).transpose()?)
}

/// Starts the engine once its backends answer, also when one stops answering during the start. A process that runs
/// alone does not wait: nobody else brings up its backends.
async fn ready<'c>(
    plan: &Plan,
    surroundings: impl AsyncFn() -> Result<Surroundings<'c>>,
    is_alone: bool,
    starting: &Starting,
) -> Result<Engine> {
    loop {
        let error = match surroundings().await {
            Ok(surroundings) => {
                let backends = surroundings.backends.clone();
                match Engine::start_on(plan, surroundings).await {
                    Ok(engine) => return Ok(engine),
                    Err(error) => {
                        backends.close().await;
                        error
                    }
                }
            }
            Err(error) => error,
        };
        if is_alone || !passes(&error) {
            return Err(error);
        }
        let reason = format!("{error:#}");
        tracing::warn!(reason, "waiting for what this process needs");
        starting.waits_for(reason);
        clock::sleep(START_RETRY_PAUSE).await;
    }
}

/// Whether an error passes by itself once a backend answers.
fn passes(error: &anyhow::Error) -> bool {
    let catalog = |e: &CatalogError| matches!(e, CatalogError::Unreachable { .. } | CatalogError::Busy { .. });
    let log = |e: &LogError| matches!(e, LogError::Unreachable { .. });
    // The chain of these errors lacks their cause.
    let decoded_log = |e: &DecodedLogError| matches!(e, DecodedLogError::Log(e) if log(e));
    let storage = |e: &QueryError| e.reason == Reason::Storage;
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(catalog)
            || cause.downcast_ref().is_some_and(log)
            || cause.downcast_ref().is_some_and(decoded_log)
            || cause.downcast_ref().is_some_and(storage)
    })
}

async fn listen_if(wanted: bool, section: &str, address: &str) -> Result<Option<TcpListener>> {
    match wanted {
        true => listen(section, address).await.map(Some),
        false => Ok(None),
    }
}

async fn listen(section: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with `--{section} ADDRESS`"))
}
