//! The rules of the poller. Every wait of every thread is checked against them, and the whole
//! poller whenever all threads are at rest.
//!
//! 1. **Entries.** An object is in a poller from `add` to `remove` or to its end (`retire`),
//!    whichever comes first. If it is not in the poller, a wait that begins later does not report
//!    it, and the poller does not hold it.
//! 2. **Interest.** A report has the cookie of the latest `add` or `modify` and only readiness that
//!    was asked for, except `CLOSED`. The three calls may run in parallel: then either may be the
//!    latest, but a `modify` that succeeded beside a `remove` came before it.
//! 3. **Level.** Reported readiness was there during the wait. Readiness that lasts for a whole
//!    wait, and was notified before it, is reported unless the array of events is full. In
//!    particular such a wait does not end without events, and at rest no thread sleeps.
//! 4. **One shot.** One report for each `add` or `modify`.
//! 5. **Edges.** A change of size is reported once to each entry that asks for it, also if it asks
//!    later.
//! 6. **Wakes.** Each wake ends one wait; a wait ends with nothing only by a wake.
//! 7. **Descriptor.** It is readable while something is ready. At rest, it is not readable after a
//!    wait without time that found nothing.
//! 8. **Close.** Every wait ends, nothing is held.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::lane::Lane;
use crate::poller::{Event, Interest, Poller};
use crate::runtime::readiness::{Pollable, Ready, Watchers};
use crate::runtime::sync::{Ordering, Word, now};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::Lead;

const CONDITIONS: [Ready; 3] = [Ready::READABLE, Ready::WRITABLE, Ready::CLOSED];

/// An object with three conditions that come and go.
pub struct Object {
    pub number: u64,
    conditions: [Word; 3],
    pub size_changes: Word,
    watchers: Watchers,
    lane: Option<Arc<Lane>>,
}

impl Object {
    fn new(number: u64, lane: Option<Arc<Lane>>) -> Arc<Self> {
        Arc::new(Self {
            number,
            lane,
            conditions: Default::default(),
            size_changes: Word::default(),
            watchers: Watchers::default(),
        })
    }

    /// As careless as objects may be: a relaxed store, then the notice.
    pub fn begin(&self, which: usize) {
        self.conditions[which].store(1, Ordering::Relaxed);
    }

    /// This needs no notice.
    pub fn end(&self, which: usize) {
        self.conditions[which].store(0, Ordering::Relaxed);
    }

    pub fn retire(&self) {
        self.watchers.retire();
    }
}

impl Pollable for Object {
    fn ready(&self) -> Ready {
        let hold = CONDITIONS.iter().zip(&self.conditions);
        hold.fold(Ready::NONE, |all, (ready, holds)| all | ready.when(holds.load(Ordering::Relaxed) != 0))
    }

    fn size_changes(&self) -> u64 {
        self.size_changes.load(Ordering::Relaxed)
    }

    fn possible(&self) -> Ready {
        Ready(u32::MAX)
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.lane.clone().map(|lane| lane as _)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Add,
    Modify,
    Remove,
    Retire,
}

/// A call that changes what is watched.
#[derive(Debug, Clone)]
struct Call {
    change: Change,
    object: u64,
    interest: Option<Interest>,
    began: u64,
    /// When, and whether it succeeded.
    ended: Option<(u64, bool)>,
    /// How many waits reported its cookie.
    reports: usize,
}

impl Call {
    fn has_ended_before(&self, time: u64) -> bool {
        self.ended.is_some_and(|(ended, _)| ended < time)
    }

    fn failed(&self) -> bool {
        self.ended.is_some_and(|(_, succeeded)| !succeeded)
    }
}

/// A change of size that was reported: the object, and the time of the wait.
struct SizeReport {
    object: u64,
    began: u64,
    ended: u64,
}

/// The history of a run.
#[derive(Default)]
struct History {
    /// A cookie is the place of a call here.
    calls: Vec<Call>,
    objects: HashMap<u64, Arc<Object>>,
    slots: Vec<u64>,
    size_reports: Vec<SizeReport>,
    /// Notices that are under way, and when the last ended, by object.
    notices: HashMap<u64, (usize, u64)>,
    wakes: usize,
    empty_waits: usize,
}

/// Whether something must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Be,
    NotBe,
    Either,
}

