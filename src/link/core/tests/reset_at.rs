//! Sessions whose peer resets the CONNECT stream with RESET_STREAM_AT after its CLOSE capsule, as
//! the current draft wants it.

use wtransport::proto::bytes::BytesReader;

use super::*;
use crate::link::core::session::{CloseInfo, ClosedBy};
use crate::link::h3::close_bytes;
use crate::link::tls::FrameFilter;

use Part::{Capsule, EarlyReset, Reset};

/// Where the second server listens: its frames are changed.
fn resetting() -> SocketAddr {
    at(1, 444)
}

const CODE: u32 = 7;
const REASON: &str = "good bye";
/// The code of the reset.
const RESET_CODE: u8 = 0x33;

/// What the server closes with. The filter replaces it with the shorter [`REASON`].
fn long_reason() -> String {
    REASON.to_owned() + &".".repeat(60)
}

/// The frames that stand in a packet instead of the end of the CONNECT stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Capsule,
    /// A reset after the capsule.
    Reset,
    /// A reset that leaves out the capsule.
    EarlyReset,
}

/// Puts parts in the place of the packet with the CLOSE capsule and the end of the stream, and in
/// the packets after it.
struct Resetting {
    packets: Mutex<VecDeque<&'static [Part]>>,
    /// Where the capsule is on its stream, once it was seen.
    offset: OnceCell<u64>,
}

/// Where the capsule is on its stream, if `frames` have it.
fn offset_of_capsule(frames: &[u8]) -> Option<u64> {
    let capsule = close_bytes(CODE, &long_reason());
    let at = frames.windows(capsule.len()).position(|window| window == capsule)?;
    (0..at).rev().find_map(|start| {
        // A STREAM frame of stream 0 with an offset, whose data begins at `at`.
        let mut header = frames[start..at].strip_prefix(&[frames[start] & 0x0f | 0x0c, 0])?;
        let offset = header.get_varint()?.into_inner();
        if frames[start] & 2 != 0 {
            header.get_varint()?;
        }
        header.is_empty().then_some(offset)
    })
}

impl FrameFilter for Resetting {
    fn arrived(&self, _: u64, _: &mut [u8]) {}

    fn leaving(&self, _: u64, frames: &mut [u8]) {
        let Ok(offset) = self.offset.get_or_try_init(|| offset_of_capsule(frames).ok_or(())) else { return };
        let capsule = close_bytes(CODE, REASON);
        let (before, all) = (*offset as u8, *offset as u8 + capsule.len() as u8);
        assert!(all < 64, "one-byte integers");
        let mut out = Vec::new();
        let mut packets = self.packets.lock();
        for part in packets.front().copied().unwrap_or_default() {
            match part {
                Capsule => {
                    out.extend([0x0e, 0, before, capsule.len() as u8]);
                    out.extend(&capsule);
                }
                Reset => out.extend([0x24, 0, RESET_CODE, all, all]),
                EarlyReset => out.extend([0x24, 0, RESET_CODE, all, before]),
            }
        }
        // PING, so that the packet is acknowledged as the one that it replaces.
        out.push(1);
        if out.len() <= frames.len() {
            packets.pop_front();
            out.resize(frames.len(), 0);
            frames.copy_from_slice(&out);
        }
    }
}

/// How the session ends for the client if `packets` are the server's last ones. The network loses
/// the first `lost` of them.
fn ends_with(packets: &[&'static [Part]], lost: usize) -> CloseInfo {
    let (mut network, _) = Network::new();
    let packets = Mutex::new(packets.iter().copied().collect());
    let filter = Arc::new(Resetting { packets, offset: OnceCell::new() });
    let extensions = Extensions { frame_filter: Some(Arc::clone(&filter) as _), ..Extensions::default() };
    let door = network.serve_with(resetting(), extensions);
    let (client, accepted) = network.session(at(0, 1000), resetting(), &door);
    network.run_for(Duration::from_millis(100));
    accepted.session.close(CODE, &long_reason()).unwrap();
    let mut from_server = 0;
    network.rule = Box::new(move |train| {
        from_server += usize::from(train.from == resetting());
        train.to == resetting() || from_server > lost
    });
    network.hosts[SERVER].settle(network.now);
    network.collect();
    network.run_until("the session ends", |_| client.session.is_closed());
    assert!(filter.packets.lock().is_empty());
    client.session.close_info().unwrap()
}

fn closed_by_peer() -> CloseInfo {
    CloseInfo { by: ClosedBy::Peer, code: CODE, reason: REASON.into(), transport_error: 0 }
}

#[test]
fn a_capsule_and_a_reset_in_one_packet_end_the_session_with_the_capsules_words() {
    assert_eq!(ends_with(&[&[Capsule, Reset]], 0), closed_by_peer());
    assert_eq!(ends_with(&[&[Reset, Capsule]], 0), closed_by_peer());
}

#[test]
fn a_capsule_that_is_lost_and_sent_again_after_the_reset_still_counts() {
    // The second packet is a probe, which makes QUIC send again what was in the first.
    assert_eq!(ends_with(&[&[Capsule], &[Reset], &[Capsule]], 1), closed_by_peer());
    assert_eq!(ends_with(&[&[Capsule, Reset], &[Reset], &[Reset, Capsule]], 1), closed_by_peer());
}

#[test]
fn a_reset_without_a_capsule_ends_the_session_with_its_code() {
    let reset = CloseInfo {
        by: ClosedBy::Transport,
        code: 0,
        reason: "the peer gave up the CONNECT stream".into(),
        transport_error: RESET_CODE.into(),
    };
    assert_eq!(ends_with(&[&[EarlyReset]], 0), reset);
    // A later frame lowers how much must be read, and one that raises it changes nothing.
    assert_eq!(ends_with(&[&[Capsule], &[Reset], &[EarlyReset]], 1), reset);
    assert_eq!(ends_with(&[&[EarlyReset, Reset]], 0), reset);
}
