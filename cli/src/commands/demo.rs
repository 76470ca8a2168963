//! `dovetail demo`.

use std::process::ExitCode;
use anyhow::Result;
use crate::args::Demo;

pub(super) fn run(_args: &Demo) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
