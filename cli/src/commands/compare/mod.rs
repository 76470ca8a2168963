//! `dovetail compare`: Lambda and Kappa on the same records, each alone in processes of its own, measured from outside.
//!
//! ```text
//! workload ─► log ─┬─► Lambda: `dovetail up`    ─┬─► samples ─► report.html, report.md, report.json
//!                  └─► Kappa:  `dovetail kappa` ─┘
//! ```
//! A question that cannot be measured is absent from the report with its reason; the others go on.

mod ask;
mod bag;
mod change;
mod crash;
mod exact;
mod fast;
mod feed;
mod fresh;
mod keeping;
mod late;
mod look;
mod meanwhile;
mod operation;
mod probe;
mod proc;
mod report;
mod sample;
mod scale;
mod server;
mod shares;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dovetail_core::clock;
use dovetail_report::figures::{Both, Side};
use dovetail_report::{Figures, check, render_html, render_markdown};
use tokio::time::Instant;

use self::bag::Bag;
use self::exact::{Answers, ComparedRows};
use self::look::Looks;
use self::probe::Probe;
use self::report::Found;
use self::scale::RunScale;
use self::server::MeasuredServer;
use self::shares::Parts;
use self::workload::Workload;
use super::up::wait_for_stop;
use crate::args::Compare;

/// Runs of each side when no number is given, and in the quick form.
const RUNS: u32 = 3;
const RUNS_QUICK: u32 = 2;
/// Time after which no other run is begun where the number of runs was not asked for.
const TIME: Duration = Duration::from_secs(9 * 60);
const TIME_QUICK: Duration = Duration::from_secs(100);

pub(super) async fn run(args: &Compare) -> Result<ExitCode> {
    // The processes are killed when this is dropped.
    tokio::select! {
        compared = Box::pin(compare(args)) => compared,
        stopped = wait_for_stop() => {
            stopped?;
            bail!("stopped before the comparison was over: there is no report");
        }
    }
}

async fn compare(args: &Compare) -> Result<ExitCode> {
    ensure!(Path::new("/proc/self/stat").exists(), "processes are measured by Linux's `/proc`, and there is none here");
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create `{}`", args.out.display()))?;
    let out = std::path::absolute(&args.out)?;
    // On the disk of the report, and not in a temporary folder that may be in memory.
    let folder = tempfile::Builder::new().prefix(".compare-").tempdir_in(&out)?;
    let comparison = Comparison {
        workload: Workload::load(args, &folder.path().join("pipeline")).await?,
        scale: RunScale::new(args.quick),
        began: clock::now_monotonic(),
    };
    let figures = comparison.measure(args, folder.path()).await?;
    write(&out, &figures)?;
    for problem in check(&figures) {
        eprintln!("missing: {problem}");
    }
    eprintln!("the report: {}", args.out.join("report.html").display());
    Ok(ExitCode::SUCCESS)
}

