//! Packets of a server that has a socket on each of several lanes.
//!
//! The system gives every client address to one of the sockets. A session stays on its lane, so a
//! packet from an address that has changed may come to a socket of another one. Its connection id
//! tells the lane, and it is passed on, once. Packets with other ids, which clients have made up,
//! stay where they arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::lane::Lane;
use super::{Arrival, EndpointKey};
use crate::link::ids::{IdKey, LONGEST};

/// Where the destination's id begins in a packet with a short header (RFC 9000 section 17.3.1).
const SHORT_ID: usize = 1;

/// The place of the id's length in a packet with a long header (RFC 8999 section 5.1).
const LONG_ID_LENGTH: usize = 5;

/// Set in the first octet of a long header.
const IS_LONG: u8 = 0x80;

/// The endpoints of one server.
pub struct Siblings {
    ids: IdKey,
    /// By the number of the lane.
    endpoints: BTreeMap<u8, (Weak<Lane>, EndpointKey)>,
}

impl Siblings {
    /// The `endpoints` of a server, one on each of its lanes. They issue ids of the key `ids`.
    pub fn new(ids: IdKey, endpoints: &[(Arc<Lane>, EndpointKey)]) -> Self {
        // There are no more than 256 lanes.
        let entry = |(lane, key): &(Arc<Lane>, _)| (lane.index() as u8, (Arc::downgrade(lane), *key));
        Self { ids, endpoints: endpoints.iter().map(entry).collect() }
    }
}

/// How an endpoint finds the packets that are not for it.
pub(super) struct Steering {
    siblings: Arc<Siblings>,
    lane: u8,
    /// An id of this lane that a packet had lately: to decipher one takes longer than to compare.
    known: ([u8; LONGEST], usize),
}

impl Steering {
    /// The steering of an endpoint of `lane`.
    pub(super) fn new(siblings: Arc<Siblings>, lane: usize) -> Self {
        Self { siblings, lane: lane as u8, known: ([0; LONGEST], 0) }
    }

    /// Takes the next packets from `arrival` that are for this lane, and passes on those before
    /// them. `None` if there are no more.
    pub(super) fn take_ours(&mut self, arrival: &mut Arrival) -> Option<Arrival> {
        let stride = arrival.stride.max(1);
        while !arrival.packets.is_empty() {
            let mut packets = arrival.packets.chunks(stride);
            let lane = packets.next().and_then(|packet| self.other_lane(packet));
            let more = packets.take_while(|packet| self.other_lane(packet) == lane).count();
            let run = (stride * (1 + more)).min(arrival.packets.len());
            let packets = arrival.packets.split_to(run);
            let Arrival { from, local_ip, ecn, .. } = *arrival;
            let part = Arrival { from, local_ip, ecn, packets, stride };
            let Some(lane) = lane else { return Some(part) };
            // If the lane is gone, so are its connections.
            let (lane, endpoint) = &self.siblings.endpoints[&lane];
            if let Some(lane) = lane.upgrade() {
                lane.pass(*endpoint, part);
            }
        }
        None
    }

    /// The lane of a packet that is not for this one.
    fn other_lane(&mut self, packet: &[u8]) -> Option<u8> {
        let id = destination(packet, self.siblings.ids.id_len())?;
        let (known, length) = &mut self.known;
        if known[..*length] == *id {
            return None;
        }
        let lane = self.siblings.ids.lane(id)?;
        if lane == self.lane {
            known[..id.len()].copy_from_slice(id);
            *length = id.len();
            return None;
        }
        self.siblings.endpoints.contains_key(&lane).then_some(lane)
    }
}

/// The id to which a packet is sent, if it may be one of `length` bytes.
fn destination(packet: &[u8], length: usize) -> Option<&[u8]> {
    let is_long = packet.first()? & IS_LONG != 0;
    if is_long && usize::from(*packet.get(LONG_ID_LENGTH)?) != length {
        return None;
    }
    let begin = if is_long { LONG_ID_LENGTH + 1 } else { SHORT_ID };
    packet.get(begin..begin + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_found_in_either_header() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        let short = [&[0x40][..], &id, &[9; 20]].concat();
        let long = [&[0xe0, 0, 0, 0, 1, 8][..], &id, &[0; 20]].concat();
        let longer = [&[0xe0, 0, 0, 0, 1, 9][..], &id, &[0; 20]].concat();
        assert_eq!(destination(&short, 8), Some(&id[..]));
        assert_eq!(destination(&long, 8), Some(&id[..]));
        assert_eq!(destination(&longer, 8), None, "its id has another length");
        for cut in 0..9 {
            assert_eq!(destination(&short[..cut], 8), None);
        }
        for cut in 0..14 {
            assert_eq!(destination(&long[..cut], 8), None);
        }
    }
}
