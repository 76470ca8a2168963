//! The panel: one sample of the engine as lines of text. Pure, so that it can be tested.

use std::time::Duration;

use console::{Style, measure_text_width};

use super::feed::Fed;
use super::look::{DashboardData, Group, PartitionOffsets};

#[cfg(test)]
mod tests;

/// The content of one drawing.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// Number of records of the whole feed.
    pub(super) events: u64,
    pub(super) elapsed: Duration,
    pub(super) fed: Fed,
    pub(super) freshness: Option<Duration>,
    /// The last sample that succeeded ..
    pub(super) look: DashboardData,
    /// .. and the error of the one after it.
    pub(super) trouble: Option<String>,
}

pub(super) const MARGIN: &str = "  ";
pub(super) const NAME: usize = 15;
const NUMBER: usize = 9;

/// The colours: one for each layer, and little else.
pub(super) struct Ink {
    batch: Style,
    speed: Style,
    pub(super) strong: Style,
    pub(super) quiet: Style,
    wrong: Style,
}

impl Ink {
    pub(super) fn new() -> Self {
        let style = Style::new;
        Self {
            batch: style().cyan(),
            speed: style().yellow(),
            strong: style().bold(),
            quiet: style().dim(),
            wrong: style().red().bold(),
        }
    }
}

/// The panel in lines of at most `width` characters.
pub(super) fn panel(frame: &Frame, width: usize) -> Vec<String> {
    let ink = Ink::new();
    let width = width.saturating_sub(2 * MARGIN.len());
    let mut lines = vec![String::new(), title(frame, &ink, width), String::new()];
    lines.extend(log(frame, &ink, width));
    lines.push(String::new());
    lines.extend(view(&frame.look, &ink, width));
    lines.push(String::new());
    lines.extend(facts(frame, &ink));
    lines.push(String::new());
    lines.into_iter().map(|line| format!("{MARGIN}{line}").trim_end().to_owned()).collect()
}

fn title(frame: &Frame, ink: &Ink, width: usize) -> String {
    let seconds = frame.elapsed.as_secs();
    let right =
        format!("generation {}   {:02}:{:02}", ink.strong.apply_to(frame.look.generation), seconds / 60, seconds % 60);
    let left =
        format!("{}  {}", ink.strong.apply_to("dovetail"), ink.quiet.apply_to("New York's service requests, made up"));
    let gap = width.saturating_sub(measure_text_width(&left) + measure_text_width(&right)).max(2);
    format!("{left}{}{right}", " ".repeat(gap))
}

fn log(frame: &Frame, ink: &Ink, width: usize) -> Vec<String> {
    let partitions = &frame.look.partitions;
    let bar = width.saturating_sub(NAME + 2 * NUMBER);
    let expected = frame.events.cast_signed() / i64::try_from(partitions.len().max(1)).unwrap_or(1);
    let longest = partitions.iter().map(|p| p.end - p.first).max().unwrap_or(0);
    let scale = longest.max((frame.fed.before / i64::try_from(partitions.len().max(1)).unwrap_or(1)) + expected);
    let legend = format!(
        "{} batch   {} speed   {} and not landed",
        ink.batch.apply_to("━━"),
        ink.speed.apply_to("━━"),
        ink.speed.apply_to("╍╍")
    );
    let mut lines = vec![format!(
        "{}{}{}",
        pad("the log", NAME, &ink.strong),
        fill(&legend, bar),
        ink.quiet.apply_to(format!("{:>NUMBER$}{:>NUMBER$}", "cut", "head"))
    )];
    lines.extend(partitions.iter().enumerate().map(|(number, partition)| {
        let name = pad(&format!("partition {number}"), NAME, &ink.quiet);
        let (cut, head) = (count(partition.cut), count(partition.head));
        format!(
            "{name}{}{}{}",
            log_bar(partition, scale, bar, ink),
            ink.batch.apply_to(format!("{cut:>NUMBER$}")),
            ink.speed.apply_to(format!("{head:>NUMBER$}"))
        )
    }));
    lines
}

/// Draws `━━━━━━━━┃━━━╍╍    `: below the cut, landed, not landed, and still to come.
fn log_bar(partition: &PartitionOffsets, scale: i64, width: usize, ink: &Ink) -> String {
    let cell = |offset: i64| cells(offset - partition.first, scale, width);
    let (cut, end) = (cell(partition.cut), cell(partition.end.max(partition.head)));
    let landed = cell(partition.landed).clamp(cut, end);
    let marker = usize::from(cut > 0 && cut < width);
    let after = |from: usize, to: usize| to.saturating_sub(from.max(cut + marker));
    format!(
        "{}{}{}{}{}",
        ink.batch.apply_to("━".repeat(cut)),
        ink.strong.apply_to("┃".repeat(marker)),
        ink.speed.apply_to("━".repeat(after(cut, landed))),
        ink.speed.apply_to("╍".repeat(after(landed, end))),
        " ".repeat(width.saturating_sub(end.max(cut + marker)))
    )
}

