//! The faults of a fake, and the calls that it got: the same for every fake.

use std::fmt;
use std::sync::Mutex;

use tokio::sync::watch;

/// One fault at a time, which some of the calls meet.
pub struct Faults<C, F> {
    rule: watch::Sender<Option<Rule<C, F>>>,
    met: watch::Sender<u64>,
    asked: Mutex<Vec<C>>,
}

struct Rule<C, F> {
    fault: F,
    which: Box<dyn Fn(&C) -> bool + Send + Sync>,
    /// Number of calls that pass before the first one meets the fault.
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
    /// Replaces the fault: from now on calls for which `which` is true meet `fault`.
    pub fn set(&self, fault: F, which: impl Fn(&C) -> bool + Send + Sync + 'static) {
        self.put(Rule { fault, which: Box::new(which), spared: 0, left: u64::MAX });
    }

    /// Like [`Self::set`], for the next `calls` of them only.
    pub fn set_next(&self, calls: u64, fault: F, which: impl Fn(&C) -> bool + Send + Sync + 'static) {
        self.put(Rule { fault, which: Box::new(which), spared: 0, left: calls });
    }

    /// Like [`Self::set`], after `calls` of them have passed.
    pub fn set_after(&self, calls: u64, fault: F, which: impl Fn(&C) -> bool + Send + Sync + 'static) {
        self.put(Rule { fault, which: Box::new(which), spared: calls, left: u64::MAX });
    }

    fn put(&self, rule: Rule<C, F>) {
        self.met.send_replace(0);
        self.rule.send_replace(Some(rule));
    }

    /// Removes the fault; calls that it holds go on.
    pub fn heal(&self) {
        self.rule.send_replace(None);
    }

    /// Number of calls that have met the last fault.
    pub fn met(&self) -> u64 {
        *self.met.borrow()
    }

    /// Waits until a call has met the fault.
    pub async fn until_met(&self) {
        self.met.subscribe().wait_for(|&met| met > 0).await.unwrap();
    }

    /// All calls so far, with those that met a fault.
    pub fn asked(&self) -> Vec<C> {
        self.asked.lock().unwrap().clone()
    }

    /// Number of calls so far for which `which` is true.
    pub fn count(&self, which: impl Fn(&C) -> bool) -> usize {
        self.asked.lock().unwrap().iter().filter(|call| which(call)).count()
    }

    pub(crate) fn ask(&self, call: C) {
        self.asked.lock().unwrap().push(call);
    }

    /// The fault that `call` meets, if any.
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

    /// Notifies of later changes of the fault.
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
