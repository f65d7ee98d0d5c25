//! What is worth an alert. No clock, no threads: samples in, alerts out.
//!
//! A condition that stands is told twice: when it begins and when it ends. (The reference repeats it with every sample.)

use std::time::Duration;

use super::sample::Sample;

/// From which change between two halves of a series it counts as a trend, as in the reference.
const TREND: f64 = 0.25;

/// When conditions hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Of the high-water mark, the part above which the outgoing queue is high. Default 0.9.
    pub queue_size: f64,
    /// The send success rate below which it is low. Default 0.8.
    pub success_rate: f64,
    /// The fewest samples that make a trend. Default 10.
    pub trend_window: usize,
    /// The least rise of the round-trip time that is worth a word. Default 10 ms.
    pub rtt_rise: Duration,
    /// The least rise of the loss, as a part of all packets, that is worth a word. Default 0.01.
    pub loss_rise: f64,
    /// From which silence on the peer is silent; zero for never. Default 15 s: longer than the keep-alive interval.
    pub silence: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            queue_size: 0.9,
            success_rate: 0.8,
            trend_window: 10,
            rtt_rise: Duration::from_millis(10),
            loss_rise: 0.01,
            silence: Duration::from_secs(15),
        }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// The outgoing queue is nearly full.
    HighQueueSize = 1,
    /// Too many sends fail, counted from the transport's beginning.
    LowSuccessRate = 2,
    /// Sending takes longer and longer.
    IncreasingSendTime = 3,
    /// Outgoing datagrams made room for others since the previous sample.
    Evictions = 4,
    /// Outgoing datagrams became too old since the previous sample.
    Expiries = 5,
    /// Incoming datagrams were dropped since the previous sample.
    InboundDrops = 6,
    /// The round-trip time rises.
    RttRise = 7,
    /// The loss rises.
    LossRise = 8,
    /// Nothing arrives from the peer, not even acknowledgements.
    SilentPeer = 9,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::HighQueueSize,
        Self::LowSuccessRate,
        Self::IncreasingSendTime,
        Self::Evictions,
        Self::Expiries,
        Self::InboundDrops,
        Self::RttRise,
        Self::LossRise,
        Self::SilentPeer,
    ];

    /// The name, the first three as in the reference.
    pub fn name(self) -> &'static str {
        match self {
            Self::HighQueueSize => "high_queue_size",
            Self::LowSuccessRate => "low_success_rate",
            Self::IncreasingSendTime => "increasing_send_time",
            Self::Evictions => "evictions",
            Self::Expiries => "expiries",
            Self::InboundDrops => "inbound_drops",
            Self::RttRise => "rtt_rise",
            Self::LossRise => "loss_rise",
            Self::SilentPeer => "silent_peer",
        }
    }
}

/// A condition began or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub kind: Kind,
    /// It began; else it ended.
    pub began: bool,
    /// When the sample was taken, Unix microseconds.
    pub timestamp_us: u64,
    /// The figure: datagrams, a part of 1, or seconds, whichever `kind` is about.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// The same in words.
    pub message: String,
}

/// Where a series goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// Nowhere, or there are too few values to tell.
    Stable,
    /// The second half is more than a quarter above the first.
    Increasing,
    /// The second half is more than a quarter below the first.
    Decreasing,
}

/// The trend of a series, as the reference defines it: the means of its halves are compared.
pub fn trend(values: &[f64], window: usize) -> Trend {
    let Some((first, second)) = halves(values, window) else { return Trend::Stable };
    if first == 0.0 && second > 0.0 {
        return Trend::Increasing;
    }
    if first > 0.0 {
        let change = (second - first) / first;
        if change > TREND {
            return Trend::Increasing;
        }
        if change < -TREND {
            return Trend::Decreasing;
        }
    }
    Trend::Stable
}

/// The means of both halves, the middle one being in the second; nothing when there are fewer than `window` values.
fn halves(values: &[f64], window: usize) -> Option<(f64, f64)> {
    let (first, second) = values.split_at(values.len() / 2);
    let enough = values.len() >= window && !first.is_empty() && !second.is_empty();
    let mean = |half: &[f64]| half.iter().sum::<f64>() / half.len() as f64;
    enough.then(|| (mean(first), mean(second)))
}

/// Which conditions stand.
#[derive(Debug)]
pub struct Rules {
    thresholds: Thresholds,
    standing: [bool; Kind::ALL.len()],
    previous: Sample,
}

impl Rules {
    /// No condition stands; `before` is what was counted when watching began.
    pub fn new(thresholds: Thresholds, before: Sample) -> Self {
        Self { thresholds, standing: [false; Kind::ALL.len()], previous: before }
    }