pub struct Rules(parking_lot::Mutex<History>, [Option<Arc<Lane>>; 2]);

impl Rules {
    /// The rules of so many objects. They belong to two lanes in turn; `None` is no lane.
    pub fn new(objects: usize, lanes: [Option<Arc<Lane>>; 2]) -> Self {
        let rules = Self(parking_lot::Mutex::default(), lanes);
        for slot in 0..objects {
            rules.0.lock().slots.push(0);
            rules.replace(slot, 0);
        }
        rules
    }

    pub fn object(&self, slot: usize) -> Arc<Object> {
        let history = self.0.lock();
        Arc::clone(&history.objects[&history.slots[slot]])
    }

    pub fn by_number(&self, number: u64) -> Arc<Object> {
        Arc::clone(&self.0.lock().objects[&number])
    }

    /// Puts a new object in the place of one that is about to end, unless another thread was
    /// faster.
    pub fn replace(&self, slot: usize, number: u64) {
        let mut history = self.0.lock();
        if history.slots[slot] == number {
            let new = history.objects.len() as u64 + 1;
            history.objects.insert(new, Object::new(new, self.1[slot % 2].clone()));
            history.slots[slot] = new;
        }
    }

    /// Runs a change of an object, and its notice.
    pub fn during_notice(&self, object: &Object, change: impl FnOnce()) {
        self.0.lock().notices.entry(object.number).or_default().0 += 1;
        change();
        object.watchers.notify();
        let mut history = self.0.lock();
        let notices = history.notices.entry(object.number).or_default();
        *notices = (notices.0 - 1, now());
    }

    pub fn change(
        &self,
        change: Change,
        object: &Object,
        interest: Option<Interest>,
        call: impl FnOnce(u64) -> Result<()>,
    ) -> Result<()> {
        let cookie = {
            let calls = &mut self.0.lock().calls;
            let object = object.number;
            calls.push(Call { change, object, interest, began: now(), ended: None, reports: 0 });
            calls.len() - 1
        };
        let result = call(cookie as u64);
        self.0.lock().calls[cookie].ended = Some((now(), result.is_ok()));
        result
    }

    pub fn wake(&self, poller: &Poller) {
        self.0.lock().wakes += 1;
        poller.wake();
    }

    /// Waits, and checks the result against the rules.
    pub fn wait(&self, poller: &Poller, events: &mut [Event], deadline: Deadline) -> Result<usize> {
        let began = now();
        let result = poller.wait(events, deadline);
        let mut history = self.0.lock();
        match &result {
            Ok(0) => {
                history.empty_waits += 1;
                assert!(history.empty_waits <= history.wakes, "rule 6: no events, and no wake");
            }
            Ok(count) => {
                let events = &events[..*count];
                let objects: HashSet<_> = events.iter().map(|event| event.object).collect();
                assert_eq!(objects.len(), events.len(), "one report for each object: {events:?}");
                events.iter().for_each(|event| history.check_event(event, began));
            }
            Err(Error::Closed) => {}
            Err(error) => {
                assert_eq!(*error, deadline.missed());
                history.check_nothing_was_missed(began);
            }
        }
        result
    }

