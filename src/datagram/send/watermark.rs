//! High and low water of a queue, with hysteresis: a level that hovers around one mark makes no noise.

/// Where the edges are. Bytes at `usize::MAX` (both marks) means that only datagrams matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// At this many datagrams or more the queue is above.
    pub high_datagrams: usize,
    /// At this many datagrams or fewer (and bytes, too) it is no longer above.
    pub low_datagrams: usize,
    /// At this many bytes or more the queue is above.
    pub high_bytes: usize,
    /// At this many bytes or fewer (and datagrams, too) it is no longer above.
    pub low_bytes: usize,
}

impl Marks {
    /// High at `high` datagrams, low at half of it.
    pub fn of_datagrams(high: usize) -> Self {
        let high = high.max(1);
        Self { high_datagrams: high, low_datagrams: high / 2, high_bytes: usize::MAX, low_bytes: usize::MAX }
    }

    /// A low mark at or above its high one would flip on every look; it is lowered to just below, and a high mark of
    /// 0 (above when empty) is raised to 1.
    fn sane(self) -> Self {
        let high_datagrams = self.high_datagrams.max(1);
        let high_bytes = self.high_bytes.max(1);
        Self {
            high_datagrams,
            low_datagrams: self.low_datagrams.min(high_datagrams - 1),
            high_bytes,
            low_bytes: self.low_bytes.min(high_bytes - 1),
        }
    }
}

/// A crossing of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The level reached a high mark.
    High,
    /// The level came back to the low marks.
    Low,
}

/// Which crossings happened since somebody last asked. Both, when the level went up and came back in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edges {
    /// The level reached a high mark at least once.
    pub high: bool,
    /// The level came back to the low marks at least once.
    pub low: bool,
}

/// The state of one queue: above or not.
#[derive(Debug)]
pub struct Watermark {
    marks: Marks,
    above: bool,
    unseen: Edges,
}

impl Watermark {
    /// Starts not above.
    pub fn new(marks: Marks) -> Self {
        Self { marks: marks.sane(), above: false, unseen: Edges::default() }
    }

    /// Whether the level is between having reached a high mark and coming back to the low ones.
    pub fn is_above(&self) -> bool {
        self.above
    }

    /// The marks in force.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// New marks; what they mean for the present level is judged by the next [`Self::update`].
    pub fn set_marks(&mut self, marks: Marks) {
        self.marks = marks.sane();
    }

    /// Tells the level; returns the crossing, if this is one.
    pub fn update(&mut self, datagrams: usize, bytes: usize) -> Option<Edge> {
        let marks = &self.marks;
        if self.above {
            if datagrams > marks.low_datagrams || bytes > marks.low_bytes {
                return None;
            }
            self.above = false;
            self.unseen.low = true;
            Some(Edge::Low)
        } else {
            if datagrams < marks.high_datagrams && bytes < marks.high_bytes {
                return None;
            }
            self.above = true;
            self.unseen.high = true;
            Some(Edge::High)
        }
    }

    /// The crossings since the last call.
    pub fn take_edges(&mut self) -> Edges {
        std::mem::take(&mut self.unseen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_flips_at_the_high_mark_and_back_at_the_low_one_only() {
        let mut water = Watermark::new(Marks::of_datagrams(10));
        assert_eq!(water.update(9, 0), None);
        assert_eq!(water.update(10, 0), Some(Edge::High));
        assert!(water.is_above());
        for level in [11, 10, 9, 6] {
            assert_eq!(water.update(level, 0), None, "{level}");
        }
        assert_eq!(water.update(5, 0), Some(Edge::Low));
        assert!(!water.is_above());
        assert_eq!(water.update(9, 0), None);
    }

    #[test]
    fn either_measure_raises_and_both_must_fall() {
        let marks = Marks { high_datagrams: 10, low_datagrams: 2, high_bytes: 100, low_bytes: 20 };
        let mut water = Watermark::new(marks);
        assert_eq!(water.update(1, 100), Some(Edge::High));
        assert_eq!(water.update(3, 20), None);
        assert_eq!(water.update(2, 21), None);
        assert_eq!(water.update(2, 20), Some(Edge::Low));
    }

    #[test]
    fn going_up_and_back_between_two_looks_shows_both_edges() {
        let mut water = Watermark::new(Marks::of_datagrams(1));
        water.update(1, 0);
        water.update(0, 0);
        assert_eq!(water.take_edges(), Edges { high: true, low: true });
        assert_eq!(water.take_edges(), Edges::default());
    }

    #[test]
    fn marks_that_contradict_themselves_do_not_oscillate() {
        let mut water =
            Watermark::new(Marks { high_datagrams: 0, low_datagrams: 50, high_bytes: 0, low_bytes: 9 });
        assert_eq!(water.update(0, 0), None);
        assert_eq!(water.update(1, 1), Some(Edge::High));
        assert_eq!(water.update(1, 1), None);
        assert_eq!(water.update(0, 0), Some(Edge::Low));
    }
}
