//! A fuzz target: the URLs of sessions.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::target::Target;
use crate::link::h3::ConnectRequest;

/// Any text: what is taken for the URL of a session can be asked for, and the target that it names
/// is the target of the URL that it makes.
pub fn client_url(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(target) = Target::parse(text) else { return };
    // URLs have hosts that HTTP does not have.
    let is_strange = target.authority.contains(['"', '`', '{', '}']);
    assert_ne!(ConnectRequest::new(&target.authority, &target.path, &[]).is_ok(), is_strange);
    assert_ne!(target.port, 0);
    let host = match (target.host.parse::<Ipv4Addr>(), target.host.parse::<Ipv6Addr>()) {
        (Err(_), Ok(address)) => format!("[{address}]"),
        _ => target.host.clone(),
    };
    let port = if target.port == 443 { String::new() } else { format!(":{}", target.port) };
    assert_eq!(target.authority, host + &port);
    let again = Target::parse(&format!("https://{}{}", target.authority, target.path));
    assert_eq!(again.as_ref(), Ok(&target));
}