    /// Checks while all other threads are at rest, `sleeping` of them in a wait: everything is
    /// known exactly.
    pub fn check_descriptor_and_look(&self, poller: &Poller, sleeping: usize) {
        let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 64];
        let mut rest = None;
        for _ in 0..8 {
            let readable = is_readable(poller);
            let expected = self.0.lock().expected();
            let result = self.wait(poller, &mut events, Deadline::Now);
            let found = &events[..result.clone().unwrap_or(0)];
            for (object, options) in &expected {
                let event = found.iter().find(|event| event.object == *object);
                let said = event.map(|event| (event.cookie, event.ready));
                assert!(options.contains(&said), "at rest {object} is {said:?}, not one of {options:?}");
            }
            assert!(found.iter().all(|event| expected.contains_key(&event.object)));
            assert!(result.is_err() || readable, "rule 7: ready, but the descriptor is not readable");
            assert!(result.is_err() || sleeping == 0, "rule 3: {found:?}, and {sleeping} sleep");
            if let Err(error) = result {
                assert_eq!(error, Error::WouldBlock);
                assert!(!is_readable(poller), "rule 7: nothing is ready, but the descriptor is readable");
                rest = None;
                break;
            }
            rest = Some(result);
        }
        if rest.is_some() {
            assert!(is_readable(poller), "rule 7: levels stay");
        }
        self.0.lock().check_the_absent_are_not_held();
    }

    pub fn check_nothing_is_held(&self) {
        let history = self.0.lock();
        assert!(history.objects.values().all(|object| Arc::strong_count(object) == 1), "rule 8");
    }
}

impl History {
    fn check_event(&mut self, event: &Event, began: u64) {
        let Event { object, cookie, ready } = *event;
        let call = self.calls.get(cookie as usize).expect("rule 2: a cookie that was given").clone();
        let interest = call.interest.expect("rule 2: a cookie of an add or a modify");
        assert_eq!(call.object, object, "rule 2: the cookie of another object");
        assert!(!call.failed(), "rule 2: a cookie of a call that failed");
        let later = self.calls.iter().find(|later| {
            later.object == object
                && !later.failed()
                && call.has_ended_before(later.began)
                && later.has_ended_before(began)
        });
        assert!(later.is_none(), "rules 1 and 2: {call:?} is over since {later:?}");
        assert!(!ready.is_empty(), "rule 3: ready for nothing");
        let wanted = interest.ready | Ready::CLOSED;
        assert_eq!(ready & wanted, ready, "rule 2: not asked for");
        let reports = &mut self.calls[cookie as usize].reports;
        *reports += 1;
        assert!(!interest.one_shot || *reports == 1, "rule 4: reported twice");
        let state = &self.objects[&object];
        for (condition, holds) in CONDITIONS.iter().zip(&state.conditions) {
            let was = holds.peek() != 0 || holds.changed_at() >= began;
            assert!(was || (ready & *condition).is_empty(), "rule 3: {object} was not {condition:?}");
        }
        if !(ready & Ready::SIZE_CHANGED).is_empty() {
            assert!(state.size_changes.peek() > 0, "rule 5: no change");
            self.size_reports.push(SizeReport { object, began, ended: now() });
        }
    }

    /// A wait has ended without events: no watched condition may have held from its beginning to
    /// its end.
    fn check_nothing_was_missed(&self, began: u64) {
        for (number, object) in &self.objects {
            let told =
                self.notices.get(number).is_none_or(|(under_way, last)| *under_way == 0 && *last < began);
            let quiet = self.calls.iter().all(|call| call.object != *number || call.has_ended_before(began));
            if !told || !quiet {
                continue;
            }
            for (condition, holds) in CONDITIONS.iter().zip(&object.conditions) {
                let all_through = holds.peek() != 0 && holds.changed_at() < began;
                let watched = self.latest(*number).iter().all(|latest| {
                    latest.is_some_and(|call| {
                        let interest = call.interest.expect("an add or a modify");
                        !interest.one_shot && !((interest.ready | Ready::CLOSED) & *condition).is_empty()
                    })
                });
                assert!(!(all_through && watched), "rule 3: {number} was {condition:?} all the time");
            }
        }
    }

