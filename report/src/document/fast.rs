//! How fast are records taken in?

use super::block::{Block, Drawing, ReportSection, Stack};
use super::compared::{ComparedSides, bars, table, without_verdicts};
use crate::analysis::quantity;
use crate::figures::{Both, Figures, Quantity, Shares, Side, Unit};

const PARTS: [&str; 5] = ["fetch", "decode", "fold", "land", "other"];

pub(super) fn section(figures: &Figures) -> ReportSection {
    let fast = &figures.fast;
    let share = |what: &str, of: fn(&Shares) -> &Quantity| {
        ComparedSides::lower(format!("Share of processor time: {what}"), &fast.shares.map(|shares| of(shares).clone()))
    };
    let rows = [
        ComparedSides::higher("Records taken in, from cold to caught up", &fast.catch_up),
        ComparedSides::lower("Processor time for a million records", &fast.cpu),
    ];
    let shares = [
        share("fetch", |shares| &shares.fetch),
        share("decode", |shares| &shares.decode),
        share("fold", |shares| &shares.fold),
        share("land", |shares| &shares.land),
    ];
    let mut blocks = vec![table(&rows)];
    blocks.extend(bars("Records per second until caught up", &[&rows[0]]));
    blocks.extend(bars("Processor time for a million records", &[&rows[1]]));
    blocks.push(without_verdicts(&shares));
    blocks.extend(stacks(&fast.shares));
    ReportSection { id: "fast", title: "How fast are records taken in?", how: Some(fast.how.clone()), blocks }
}

fn stacks(shares: &Both<Shares>) -> Option<Block> {
    let stacks: Vec<Stack> = Side::ALL
        .into_iter()
        .filter_map(|side| {
            let Shares { fetch, decode, fold, land } = shares.of(side);
            let mut values = [fetch, decode, fold, land]
                .into_iter()
                .map(|share| Some(quantity(share).ok()?.median))
                .collect::<Option<Vec<f64>>>()?;
            values.push((1.0 - values.iter().sum::<f64>()).max(0.0));
            Some(Stack { side, values })
        })
        .collect();
    let drawing = Drawing::Stacks { unit: Unit::Share, parts: PARTS.to_vec(), stacks };
    matches!(&drawing, Drawing::Stacks { stacks, .. } if !stacks.is_empty())
        .then(|| Block::chart("Where the processor time goes", drawing))
}
