//! A model of the poller: the poller must keep its rules under a scheduler that draws every
//! interleaving of its threads.
//!
//! The files of the poller are compiled here once more, over the locks of [`runtime::sync`], which
//! is the scheduler. The rules are in [`rules`]; this file has the threads that exercise the
//! poller: they change objects, change what is watched, wait, wake and free. `WTGRAM_MODEL_SEED`
//! repeats one run, `WTGRAM_MODEL_STEPS` sets the number of steps (a million and a half).

#[allow(dead_code, reason = "the library's own file, of which the model uses a part")]
#[path = "../../src/poller/mod.rs"]
mod poller;

mod lane;
mod rules;

mod error {
    pub use wtgram::error::*;
}

mod runtime {
    pub use wtgram::runtime::{CloseOnShutdown, close_on_shutdown};

    /// Tests of other programs make threads wait here.
    pub mod hand_over {
        pub fn place() {}
    }
    #[allow(dead_code, reason = "as above")]
    #[path = "../../../src/runtime/readiness.rs"]
    pub mod readiness;
    pub mod sync;
    #[allow(dead_code, reason = "as above")]
    #[path = "../../../src/runtime/wait.rs"]
    pub mod wait;
    #[allow(dead_code, reason = "as above")]
    #[path = "../../../src/runtime/waiters.rs"]
    pub mod waiters;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use error::Error;
use lane::Lane;
use poller::{Event, Interest, Poller};
use rules::{Change, Rules};
use runtime::readiness::Ready;
use runtime::sync::{Dice, Scheduler, quiesce, spawn};
use runtime::wait::Deadline;

const OBJECTS: usize = 3;
const PHASES: usize = 3;
const NO_EVENT: Event = Event { object: 0, cookie: 0, ready: Ready::NONE };

/// What all threads of a run share.
struct World {
    poller: Arc<Poller>,
    rules: Rules,
}

#[test]
fn the_real_poller_keeps_its_rules_in_a_million_steps_of_random_interleavings() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse().expect("a number"));
    let wanted = number("WTGRAM_MODEL_STEPS").unwrap_or(1_500_000);
    let only = number("WTGRAM_MODEL_SEED");
    let (mut steps, mut runs) = (0, 0);
    while steps < wanted {
        let seed = only.unwrap_or(runs);
        let run = std::panic::catch_unwind(|| Scheduler::run(seed, || one_run(seed)));
        steps += run.unwrap_or_else(|_| panic!("WTGRAM_MODEL_SEED={seed} repeats it"));
        runs += 1;
        if only.is_some() {
            break;
        }
    }
    println!("{steps} steps in {runs} runs");
}

fn one_run(seed: u64) {
    let mut dice = Dice::new(!seed);
    // The threads that wait can lead no lane, one or two.
    let lanes = std::array::from_fn(|_| dice.one_in(2).then(|| Arc::new(Lane::new())));
    let world =
        Arc::new(World { poller: Poller::new().expect("a descriptor"), rules: Rules::new(OBJECTS, lanes) });
    for _ in 0..PHASES {
        start_threads(&world, &mut dice);
        let sleeping = quiesce();
        world.rules.check_descriptor_and_look(&world.poller, sleeping);
    }
    // The poller closes while everything goes on.
    start_threads(&world, &mut dice);
    if dice.one_in(2) {
        quiesce();
    }
    world.poller.close();
    assert_eq!(quiesce(), 0, "a thread sleeps in a closed poller");
    world.rules.check_nothing_is_held();
}

fn start_threads(world: &Arc<World>, dice: &mut Dice) {
    let mut start = |body: fn(&World, &mut Dice)| {
        let (world, mut dice) = (Arc::clone(world), Dice::new(dice.below(usize::MAX) as u64));
        spawn(move || body(&world, &mut dice));
    };
    for body in [change_objects, change_objects, manage, manage, wait, wait, wake] {
        start(body);
    }
}

/// Changes the objects: conditions begin, sizes change.
fn change_objects(world: &World, dice: &mut Dice) {
    for _ in 0..dice.below(8) {
        let object = world.rules.object(dice.below(OBJECTS));
        match dice.below(4) {
            0 => world.rules.during_notice(&object, || {
                object.size_changes.update(|count| count + 1);
            }),
            1 => object.end(dice.below(2)),
            _ => {
                let which = if dice.one_in(8) { 2 } else { dice.below(2) };
                world.rules.during_notice(&object, || object.begin(which));
            }
        }
    }
}

fn interest(dice: &mut Dice) -> Interest {
    let bits = [Ready::READABLE, Ready::WRITABLE, Ready::SIZE_CHANGED];
    let ready = bits.into_iter().fold(Ready::NONE, |all, bit| all | bit.when(dice.one_in(2)));
    Interest { ready, one_shot: dice.one_in(3) }
}

/// Adds, modifies, removes and frees.
fn manage(world: &World, dice: &mut Dice) {
    for _ in 0..dice.below(8) {
        let slot = dice.below(OBJECTS);
        let object = world.rules.object(slot);
        let result = match dice.below(8) {
            0..3 => {
                let interest = interest(dice);
                world.rules.change(Change::Add, &object, Some(interest), |cookie| {
                    world.poller.add(object.number, Arc::clone(&object) as _, interest, cookie)
                })
            }
            3..6 => {
                let interest = interest(dice);
                world.rules.change(Change::Modify, &object, Some(interest), |cookie| {
                    world.poller.modify(object.number, interest, cookie)
                })
            }
            6 => world.rules.change(Change::Remove, &object, None, |_| world.poller.remove(object.number)),
            _ => {
                world.rules.replace(slot, object.number);
                world.rules.change(Change::Retire, &object, None, |_| {
                    object.retire();
                    Ok(())
                })
            }
        };
        match result {
            Ok(()) | Err(Error::InvalidState(_)) => {}
            Err(Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits, and ends the conditions that it gets, or leaves them to others.
fn wait(world: &World, dice: &mut Dice) {
    for _ in 0..dice.below(8) {
        let mut events = [NO_EVENT; 3];
        let room = 1 + dice.below(events.len());
        let deadline = match dice.below(6) {
            0 => Deadline::Now,
            1 => Deadline::At(Instant::now() + Duration::from_secs(1_000)),
            _ => Deadline::Never,
        };
        let result = world.rules.wait(&world.poller, &mut events[..room], deadline);
        match result {
            Ok(count) => {
                for event in &events[..count] {
                    if !dice.one_in(4) {
                        let object = world.rules.by_number(event.object);
                        object.end(0);
                        object.end(1);
                    }
                }
            }
            Err(Error::Closed) => return,
            Err(_) => {}
        }
    }
}

fn wake(world: &World, dice: &mut Dice) {
    for _ in 0..dice.below(3) {
        world.rules.wake(&world.poller);
    }
}
