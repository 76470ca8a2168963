//! One view as received from its members: the parts that can be read, and the reasons for the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::name::ViewName;
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{RealtimeError, RealtimeView, Slice, Stall};
use dovetail_core::realtime_wire::{STARTS_MAX, ViewPartitionStatus};
use dovetail_core::view::View;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::Instant;

use super::RemoteConfig;
use super::bytes::CountedBytes;

/// Least number of starts received: those of the served generation, the previous and the next one.
const STARTS_MIN: usize = 3;
/// Number of ends of readers' merged copies that are kept as boundaries.
const KEPT: usize = 2;

#[derive(Debug)]
pub(super) struct RemoteView {
    pub(super) view: Arc<View>,
    pub(super) stale_after: Duration,
    /// Greatest number of starts received.
    most: usize,
    state: Mutex<RemoteState>,
    /// The starts to request from members.
    pub(super) starts: watch::Sender<Vec<Cut>>,
}

#[derive(Debug, Default)]
pub(super) struct RemoteState {
    /// The starts that are read, with the time of the last read.
    pub(super) wanted: Vec<(Cut, Instant)>,
    pub(super) links: BTreeMap<String, MemberState>,
    /// The offset up to which each partition was read: answers do not go back.
    pub(super) seen: BTreeMap<i32, i64>,
    pub(super) kept: VecDeque<Offsets>,
}

/// The state of one member.
#[derive(Debug)]
pub(super) struct MemberState {
    pub(super) address: String,
    /// Whether it was a member before the first read, and has neither answered nor failed yet.
    pub(super) is_first: bool,
    /// The reason why there is no stream at the moment.
    pub(super) down: Option<String>,
    /// The size of its slices in words, if they do not fit; until all of them have arrived.
    pub(super) no_room: Option<String>,
    /// Partitions whose slices did not fit.
    pub(super) refused: BTreeSet<i32>,
    /// Whether it has ceased to be a member.
    pub(super) gone: bool,
    pub(super) heard: Option<Instant>,
    /// The starts requested with its stream.
    pub(super) asked: Vec<Cut>,
    /// Whether its stream sends slices at all.
    pub(super) sends: bool,
    /// Whether everything that it had at the request has arrived.
    pub(super) answered: bool,
    pub(super) held: BTreeMap<i32, RemotePartition>,
    pub(super) status: BTreeMap<i32, ViewPartitionStatus>,
}

/// One partition of one member.
#[derive(Debug)]
pub(super) struct RemotePartition {
    pub(super) start: i64,
    pub(super) head: i64,
    /// Contiguous, from `start` to `head`.
    pub(super) slices: Vec<Slice>,
    pub(super) bytes: CountedBytes,
    /// Time since which the member does not own it any more.
    pub(super) lost: Option<Instant>,
}

impl RemotePartition {
    pub(super) fn has_boundary(&self, offset: i64) -> bool {
        offset == self.start || offset == self.head || self.slices.iter().any(|slice| slice.range.start == offset)
    }

    fn from(&self, start: i64) -> impl Iterator<Item = Slice> + '_ {
        self.slices.iter().filter(move |slice| slice.range.start >= start).cloned()
    }
}

impl RemoteView {
    pub(super) fn new(view: Arc<View>, config: &RemoteConfig) -> Self {
        let (stale_after, most) = (config.stale_after, config.starts.clamp(STARTS_MIN, STARTS_MAX));
        Self { view, stale_after, most, state: Mutex::default(), starts: watch::Sender::default() }
    }

    pub(super) fn name(&self) -> &ViewName {
        &self.view.name
    }

