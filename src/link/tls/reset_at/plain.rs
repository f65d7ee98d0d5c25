//! The rewriting of packets a second time, plainly, to compare with.

use wtransport::proto::bytes::BytesReader;

use super::{ConnectReset, ResetAt, rewrite};

const CONNECT: u64 = 4;

pub(super) fn watching() -> ConnectReset {
    let connect = ConnectReset::default();
    connect.set_connect(CONNECT);
    connect
}

/// One frame, by the layout of its fields in RFC 9000 section 19.
struct Layout<'a>(&'a [u8]);

impl Layout<'_> {
    fn number(&mut self) -> Option<u64> {
        self.0.get_varint().map(|value| value.into_inner())
    }

    fn numbers(&mut self, count: u64) -> Option<()> {
        (0..count).try_for_each(|_| self.number().map(drop))
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    /// Moves past the fields of a frame. `None` if they are cut short, or if QUIC has no such frame.
    fn fields(&mut self, kind: u64) -> Option<()> {
        match kind {
            0x00 | 0x01 | 0x1e | 0x1f => Some(()),
            0x02 | 0x03 => {
                self.numbers(2)?;
                let ranges = self.number()?;
                self.number()?;
                self.numbers(ranges.checked_mul(2)?)?;
                self.numbers(if kind == 0x03 { 3 } else { 0 })
            }
            0x04 => self.numbers(3),
            0x05 => self.numbers(2),
            0x06 => {
                self.number()?;
                let length = self.number()?;
                self.bytes(length)
            }
            0x07 | 0x31 => {
                let length = self.number()?;
                self.bytes(length)
            }
            0x08..=0x0f => {
                self.numbers(1 + (kind >> 2 & 1))?;
                let length = if kind & 2 == 0 { self.0.len() as u64 } else { self.number()? };
                self.bytes(length)
            }
            0x10 | 0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x19 => self.numbers(1),
            0x11 | 0x15 => self.numbers(2),
            0x18 => {
                self.numbers(2)?;
                let length = *self.0.first()?;
                self.bytes(1 + u64::from(length) + 16)
            }
            0x1a | 0x1b => self.bytes(8),
            0x24 => self.numbers(4),
            0x30 => self.bytes(self.0.len() as u64),
            0xaf => self.numbers(4),
            _ => None,
        }
    }
}

/// What [`rewrite`] must make of `packet`, and the reset that it must note.
fn plain(packet: &[u8], mut noted: Option<ResetAt>) -> (Vec<u8>, Option<ResetAt>) {
    let mut out = packet.to_vec();
    let mut rest = Layout(packet);
    while !rest.0.is_empty() {
        let start = packet.len() - rest.0.len();
        let Some(kind) = rest.number() else { break };
        // RFC 9000 section 12.4: a type has its shortest form.
        if packet.len() - rest.0.len() - start != if kind < 64 { 1 } else { 2 } {
            break;
        }
        let mut fields = Layout(rest.0);
        if rest.fields(kind).is_none() {
            break;
        }
        if kind != 0x24 {
            continue;
        }
        let end = packet.len() - rest.0.len();
        let [stream, code, final_size] = [(); 3].map(|()| fields.number().unwrap());
        let size_at = packet.len() - fields.0.len();
        let size = fields.number().unwrap();
        if size > final_size {
            break;
        }
        if stream != CONNECT || size == 0 {
            out[start] = 0x04;
            out[size_at..end].fill(0);
            continue;
        }
        if noted.is_some_and(|known| (known.code, known.final_size) != (code, final_size)) {
            break;
        }
        let lowest = noted.map_or(size, |known| known.reliable_size.min(size));
        noted = Some(ResetAt { code, final_size, reliable_size: lowest });
        out[start..end].fill(0);
        out[start] = 0x01;
    }
    (out, noted)
}

/// Compares the rewriting of packets that arrive one after the other.
pub(super) fn check(packets: &[Vec<u8>]) {
    let connect = watching();
    let mut noted = None;
    for packet in packets {
        let mut rewritten = packet.clone();
        rewrite(&mut rewritten, &connect);
        let (expected, now_noted) = plain(packet, noted);
        assert_eq!(rewritten, expected, "of {packet:02x?}");
        noted = now_noted;
        assert_eq!(*connect.reset.lock(), noted, "after {packet:02x?}");
    }
}
