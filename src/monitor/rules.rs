//! The conditions of alerts. No clock, no threads: samples in, alerts out.
//!
//! A condition is reported twice: when it starts and when it ends. (The reference repeats it with
//! every sample.)

use std::time::Duration;

use super::sample::Sample;
use super::trend::{Series, Trend};

/// A [`Series`] adds up whole numbers of these: nanoseconds, and equally fine parts of all packets.
const BILLIONTHS: f64 = 1e9;

/// When conditions hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The part of the high-water mark above which the outgoing queue is high. Default 0.9.
    pub queue_size: f64,
    /// The send success rate below which it is low. Default 0.8.
    pub success_rate: f64,
    /// The fewest samples that make a trend. Default 10.
    pub trend_window: usize,
    /// The least rise of the round-trip time that raises an alert. Default 10 ms.
    pub rtt_rise: Duration,
    /// The least rise of the loss, as a part of all packets, that raises an alert. Default 0.01.
    pub loss_rise: f64,
    /// The peer is silent when nothing has arrived for this long; zero means never. Default 15 s,
    /// which is longer than the keep-alive interval.
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
    /// Too many sends fail, counted since the transport was created.
    LowSuccessRate = 2,
    /// Sending takes more and more time.
    IncreasingSendTime = 3,
    /// Outgoing datagrams were evicted since the previous sample.
    Evictions = 4,
    /// Outgoing datagrams expired since the previous sample.
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

/// A condition started or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub kind: Kind,
    /// It started; otherwise it ended.
    pub began: bool,
    /// When the sample was taken, Unix microseconds.
    pub timestamp_us: u64,
    /// The figure: datagrams, a part of 1, or seconds, whichever `kind` is about.
    pub value: f64,
    /// The figure or limit that it was compared with.
    pub threshold: f64,
    /// The same in words.
    pub message: String,
}

/// Which conditions hold.
#[derive(Debug)]
pub struct Rules {
    thresholds: Thresholds,
    standing: [bool; Kind::ALL.len()],
    previous: Sample,
    send_time: Series,
    rtt: Series,
    loss: Series,
}

impl Rules {
    /// No condition holds at first; `before` has the counts from when watching started. Trends
    /// cover the newest `kept` samples.
    pub fn new(thresholds: Thresholds, before: Sample, kept: usize) -> Self {
        let [send_time, rtt, loss] = std::array::from_fn(|_| Series::new(kept));
        Self { thresholds, standing: [false; Kind::ALL.len()], previous: before, send_time, rtt, loss }
    }

    /// Checks the next sample.
    pub fn check(&mut self, current: &Sample) -> Vec<Alert> {
        self.send_time.push(nanoseconds(current.avg_send_time));
        self.rtt.push(nanoseconds(current.rtt));
        self.loss.push((current.loss * BILLIONTHS).round() as i64);
        let mut alerts = Vec::new();
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            let (stands, value, threshold) = self.judge(kind, current);
            if stands == self.standing[place] {
                continue;
            }
            self.standing[place] = stands;
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

    /// Whether a condition holds, its figure, and what the figure is compared with.
    fn judge(&self, kind: Kind, current: &Sample) -> (bool, f64, f64) {
        let Self { thresholds, previous, .. } = self;
        let rise = |total: fn(&Sample) -> u64| {
            let rise = total(current).saturating_sub(total(previous)) as f64;
            (rise > 0.0, rise, 0.0)
        };
        let rising = |series: &Series, figure: f64, least: f64| {
            let (first, second) = series.means(thresholds.trend_window).unwrap_or_default();
            let increasing = series.trend(thresholds.trend_window) == Trend::Increasing;
            let first_mean = first / BILLIONTHS;
            (increasing && second / BILLIONTHS - first_mean >= least, figure, first_mean)
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
            Kind::IncreasingSendTime => rising(&self.send_time, current.avg_send_time.as_secs_f64(), 0.0),
            Kind::Evictions => rise(|sample| sample.evicted),
            Kind::Expiries => rise(|sample| sample.expired),
            Kind::InboundDrops => rise(|sample| sample.inbound_dropped),
            Kind::RttRise => rising(&self.rtt, current.rtt.as_secs_f64(), thresholds.rtt_rise.as_secs_f64()),
            Kind::LossRise => rising(&self.loss, current.loss, thresholds.loss_rise),
            Kind::SilentPeer => {
                let silent = !thresholds.silence.is_zero() && current.silence >= thresholds.silence;
                (silent, current.silence.as_secs_f64(), thresholds.silence.as_secs_f64())
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
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

    /// Feeds samples one by one, as a monitor does, and collects the alerts: at which sample, what
    /// kind, whether it started.
    fn told(change: impl Fn(u64, &mut Sample), count: u64) -> Vec<(u64, Kind, bool)> {
        let mut rules = Rules::new(Thresholds::default(), quiet(0), 100);
        let mut told = Vec::new();
        for number in 1..=count {
            let mut sample = quiet(number);
            change(number, &mut sample);
            told.extend(
                rules.check(&sample).iter().map(|alert| (alert.timestamp_us, alert.kind, alert.began)),
            );
        }
        told
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
        // One with each of the first four samples, and then none.
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
        // Three times as long, but still too little to notice.
        let tiny = |number, sample: &mut Sample| sample.rtt = Duration::from_micros(100 * number);
        assert_eq!(told(tiny, 12), []);
        let loss = |number, sample: &mut Sample| sample.loss = if number > 5 { 0.2 } else { 0.0 };
        assert_eq!(told(loss, 10), [(10, Kind::LossRise, true)]);
        let one_packet = |number, sample: &mut Sample| sample.loss = if number == 9 { 0.001 } else { 0.0 };
        assert_eq!(told(one_packet, 12), []);
    }

    #[test]
    fn every_alert_says_its_figure_and_what_it_was_compared_with() {
        let mut rules = Rules::new(Thresholds::default(), quiet(0), 100);
        let alerts = rules.check(&Sample { outgoing_queue_size: 95, ..quiet(1) });
        assert_eq!((alerts[0].value, alerts[0].threshold), (95.0, 90.0));
        assert_eq!(alerts[0].message, "outgoing queue size high: 95");
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place + 1);
            assert!(message(kind, true, 123_456_789.0).len() < 100);
            assert_eq!(message(kind, false, 1.0), format!("over: {}", kind.name()));
        }
    }
}
