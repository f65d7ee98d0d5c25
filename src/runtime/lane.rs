//! A lane's thread: it takes turns, and sleeps in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;

use super::RuntimeOptions;
use super::epoll::{Event, Sleep};
use super::hand_over;
use super::thread::{self, Scheduling};
use crate::error::{Error, Result};

/// When a lane takes its next turn, if no event comes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once, because there is more to do.
    Now,
    /// At once, but after other threads of this core: they have to take delivered datagrams.
    AfterOthers,
    /// At that instant.
    At(Instant),
    /// Only after an event.
    Never,
}

/// The work of a lane.
pub trait Turn: Send + Sync {
    /// Takes one turn. `events` says which sockets are ready.
    fn turn(&self, events: &[Event]) -> Next;
    /// The lane takes no more turns, so no thread may wait for one.
    fn stopped(&self);
}

/// The thread of a lane.
pub struct LaneThread {
    sleep: Arc<Sleep>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LaneThread {
    /// Starts the thread `wtgram-<index>`, which takes turns of `turn` and sleeps in `sleep`.
    pub fn start(
        index: usize,
        sleep: Arc<Sleep>,
        turn: Arc<dyn Turn>,
        options: &RuntimeOptions,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (asleep, stopping) = (Arc::clone(&sleep), Arc::clone(&stop));
        let placing = Placing::of(index, options);
        let (placed, outcome) = crossbeam_channel::bounded(1);
        let thread = thread::spawn(format!("wtgram-{index}"), move || {
            let result = placing.apply();
            let is_placed = result.is_ok();
            let _ = placed.send(result);
            if !is_placed {
                return;
            }
            run(&asleep, &stopping, &*turn);
            turn.stopped();
        })
        .map_err(|error| Error::io("starting a lane", &error))?;
        let lane = Self { sleep, stop, thread: Mutex::new(Some(thread)) };
        match outcome.recv() {
            Ok(placed) => placed.map(|()| lane),
            Err(_) => Err(Error::Internal("a lane ended when it began".into())),
        }
    }

    /// Stops the thread after a last turn, and waits for its end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.sleep.wake();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// Where and how the system runs a lane.
struct Placing {
    cpu: Option<u32>,
    scheduling: Scheduling,
}

impl Placing {
    fn of(index: usize, options: &RuntimeOptions) -> Self {
        let cpu = options.lane_cpus.iter().cycle().nth(index).copied();
        Self { cpu, scheduling: options.lane_scheduling }
    }

    /// Applies it to this thread.
    fn apply(&self) -> Result<()> {
        if let Some(cpu) = self.cpu {
            thread::pin(cpu).map_err(|error| Error::Io {
                context: "keeping a lane on its CPU",
                message: format!("CPU {cpu}: {error}"),
            })?;
        }
        thread::schedule(self.scheduling)
            .map_err(|error| Error::io("giving a lane real-time scheduling", &error))
    }
}

fn run(sleep: &Sleep, stop: &AtomicBool, turn: &dyn Turn) {
    let mut events = Vec::new();
    loop {
        // Read before the turn, so that the last turn does all that was requested before the stop.
        let last = stop.load(Ordering::SeqCst);
        // Panics are contained where they happen. One that gets here ends the turn and not the
        // lane.
        let next = catch_unwind(AssertUnwindSafe(|| turn.turn(&events))).unwrap_or(Next::AfterOthers);
        if last {
            return;
        }
        let timeout = match next {
            Next::Now => Some(std::time::Duration::ZERO),
            Next::AfterOthers => {
                std::thread::yield_now();
                Some(std::time::Duration::ZERO)
            }
            Next::At(at) => Some(at.saturating_duration_since(Instant::now())),
            Next::Never => None,
        };
        hand_over::place();
        sleep.wait(timeout, &mut events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(crossbeam_channel::Sender<&'static str>);

    impl Turn for Counting {
        fn turn(&self, _: &[Event]) -> Next {
            let _ = self.0.send("turn");
            Next::Never
        }
        fn stopped(&self) {
            let _ = self.0.send("stopped");
        }
    }

    #[test]
    fn a_lane_takes_a_turn_when_it_is_woken_and_a_last_one_when_it_is_stopped() {
        let (sender, happened) = crossbeam_channel::unbounded();
        let sleep = Arc::new(Sleep::new().unwrap());
        let lane =
            LaneThread::start(99, Arc::clone(&sleep), Arc::new(Counting(sender)), &RuntimeOptions::default())
                .unwrap();
        let next = || happened.recv_timeout(std::time::Duration::from_secs(30)).expect("in time");
        assert_eq!(next(), "turn");
        sleep.wake();
        assert_eq!(next(), "turn");
        lane.stop();
        let rest: Vec<_> = happened.iter().collect();
        assert_eq!(rest, ["turn", "stopped"]);
    }
}
