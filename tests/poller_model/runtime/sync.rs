//! Locks and atomics under a seeded scheduler: one thread runs at a time, and the scheduler draws
//! the next one before each lock, atomic access and sleep. The same seed gives the same run.
//!
//! The stores of a thread stay in its own buffer until a fence, an exchange, a sleep or chance
//! takes them out, in order; releasing a lock is such a store too. Loads come from memory
//! meanwhile, and only a sequentially consistent load waits for the sequentially consistent stores
//! before it. Code that is correct only without such a buffer fails here.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
pub use std::sync::atomic::Ordering;
use std::time::Instant;

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Runnable,
    /// Waits for the lock at this address.
    Blocked(usize),
    /// Sleeps on the condition variable at this address; the second says whether it may give up.
    Sleeping(usize, bool),
    /// Continues when no other thread can.
    Quiet,
    Done,
}

/// Pseudorandom numbers (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }
}

pub struct Scheduler(parking_lot::Mutex<State>);

struct State {
    dice: Dice,
    threads: Vec<Thread>,
    current: usize,
    steps: u64,
    panicked: bool,
    by_priority: bool,
}

struct Thread {
    status: Status,
    priority: usize,
    turn: Arc<parking_lot::Condvar>,
}

/// A number in memory, and the step at which it last changed.
#[derive(Default)]
struct Memory {
    value: AtomicU64,
    changed_at: AtomicU64,
}

impl Memory {
    fn get(&self) -> u64 {
        self.value.load(Ordering::SeqCst)
    }

    fn set(&self, value: u64) {
        if self.value.swap(value, Ordering::SeqCst) != value {
            self.changed_at.store(now(), Ordering::SeqCst);
        }
    }
}

/// A store that is still in its thread's buffer.
enum Pending {
    Store { cell: Arc<Memory>, value: u64, consistent: bool },
    Release { lock: Arc<Lock> },
}

thread_local! {
    static ME: RefCell<Option<(Arc<Scheduler>, usize)>> = const { RefCell::new(None) };
    static PENDING: RefCell<VecDeque<Pending>> = const { RefCell::new(VecDeque::new()) };
}

impl State {
    /// Draws the next thread. In every second run it can be any thread, and the present one stays
    /// with a chance of one half. In the others it is the thread of the highest priority, and
    /// priorities change now and then: that leaves some threads behind for long.
    fn draw(&mut self, me: usize) -> Option<usize> {
        if !self.by_priority && self.threads[me].status == Status::Runnable && self.dice.one_in(2) {
            return Some(me);
        }
        let able = |status| matches!(status, Status::Runnable | Status::Sleeping(_, true));
        let mut candidates: Vec<_> =
            (0..self.threads.len()).filter(|&index| able(self.threads[index].status)).collect();
        if candidates.is_empty() {
            let quiet = |index: &usize| self.threads[*index].status == Status::Quiet;
            candidates = (0..self.threads.len()).filter(quiet).collect();
        }
        if self.by_priority {
            if self.dice.one_in(25) {
                self.threads[me].priority = self.dice.below(1 << 20);
            }
            return candidates.into_iter().max_by_key(|&index| self.threads[index].priority);
        }
        let drawn = candidates.len().checked_sub(1).map(|last| self.dice.below(last + 1))?;
        Some(candidates[drawn])
    }
}

impl Scheduler {
    /// Runs `body` as the first thread; returns the number of steps that all threads took.
    pub fn run(seed: u64, body: impl FnOnce()) -> u64 {
        let first = Thread { status: Status::Runnable, priority: 0, turn: Arc::default() };
        let state = State {
            dice: Dice::new(seed),
            threads: vec![first],
            current: 0,
            steps: 0,
            panicked: false,
            by_priority: seed % 2 == 1,
        };
        let scheduler = Arc::new(Self(parking_lot::Mutex::new(state)));
        ME.set(Some((Arc::clone(&scheduler), 0)));
        body();
        take_out(usize::MAX);
        ME.set(None);
        let state = scheduler.0.lock();
        assert!(!state.panicked, "a thread has panicked");
        state.steps
    }

