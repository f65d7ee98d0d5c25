//! UDP sockets (families, buffers, errors that name the address) and the lanes that drive them.

mod handed_in;
mod leading;
mod sockets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use once_cell::sync::OnceCell;
use socket2::{Domain, Protocol, Socket, Type};

use super::config::{ConnectionOptions, ListenOptions};
use super::core::lane::Lane;
use crate::error::{Error, Result};
use crate::runtime::epoll::Sleep;
use crate::runtime::lane::{LaneThread, Turn};
use crate::runtime::{self, RuntimeOptions};
use leading::Leading;
pub use sockets::{Prepared, UdpLane};

/// Buffer sizes that are asked for by default. Linux's 208 KiB loses packets in bursts that a 4 MiB
/// buffer holds. The kernel grants at most `net.core.rmem_max` / `wmem_max`, and less is not an
/// error.
const DEFAULT_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The lane for a new endpoint: the next in turn. The first call starts all lanes.
pub(crate) fn next_lane() -> Result<Arc<UdpLane>> {
    static LANES: OnceCell<Vec<Arc<UdpLane>>> = OnceCell::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let runtime = runtime::get()?;
    let lanes = LANES.get_or_try_init(|| {
        let (lanes, threads): (Vec<_>, Vec<_>) = start_lanes(runtime.options())?.into_iter().unzip();
        runtime.stop_at_shutdown(threads)?;
        Ok(lanes)
    })?;
    Ok(Arc::clone(&lanes[NEXT.fetch_add(1, Ordering::Relaxed) % lanes.len()]))
}

/// Starts all lanes, or leaves none running if one fails.
fn start_lanes(options: &RuntimeOptions) -> Result<Vec<(Arc<UdpLane>, LaneThread)>> {
    let mut started: Vec<(_, LaneThread)> = Vec::new();
    for index in 0..options.lanes as usize {
        let one = || {
            let sleep = Arc::new(Sleep::new()?);
            let lane = Lane::new(index, Some(Arc::clone(&sleep)));
            let lane = UdpLane::new(lane, Arc::clone(&sleep), Leading::new(options.lead, options.spin));
            let thread = LaneThread::start(index, sleep, Arc::clone(&lane) as Arc<dyn Turn>)?;
            Ok((lane, thread))
        };
        match one() {
            Ok(lane) => started.push(lane),
            Err(error) => {
                started.iter().for_each(|(_, thread)| thread.stop());
                return Err(error);
            }
        }
    }
    Ok(started)
}

/// The socket of a server: the one that is handed in, or a new one.
pub fn listen(options: &ListenOptions) -> Result<UdpSocket> {
    match &options.socket {
        None => bind(options.host, options.port, &options.connection),
        Some(_) if options.host.is_some() || options.port != 0 => Err(Error::InvalidArgument(
            "a socket that is handed in has an address already: give no host and no port".into(),
        )),
        Some(socket) => handed_in::adopt(socket, &options.connection),
    }
}

/// Binds `host` and `port`. No host means both families on one socket, or IPv4 where the system has
/// no IPv6.
pub fn bind(host: Option<IpAddr>, port: u16, options: &ConnectionOptions) -> Result<UdpSocket> {
    let mut address = SocketAddr::new(host.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
    let mut bound = bind_one(address, host.is_none(), options);
    if host.is_none() && bound.as_ref().is_err_and(is_without_ipv6) {
        address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        bound = bind_one(address, false, options);
    }
    bound.map_err(|error| Error::Io {
        context: "binding the UDP socket",
        message: format!("{address}: {error}"),
    })
}

/// Checks that the system has a route from `from` to `to`. Nothing is sent. Without this check, an
/// address that cannot be reached looks like one that does not answer.
pub fn check_route(from: IpAddr, to: SocketAddr) -> Result<()> {
    // Who opens the real socket reports why there is none.
    let Ok(socket) = UdpSocket::bind((from, 0)) else { return Ok(()) };
    socket.connect(to).map_err(|error| {
        let message = match from.is_unspecified() {
            true => format!("{to}: {error}"),
            false => format!("{to} from {from}: {error}"),
        };
        Error::Io { context: "no route to the server", message }
    })
}

/// Whether the system reports that it has no IPv6: the kernel was built without it, or it is
/// switched off.
fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn bind_one(address: SocketAddr, dual_stack: bool, options: &ConnectionOptions) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    let size = |asked: usize| if asked == 0 { DEFAULT_BUFFER_BYTES } else { asked };
    let _ = socket.set_recv_buffer_size(size(options.socket_receive_buffer_bytes));
    let _ = socket.set_send_buffer_size(size(options.socket_send_buffer_bytes));
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_system_without_ipv6_falls_back_to_ipv4() {
        for code in [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL] {
            assert!(is_without_ipv6(&io::Error::from_raw_os_error(code)));
        }
        for code in [libc::EADDRINUSE, libc::EACCES, libc::EMFILE, libc::ENOBUFS] {
            assert!(!is_without_ipv6(&io::Error::from_raw_os_error(code)));
        }
    }
}
