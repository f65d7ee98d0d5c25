//! The memory of one priority: entries in the order of arrival, and the chunks with their bytes.
//!
//! A caller copies prefix and payload to the end of the last chunk. When the first byte of a chunk
//! is about to go to QUIC, the chunk is sealed: it is not written to again, and all its datagrams
//! are slices of one [`Bytes`]. When the last of these slices is dropped, the next transport of the
//! lane that needs a chunk uses it. A chunk is owned either by this ring, which writes, or by that
//! `Bytes`, which is read; the compiler enforces it.
//!
//! An empty ring holds no memory.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::datagram::message::{Content, Outgoing};
use crate::datagram::pool::{Pool, Reusable, Shelf};
use crate::datagram::stats::Tally;

/// Bytes of a chunk. A larger datagram gets its own chunk. One waiting datagram keeps its whole
/// chunk.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// After datagrams left from the middle, the chunks may be this many times as large as their
/// contents.
const MOST_SLACK: usize = 4;

static CHUNKS: Pool<Chunk> = Pool::new();
static LISTS: Pool<Lists> = Pool::new();

/// A datagram that waits.
#[derive(Debug)]
pub(super) struct Entry {
    /// When the caller submitted it.
    pub enqueued_at: Instant,
    /// When it expires.
    pub expires_at: Option<Instant>,
    /// The number under which its sender wants its outcome.
    pub report_id: Option<u64>,
    chunk: u32,
    start: u32,
    framed_len: u32,
    prefix_len: u8,
}

impl Entry {
    /// Its length with the session prefix.
    pub(crate) fn framed_len(&self) -> usize {
        self.framed_len as usize
    }

    /// Its length without the prefix.
    pub fn size(&self) -> usize {
        (self.framed_len - u32::from(self.prefix_len)) as usize
    }

    /// Its place in the chunk.
    fn range(&self) -> (usize, usize) {
        (self.start as usize, (self.start + self.framed_len) as usize)
    }
}

/// Memory for the bytes of many datagrams.
#[derive(Debug, Default)]
struct Chunk(Vec<u8>);

impl Reusable for Chunk {
    fn capacity_bytes(&self) -> usize {
        self.0.capacity()
    }
}

/// A chunk that QUIC reads. It returns to its shelf when QUIC has read it.
struct Lent {
    chunk: Chunk,
    shelf: &'static Shelf<Chunk>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.chunk.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        give_back(self.shelf, std::mem::take(&mut self.chunk));
    }
}

fn give_back(shelf: &Shelf<Chunk>, mut chunk: Chunk) {
    // A chunk that was made for a large datagram does not fit others.
    if chunk.0.capacity() == CHUNK_BYTES {
        chunk.0.clear();
        shelf.give(chunk);
    }
}

/// A chunk and the number of its entries. A shared payload is its own chunk.
#[derive(Debug, Default)]
struct Held {
    /// Has space until it is sealed.
    open: Chunk,
    sealed: Option<Bytes>,
    entries: u32,
}

impl Held {
    fn room(&self) -> usize {
        self.open.0.capacity() - self.open.0.len()
    }

    fn bytes(&self) -> &[u8] {
        self.sealed.as_deref().unwrap_or(&self.open.0)
    }
}

/// The memory of a ring that is not empty.
#[derive(Debug, Default)]
struct Lists {
    entries: VecDeque<Entry>,
    chunks: VecDeque<Held>,
}

impl Reusable for Lists {
    fn capacity_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.chunks.capacity() * size_of::<Held>()
    }
}

/// The datagrams of one priority.
pub(super) struct Ring {
    lists: Lists,
    /// The number of the first chunk. Entries refer to chunks by number.
    first_chunk: u32,
    tally: Tally,
    lane: usize,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("tally", &self.tally).finish_non_exhaustive()
    }
}

impl Ring {
    /// An empty ring of a transport of this lane.
    pub fn new(lane: usize) -> Self {
        Self { lists: Lists::default(), first_chunk: 0, tally: Tally::default(), lane }
    }