    /// Lets another thread run, with `status` for this one; returns when this thread is drawn, and
    /// whether it gave up sleeping.
    fn switch(&self, me: usize, status: Status) -> bool {
        if status != Status::Runnable {
            take_out(usize::MAX);
        }
        let mut state = self.0.lock();
        state.steps += 1;
        state.threads[me].status = status;
        let Some(next) = state.draw(me) else {
            panic!(
                "all threads wait for one another: {:?}",
                state.threads.iter().map(|it| it.status).collect::<Vec<_>>()
            );
        };
        if next != me {
            state.current = next;
            state.threads[next].turn.notify_one();
            let turn = Arc::clone(&state.threads[me].turn);
            while state.current != me {
                turn.wait(&mut state);
            }
        }
        let gave_up = matches!(state.threads[me].status, Status::Sleeping(..));
        state.threads[me].status = Status::Runnable;
        gave_up
    }

    fn wake(&self, which: impl Fn(Status) -> bool, most: usize) {
        let mut state = self.0.lock();
        for _ in 0..most {
            let sleeping: Vec<_> =
                (0..state.threads.len()).filter(|&index| which(state.threads[index].status)).collect();
            if sleeping.is_empty() {
                return;
            }
            let drawn = state.dice.below(sleeping.len());
            state.threads[sleeping[drawn]].status = Status::Runnable;
        }
    }
}

fn me() -> Option<(Arc<Scheduler>, usize)> {
    ME.with_borrow(Clone::clone)
}

/// A place where another thread may continue.
fn point() {
    if let Some((scheduler, me)) = me() {
        scheduler.switch(me, Status::Runnable);
        let out = scheduler.0.lock().dice.one_in(8);
        take_out(usize::from(out));
    }
}

/// Makes the oldest stores of this thread visible.
fn take_out(most: usize) {
    for _ in 0..most {
        match PENDING.with_borrow_mut(VecDeque::pop_front) {
            Some(Pending::Store { cell, value, .. }) => cell.set(value),
            Some(Pending::Release { lock }) => lock.give_back(),
            None => return,
        }
    }
}

/// How many stores are pending up to the last that is `which`.
fn pending_through(which: impl Fn(&Pending) -> bool) -> usize {
    PENDING.with_borrow(|pending| pending.iter().rposition(which).map_or(0, |last| last + 1))
}

/// The steps taken so far: the clock of the model.
pub fn now() -> u64 {
    me().map_or(0, |(scheduler, _)| scheduler.0.lock().steps)
}

/// Starts a thread that the scheduler runs.
pub fn spawn(body: impl FnOnce() + Send + 'static) {
    let (scheduler, _) = me().expect("under a scheduler");
    let (index, turn) = {
        let mut state = scheduler.0.lock();
        let turn = Arc::<parking_lot::Condvar>::default();
        let priority = state.dice.below(1 << 20);
        state.threads.push(Thread { status: Status::Runnable, priority, turn: Arc::clone(&turn) });
        (state.threads.len() - 1, turn)
    };
    std::thread::spawn(move || {
        {
            let mut state = scheduler.0.lock();
            while state.current != index {
                turn.wait(&mut state);
            }
        }
        ME.set(Some((Arc::clone(&scheduler), index)));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        take_out(usize::MAX);
        ME.set(None);
        let mut state = scheduler.0.lock();
        state.panicked |= outcome.is_err();
        state.threads[index].status = Status::Done;
        if let Some(next) = state.draw(index) {
            state.current = next;
            state.threads[next].turn.notify_one();
        }
    });
}

/// Returns when no other thread can continue; returns how many of them sleep. A thread that waits
/// for a lock then waits for ever.
pub fn quiesce() -> usize {
    let (scheduler, me) = me().expect("under a scheduler");
    take_out(usize::MAX);
    scheduler.switch(me, Status::Quiet);
    let state = scheduler.0.lock();
    assert!(!state.panicked, "a thread has panicked");
    let mut sleeping = 0;
    for (_, thread) in state.threads.iter().enumerate().filter(|(index, _)| *index != me) {
        match thread.status {
            Status::Done => {}
            Status::Sleeping(..) => sleeping += 1,
            status => panic!("a thread is stuck: {status:?}"),
        }
    }
    sleeping
}

/// A mutex without its data.
#[derive(Default)]
struct Lock(std::sync::atomic::AtomicBool);

impl Lock {
    fn address(&self) -> usize {
        std::ptr::from_ref(&self.0).addr()
    }

    fn give_back(&self) {
        self.0.store(false, Ordering::SeqCst);
        if let Some((scheduler, _)) = me() {
            scheduler.wake(|status| status == Status::Blocked(self.address()), usize::MAX);
        }
    }
}

