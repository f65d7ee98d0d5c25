//! Sockets that somebody else has bound: a service manager, or the program while it had more
//! privileges.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::DEFAULT_BUFFER_BYTES;
use crate::error::{Error, Result};
use crate::link::config::ConnectionOptions;

/// A duplicate of a bound UDP socket, with the buffers of our own ones. It shares its state with the
/// original: both become non-blocking ([`super::Prepared`]).
pub(super) fn adopt(socket: &OwnedFd, options: &ConnectionOptions) -> Result<UdpSocket> {
    let copy = socket.try_clone().map_err(|error| Error::io("duplicating the UDP socket", &error))?;
    let socket = Socket::from(copy);
    if let Some(problem) = problem(&socket).map_err(|error| Error::io("looking at the socket", &error))? {
        return Err(Error::InvalidArgument(problem.into()));
    }
    // Its owner may have made them larger, with more privileges than we have.
    if let Some(bytes) = buffer_to_ask_for(options.socket_receive_buffer_bytes, socket.recv_buffer_size()) {
        let _ = socket.set_recv_buffer_size(bytes);
    }
    if let Some(bytes) = buffer_to_ask_for(options.socket_send_buffer_bytes, socket.send_buffer_size()) {
        let _ = socket.set_send_buffer_size(bytes);
    }
    Ok(socket.into())
}

/// What keeps a descriptor from being the socket of a server.
fn problem(socket: &Socket) -> io::Result<Option<&'static str>> {
    let kind = match socket.r#type() {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
            return Ok(Some("the descriptor that is handed in is not a socket"));
        }
        kind => kind?,
    };
    let is_internet = [Domain::IPV4, Domain::IPV6].contains(&socket.domain()?);
    Ok(if kind != Type::DGRAM || !is_internet || socket.protocol()? != Some(Protocol::UDP) {
        Some("the socket that is handed in is not a UDP socket")
    } else if socket.local_addr()?.as_socket().is_none_or(|address| address.port() == 0) {
        Some("the socket that is handed in is not bound")
    } else if socket.peer_addr().is_ok() {
        Some("the socket that is handed in is connected: it receives from one address only")
    } else {
        None
    })
}

/// The size to ask for, if any. Linux reports twice the size that was asked for (socket(7)).
fn buffer_to_ask_for(asked: usize, reported: io::Result<usize>) -> Option<usize> {
    match asked {
        0 if reported.is_ok_and(|bytes| bytes / 2 >= DEFAULT_BUFFER_BYTES) => None,
        0 => Some(DEFAULT_BUFFER_BYTES),
        asked => Some(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_the_owner_made_larger_stay_so_unless_asked_otherwise() {
        assert_eq!(buffer_to_ask_for(0, Ok(2 * DEFAULT_BUFFER_BYTES)), None);
        assert_eq!(buffer_to_ask_for(0, Ok(64 << 20)), None);
        assert_eq!(buffer_to_ask_for(0, Ok(212_992)), Some(DEFAULT_BUFFER_BYTES));
        assert_eq!(buffer_to_ask_for(0, Err(io::ErrorKind::Other.into())), Some(DEFAULT_BUFFER_BYTES));
        assert_eq!(buffer_to_ask_for(1000, Ok(64 << 20)), Some(1000));
    }

    #[test]
    fn only_a_bound_udp_socket_that_is_not_connected_is_taken() {
        let adopt = |socket: OwnedFd| super::adopt(&socket, &ConnectionOptions::default());
        let refused = |socket: OwnedFd| match adopt(socket) {
            Err(Error::InvalidArgument(what)) => what.into_owned(),
            other => panic!("{other:?}"),
        };
        for domain in [Domain::IPV4, Domain::IPV6] {
            let unbound = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            assert!(refused(unbound.into()).ends_with("not bound"));
        }
        let stream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(refused(stream.into()).ends_with("not a UDP socket"));
        let local = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert!(refused(local.into()).ends_with("not a UDP socket"));
        assert!(refused(std::fs::File::open("/dev/null").unwrap().into()).ends_with("not a socket"));
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect("127.0.0.1:9").unwrap();
        assert!(refused(connected.into()).contains("is connected"));
        let good = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = good.local_addr().unwrap();
        assert_eq!(adopt(good.into()).unwrap().local_addr().unwrap(), address);
    }
}
