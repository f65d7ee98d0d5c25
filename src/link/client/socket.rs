//! The UDP sockets of clients.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::Result;
use crate::link::config::ConnectionOptions;
use crate::link::core::{Command, EndpointKey};
use crate::link::endpoint;
use crate::link::ids::Label;
use crate::link::secrets::Secrets;
use crate::link::udp::{self, UdpLane};

/// A UDP socket that client sessions share. It closes with the last of them.
pub(super) struct ClientSocket {
    pub(super) lane: Arc<UdpLane>,
    pub(super) endpoint: EndpointKey,
}

/// The key of a shared socket: sessions share one if they would open the same one on the same lane.
type Key = (IpAddr, usize, usize, usize);

static SOCKETS: Mutex<Option<HashMap<Key, Weak<ClientSocket>>>> = Mutex::new(None);

impl ClientSocket {
    /// The socket on `bind`: the one that is open there, or a new one.
    pub(super) fn on(bind: IpAddr, options: &ConnectionOptions, lane: &Arc<UdpLane>) -> Result<Arc<Self>> {
        let index = lane.lane().index();
        let key = (bind, options.socket_receive_buffer_bytes, options.socket_send_buffer_bytes, index);
        let mut sockets = SOCKETS.lock();
        let sockets = sockets.get_or_insert_default();
        if let Some(socket) = sockets.get(&key).and_then(Weak::upgrade) {
            return Ok(socket);
        }
        let udp = udp::Prepared::new(udp::bind(Some(bind), 0, options)?)?;
        let address = udp.local_address()?;
        let quic = endpoint::quic(&Secrets::random()?, index, &Label::default(), None, udp.may_fragment());
        let endpoint = lane.lane().core().add_endpoint(quic, address, None);
        // From here on, the endpoint is retired when `socket` is dropped.
        let socket = Arc::new(Self { lane: Arc::clone(lane), endpoint });
        lane.open(endpoint, udp)?;
        sockets.retain(|_, socket| socket.strong_count() > 0);
        sockets.insert(key, Arc::downgrade(&socket));
        Ok(socket)
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        self.lane.lane().post(Command::Retire(self.endpoint));
        // This may run in a turn. A turn must not wait for a lock that a thread holds while it
        // waits for the core.
        if let Some(mut sockets) = SOCKETS.try_lock() {
            if let Some(map) = sockets.as_mut() {
                map.retain(|_, socket| socket.strong_count() > 0);
            }
            sockets.take_if(|map| map.is_empty());
        }
    }
}
