//! A file per command.

mod check;
mod compare;
mod demo;
mod generate;
mod ingest;
mod job;
mod query;
mod recompute;
mod rollback;
mod shown;
mod status;
mod up;
mod verify;
mod verify_from;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use dovetail_core::catalog::MemberLayer;

use crate::args::{Args, Command};
use dovetail_server::config;
use dovetail_server::process::roles::Roles;

/// Runs a command. Exit codes: 0 done, 1 an error, 2 a difference found.
pub fn run(args: Args) -> Result<ExitCode> {
    let level = if args.command.stays() { "info" } else { "error" };
    start_logging(level);
    config::refuse_unknown()?;
    match args.command {
        Command::Up(all) => {
            let roles = if all.kappa { Roles::Both } else { Roles::All };
            up::run(&all.up.pipeline, roles, &all.up.place)
        }
        Command::Kappa(up) => up::run(&up.pipeline, Roles::Kappa, &up.place),
        Command::Jobs { server, format } => on_one_thread(job::list(&server, format.format)),
        Command::Job(job) => on_one_thread(job::run(job)),
        Command::Batch(up) => up::run(&up.pipeline, Roles::One(MemberLayer::Batch), &up.place),
        Command::Speed(up) => up::run(&up.pipeline, Roles::One(MemberLayer::Speed), &up.place),
        Command::Serve(up) => up::run(&up.pipeline, Roles::One(MemberLayer::Serve), &up.place),
        Command::Demo(demo) => demo::run(&demo),
        Command::Generate(generate) => generate::run(&generate),
        Command::Compare(compare) => on_one_thread(compare::run(&compare)),
        Command::Check { pipeline } => on_one_thread(check::run(&pipeline)),
        Command::Ingest(ingest) => match &ingest.pipeline {
            Some(pipeline) => up::run(pipeline, Roles::One(MemberLayer::Ingest), &ingest.place),
            None => on_one_thread(ingest::run(&ingest)),
        },
        Command::Recompute(recompute) => on_one_thread(recompute::run(&recompute)),
        Command::Query { sql, generation, server, format } => {
            on_one_thread(query::run(&sql, generation, &server, format.format))
        }
        Command::Status { server, format } => on_one_thread(status::run(&server, format.format)),
        Command::Verify { views, from: None, server, format, .. } => {
            on_one_thread(verify::run(views, &server, format.format))
        }
        Command::Verify { views, from: Some(from), input_format, server, format } => {
            on_one_thread(verify_from::run(&views, &from, input_format, &server, format.format))
        }
        Command::Generations { server, format } => on_one_thread(query::run(GENERATIONS, None, &server, format.format)),
        Command::Rollback { generation, server } => on_one_thread(rollback::run(generation, &server)),
    }
}

const GENERATIONS: &str = "SELECT * FROM sys.generations ORDER BY generation DESC";

fn on_one_thread(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("warn,sqlx=error,dovetail={default}")));
    let colours = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    if subscriber.try_init().is_err() {
        tracing::debug!("logging was started before");
    }
}
