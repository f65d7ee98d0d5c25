//! The addresses of a server, from the system's resolver.
//!
//! It is asked once for both families. So, unlike RFC 8305 section 3 recommends, the answer for one
//! family does not come before that for the other: the system sorts both together (RFC 6724).

use std::net::{IpAddr, SocketAddr};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use tokio::task::{JoinHandle, spawn_blocking};

use super::race::interleave;
use crate::error::{Error, Result};

/// The addresses of `host` that can be reached from `bind`, in the order in which to try them.
pub(super) async fn resolve(host: &str, port: u16, bind: Option<IpAddr>) -> Result<Vec<SocketAddr>> {
    let found = match host.parse() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => look_up(host.to_owned(), port).await?,
    };
    let fits = |address: &SocketAddr| bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4());
    let usable = interleave(found.into_iter().filter(fits));
    if usable.is_empty() {
        let what = format!("{host}: it has no address of the right family");
        return Err(Error::NameNotResolved { what, temporary: false });
    }
    Ok(usable)
}

async fn look_up(host: String, port: u16) -> Result<Vec<SocketAddr>> {
    let mut pending = Pending(spawn_blocking(move || {
        let hints = AddrInfoHints { socktype: SockType::DGram.into(), ..AddrInfoHints::default() };
        let found = dns_lookup::getaddrinfo(Some(&host), None, Some(hints));
        let found = found.map_err(|error| not_found(&host, &error))?;
        // Addresses of families other than IPv4 and IPv6 are left out.
        let mut addresses: Vec<_> = found.flatten().map(|one| one.sockaddr).collect();
        addresses.iter_mut().for_each(|address| address.set_port(port));
        Ok(addresses)
    }));
    (&mut pending.0).await.unwrap_or_else(|failed| Err(Error::Internal(failed.to_string().into())))
}

fn not_found(host: &str, error: &LookupError) -> Error {
    use LookupErrorKind::{Again, Memory, System};
    let temporary = matches!(error.kind(), Again | Memory | System);
    Error::NameNotResolved { what: format!("{host}: {error}"), temporary }
}

/// A look-up. If nobody waits for it any longer, it leaves the queue for the resolver's threads. One
/// that runs already cannot be stopped.
struct Pending<T>(JoinHandle<T>);

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_answer_that_a_resolver_could_not_give_may_be_there_later_but_a_negative_one_is_final() {
        for (code, expected) in [
            (libc::EAI_AGAIN, true),
            (libc::EAI_MEMORY, true),
            (libc::EAI_SYSTEM, true),
            (libc::EAI_NONAME, false),
            (libc::EAI_NODATA, false),
            (libc::EAI_FAIL, false),
            (libc::EAI_FAMILY, false),
        ] {
            let Error::NameNotResolved { what, temporary } = not_found("host", &LookupError::new(code))
            else {
                panic!("another error");
            };
            assert_eq!((temporary, &what[..6]), (expected, "host: "), "{code}");
        }
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up_and_must_fit_the_address_to_send_from() {
        let (v4, v6) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        for (host, other) in [(v4, v6), (v6, v4)] {
            let host: IpAddr = host;
            let found = Ok(vec![SocketAddr::new(host, 7)]);
            assert_eq!(resolve(&host.to_string(), 7, None).await, found);
            assert_eq!(resolve(&host.to_string(), 7, Some(host)).await, found);
            let failure = resolve(&host.to_string(), 7, Some(other)).await;
            assert!(matches!(failure, Err(Error::NameNotResolved { temporary: false, .. })), "{failure:?}");
        }
    }

    #[test]
    fn a_look_up_that_nobody_waits_for_leaves_the_queue() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let _inside = runtime.enter();
        let (release, busy) = mpsc::channel::<()>();
        let first = Pending(spawn_blocking(move || busy.recv()));
        let (ran, runs) = mpsc::channel();
        for number in 0..3 {
            let ran = ran.clone();
            let pending = Pending(spawn_blocking(move || ran.send(number)));
            if number == 1 {
                std::mem::forget(pending);
            }
        }
        drop((release, ran));
        assert_eq!(runs.iter().collect::<Vec<_>>(), [1], "those that were dropped do not run");
        drop(first);
    }
}