    /// The calls that may have been the latest for an object; `None` means that it is not in the
    /// poller.
    fn latest(&self, object: u64) -> Vec<Option<&Call>> {
        let succeeded: Vec<_> =
            self.calls.iter().filter(|call| call.object == object && !call.failed()).collect();
        if succeeded.iter().any(|call| call.change == Change::Retire) {
            return vec![None];
        }
        let is_latest = |call: &&&Call| !succeeded.iter().any(|later| call.has_ended_before(later.began));
        let latest: Vec<_> = succeeded.iter().filter(is_latest).copied().collect();
        let removes: Vec<_> = latest.iter().filter(|call| call.change == Change::Remove).collect();
        // A modify beside a remove came before it, unless an add beside the remove came in between.
        let added_beside = |remove: &&&Call| {
            succeeded.iter().any(|call| call.change == Change::Add && !call.has_ended_before(remove.began))
        };
        if latest.is_empty() || !removes.iter().all(added_beside) {
            return vec![None];
        }
        let watching = latest.iter().filter(|call| call.interest.is_some());
        let absent = (!removes.is_empty()).then_some(None);
        watching.map(|call| Some(*call)).chain(absent).collect()
    }

    /// What a look may report for each object when everything is at rest.
    fn expected(&self) -> HashMap<u64, Vec<Option<(u64, Ready)>>> {
        let mut expected = HashMap::new();
        for (number, object) in &self.objects {
            let mut options = Vec::new();
            for latest in self.latest(*number) {
                let Some(call) = latest else {
                    options.push(None);
                    continue;
                };
                let interest = call.interest.expect("an add or a modify");
                let cookie = self.calls.iter().position(|other| std::ptr::eq(other, call)).expect("in it");
                if interest.one_shot && call.reports > 0 {
                    options.push(None);
                    continue;
                }
                let edges =
                    match self.edge(*number, object.size_changes.peek(), object.size_changes.changed_at()) {
                        Must::Be => vec![Ready::SIZE_CHANGED],
                        Must::NotBe => vec![Ready::NONE],
                        Must::Either => vec![Ready::SIZE_CHANGED, Ready::NONE],
                    };
                for edge in edges {
                    let hold = CONDITIONS.iter().zip(&object.conditions);
                    let level =
                        hold.fold(Ready::NONE, |all, (ready, holds)| all | ready.when(holds.peek() != 0));
                    let ready = (level | edge) & (interest.ready | Ready::CLOSED);
                    options.push((!ready.is_empty()).then_some((cookie as u64, ready)));
                }
            }
            expected.insert(*number, options);
        }
        expected
    }

    /// Whether a change of size must still be reported for an object in the poller.
    fn edge(&self, object: u64, changes: u64, changed_at: u64) -> Must {
        if changes == 0 {
            return Must::NotBe;
        }
        let adds = self
            .calls
            .iter()
            .filter(|call| call.object == object && call.change == Change::Add && !call.failed());
        let (began, ended) = adds
            .map(|add| (add.began, add.ended.map_or(u64::MAX, |(ended, _)| ended)))
            .max()
            .expect("it was added");
        let reports = self.size_reports.iter().filter(|it| it.object == object && it.ended >= began);
        match reports.max_by_key(|report| report.ended) {
            None => Must::Be,
            Some(last) if changed_at > last.ended => Must::Be,
            Some(last) if last.began > ended && changed_at < last.began => Must::NotBe,
            Some(_) => Must::Either,
        }
    }

    fn check_the_absent_are_not_held(&self) {
        for (number, object) in &self.objects {
            if self.latest(*number).iter().all(Option::is_none) {
                assert_eq!(Arc::strong_count(object), 1, "rule 1: {number} is held");
            }
        }
    }
}

/// What `poll` would return, without a call that needs `unsafe`.
fn is_readable(poller: &Poller) -> bool {
    let path = format!("/proc/self/fdinfo/{}", poller.descriptor());
    let info = std::fs::read_to_string(path).expect("an open descriptor");
    let count = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).expect("an eventfd");
    count.trim() != "0"
}
