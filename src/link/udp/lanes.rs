//! The lanes of the process. Endpoints take them in turn, and each starts when it is first needed.

use std::sync::Arc;

use parking_lot::Mutex;

use super::leading::Leading;
use super::sockets::UdpLane;
use crate::error::{Error, Result};
use crate::link::config::ListenOptions;
use crate::link::core::lane::Lane;
use crate::runtime::epoll::Sleep;
use crate::runtime::lane::{LaneThread, Turn};
use crate::runtime::{self, RuntimeOptions};

struct Pool {
    /// By their numbers, as many as were needed so far.
    started: Vec<Arc<UdpLane>>,
    next: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { started: Vec::new(), next: 0 });

/// The lane for a new endpoint.
pub(crate) fn next_lane() -> Result<Arc<UdpLane>> {
    Ok(next_lanes(1)?.remove(0))
}

/// Different lanes for `count` endpoints, which must not be more than there are lanes.
pub(crate) fn next_lanes(count: usize) -> Result<Vec<Arc<UdpLane>>> {
    let runtime = runtime::get()?;
    let most = runtime.options().lanes as usize;
    let mut pool = POOL.lock();
    let first = pool.next;
    let mut lanes = Vec::with_capacity(count);
    for number in (first..first + count).map(|turn| turn % most) {
        while pool.started.len() <= number {
            let (lane, thread) = start(pool.started.len(), runtime.options())?;
            runtime.stop_at_shutdown(thread)?;
            pool.started.push(lane);
        }
        lanes.push(Arc::clone(&pool.started[number]));
    }
    pool.next = (first + count) % most;
    Ok(lanes)
}

/// The number of lanes that a server wants.
pub(crate) fn wanted_lanes(options: &ListenOptions) -> Result<usize> {
    let most = runtime::get()?.options().lanes;
    let is_handed_in = options.socket.is_some();
    match options.lanes {
        0 if is_handed_in => Ok(1),
        0 => Ok(most as usize),
        2.. if is_handed_in => {
            Err(Error::InvalidArgument("a server with a socket that is handed in has one lane".into()))
        }
        lanes if lanes > most => Err(Error::InvalidArgument(
            format!("the server wants {lanes} lanes, and the library has {most}").into(),
        )),
        lanes => Ok(lanes as usize),
    }
}

fn start(number: usize, options: &RuntimeOptions) -> Result<(Arc<UdpLane>, LaneThread)> {
    let sleep = Arc::new(Sleep::new()?);
    let lane = Lane::new(number, Some(Arc::clone(&sleep)));
    let lane = UdpLane::new(lane, Arc::clone(&sleep), Leading::new(options.lead, options.spin));
    let thread = LaneThread::start(number, sleep, Arc::clone(&lane) as Arc<dyn Turn>, options)?;
    Ok((lane, thread))
}