    /// Looks at the samples that are kept, the last of which is new.
    pub fn check(&mut self, samples: &[Sample]) -> Vec<Alert> {
        let Some(current) = samples.last() else { return Vec::new() };
        let mut alerts = Vec::new();
        for (kind, stood) in Kind::ALL.into_iter().zip(&mut self.standing) {
            let (stands, value, threshold) = judge(kind, &self.thresholds, &self.previous, samples, current);
            if stands == *stood {
                continue;
            }
            *stood = stands;
            alerts.push(Alert {
                kind,
                began: stands,
                timestamp_us: current.timestamp_us,
                value,
                threshold,
                message: message(kind, stands, value),
            });
        }
        self.previous = *current;
        alerts
    }
}

/// Whether a condition holds, the figure, and what it is compared with.
fn judge(
    kind: Kind,
    thresholds: &Thresholds,
    previous: &Sample,
    samples: &[Sample],
    current: &Sample,
) -> (bool, f64, f64) {
    let rise = |total: fn(&Sample) -> u64| {
        let rise = total(current).saturating_sub(total(previous)) as f64;
        (rise > 0.0, rise, 0.0)
    };
    let rising = |figure: fn(&Sample) -> f64, least: f64| {
        let series: Vec<f64> = samples.iter().map(figure).collect();
        let (first, second) = halves(&series, thresholds.trend_window).unwrap_or_default();
        let increasing = trend(&series, thresholds.trend_window) == Trend::Increasing;
        (increasing && second - first >= least, figure(current), first)
    };
    match kind {
        Kind::HighQueueSize => {
            let size = current.outgoing_queue_size as f64;
            let limit = current.outgoing_high_water as f64 * thresholds.queue_size;
            (size > limit, size, limit)
        }
        Kind::LowSuccessRate => {
            let rate = current.send_success_rate;
            (rate < thresholds.success_rate, rate, thresholds.success_rate)
        }
        Kind::IncreasingSendTime => rising(|sample| sample.avg_send_time.as_secs_f64(), 0.0),
        Kind::Evictions => rise(|sample| sample.evicted),
        Kind::Expiries => rise(|sample| sample.expired),
        Kind::InboundDrops => rise(|sample| sample.inbound_dropped),
        Kind::RttRise => rising(|sample| sample.rtt.as_secs_f64(), thresholds.rtt_rise.as_secs_f64()),
        Kind::LossRise => rising(|sample| sample.loss, thresholds.loss_rise),
        Kind::SilentPeer => {
            let silent = !thresholds.silence.is_zero() && current.silence >= thresholds.silence;
            (silent, current.silence.as_secs_f64(), thresholds.silence.as_secs_f64())
        }
    }
}

