//! A budget: how much QUIC takes now without holding some of it back.

/// The type and the length that a DATAGRAM frame has before its payload (RFC 9221 section 4).
const FRAME_HEADER_BYTES: usize = 3;

/// The limit of one batch of hand-overs: a number of bytes, in a number of packets that are filled
/// one after the other.
///
/// It counts packets, too, and not only bytes, because QUIC does: two datagrams of 700 bytes take
/// two packets.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    packets: usize,
    packet_bytes: usize,
    left_in_packet: usize,
    begun: bool,
    window_is_full: bool,
}

impl Budget {
    /// A budget for `bytes` in QUIC's FIFO and for `packets` in its congestion window, each with
    /// `packet_bytes` of frames.
    pub fn new(bytes: usize, packets: usize, packet_bytes: usize) -> Self {
        Self { bytes, packets, packet_bytes, left_in_packet: 0, begun: false, window_is_full: false }
    }

    /// Whether a datagram of `framed_len` bytes may be handed over, too. If so, it is counted.
    ///
    /// The first one may be larger than the bytes that are left: a lack of space must not block a
    /// large datagram for ever.
    pub(crate) fn admits(&mut self, framed_len: usize) -> bool {
        if self.bytes == 0 || (self.begun && framed_len > self.bytes) {
            return false;
        }
        let frame_bytes = framed_len + FRAME_HEADER_BYTES;
        if frame_bytes > self.left_in_packet {
            let Some(packets) = self.packets.checked_sub(1) else {
                self.window_is_full = true;
                return false;
            };
            self.packets = packets;
            self.left_in_packet = self.packet_bytes.max(frame_bytes);
        }
        self.left_in_packet -= frame_bytes;
        self.bytes = self.bytes.saturating_sub(framed_len);
        self.begun = true;
        true
    }

    /// Whether a datagram was refused because of the congestion window.
    pub(crate) fn window_is_full(&self) -> bool {
        self.window_is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(mut room: Budget, sizes: &[usize]) -> (usize, bool) {
        let count = sizes.iter().take_while(|&&size| room.admits(size)).count();
        (count, room.window_is_full())
    }

    #[test]
    fn bytes_end_a_batch_but_never_turn_the_first_away() {
        assert_eq!(admitted(Budget::new(0, 9, 1000), &[1]), (0, false));
        assert_eq!(admitted(Budget::new(1, 9, 1000), &[5, 1]), (1, false));
        assert_eq!(admitted(Budget::new(5, 9, 1000), &[5, 1]), (1, false));
        assert_eq!(admitted(Budget::new(6, 9, 1000), &[5, 1, 1]), (2, false));
        assert_eq!(
            admitted(Budget::new(6, 9, 1000), &[2, 5, 1]),
            (1, false),
            "a smaller one does not overtake"
        );
    }

    #[test]
    fn packets_are_filled_one_after_the_other() {
        assert_eq!(admitted(Budget::new(9999, 0, 1000), &[1]), (0, true));
        assert_eq!(admitted(Budget::new(9999, 2, 1000), &[700, 700, 100]), (3, false));
        assert_eq!(admitted(Budget::new(9999, 2, 1000), &[700, 700, 700]), (2, true));
        // With its header, a datagram of 97 bytes takes a tenth of a packet.
        assert_eq!(admitted(Budget::new(9999, 1, 1000), &[97; 20]), (10, true));
        assert_eq!(admitted(Budget::new(9999, 1, 1000), &[98; 20]), (9, true));
    }

    #[test]
    fn a_datagram_larger_than_a_packet_takes_one_which_quic_refuses() {
        assert_eq!(admitted(Budget::new(9999, 2, 1000), &[2000, 997]), (2, false));
        assert_eq!(admitted(Budget::new(9999, 1, 1000), &[2000, 1]), (1, true));
    }
}