    pub(super) fn state(&self) -> MutexGuard<'_, RemoteState> {
        self.state.lock()
    }

    /// The slices that can be read from `start` now.
    ///
    /// # Errors
    /// [`RealtimeError::Asking`] while there are members that were not heard at all.
    pub(super) fn read(&self, start: &Cut, now: Instant) -> Result<RealtimeView, RealtimeError> {
        let mut state = self.state();
        self.want(&mut state, start, now);
        if let Some((member, _)) = state.links.iter().find(|(_, link)| link.is_first) {
            return Err(RealtimeError::Asking { view: self.view.name.clone(), member: member.clone() });
        }
        let mut realtime = RealtimeView::default();
        for partition in state.partitions() {
            let seen = state.seen.get(&partition).copied();
            let from = start.get(partition);
            match self.furthest(&state, partition, from, now) {
                Some((_, held)) if Some(held.head) >= seen => {
                    realtime.start.0.set(partition, from);
                    realtime.head.set(partition, held.head);
                    realtime.slices.extend(held.from(from));
                }
                Some((member, held)) => {
                    let (head, behind) = (held.head, seen.unwrap_or(0) - held.head);
                    let why = format!("speed layer `{member}` folds it again: it is at {head}, {behind} records to go");
                    realtime.missing.insert(partition, self.missing(partition, why));
                }
                None => {
                    realtime.missing.insert(partition, self.backlog(&state, partition, start, now));
                }
            }
        }
        state.seen.extend(realtime.head.iter());
        Ok(realtime)
    }

    /// The member with the greatest head in a partition, of those that can be read from `start`.
    fn furthest<'s>(
        &self,
        state: &'s RemoteState,
        partition: i32,
        start: i64,
        now: Instant,
    ) -> Option<(&'s str, &'s RemotePartition)> {
        let live = state.links.iter().filter(|(_, link)| self.is_live(link, now));
        let held = live.filter_map(|(member, link)| Some((member.as_str(), link.held.get(&partition)?)));
        let readable = held.filter(|(_, held)| {
            held.has_boundary(start) && held.lost.is_none_or(|lost| now.duration_since(lost) <= self.stale_after)
        });
        readable.max_by_key(|(_, held)| held.head)
    }

    pub(super) fn is_live(&self, link: &MemberState, now: Instant) -> bool {
        link.heard.is_some_and(|heard| now.saturating_duration_since(heard) <= self.stale_after)
    }

    /// The reason why a partition cannot be read from `start`.
    fn backlog(&self, state: &RemoteState, partition: i32, start: &Cut, now: Instant) -> RealtimeError {
        let mut asking = None;
        if let Some(why) = no_room(state, partition) {
            return self.missing(partition, why);
        }
        for (member, link) in state.links.iter().filter(|(_, link)| self.is_live(link, now)) {
            let Some(status) = link.status.get(&partition) else { continue };
            if let Some((_, error)) = status.backlog.iter().find(|(at, _)| *at == start.get(partition)) {
                return error.clone();
            }
            let (start, view) = (start.get(partition), &self.view.name);
            if let Some(from) = status.start.filter(|&from| start < from) {
                return RealtimeError::Dropped { view: view.clone(), partition, start, from };
            }
            if link.down.is_none() {
                asking = Some(RealtimeError::Asking { view: self.view.name.clone(), member: member.clone() });
            }
        }
        asking.unwrap_or_else(|| self.missing(partition, self.why_missing(state, partition, now)))
    }

    fn why_missing(&self, state: &RemoteState, partition: i32, now: Instant) -> String {
        let is_away = |link: &MemberState| link.down.is_some() || !self.is_live(link, now);
        let had = state.links.iter().filter(|(_, link)| link.has(partition) && is_away(link));
        let last = had.max_by_key(|(_, link)| link.heard);
        match last {
            Some((member, link)) => {
                let silent = link.heard.map_or(0.0, |heard| now.saturating_duration_since(heard).as_secs_f64());
                let down = link.down.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                format!("speed layer `{member}` at {} was last heard {silent:.1} s ago{down}", link.address)
            }
            None => "no speed layer that answers holds it".to_owned(),
        }
    }

    fn missing(&self, partition: i32, why: String) -> RealtimeError {
        RealtimeError::Missing { view: self.view.name.clone(), partitions: vec![partition], why }
    }

    fn want(&self, state: &mut RemoteState, start: &Cut, now: Instant) {
        if let Some((_, read)) = state.wanted.iter_mut().find(|(wanted, _)| wanted == start) {
            *read = now;
            return;
        }
        if state.wanted.len() == self.most
            && let Some(oldest) = (0..self.most).min_by_key(|&i| state.wanted[i].1)
        {
            state.wanted.remove(oldest);
        }
        state.wanted.push((start.clone(), now));
        self.announce(state);
    }

    pub(super) fn announce(&self, state: &mut RemoteState) {
        // A start that is wanted again later has to be requested again: the slices below may have retired.
        let wanted = &state.wanted;
        for link in state.links.values_mut() {
            link.asked.retain(|asked| wanted.iter().any(|(start, _)| start == asked));
        }
        self.starts.send_replace(state.wanted.iter().map(|(start, _)| start.clone()).collect());
    }

    pub(super) fn keep_boundary(&self, at: &Offsets) {
        let mut state = self.state();
        state.kept.push_back(at.clone());
        if state.kept.len() > KEPT {
            state.kept.pop_front();
        }
    }

    /// The head of every partition that some member holds.
    pub(super) fn head(&self, now: Instant) -> Offsets {
        let state = self.state();
        let mut heads = Offsets::default();
        for link in state.links.values().filter(|link| self.is_live(link, now)) {
            let held = link.held.iter().filter(|(_, held)| held.lost.is_none()).map(|(&p, held)| (p, held.head));
            let told = link.status.values().filter_map(|status| Some((status.partition, status.head?)));
            for (partition, head) in held.chain(told) {
                heads.set(partition, head.max(heads.get(partition)));
            }
        }
        heads
    }

    /// The partitions that are stalled or that no member holds, and why.
    pub(super) fn stalled(&self, now: Instant) -> Vec<(i32, Stall)> {
        let state = self.state();
        let why = |partition| {
            if let Some(why) = no_room(&state, partition) {
                return Some(Stall::no_room(why));
            }
            let live = state.links.values().filter(|link| self.is_live(link, now));
            let mut told = live.filter_map(|link| link.status.get(&partition)).peekable();
            match told.peek() {
                None => Some(Stall::stalled(self.why_missing(&state, partition, now))),
                Some(_) => told.find_map(|status| status.stalled.clone()),
            }
        };
        state.partitions().into_iter().filter_map(|partition| Some((partition, why(partition)?))).collect()
    }
}

impl RemoteState {
    /// All partitions that any member has reported.
    fn partitions(&self) -> BTreeSet<i32> {
        let told = self.links.values().flat_map(|link| link.held.keys().chain(link.status.keys()).chain(&link.refused));
        told.chain(self.seen.keys()).copied().collect()
    }
}

impl MemberState {
    fn has(&self, partition: i32) -> bool {
        self.held.contains_key(&partition) || self.status.contains_key(&partition) || self.refused.contains(&partition)
    }
}

/// The reason why a partition cannot be read, if that is a lack of memory: some member has it, and no member's slices
/// fit.
fn no_room(state: &RemoteState, partition: i32) -> Option<String> {
    if state.links.values().any(|link| link.held.contains_key(&partition)) {
        return None;
    }
    let mut links = state.links.iter().filter(|(_, link)| !link.gone && link.has(partition));
    links.find_map(|(member, link)| Some(format!("no room: speed layer `{member}` {}", link.no_room.as_ref()?)))
}