    /// What waits.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        self.lists.entries.len()
    }

    /// Whether the ring is empty.
    pub fn is_empty(&self) -> bool {
        self.lists.entries.is_empty()
    }

    /// All datagrams, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lists.entries.iter()
    }

    /// The next datagram to leave.
    pub fn front(&self) -> Option<&Entry> {
        self.lists.entries.front()
    }

    /// Adds a datagram at the end.
    pub fn push(&mut self, datagram: &Outgoing<'_>) {
        if self.lists.entries.capacity() == 0 {
            self.lists = LISTS.of_lane(self.lane).take().unwrap_or_default();
        }
        let mut entry = Entry {
            enqueued_at: datagram.enqueued_at,
            expires_at: datagram.expires_at,
            report_id: datagram.report_id,
            chunk: 0,
            start: 0,
            framed_len: 0,
            prefix_len: 0,
        };
        self.place(datagram.content, &mut entry);
        self.tally.add(entry.size());
        self.lists.entries.push_back(entry);
    }

    /// Removes the next datagram and returns its bytes.
    pub fn pop_front(&mut self) -> Option<(Entry, Bytes)> {
        let entry = self.lists.entries.pop_front()?;
        self.tally.remove(entry.size());
        let held = &mut self.lists.chunks[entry.chunk.wrapping_sub(self.first_chunk) as usize];
        let sealed = held.sealed.get_or_insert_with(|| {
            let chunk = std::mem::take(&mut held.open);
            Bytes::from_owner(Lent { chunk, shelf: CHUNKS.of_lane(self.lane) })
        });
        held.entries -= 1;
        let (start, end) = entry.range();
        let bytes = if held.entries == 0 {
            // The last entry takes the chunk itself: no reference is counted.
            let mut bytes = std::mem::take(sealed);
            bytes.truncate(end);
            bytes.advance(start);
            bytes
        } else {
            sealed.slice(start..end)
        };
        self.let_go();
        Some((entry, bytes))
    }

    /// Drops the next datagram.
    pub(crate) fn drop_front(&mut self) -> Option<Entry> {
        let entry = self.lists.entries.pop_front()?;
        self.tally.remove(entry.size());
        self.lists.chunks[entry.chunk.wrapping_sub(self.first_chunk) as usize].entries -= 1;
        self.let_go();
        Some(entry)
    }

    /// Keeps only the datagrams for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let Self { lists: Lists { entries, chunks }, first_chunk, tally, .. } = self;
        entries.retain(|entry| {
            let kept = keep(entry);
            if !kept {
                tally.remove(entry.size());
                chunks[entry.chunk.wrapping_sub(*first_chunk) as usize].entries -= 1;
            }
            kept
        });
        self.let_go();
        self.compact();
    }

    /// Finds a place for the bytes of a datagram.
    fn place(&mut self, content: Content<'_>, entry: &mut Entry) {
        let (start, framed_len, prefix_len) = match content {
            Content::Copied { prefix, payload } => {
                let Chunk(bytes) = self.open(prefix.len() + payload.len());
                let start = bytes.len();
                bytes.extend_from_slice(prefix);
                bytes.extend_from_slice(payload);
                (start, bytes.len() - start, prefix.len())
            }
            Content::Shared { framed, prefix_len } => {
                self.lists.chunks.push_back(Held { sealed: Some(framed.clone()), ..Held::default() });
                (0, framed.len(), prefix_len)
            }
        };
        let last = self.lists.chunks.len() - 1;
        self.lists.chunks[last].entries += 1;
        entry.chunk = self.first_chunk.wrapping_add(last as u32);
        entry.start = start as u32;
        entry.framed_len = framed_len as u32;
        entry.prefix_len = prefix_len as u8;
    }

    /// The last chunk, if it has space for `needed` bytes, or a new one.
    fn open(&mut self, needed: usize) -> &mut Chunk {
        if self.lists.chunks.back().is_none_or(|last| last.sealed.is_some() || last.room() < needed) {
            let spare = if needed <= CHUNK_BYTES { CHUNKS.of_lane(self.lane).take() } else { None };
            let open = spare.unwrap_or_else(|| Chunk(Vec::with_capacity(needed.max(CHUNK_BYTES))));
            self.lists.chunks.push_back(Held { open, ..Held::default() });
        }
        let last = self.lists.chunks.len() - 1;
        &mut self.lists.chunks[last].open
    }

    /// Returns chunks without entries, and all memory when the ring is empty.
    fn let_go(&mut self) {
        while let Some(held) = self.lists.chunks.front()
            && held.entries == 0
        {
            self.first_chunk = self.first_chunk.wrapping_add(1);
            if let Some(held) = self.lists.chunks.pop_front() {
                give_back(CHUNKS.of_lane(self.lane), held.open);
            }
        }
        if self.is_empty() {
            LISTS.of_lane(self.lane).give(std::mem::take(&mut self.lists));
        }
    }

    /// Compacts the chunks if many datagrams have left from the middle.
    fn compact(&mut self) {
        let used: usize = self.entries().map(Entry::framed_len).sum();
        if self.lists.chunks.len() * CHUNK_BYTES <= MOST_SLACK * (used + CHUNK_BYTES) {
            return;
        }
        let old = std::mem::take(&mut self.lists.chunks);
        for mut entry in std::mem::take(&mut self.lists.entries) {
            let (start, end) = entry.range();
            let framed = &old[entry.chunk.wrapping_sub(self.first_chunk) as usize].bytes()[start..end];
            let (prefix, payload) = framed.split_at(usize::from(entry.prefix_len));
            self.place(Content::Copied { prefix, payload }, &mut entry);
            self.lists.entries.push_back(entry);
        }
        old.into_iter().for_each(|held| give_back(CHUNKS.of_lane(self.lane), held.open));
    }

    #[cfg(test)]
    pub fn chunks(&self) -> usize {
        self.lists.chunks.len()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.lists.entries.clear();
        for held in self.lists.chunks.drain(..) {
            give_back(CHUNKS.of_lane(self.lane), held.open);
        }
        LISTS.of_lane(self.lane).give(std::mem::take(&mut self.lists));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::message::Priority;

    /// Each test has a lane of its own, and so a shelf.
    fn push(ring: &mut Ring, payload: &[u8]) {
        ring.push(&Outgoing {
            content: Content::Copied { prefix: b"\0", payload },
            priority: Priority::LOWEST,
            enqueued_at: Instant::now(),
            expires_at: None,
            report_id: None,
        });
    }

    fn popped(ring: &mut Ring) -> Bytes {
        ring.pop_front().map(|(_, framed)| framed).unwrap_or_default()
    }

    #[test]
    fn a_chunk_is_used_again_when_its_last_reader_is_gone_and_not_before() {
        let (mut one, mut other) = (Ring::new(12), Ring::new(12));
        push(&mut one, b"first");
        push(&mut one, b"second");
        let (first, second) = (popped(&mut one), popped(&mut one));
        let chunk = first.as_ptr();
        assert_eq!(second.as_ptr(), chunk.wrapping_add(6), "one chunk has both");
        push(&mut other, b"other");
        drop(second);
        let kept = popped(&mut other);
        assert_ne!(kept.as_ptr(), chunk);
        assert_eq!((&first[..], &kept[..]), (&b"\0first"[..], &b"\0other"[..]));
        drop(first);
        push(&mut other, b"again");
        assert_eq!(popped(&mut other).as_ptr(), chunk);
    }

    #[test]
    fn nobody_writes_to_a_chunk_of_which_some_has_left() {
        let mut ring = Ring::new(11);
        push(&mut ring, b"a");
        push(&mut ring, b"b");
        let a = popped(&mut ring);
        push(&mut ring, b"c");
        let (b, c) = (popped(&mut ring), popped(&mut ring));
        assert_eq!(b.as_ptr(), a.as_ptr().wrapping_add(2));
        assert_ne!(c.as_ptr(), a.as_ptr().wrapping_add(4));
        assert_eq!([a, b, c].concat(), b"\0a\0b\0c");
    }

    #[test]
    fn an_empty_ring_holds_no_memory() {
        let mut ring = Ring::new(10);
        for round in 0..3 {
            (0..1000).for_each(|_| push(&mut ring, &[7; 100]));
            assert!(ring.lists.capacity_bytes() > 0);
            match round {
                0 => (0..1000).for_each(|_| drop(popped(&mut ring))),
                1 => while ring.drop_front().is_some() {},
                _ => ring.retain(|_| false),
            }
            assert_eq!((ring.lists.capacity_bytes(), ring.chunks(), ring.tally()), (0, 0, Tally::default()));
        }
    }

    #[test]
    fn what_is_left_when_much_has_gone_from_the_middle_moves_together() {
        let mut ring = Ring::new(9);
        (0..1000_u32).for_each(|number| push(&mut ring, &[&number.to_be_bytes()[..], &[0; 1000]].concat()));
        assert!(ring.chunks() > 60);
        let mut number = 0;
        ring.retain(|_| {
            number += 1;
            number % 100 == 0
        });
        assert!(ring.chunks() <= MOST_SLACK, "{}", ring.chunks());
        for expected in (99..1000_u32).step_by(100) {
            assert_eq!(popped(&mut ring)[1..5], expected.to_be_bytes());
        }
        assert_eq!(ring.tally(), Tally::default());
    }

    #[test]
    fn a_datagram_larger_than_a_chunk_has_one_of_its_own() {
        let mut ring = Ring::new(8);
        push(&mut ring, b"before");
        push(&mut ring, &[7; CHUNK_BYTES + 1]);
        push(&mut ring, b"after");
        assert_eq!([0; 3].map(|_| popped(&mut ring).len()), [7, CHUNK_BYTES + 2, 6]);
    }
}