/// In the shape of `parking_lot`'s.
#[derive(Default)]
pub struct Mutex<T> {
    lock: Arc<Lock>,
    data: parking_lot::Mutex<T>,
}

impl<T> Mutex<T> {
    pub fn new(data: T) -> Self {
        Self { lock: Arc::default(), data: parking_lot::Mutex::new(data) }
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        point();
        self.acquire()
    }

    fn acquire(&self) -> MutexGuard<'_, T> {
        let own =
            |pending: &Pending| matches!(pending, Pending::Release { lock } if Arc::ptr_eq(lock, &self.lock));
        take_out(pending_through(own));
        while self.lock.0.swap(true, Ordering::SeqCst) {
            let (scheduler, me) = me().expect("no thread holds it outside of a scheduler");
            scheduler.switch(me, Status::Blocked(self.lock.address()));
        }
        MutexGuard { mutex: self, data: Some(self.data.lock()) }
    }

    fn release(&self) {
        if me().is_some() {
            let lock = Arc::clone(&self.lock);
            PENDING.with_borrow_mut(|pending| pending.push_back(Pending::Release { lock }));
        } else {
            self.lock.give_back();
        }
    }
}

pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    data: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.data.as_ref().expect("held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_mut().expect("held")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.data.take().is_some() {
            self.mutex.release();
        }
    }
}

/// In the shape of `parking_lot`'s.
pub struct Condvar(u8);

pub struct Slept(bool);

impl Slept {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self(0)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(&self.0).addr()
    }

    fn sleep<T>(&self, guard: &mut MutexGuard<'_, T>, may_give_up: bool) -> bool {
        let (scheduler, me) = me().expect("under a scheduler");
        guard.data = None;
        guard.mutex.release();
        take_out(usize::MAX);
        let gave_up = scheduler.switch(me, Status::Sleeping(self.address(), may_give_up));
        let mut again = guard.mutex.acquire();
        guard.data = again.data.take();
        gave_up
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.sleep(guard, false);
    }

    /// Gives up at random.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> Slept {
        Slept(self.sleep(guard, true))
    }

    fn notify(&self, most: usize) {
        point();
        if let Some((scheduler, _)) = me() {
            let here = |status| matches!(status, Status::Sleeping(at, _) if at == self.address());
            scheduler.wake(here, most);
        }
    }

    pub fn notify_one(&self) {
        self.notify(1);
    }

    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }
}

/// A number in memory, behind the store buffers.
#[derive(Default)]
pub struct Word(Arc<Memory>);

impl Word {
    pub fn load(&self, order: Ordering) -> u64 {
        point();
        if order == Ordering::SeqCst {
            take_out(pending_through(|pending| matches!(pending, Pending::Store { consistent: true, .. })));
        }
        let own = PENDING.with_borrow(|pending| {
            pending.iter().rev().find_map(|pending| match pending {
                Pending::Store { cell, value, .. } if Arc::ptr_eq(cell, &self.0) => Some(*value),
                _ => None,
            })
        });
        own.unwrap_or_else(|| self.0.get())
    }

    pub fn store(&self, value: u64, order: Ordering) {
        point();
        let (cell, consistent) = (Arc::clone(&self.0), order == Ordering::SeqCst);
        let store = Pending::Store { cell, value, consistent };
        PENDING.with_borrow_mut(|pending| pending.push_back(store));
    }

    pub fn update(&self, change: impl Fn(u64) -> u64) -> u64 {
        point();
        take_out(usize::MAX);
        let before = self.0.get();
        self.0.set(change(before));
        before
    }

    /// The value in memory, for the model: without a step.
    pub fn peek(&self) -> u64 {
        self.0.get()
    }

    /// When that value last changed.
    pub fn changed_at(&self) -> u64 {
        self.0.changed_at.load(Ordering::SeqCst)
    }
}

/// In the shape of the standard library's.
#[derive(Default)]
pub struct AtomicBool(Word);

impl AtomicBool {
    pub fn new(value: bool) -> Self {
        Self(Word(Arc::new(Memory { value: AtomicU64::new(value.into()), ..Memory::default() })))
    }

    pub fn load(&self, order: Ordering) -> bool {
        self.0.load(order) != 0
    }

    pub fn store(&self, value: bool, order: Ordering) {
        self.0.store(value.into(), order);
    }

    pub fn swap(&self, value: bool, _: Ordering) -> bool {
        self.0.update(|_| value.into()) != 0
    }
}

pub fn fence(_: Ordering) {
    point();
    take_out(usize::MAX);
}
