//! Where the sockets of servers and clients are bound: families, buffers, shared ports, and errors
//! that name the address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{DEFAULT_BUFFER_BYTES, handed_in};
use crate::error::{Error, Result};
use crate::link::config::{ConnectionOptions, ListenOptions};

/// The sockets of a server, as many as it has `lanes`: the one that is handed in, or new ones, all
/// on the same port.
pub fn listen(options: &ListenOptions, lanes: usize) -> Result<Vec<UdpSocket>> {
    let first = first_socket(options)?;
    let mut sockets = vec![first];
    if lanes > 1 {
        share_port(&mut sockets, lanes, options).map_err(|error| Error::io("sharing the port", &error))?;
    }
    Ok(sockets)
}

/// Adds sockets on the port of the first.
///
/// The first one is bound without `SO_REUSEPORT`, so that it is refused a port that others use. It
/// gets the option afterwards, and the others before they are bound. Who does not set the option is
/// refused the port from then on (socket(7)).
fn share_port(sockets: &mut Vec<UdpSocket>, lanes: usize, options: &ListenOptions) -> io::Result<()> {
    let first = SockRef::from(&sockets[0]);
    first.set_reuse_port(true)?;
    let address = sockets[0].local_addr()?;
    let dual_stack = address.is_ipv6() && !first.only_v6()?;
    for _ in 1..lanes {
        let socket = unbound(address, dual_stack, &options.connection)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket.into());
    }
    Ok(())
}

/// The socket of a server: the one that is handed in, or a new one.
fn first_socket(options: &ListenOptions) -> Result<UdpSocket> {
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
    let socket = unbound(address, dual_stack, options)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket for `address` that is not bound yet.
fn unbound(address: SocketAddr, dual_stack: bool, options: &ConnectionOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    let size = |asked: usize| if asked == 0 { DEFAULT_BUFFER_BYTES } else { asked };
    let _ = socket.set_recv_buffer_size(size(options.socket_receive_buffer_bytes));
    let _ = socket.set_send_buffer_size(size(options.socket_send_buffer_bytes));
    Ok(socket)
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