fn view(look: &DashboardData, ink: &Ink, width: usize) -> Vec<String> {
    let heads = format!("{:>NUMBER$}   {:>NUMBER$}   {:>NUMBER$}   of requests_by_day", "batch", "speed", "merged");
    let total = look.total();
    let bar = width.saturating_sub(NAME + 3 * NUMBER + 9);
    let most = look.groups.iter().map(|group| group.merged).max().unwrap_or(0);
    let mut lines = vec![format!("{}{}", pad("by borough", NAME, &ink.strong), ink.quiet.apply_to(heads))];
    lines.extend(
        look.groups
            .iter()
            .map(|group| format!("{}   {}", row(group, &ink.quiet, ink), group_bar(group, most, bar, ink))),
    );
    lines.push(row(&total, &ink.strong, ink));
    lines
}

fn row(group: &Group, name: &Style, ink: &Ink) -> String {
    format!(
        "{}{} {} {} {} {}",
        pad(&group.name, NAME, name),
        ink.batch.apply_to(format!("{:>NUMBER$}", count(group.batch))),
        ink.quiet.apply_to("+"),
        ink.speed.apply_to(format!("{:>NUMBER$}", count(group.speed))),
        ink.quiet.apply_to("="),
        ink.strong.apply_to(format!("{:>NUMBER$}", count(group.merged)))
    )
}

fn group_bar(group: &Group, most: i64, width: usize, ink: &Ink) -> String {
    let (batch, all) = (cells(group.batch, most, width), cells(group.merged, most, width));
    format!("{}{}", ink.batch.apply_to("━".repeat(batch)), ink.speed.apply_to("━".repeat(all.saturating_sub(batch))))
}

fn facts(frame: &Frame, ink: &Ink) -> Vec<String> {
    let Frame { events, fed, look, freshness, trouble, .. } = frame;
    let label = |text: &str| ink.quiet.apply_to(format!("{text:<NAME$}")).to_string();
    let streamed = match fed.done {
        true => format!("all {} records, {}/s", number(fed.appended), number(fed.rate().round() as u64)),
        false => {
            format!("{} of {} records, {}/s", number(fed.appended), number(*events), number(fed.rate().round() as u64))
        }
    };
    let freshness = match freshness {
        Some(median) => format!("{} ms from acknowledged to answered (median)", median.as_millis().max(1)),
        None => "..".to_owned(),
    };
    let mut lines = vec![
        format!("{}{streamed}", label("streamed")),
        format!("{}{freshness}", label("freshness")),
        format!("{}{}", label("last run"), run(look, ink)),
        format!("{}{}", label("drift"), drift(look, ink)),
        format!("{}{} landed, kept in sys.dead_letters", label("dead letters"), count(look.dead_letters)),
    ];
    lines.extend(trouble.iter().map(|trouble| ink.wrong.apply_to(trouble).to_string()));
    lines
}

fn run(look: &DashboardData, ink: &Ink) -> String {
    match &look.last_run {
        None => "none yet: everything is in the speed layer".to_owned(),
        Some(run) => match &run.error {
            Some(error) => ink.wrong.apply_to(error).to_string(),
            None => format!(
                "folded {} rows for 4 views in {} ms, {} s ago",
                count(run.rows),
                count(run.took_ms),
                run.ago_ms / 1_000
            ),
        },
    }
}

fn drift(look: &DashboardData, ink: &Ink) -> String {
    match (look.compared, look.drifted) {
        (0, _) => "..".to_owned(),
        (compared, 0) => format!("0 in {} comparisons of the two layers", count(compared)),
        (compared, drifted) => {
            let text = format!("{drifted} of {compared} comparisons found a difference: see sys.drift");
            ink.wrong.apply_to(text).to_string()
        }
    }
}

/// The panel's numbers in one line.
pub(super) fn line(frame: &Frame) -> String {
    let Frame { elapsed, fed, look, freshness, .. } = frame;
    let total = look.total();
    let freshness =
        freshness.map_or_else(String::new, |median| format!("  freshness {} ms", median.as_millis().max(1)));
    format!(
        "{:>4} s  {} records  generation {}  batch {} + speed {} = merged {}{freshness}  drift {} of {}",
        elapsed.as_secs(),
        number(fed.appended),
        look.generation,
        count(total.batch),
        count(total.speed),
        count(total.merged),
        look.drifted,
        look.compared,
    )
}

fn cells(part: i64, whole: i64, width: usize) -> usize {
    if whole <= 0 {
        return 0;
    }
    let cells = (part.max(0) as f64 / whole as f64 * width as f64).round();
    (cells as usize).min(width)
}

pub(super) fn pad(text: &str, width: usize, style: &Style) -> String {
    style.apply_to(format!("{text:<width$}")).to_string()
}

fn fill(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(measure_text_width(text))))
}

fn count(number_of: i64) -> String {
    number(number_of.max(0).unsigned_abs())
}

/// `1234567` as `1,234,567`.
pub(super) fn number(of: u64) -> String {
    let digits = of.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
