//! The state that each member last reported, and when it is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dovetail_core::offsets::Cut;
use dovetail_core::realtime::Slice;
use dovetail_core::realtime_wire::Status;
use tokio::sync::watch;
use tokio::time::Instant;

use super::view::{MemberState, RemotePartition, RemoteView};
use crate::memory::size;

impl RemoteView {
    /// The wanted starts, as a value to watch.
    pub(super) fn starts(&self) -> watch::Receiver<Vec<Cut>> {
        self.starts.subscribe()
    }

    pub(super) fn joined(&self, member: &str, address: &str, is_first: bool) {
        let new = MemberState {
            address: address.to_owned(),
            is_first,
            down: None,
            no_room: None,
            refused: BTreeSet::new(),
            gone: false,
            heard: None,
            asked: vec![],
            sends: false,
            answered: false,
            held: BTreeMap::new(),
            status: BTreeMap::new(),
        };
        let mut state = self.state();
        let link = state.links.entry(member.to_owned()).or_insert(new);
        (link.address, link.gone) = (address.to_owned(), false);
    }

    pub(super) fn left(&self, member: &str) {
        self.with(member, |link| {
            link.gone = true;
            link.is_first = false;
            link.down.get_or_insert_with(|| "it has left".to_owned());
        });
    }

    /// Records that a stream for `starts` was opened.
    pub(super) fn opened(&self, member: &str, starts: &[Cut]) {
        metrics::counter!("dovetail_remote_asks_total", "member" => member.to_owned()).increment(1);
        self.with(member, |link| {
            link.asked = starts.to_vec();
            link.sends = !starts.is_empty();
            (link.answered, link.down) = (false, None);
        });
    }

    /// Records that there is no stream, because of `why`.
    pub(super) fn down(&self, member: &str, why: &str) {
        self.with(member, |link| {
            link.down = Some(why.to_owned());
            link.no_room = None;
            link.is_first = false;
        });
    }

    pub(super) fn heard(&self, member: &str, now: Instant) {
        self.with(member, |link| link.heard = Some(now));
    }

    pub(super) fn hold(&self, member: &str, partition: i32, held: RemotePartition) {
        self.with(member, |link| {
            link.held.insert(partition, held);
        });
    }

    /// Drops the member's slices, because a `partition` of `whole` bytes does not fit into `limit`. Returns the least
    /// number of bytes that all of them would have taken.
    pub(super) fn no_room(&self, member: &str, partition: i32, whole: usize, limit: usize) -> usize {
        let mut state = self.state();
        let Some(link) = state.links.get_mut(member) else { return whole };
        let held = std::mem::take(&mut link.held);
        let others = held.iter().filter(|&(&other, _)| other != partition);
        let bytes = others.map(|(_, held)| held.bytes.bytes()).sum::<usize>() + whole;
        link.refused.extend(held.into_keys().chain([partition]));
        link.no_room = Some(format!(
            "at {} has {} or more, which do not fit into the {limit} bytes (`speed.memory`) for what all send",
            link.address,
            size(bytes),
        ));
        link.is_first = false;
        bytes
    }

    /// Bytes of the slices of a partition.
    pub(super) fn bytes_of(&self, member: &str, partition: i32) -> usize {
        let state = self.state();
        let held = state.links.get(member).and_then(|link| link.held.get(&partition));
        held.map_or(0, |held| held.bytes.bytes())
    }

    pub(super) fn status(&self, member: &str, status: Status, now: Instant) {
        self.with(member, |link| {
            link.status = status.partitions.into_iter().map(|status| (status.partition, status)).collect();
            (link.answered, link.is_first, link.no_room) = (true, false, None);
            link.refused.clear();
            for (partition, held) in &mut link.held {
                match link.status.contains_key(partition) {
                    true => held.lost = None,
                    false => {
                        held.lost.get_or_insert(now);
                    }
                }
            }
        });
    }

    /// Whether its stream cannot serve the wanted starts, so that a new request is needed.
    pub(super) fn has_to_ask(&self, member: &str) -> bool {
        let state = self.state();
        let Some(link) = state.links.get(member) else { return false };
        // A boundary in every partition that it has is as good as a request, and a new request does not bring back
        // slices that the member has dropped: those received before would be lost.
        let boundary = |p: &i32, start: &Cut| link.held.get(p).is_some_and(|held| held.has_boundary(start.get(*p)));
        let dropped = |p: &i32, start: &Cut| link.status[p].start.is_some_and(|from| start.get(*p) < from);
        let has = |start: &Cut| {
            let sent = link.answered && !link.status.is_empty();
            link.asked.contains(start) || (sent && link.status.keys().all(|p| boundary(p, start) || dropped(p, start)))
        };
        let too_much = state.wanted.is_empty() && link.sends;
        too_much || !state.wanted.iter().all(|(start, _)| has(start))
    }

    /// The slices of a partition below `at`, if a start there is still read: as states are functions of the log, they
    /// stay right when the member itself has dropped them.
    pub(super) fn wanted_below(&self, member: &str, partition: i32, at: i64) -> Vec<Slice> {
        let state = self.state();
        let is_read = state.wanted.iter().any(|(start, _)| start.get(partition) < at);
        let held = state.links.get(member).and_then(|link| link.held.get(&partition));
        match held.filter(|held| is_read && held.has_boundary(at)) {
            Some(held) => held.slices.iter().filter(|slice| slice.range.end <= at).cloned().collect(),
            None => vec![],
        }
    }

    /// The offsets of a partition at which boundaries should stay, and the one below which nothing is read any more.
    pub(super) fn boundaries(&self, partition: i32) -> (BTreeSet<i64>, Option<i64>) {
        let state = self.state();
        let starts: BTreeSet<i64> = state.wanted.iter().map(|(start, _)| start.get(partition)).collect();
        let least = starts.first().copied();
        (starts.into_iter().chain(state.kept.iter().map(|kept| kept.get(partition))).collect(), least)
    }

    /// Drops slices too old to be read, and starts that were not read for `idle`.
    pub(super) fn sweep(&self, now: Instant, idle: Duration) -> Swept {
        let mut state = self.state();
        let before = state.wanted.len();
        state.wanted.retain(|(_, read)| now.saturating_duration_since(*read) <= idle);
        if state.wanted.len() != before {
            self.announce(&mut state);
        }
        let stale_after = self.stale_after;
        let no_starts = state.wanted.is_empty();
        for link in state.links.values_mut() {
            let live = self.is_live(link, now);
            link.held.retain(|_, held| {
                live && !no_starts && held.lost.is_none_or(|lost| now.duration_since(lost) <= stale_after)
            });
        }
        state.links.retain(|_, link| !link.gone || !link.held.is_empty());
        let slices = state.links.values().flat_map(|link| link.held.values()).map(|held| held.slices.len()).sum();
        let no_room = state.links.values().filter(|link| link.no_room.is_some()).count();
        Swept { starts: state.wanted.len(), slices, no_room }
    }

    /// The time since each member's last message.
    pub(super) fn silence(&self, now: Instant) -> Vec<(String, Duration)> {
        let state = self.state();
        let heard = state.links.iter().filter_map(|(member, link)| Some((member, link.heard?)));
        heard.map(|(member, heard)| (member.clone(), now.saturating_duration_since(heard))).collect()
    }

    fn with(&self, member: &str, change: impl FnOnce(&mut MemberState)) {
        if let Some(link) = self.state().links.get_mut(member) {
            change(link);
        }
    }
}

/// The rest after a sweep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Swept {
    pub(super) starts: usize,
    pub(super) slices: usize,
    /// Members whose slices do not fit.
    pub(super) no_room: usize,
}
