//! What is to go wrong, and what was asked: the same for every fake.

use std::fmt;
use std::sync::Mutex;

use tokio::sync::watch;

/// One fault at a time, met by some of the calls.
pub struct Faults<C, F> {
    rule: watch::Sender<Option<Rule<C, F>>>,
    met: watch::Sender<u64>,
    asked: Mutex<Vec<C>>,
}

struct Rule<C, F> {
    fault: F,
    which: Box<dyn Fn(&C) -> bool + Send + Sync>,
    /// Calls that are let through before the first one that meets it.
    spared: u64,
    left: u64,
}

impl<C, F> Default for Faults<C, F> {
    fn default() -> Self {
        Self { rule: watch::Sender::new(None), met: watch::Sender::new(0), asked: Mutex::default() }
    }
}

impl<C, F> fmt::Debug for Faults<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("met", &*self.met.borrow()).finish_non_exhaustive()
    }
}

impl<C: Clone, F: Clone> Faults<C, F> {
    /// From now on calls that are `which` meet `fault`, and nothing else goes wrong.
    pub fn set(&self, fault: F, which: impl Fn(&C) -> bool + Send + Sync + 'static) {
        self.put(Rule { fault, which: Box::new(which), spared: 0, left: u64::MAX });
    }

    /// The same for the next `calls` of them only.
    pub fn set_next(&self, calls: u64, fault: F, which: impl Fn(&C) -> bool + Send + Sync + 'static) {
        self.put(Rule { fault, which: Box::new(which), spared: 0, left: calls });
    }

    /// The same once `calls` of them came through.
    pub fn set_after(&self, calls: u64, fault: F, which: impl Fn(&C) -> bool + Send + Sync + 'static) {
        self.put(Rule { fault, which: Box::new(which), spared: calls, left: u64::MAX });
    }

    fn put(&self, rule: Rule<C, F>) {
        self.met.send_replace(0);
        self.rule.send_replace(Some(rule));
    }

    /// Nothing goes wrong any more, and whoever was held goes on.
    pub fn heal(&self) {
        self.rule.send_replace(None);
    }

    /// How many calls have met the fault that was set last.
    pub fn met(&self) -> u64 {
        *self.met.borrow()
    }

    /// Returns once a call has met it.
    pub async fn until_met(&self) {
        self.met.subscribe().wait_for(|&met| met > 0).await.unwrap();
    }

    /// Every call so far, also those that met a fault.
    pub fn asked(&self) -> Vec<C> {
        self.asked.lock().unwrap().clone()
    }

    /// How many of them are `which`.
    pub fn count(&self, which: impl Fn(&C) -> bool) -> usize {
        self.asked.lock().unwrap().iter().filter(|call| which(call)).count()
    }

    pub(crate) fn ask(&self, call: C) {
        self.asked.lock().unwrap().push(call);
    }

    /// What `call` meets.
    pub(crate) fn of(&self, call: &C) -> Option<F> {
        let mut fault = None;
        self.rule.send_if_modified(|rule| {
            if let Some(rule) = rule.as_mut().filter(|rule| (rule.which)(call)) {
                if rule.spared > 0 {
                    rule.spared -= 1;
                } else if rule.left > 0 {
                    rule.left -= 1;
                    fault = Some(rule.fault.clone());
                }
            }
            false
        });
        fault
    }

    pub(crate) fn note_met(&self) {
        self.met.send_modify(|met| *met += 1);
    }

    /// Tells when other faults are set, or none any more.
    pub(crate) fn changes(&self) -> Changes<C, F> {
        Changes(self.rule.subscribe())
    }
}

pub(crate) struct Changes<C, F>(watch::Receiver<Option<Rule<C, F>>>);

impl<C, F> Changes<C, F> {
    pub(crate) async fn next(&mut self) {
        self.0.changed().await.unwrap();
    }
}