fn message(kind: Kind, began: bool, value: f64) -> String {
    if !began {
        return format!("over: {}", kind.name());
    }
    match kind {
        Kind::HighQueueSize => format!("outgoing queue size high: {value}"),
        Kind::LowSuccessRate => format!("low send success rate: {:.2}%", value * 100.0),
        Kind::IncreasingSendTime => format!("average send time is increasing (current: {value:.6} s)"),
        Kind::Evictions => format!("{value} outgoing datagrams evicted"),
        Kind::Expiries => format!("{value} outgoing datagrams expired"),
        Kind::InboundDrops => format!("{value} incoming datagrams dropped"),
        Kind::RttRise => format!("round-trip time is rising (current: {value:.6} s)"),
        Kind::LossRise => format!("packet loss is rising (current: {:.2}%)", value * 100.0),
        Kind::SilentPeer => format!("nothing from the peer for {value:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(number: u64) -> Sample {
        Sample { timestamp_us: number, send_success_rate: 1.0, outgoing_high_water: 100, ..Sample::default() }
    }

    /// Feeds samples one by one, as a monitor does, and collects what was told: at which sample, what, began or ended.
    fn told(change: impl Fn(u64, &mut Sample), count: u64) -> Vec<(u64, Kind, bool)> {
        let mut rules = Rules::new(Thresholds::default(), quiet(0));
        let mut samples = Vec::new();
        let mut told = Vec::new();
        for number in 1..=count {
            let mut sample = quiet(number);
            change(number, &mut sample);
            samples.push(sample);
            told.extend(
                rules.check(&samples).iter().map(|alert| (alert.timestamp_us, alert.kind, alert.began)),
            );
        }
        told
    }

    #[test]
    fn trends_are_those_of_the_reference() {
        // pywebtransport 0.6.1, DatagramMonitor._analyze_trend with a window of 4.
        let cases: [(&[f64], Trend); 12] = [
            (&[], Trend::Stable),
            (&[1.0, 2.0, 3.0], Trend::Stable),
            (&[1.0, 1.0, 1.25, 1.25], Trend::Stable),
            (&[1.0, 1.0, 1.25, 1.26], Trend::Increasing),
            (&[1.0, 1.0, 0.75, 0.75], Trend::Stable),
            (&[1.0, 1.0, 0.75, 0.74], Trend::Decreasing),
            (&[0.0, 0.0, 0.0, 0.0], Trend::Stable),
            (&[0.0, 0.0, 0.0, 1e-9], Trend::Increasing),
            (&[1.0, 1.0, 0.0, 0.0], Trend::Decreasing),
            // With an odd number the middle one is in the second half.
            (&[1.0, 1.0, 1.6, 1.0, 1.0], Trend::Stable),
            (&[1.0, 1.0, 3.0, 1.0, 1.0], Trend::Increasing),
            (&[-1.0, -1.0, 5.0, 5.0], Trend::Stable),
        ];
        for (values, expected) in cases {
            assert_eq!(trend(values, 4), expected, "{values:?}");
        }
        assert_eq!(trend(&[5.0], 0), Trend::Stable, "one value has no halves");
    }

    #[test]
    fn nothing_is_told_of_a_transport_that_does_nothing() {
        assert_eq!(told(|_, _| {}, 30), []);
    }

    #[test]
    fn a_condition_is_told_when_it_begins_and_when_it_ends() {
        let queue = |number, sample: &mut Sample| {
            sample.outgoing_queue_size = if (3..6).contains(&number) { 91 } else { 90 };
        };
        assert_eq!(told(queue, 10), [(3, Kind::HighQueueSize, true), (6, Kind::HighQueueSize, false)]);
        let rate =
            |number, sample: &mut Sample| sample.send_success_rate = if number == 2 { 0.79 } else { 0.8 };
        assert_eq!(told(rate, 4), [(2, Kind::LowSuccessRate, true), (3, Kind::LowSuccessRate, false)]);
        let silence = |number, sample: &mut Sample| {
            sample.silence = Duration::from_secs(if number < 4 { 5 * number } else { 0 });
        };
        assert_eq!(told(silence, 5), [(3, Kind::SilentPeer, true), (4, Kind::SilentPeer, false)]);
    }

    #[test]
    fn totals_alert_while_they_rise() {
        let evicted = |number: u64, sample: &mut Sample| sample.evicted = number.min(4);
        // One with each of the first four samples, and then no more.
        assert_eq!(told(evicted, 8), [(1, Kind::Evictions, true), (5, Kind::Evictions, false)]);
        let expired = |number: u64, sample: &mut Sample| sample.expired = u64::from(number >= 3);
        assert_eq!(told(expired, 5), [(3, Kind::Expiries, true), (4, Kind::Expiries, false)]);
        let dropped = |number: u64, sample: &mut Sample| sample.inbound_dropped = u64::from(number >= 2) * 7;
        assert_eq!(told(dropped, 5), [(2, Kind::InboundDrops, true), (3, Kind::InboundDrops, false)]);
    }

    #[test]
    fn trends_need_a_window_of_samples_and_a_rise_worth_a_word() {
        let send_time =
            |number, sample: &mut Sample| sample.avg_send_time = Duration::from_micros(10 * number);
        assert_eq!(told(send_time, 12), [(10, Kind::IncreasingSendTime, true)]);
        let rtt = |step_ms: u64| {
            move |number: u64, sample: &mut Sample| sample.rtt = Duration::from_millis(20 + step_ms * number)
        };
        assert_eq!(told(rtt(10), 12), [(10, Kind::RttRise, true)]);
        // Three times as long, but still nothing that anybody would notice.
        let tiny = |number, sample: &mut Sample| sample.rtt = Duration::from_micros(100 * number);
        assert_eq!(told(tiny, 12), []);
        let loss = |number, sample: &mut Sample| sample.loss = if number > 5 { 0.2 } else { 0.0 };
        assert_eq!(told(loss, 10), [(10, Kind::LossRise, true)]);
        let one_packet = |number, sample: &mut Sample| sample.loss = if number == 9 { 0.001 } else { 0.0 };
        assert_eq!(told(one_packet, 12), []);
    }

    #[test]
    fn every_alert_says_its_figure_and_what_it_was_compared_with() {
        let mut rules = Rules::new(Thresholds::default(), quiet(0));
        let alerts = rules.check(&[Sample { outgoing_queue_size: 95, ..quiet(1) }]);
        assert_eq!((alerts[0].value, alerts[0].threshold), (95.0, 90.0));
        assert_eq!(alerts[0].message, "outgoing queue size high: 95");
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place + 1);
            assert!(message(kind, true, 123_456_789.0).len() < 100);
            assert_eq!(message(kind, false, 1.0), format!("over: {}", kind.name()));
        }
    }
}