fn write(out: &Path, figures: &Figures) -> Result<()> {
    let json = serde_json::to_string_pretty(figures)? + "\n";
    for (name, text) in
        [("report.json", json), ("report.md", render_markdown(figures)), ("report.html", render_html(figures))]
    {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// A comparison that is going on.
struct Comparison {
    workload: Workload,
    scale: RunScale,
    began: Instant,
}

/// What a run of one side found besides its samples.
#[derive(Default)]
struct RunFound {
    answers: Option<Answers>,
    looks: Option<String>,
    history: Option<u64>,
    history_of_question: Option<u64>,
}

impl Comparison {
    async fn measure(&self, args: &Compare, folder: &Path) -> Result<Figures> {
        self.say(&format!("a log with {} records is written", self.workload.longest()));
        let log = folder.join("log");
        fast::write_log(&log, &self.workload).await.context("the log could not be written")?;
        let parts = Parts::measure(&log, &self.workload).await;
        let parts = parts.inspect_err(|error| self.say(&format!("the parts could not be run: {error:#}"))).ok();
        let runs = args.runs.unwrap_or(if args.quick { RUNS_QUICK } else { RUNS });
        let mut found = Found {
            bags: Both::default(),
            compared: ComparedRows::default(),
            looks: String::new(),
            history: 0,
            history_of_question: 0,
            runs: 0,
            took: Duration::ZERO,
        };
        for run in 0..runs {
            if args.runs.is_none() && !self.has_time_for_another(run, args.quick) {
                self.say(&format!("there is no time for more than {run} of {runs} runs"));
                break;
            }
            let mut answers = Both { lambda: None, kappa: None };
            for side in Side::ALL {
                let bag = match side {
                    Side::Lambda => &mut found.bags.lambda,
                    Side::Kappa => &mut found.bags.kappa,
                };
                let step = |what: &str| self.say(&format!("run {} of {runs}, {}: {what}", run + 1, side.name()));
                let at = folder.join(format!("{}-{run}", side.name().to_lowercase()));
                let of = Box::pin(self.run(side, &at, (&log, parts), run, bag, &step)).await;
                // Nothing of it is needed any more, and the next one has its space.
                let _ = std::fs::remove_dir_all(&at);
                match side {
                    Side::Lambda => answers.lambda = of.answers,
                    Side::Kappa => answers.kappa = of.answers,
                }
                found.looks = of.looks.unwrap_or(found.looks);
                found.history = of.history.unwrap_or(found.history);
                found.history_of_question = of.history_of_question.unwrap_or(found.history_of_question);
            }
            found.compared.add(&self.workload.views, answers);
            found.runs = run + 1;
        }
        found.took = self.began.elapsed();
        report::figures(args, &self.workload, &self.scale, found)
    }

    /// Whether a run as long as those before ends in time.
    fn has_time_for_another(&self, done: u32, is_quick: bool) -> bool {
        let limit = if is_quick { TIME_QUICK } else { TIME };
        done == 0 || self.began.elapsed() * (done + 1) / done <= limit
    }

    fn say(&self, what: &str) {
        eprintln!("{:>4} s  {what}", self.began.elapsed().as_secs());
    }

    /// One run of one side. What fails is absent from the report, and the rest goes on.
    async fn run(
        &self,
        side: Side,
        folder: &Path,
        log: (&Path, Option<Parts>),
        run: u32,
        bag: &mut Bag,
        step: &impl Fn(&str),
    ) -> RunFound {
        let mut found = RunFound::default();
        let (workload, scale) = (&self.workload, &self.scale);
        step("a cold start");
        let rate = match Box::pin(self.on_one_server(side, folder, log, bag, &mut found, step)).await {
            Ok(rate) => rate,
            Err(error) => {
                for question in ["fast", "fresh", "answering", "change", "late", "question", "crash", "keeping"] {
                    bag.failed(question, format!("{error:#}"));
                }
                step(&format!("this failed: {error:#}"));
                return found;
            }
        };
        for kill in 0..scale.kills {
            step("records come in, and the process is killed");
            let at = folder.join(format!("crash-{kill}"));
            let measured = crash::measure(side, at, workload, scale, rate / 4.0, bag).await;
            note(measured, bag, "crash", step);
        }
        if (run as usize) < scale.lengths_in_runs {
            step("what is kept, at 1, 2, 4 and 8 times the shortest history");
            let measured = Box::pin(keeping::measure(side, folder.join("keeping"), workload, scale, bag)).await;
            if let Err(error) = &measured {
                bag.failed("change.rebuild", format!("{error:#}"));
            }
            note(measured, bag, "keeping", step);
        }
        found
    }

    /// Everything that is measured on the server of the cold start; returns its rate of catching up.
    async fn on_one_server(
        &self,
        side: Side,
        folder: &Path,
        (log, parts): (&Path, Option<Parts>),
        bag: &mut Bag,
        found: &mut RunFound,
        step: &impl Fn(&str),
    ) -> Result<f64> {
        let (workload, scale) = (&self.workload, &self.scale);
        let empty = fast::empty_start(side, folder.join("empty"), workload, scale).await?;
        let mut server = MeasuredServer::new(side, folder.join("main"), &workload.pipeline, scale.settings())?;
        let rate = fast::cold_start(&mut server, log, empty, parts, workload, bag).await?;
        step("all rows are compared");
        if side == Side::Lambda {
            change::recompute(&server).await?;
        }
        found.answers = note(Answers::fetch(&server.client).await, bag, "exact", step);
        let looks = Looks::choose(&server.client, workload).await?;
        found.looks = Some(looks.what.clone());
        step("answers are timed");
        note(looks.measure(&server.client, scale.answers, bag).await, bag, "answering", step);
        let probe = note(Probe::find(workload), bag, "fresh", step);
        if let Some(probe) = &probe {
            step("a record until it is in an answer: idle, in the background, during a replay");
            note(fresh::idle(&server, probe, scale, bag).await, bag, "fresh.idle", step);
            note(fresh::background(&server, probe, scale, bag).await, bag, "fresh.background", step);
            note(fresh::replay(&server, workload, probe, scale, bag).await, bag, "fresh.replay", step);
            step("late records");
            note(late::measure(&server, probe, bag).await, bag, "late", step);
        } else {
            bag.failed("late", "no record can be told from the others in an answer".to_owned());
        }
        step("the code changes");
        found.history = note(change::measure(&mut server, workload, &looks.filtered, bag).await, bag, "change", step);
        step("a view is added");
        found.history_of_question =
            note(change::measure_question(&mut server, workload, bag).await, bag, "question", step);
        if let Some(probe) = &probe {
            step("a record until it is in an answer: half load");
            note(fresh::half_load(&server, workload, probe, scale, rate, bag).await, bag, "fresh.half_load", step);
        }
        server.stop().await?;
        Ok(rate)
    }
}

/// The value, or none and its reason in the bag.
fn note<T>(measured: Result<T>, bag: &mut Bag, figure: &'static str, step: &impl Fn(&str)) -> Option<T> {
    match measured {
        Ok(value) => Some(value),
        Err(error) => {
            step(&format!("this failed: {error:#}"));
            bag.failed(figure, format!("{error:#}"));
            None
        }
    }
}
