//! Compaction: several segments that lie end to end become one, and nothing else changes.

use super::boundaries::boundaries;
use super::connection::{Change, next};
use super::landing::{at_path, insert};
use super::statement::Statement;
use super::{Catalog, CatalogError, Segment, objects};

impl Catalog {
    /// Puts `new` in the place of `old`, whose objects become garbage in the same transaction. A repeated call
    /// succeeds.
    ///
    /// # Errors
    /// [`CatalogError::SegmentsChanged`], and nothing changes, unless all of these hold:
    /// - all of `old` are still recorded, and together they cover exactly `new.range`, without a gap;
    /// - they hold as many rows and dead letters as `new`;
    /// - no cut of a kept generation or of a running run stands between them.
    ///
    /// [`CatalogError::NotStaged`] if an object of `new` is not staged.
    ///
    /// # On a crash
    /// The change is one transaction: the old segments are recorded or the new one is, and the objects of the old ones
    /// become garbage in it. An unrecorded new object stays `staged` until it is collected.
    pub async fn replace_segments(&self, old: &[Segment], new: &Segment) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("replace segments").await?;
            if at_path(&mut change, &new.path).await?.as_ref() == Some(new) {
                return Ok(());
            }
            let found = found(&mut change, new).await?;
            if let Err(detail) = check(old, &found, new) {
                return Err(changed(new, detail));
            }
            let cuts = boundaries(&mut change, self, &new.topic).await?;
            if let Some((_, at)) = cuts.iter().find(|(p, at)| *p == new.partition && new.range.is_cut_by(*at)) {
                return Err(changed(new, format!("a cut stands at {at}")));
            }
            let now_ms = change.now_ms().await?;
            for path in new.paths() {
                objects::record(&mut change, path, now_ms).await?;
            }
            for segment in old {
                drop_segment(&mut change, segment, now_ms).await?;
            }
            change.execute(insert(new)).await?;
            // A run that has chosen the old segments and has not started yet chooses again.
            next(&mut change, "basis").await?;
            change.commit_and_tell().await
        })
        .await
    }
}

async fn found(change: &mut Change<'_>, new: &Segment) -> Result<Vec<Segment>, CatalogError> {
    let select = Statement::new(include_str!("sql/segment_list_in.sql"));
    let select = select.bind(&new.topic).bind(new.partition);
    change.all(select.bind(new.range.start).bind(new.range.end)).await
}

async fn drop_segment(change: &mut Change<'_>, segment: &Segment, now_ms: i64) -> Result<(), CatalogError> {
    change.execute(Statement::new(include_str!("sql/segment_delete.sql")).bind(&segment.path)).await?;
    for path in segment.paths() {
        objects::unreference(change, path, now_ms).await?;
    }
    Ok(())
}

/// Whether `new` may take the place of `old`, given the segments `found` over its range.
fn check(old: &[Segment], found: &[Segment], new: &Segment) -> Result<(), String> {
    if old != found {
        return Err(format!("{} segments were given, others are recorded there", old.len()));
    }
    let (Some(first), Some(last)) = (old.first(), old.last()) else {
        return Err("no segment was given".to_owned());
    };
    if let Some(pair) = old.windows(2).find(|pair| pair[0].range.end != pair[1].range.start) {
        return Err(format!("{} and {} do not touch", pair[0].range, pair[1].range));
    }
    if (first.range.start, last.range.end) != (new.range.start, new.range.end) {
        return Err(format!("those given end at [{}, {})", first.range.start, last.range.end));
    }
    let sums = old.iter().fold((0, 0), |(rows, dead), s| (rows + s.rows, dead + s.dead));
    if sums != (new.rows, new.dead) {
        let (rows, dead) = sums;
        return Err(format!(
            "they hold {rows} rows and {dead} dead letters, the new one {} and {}",
            new.rows, new.dead
        ));
    }
    Ok(())
}

fn changed(new: &Segment, detail: String) -> CatalogError {
    CatalogError::SegmentsChanged { topic: new.topic.clone(), partition: new.partition, range: new.range, detail }
}
