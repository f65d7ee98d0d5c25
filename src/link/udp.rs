//! UDP sockets: families, buffers, and errors that name the address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::config::ConnectionOptions;
use crate::error::{Error, Result};

/// Buffer sizes asked for by default. Linux's 208 KiB loses packets in bursts that a 4 MiB buffer holds; the kernel
/// grants at most `net.core.rmem_max` / `wmem_max`, and less is not an error.
const DEFAULT_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Binds `host` and `port`; no host means both families on one socket, or IPv4 where the system has no IPv6.
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

/// Whether the system says that it has no IPv6: the kernel was built without it, or it is switched off.
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
