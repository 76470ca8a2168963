//! The first page: which is better at what, by how much, on these records, and where that changes.

use std::collections::{BTreeMap, BTreeSet};

use super::block::{Block, Card, Tone};
use super::compared::{ComparedSides, table};
use super::wording::by_how_much;
use super::{about, crossings, exact};
use crate::analysis::{Better, Known, Summary, Verdict, total_bytes};
use crate::figures::{Both, Curve, Figures, Side};

pub(super) fn lead(figures: &Figures) -> Vec<Block> {
    let rows = scoreboard(figures);
    let mut blocks = vec![
        Block::Text(about::line(&figures.meta)),
        Block::Text(exact::sentence(figures)),
        Block::Cards(cards(&rows)),
        Block::Heading("Where the better side changes".into()),
        Block::List(crossings::sentences(figures)),
        Block::Heading("The figures".into()),
        table(&rows),
        Block::Heading("What was not measured".into()),
    ];
    blocks.push(Block::Text("These hold only as far as what they assume:".into()));
    blocks.push(Block::List(assumptions()));
    let absent = absent(figures);
    if !absent.is_empty() {
        blocks.push(Block::Text("These figures are missing. Their tables say which:".into()));
        blocks.push(Block::List(absent));
    }
    blocks
}

/// The figures that stand for their questions.
fn scoreboard(figures: &Figures) -> Vec<ComparedSides> {
    let Figures { fast, fresh, answering, keeping, change, late, question, crash, .. } = figures;
    let totals = keeping.stores.map(total_bytes);
    let memory = keeping.stores.map(|stores| stores.memory.clone());
    vec![
        ComparedSides::higher("Records taken in per second", &fast.catch_up),
        ComparedSides::lower("Processor time for a million records", &fast.cpu),
        ComparedSides::percentile("Freshness at half load", &fresh.half_load, 99.0),
        ComparedSides::percentile("Freshness during a full recompute / a replay", &fresh.replay, 99.0),
        ComparedSides::percentile("Answer for one group", &answering.point, 99.0),
        ComparedSides::percentile("Answer for the whole view", &answering.whole, 99.0),
        at_longest("Bytes on disk, longest history", &totals),
        at_longest("Memory, longest history", &memory),
        ComparedSides::lower("Code changed: until readers get the new answer", &change.switched),
        ComparedSides::lower("Code changed: extra processor time", &change.extra_cpu),
        ComparedSides::lower("Code changed: to go back", &change.back),
        ComparedSides::lower(
            "A record a month late: until it is in the answer",
            &late.month.map(|late| late.seen.clone()),
        ),
        ComparedSides::lower("A new view over all history: until it is right", &question.right),
        ComparedSides::lower("Crash: until answers are exact again", &crash.recovery),
    ]
}

fn at_longest(what: &str, curves: &Both<Curve>) -> ComparedSides {
    let known = |curve: &Curve| -> Known {
        let points = curve.get()?;
        let last = points.points.last().and_then(|point| Summary::of(points.unit, &point.samples));
        last.ok_or_else(|| "there are no samples".into())
    };
    ComparedSides { what: what.into(), known: curves.map(known), better: Better::Lower }
}

/// Who is better at what.
fn cards(rows: &[ComparedSides]) -> Vec<Card> {
    let won = |side: Side| {
        let items = rows.iter().filter_map(|row| match row.verdict() {
            Verdict::Won { by, times } if by == side => {
                Some(format!("{}: {}", row.what, by_how_much(times, row.better)))
            }
            _ => None,
        });
        card(Tone::Side(side), format!("{} is better", side.name()), items.collect())
    };
    let same = rows.iter().filter(|row| row.verdict() == Verdict::NoDifference).map(|row| row.what.clone());
    let once = rows.iter().filter_map(|row| match row.verdict() {
        Verdict::SeenOnce { ahead, times } => {
            Some(format!("{}: {} {}", row.what, ahead.name(), by_how_much(times, row.better)))
        }
        _ => None,
    });
    let mut cards =
        vec![won(Side::Lambda), won(Side::Kappa), card(Tone::Muted, "No difference measured".into(), same.collect())];
    let once: Vec<String> = once.collect();
    if !once.is_empty() {
        cards.push(card(Tone::Muted, "Seen once: the spread is not known".into(), once));
    }
    cards
}

fn card(tone: Tone, title: String, items: Vec<String>) -> Card {
    let items = if items.is_empty() { vec!["at none of these figures".to_owned()] } else { items };
    Card { tone, title, items }
}

fn assumptions() -> Vec<String> {
    [
        "The model assumes that times and bytes go on growing in a straight line, and that work divides evenly between \
         machines.",
        "A month of bytes assumes a steady rate, and records of the size of these.",
        "The records that a log of a week would miss are computed from their times.",
        "One machine ran everything. A network between machines was not measured.",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// How many figures are missing, of which parts of `report.json`, by reason.
fn absent(figures: &Figures) -> Vec<String> {
    let mut by_reason = BTreeMap::<String, (usize, BTreeSet<String>)>::new();
    for problem in crate::check(figures) {
        if let Some((path, reason)) = problem.split_once(": not measured: ") {
            let (count, parts) = by_reason.entry(reason.to_owned()).or_default();
            *count += 1;
            parts.extend(path.split('.').next().map(str::to_owned));
        }
    }
    let sentence = |(reason, (count, parts)): (String, (usize, BTreeSet<String>))| {
        let figures = if count == 1 { "figure" } else { "figures" };
        format!("{count} {figures} of {}: {reason}", Vec::from_iter(parts).join(", "))
    };
    by_reason.into_iter().map(sentence).collect()
}
