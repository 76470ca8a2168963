//! `dovetail up`, and `dovetail ingest | batch | speed | serve`: everything in one process, or one layer.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use dovetail_server::config::Config;
use dovetail_server::process::plan::Plan;
use dovetail_server::process::roles::Roles;
use dovetail_server::process::running::{Running, runtimes};

use crate::args::RunArgs;
use crate::output::counted;

pub(super) fn run(pipeline: &Path, roles: Roles, place: &RunArgs) -> Result<ExitCode> {
    let config = Config::load(&place.flags())?;
    let (connections, work) = runtimes(&config)?;
    let handle = work.handle().clone();
    connections.block_on(async {
        let plan = match Plan::load(pipeline).await {
            Ok(plan) => plan,
            Err(errors) => {
                eprintln!("{errors}");
                return Ok(ExitCode::from(1));
            }
        };
        let running = Running::start(plan, roles, &config, &handle).await?;
        greet(&running, &config);
        wait_for_stop().await?;
        eprintln!("stopping");
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn greet(running: &Running, config: &Config) {
    let views = counted(running.engine.views.len() as u64, "view");
    match running.engine.roles {
        Roles::All => eprintln!("dovetail serves {views}"),
        Roles::Both => eprintln!("dovetail serves {views}, and those of stream jobs"),
        Roles::Kappa => eprintln!("dovetail serves {views} of a stream job"),
        Roles::One(layer) => eprintln!("dovetail {layer}: {views}"),
    }
    eprintln!("  http      http://{}", running.http);
    if running.postgres.is_some() {
        eprintln!("  psql      {}", running.psql());
    }
    if let Some(flight) = running.flight {
        eprintln!("  flight    {flight}");
    }
    if config.needs_folder() {
        eprintln!("  data in   {}", config.data_dir().display());
    }
}

/// Waits until the process is told to stop.
pub(super) async fn wait_for_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        stop = tokio::signal::ctrl_c() => stop?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
