//! The sequences that were accepted: a bitmap of fixed size that ends at the highest one.

/// How many sequences are remembered. It is a power of two, so that a sequence keeps its bit across
/// the wrap. It is well above any sender's window, so that a sequence that can still be
/// retransmitted is never forgotten.
pub const WINDOW: u32 = 131_072;

const WORDS: usize = WINDOW as usize / 64;

/// What is known of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It has not been accepted.
    New,
    /// It has been accepted.
    Duplicate,
    /// It is older than the window.
    TooOld,
}

/// The sequences accepted.
#[derive(Debug)]
pub struct SeenWindow {
    bits: Box<[u64]>,
    highest: Option<u32>,
}

impl SeenWindow {
    /// An empty window; it allocates when the first sequence is accepted.
    pub fn new() -> Self {
        Self { bits: Box::default(), highest: None }
    }

    /// What is known of `sequence`. Of two sequences, the one less than 2³¹ ahead is the later (RFC
    /// 1982).
    pub fn check(&self, sequence: u32) -> Seen {
        let Some(highest) = self.highest else { return Seen::New };
        let back = highest.wrapping_sub(sequence);
        if back >= 1 << 31 {
            return Seen::New;
        }
        if back >= WINDOW {
            return Seen::TooOld;
        }
        let (word, mask) = place(sequence);
        if self.bits[word] & mask == 0 { Seen::New } else { Seen::Duplicate }
    }

    /// Whether `sequence` follows the highest one, or would be the first.
    pub(crate) fn is_next(&self, sequence: u32) -> bool {
        self.highest.is_none_or(|highest| sequence == highest.wrapping_add(1))
    }

    /// Marks a sequence that [`SeenWindow::check`] found to be new.
    pub fn insert(&mut self, sequence: u32) {
        if self.bits.is_empty() {
            self.bits = vec![0; WORDS].into_boxed_slice();
        }
        let highest = *self.highest.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(highest);
        if ahead != 0 && ahead < 1 << 31 {
            self.forget(highest, ahead);
            self.highest = Some(sequence);
        }
        let (word, mask) = place(sequence);
        self.bits[word] |= mask;
    }

    /// Forgets everything, as at the beginning.
    pub fn clear(&mut self) {
        self.bits.fill(0);
        self.highest = None;
    }

    /// The accepted ranges among the last `depth` sequences, from the highest down, at most
    /// `max_ranges`, and the lowest sequence that they describe.
    pub fn ranges(&self, depth: u32, max_ranges: usize) -> (Vec<(u32, u32)>, u32) {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let Some(highest) = self.highest else { return (ranges, 0) };
        let depth = depth.min(WINDOW);
        let mut back = 0;
        let mut run_end = None;
        while back < depth {
            let sequence = highest.wrapping_sub(back);
            let bit = sequence % 64;
            // The sequences from this one down to the start of its word, at the top.
            let word = self.bits[place(sequence).0] << (63 - bit);
            match run_end {
                None => {
                    let zeros = word.leading_zeros().min(bit + 1);
                    back += zeros;
                    if zeros <= bit && back < depth {
                        if ranges.len() == max_ranges {
                            break;
                        }
                        run_end = Some(highest.wrapping_sub(back));
                    }
                }
                Some(end) => {
                    let ones = word.leading_ones().min(bit + 1);
                    back += ones;
                    if ones <= bit && back < depth {
                        ranges.push((highest.wrapping_sub(back).wrapping_add(1), end));
                        run_end = None;
                    }
                }
            }
        }
        let back = back.min(depth);
        if let Some(end) = run_end {
            ranges.push((highest.wrapping_sub(back).wrapping_add(1), end));
        }
        (ranges, highest.wrapping_sub(back).wrapping_add(1))
    }

    /// Clears the bits of the `ahead` sequences after `highest`.
    fn forget(&mut self, highest: u32, ahead: u32) {
        if ahead >= WINDOW {
            self.bits.fill(0);
            return;
        }
        let mut sequence = highest.wrapping_add(1);
        let mut left = ahead;
        while left > 0 {
            let bit = sequence % 64;
            let count = left.min(64 - bit);
            let mask = if count == 64 { u64::MAX } else { ((1 << count) - 1) << bit };
            self.bits[place(sequence).0] &= !mask;
            sequence = sequence.wrapping_add(count);
            left -= count;
        }
    }
}

impl Default for SeenWindow {
    fn default() -> Self {
        Self::new()
    }
}

fn place(sequence: u32) -> (usize, u64) {
    ((sequence % WINDOW) as usize / 64, 1 << (sequence % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same as a plain set: every sequence ever accepted, unwrapped.
    struct Model {
        origin: u64,
        accepted: BTreeSet<u64>,
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_everything_also_across_the_wrap(
            origin in prop_oneof![Just(0u32), Just(u32::MAX - 300), any::<u32>()],
            offsets in prop::collection::vec(prop_oneof![0u64..500, 0u64..400_000], 1..300),
        ) {
            let mut window = SeenWindow::new();
            let mut model = Model { origin: (1 << 40) + u64::from(origin), accepted: BTreeSet::new() };
            for offset in offsets {
                let at = model.origin + offset;
                let expected = match model.accepted.last() {
                    Some(&highest) if highest >= at + u64::from(WINDOW) => Seen::TooOld,
                    _ if model.accepted.contains(&at) => Seen::Duplicate,
                    _ => Seen::New,
                };
                prop_assert_eq!(window.check(at as u32), expected);
                if expected == Seen::New {
                    window.insert(at as u32);
                    model.accepted.insert(at);
                }
            }
            let highest = *model.accepted.last().unwrap();
            let (ranges, lowest) = window.ranges(1000, usize::MAX);
            prop_assert_eq!(lowest, (highest - 999) as u32);
            let listed: Vec<u32> =
                ranges.iter().rev().flat_map(|&(s, e)| (0..=e.wrapping_sub(s)).map(move |i| s.wrapping_add(i))).collect();
            let expected: Vec<u32> = model.accepted.range(highest - 999..).map(|&at| at as u32).collect();
            prop_assert_eq!(listed, expected);
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].0.wrapping_sub(pair[1].1) >= 2);
            }
            let (some, from) = window.ranges(1000, 2);
            prop_assert_eq!(&some[..], &ranges[..ranges.len().min(2)]);
            for &(_, end) in &ranges[some.len()..] {
                prop_assert!(from.wrapping_sub(end) >= 1 && from.wrapping_sub(end) < 1000);
            }
        }
    }

    #[test]
    fn a_jump_of_half_the_number_space_forgets_and_goes_on() {
        let mut window = SeenWindow::new();
        window.insert(5);
        window.insert(5 + (1 << 31) - 1);
        assert_eq!(window.check(5), Seen::TooOld);
        assert_eq!(window.check(4), Seen::New);
        assert_eq!(window.ranges(8192, 9).0, [(5 + (1 << 31) - 1, 5 + (1 << 31) - 1)]);
    }
}
