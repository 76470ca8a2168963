//! The binary.

use std::process::ExitCode;

use clap::Parser;
use dovetail_cli::args::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    print_only_panics_that_nobody_catches();
    // Named here, since rustls panics where it would have to choose between two. Nobody has installed another yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    match dovetail_cli::commands::run(args) {
        Ok(code) => code,
        // The reader of the output has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Caught panics are reported by their catcher, and one for each of a million records would fill the log.
fn print_only_panics_that_nobody_catches() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !dovetail_core::catch_panic::is_on() {
            print(panic);
        }
    }));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref()).any(broken)
}
