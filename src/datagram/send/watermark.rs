//! High-water and low-water marks of a queue, with hysteresis: a level that hovers around one mark
//! causes no notifications.

pub use crate::datagram::options::Marks;

/// A crossing of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The level reached a high mark.
    High,
    /// The level came back to the low marks.
    Low,
}

/// The level of one queue: above the marks or not.
#[derive(Debug)]
pub struct Watermark {
    marks: Marks,
    above: bool,
}

impl Watermark {
    /// Starts below.
    pub fn new(marks: Marks) -> Self {
        Self { marks: marks.sane(), above: false }
    }

    /// Whether the level has reached a high mark and not yet come back to the low ones.
    pub(crate) fn is_above(&self) -> bool {
        self.above
    }

    /// The marks in force.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Sets new marks. The next [`Self::update`] compares the level with them.
    pub fn set_marks(&mut self, marks: Marks) {
        self.marks = marks.sane();
    }

    /// Notes the level. Returns the crossing, if there is one.
    pub fn update(&mut self, datagrams: usize, bytes: usize) -> Option<Edge> {
        let marks = &self.marks;
        if self.above {
            if datagrams > marks.low_datagrams || bytes > marks.low_bytes {
                return None;
            }
            self.above = false;
            Some(Edge::Low)
        } else {
            if datagrams < marks.high_datagrams && bytes < marks.high_bytes {
                return None;
            }
            self.above = true;
            Some(Edge::High)
        }
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
    fn marks_that_contradict_themselves_do_not_oscillate() {
        let mut water =
            Watermark::new(Marks { high_datagrams: 0, low_datagrams: 50, high_bytes: 0, low_bytes: 9 });
        assert_eq!(water.update(0, 0), None);
        assert_eq!(water.update(1, 1), Some(Edge::High));
        assert_eq!(water.update(1, 1), None);
        assert_eq!(water.update(0, 0), Some(Edge::Low));
    }
}
