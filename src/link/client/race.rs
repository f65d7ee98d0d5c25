//! Staggered attempts at the addresses of one server (RFC 8305, "Happy Eyeballs").

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::error::{Error, Result};

/// How long an attempt may take until the next address is tried as well: the Connection Attempt
/// Delay of RFC 8305 section 5, which recommends 250 ms.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Puts the two families in turns, and removes addresses that repeat. The order within a family,
/// and the family of the first address, are the resolver's choice (RFC 8305 section 4): it sorts by
/// RFC 6724, which puts IPv6 first where it can be used.
pub(super) fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut unique = Vec::new();
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let Some(first) = unique.first().map(SocketAddr::is_ipv6) else { return unique };
    let (first, second): (Vec<_>, Vec<_>) = unique.into_iter().partition(|one| one.is_ipv6() == first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        (one, other) => Some(one.into_iter().chain(other)),
    })
    .flatten()
    .collect()
}

/// Tries every address. The next attempt begins [`ATTEMPT_DELAY`] after the one before, or as soon
/// as one fails. Returns what the first successful attempt gives, and drops the others.
///
/// A failure that `is_final` ends the race. Otherwise the first failure is returned when no attempt
/// is left.
pub(super) async fn race<T, A>(
    addresses: Vec<SocketAddr>,
    mut start: impl FnMut(SocketAddr) -> Result<A>,
    is_final: impl Fn(&Error) -> bool,
) -> Result<T>
where
    T: Send + 'static,
    A: Future<Output = Result<T>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut next = waiting.next();
    let mut failure = None;
    loop {
        while let Some(address) = next.take() {
            match start(address) {
                Ok(attempt) => drop(attempts.spawn(attempt)),
                // For example, there is no route to it.
                Err(error) => {
                    failure.get_or_insert(error);
                    next = waiting.next();
                }
            }
        }
        let ended = tokio::select! {
            Some(ended) = attempts.join_next() => Some(ended),
            () = sleep(ATTEMPT_DELAY), if waiting.len() > 0 => None,
            else => return Err(failure.unwrap_or(Error::Closed)),
        };
        let error = match ended {
            Some(Ok(Ok(found))) => return Ok(found),
            Some(Ok(Err(error))) if is_final(&error) => return Err(error),
            Some(Ok(Err(error))) => Some(error),
            Some(Err(panic)) => Some(Error::Internal(panic.to_string().into())),
            None => None,
        };
        failure = failure.or(error);
        next = waiting.next();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::time::Instant;

    use super::*;

    fn v4(last: u8) -> SocketAddr {
        (Ipv4Addr::new(192, 0, 2, last), 443).into()
    }

    fn v6(last: u16) -> SocketAddr {
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), 443).into()
    }

    #[test]
    fn the_families_take_turns_from_the_resolvers_first_address_on() {
        let sorted = |addresses: &[SocketAddr]| interleave(addresses.iter().copied());
        assert_eq!(sorted(&[]), []);
        assert_eq!(sorted(&[v4(1), v4(2)]), [v4(1), v4(2)]);
        assert_eq!(sorted(&[v6(1), v6(2), v6(3), v4(1), v4(2)]), [v6(1), v4(1), v6(2), v4(2), v6(3)]);
        assert_eq!(sorted(&[v4(1), v4(2), v6(1)]), [v4(1), v6(1), v4(2)]);
        assert_eq!(sorted(&[v4(1), v6(1), v6(2), v6(3)]), [v4(1), v6(1), v6(2), v6(3)]);
        assert_eq!(sorted(&[v6(1), v6(1), v4(1), v6(1), v4(1)]), [v6(1), v4(1)]);
    }

    /// What becomes of an attempt, and after how many milliseconds.
    #[derive(Clone, Copy)]
    enum Fate {
        Answers(u64),
        Fails(u64),
        IsUntrusted(u64),
        CannotStart,
        Panics(u64),
        IsSilent,
    }
    use Fate::*;

    fn refused(address: SocketAddr) -> Error {
        Error::ConnectionRefused(address.to_string())
    }

    /// The result of a race, in invented time: which attempt answered or which error came, when, and
    /// when each attempt began. Times are in milliseconds.
    async fn run(fates: &[Fate]) -> (Result<SocketAddr>, u64, Vec<u64>) {
        let begin = Instant::now();
        let elapsed = move || u64::try_from(begin.elapsed().as_millis()).unwrap();
        let addresses: Vec<_> = (1..).map(v4).take(fates.len()).collect();
        let starts = Arc::new(Mutex::new(Vec::new()));
        let alive = Arc::new(());
        let start = |address: SocketAddr| {
            let fate = fates[addresses.iter().position(|one| *one == address).unwrap()];
            starts.lock().push(elapsed());
            let alive = Arc::clone(&alive);
            if let CannotStart = fate {
                return Err(refused(address));
            }
            Ok(async move {
                let _alive = alive;
                let after = |ms| sleep(Duration::from_millis(ms));
                match fate {
                    Answers(ms) => {
                        after(ms).await;
                        Ok(address)
                    }
                    Fails(ms) => {
                        after(ms).await;
                        Err(refused(address))
                    }
                    IsUntrusted(ms) => {
                        after(ms).await;
                        Err(Error::Tls(address.to_string()))
                    }
                    Panics(ms) => {
                        after(ms).await;
                        panic!("as a defect of ours would");
                    }
                    IsSilent | CannotStart => std::future::pending().await,
                }
            })
        };
        let result = race(addresses.clone(), start, |error| matches!(error, Error::Tls(_))).await;
        let ended = elapsed();
        // Aborted attempts are dropped when the runtime gets to them.
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&alive), 1, "no attempt is left");
        let starts = starts.lock().clone();
        (result, ended, starts)
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_attempt_begins_250_ms_after_the_one_before() {
        assert_eq!(run(&[IsSilent, IsSilent, Answers(10)]).await, (Ok(v4(3)), 510, vec![0, 250, 500]));
        assert_eq!(run(&[Answers(249), Answers(1)]).await, (Ok(v4(1)), 249, vec![0]));
        // An earlier attempt still counts after later ones have begun.
        assert_eq!(run(&[Answers(600), IsSilent, IsSilent]).await, (Ok(v4(1)), 600, vec![0, 250, 500]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_fails_makes_place_for_the_next_at_once() {
        assert_eq!(
            run(&[Fails(100), IsSilent, Answers(10)]).await,
            (Ok(v4(3)), 360, vec![0, 100, 350]),
            "and the next delay begins with that attempt"
        );
        assert_eq!(run(&[CannotStart, CannotStart, Answers(5)]).await, (Ok(v4(3)), 5, vec![0, 0, 0]));
        assert_eq!(run(&[Panics(7), Answers(5)]).await, (Ok(v4(2)), 12, vec![0, 7]));
        // The first is silent, and the second fails at once.
        assert_eq!(run(&[IsSilent, CannotStart, Answers(5)]).await, (Ok(v4(3)), 255, vec![0, 250, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_reported_when_all_have_failed() {
        assert_eq!(
            run(&[Fails(300), Fails(10), Fails(1)]).await,
            (Err(refused(v4(2))), 300, vec![0, 250, 260])
        );
        assert_eq!(run(&[CannotStart, Fails(9)]).await, (Err(refused(v4(1))), 9, vec![0, 0]));
        assert_eq!(run(&[]).await, (Err(Error::Closed), 0, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_failure_ends_the_race() {
        let untrusted = Err(Error::Tls(v4(2).to_string()));
        assert_eq!(run(&[IsSilent, IsUntrusted(50), Answers(0)]).await, (untrusted, 300, vec![0, 250]));
    }
}
