//! This library's reliability layer with its default options.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wtgram::datagram::options::SendOptions;
use wtgram::datagram::transport::Transport;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::reliability::negotiation::Mode;
use wtgram::reliability::stats::SenderStats;
use wtgram::runtime::wait::{Deadline, Timeout};

use crate::Failure;
use crate::meter::{Load, MESSAGE_BYTES, carried, sleep_until};
use support::simulator::Conditions;
use support::simulator::session::LossyPair;

pub fn run(load: Load, seed: u64, conditions: Conditions, negotiate: bool) -> Result<(), Failure> {
    let pair = LossyPair::new(seed);
    let negotiation = if negotiate { Mode::Auto } else { Mode::Off };
    let options = LayerOptions { negotiation, ..LayerOptions::default() };
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &options)?;
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &options)?;
    pair.link.set(conditions);
    sleep_until(load.due(0));
    let before = carried(&pair.link);
    let sent_before = sent(&pair);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; MESSAGE_BYTES];
            while let Ok(received) = far.receive(&mut buffer, Deadline::Never) {
                load.deliver(&buffer[..received.size]);
            }
        });
        for number in 0..load.count() {
            sleep_until(load.due(number));
            near.send(&Load::message(number), &SendOptions::default(), Deadline::Never).expect("accepted");
        }
        load.wait();
        let (sender, receiver) = (near.stats().sender, far.stats().receiver);
        load.report(
            &pair.link,
            before,
            json!({
                "transmissions": sender.transmissions,
                "early_retransmits": sender.early_retransmits,
                "timer_retransmits": sender.timer_retransmits,
                "spurious_retransmits": sender.spurious_retransmits,
                "spurious_share": sender.spurious_retransmits as f64 / sender.transmissions.max(1) as f64,
                "duplicates_received": receiver.duplicates,
                "gave_up": sender.gave_up,
                "negotiated": near.stats().negotiated,
                "breakdown": breakdown(&sender, sent(&pair).since(sent_before)),
            }),
        );
        let _ = near.close(Timeout::After(Duration::from_secs(1)).deadline());
        let _ = far.close(Deadline::Now);
    });
    Ok(())
}

/// Datagrams that both transports handed to QUIC, and their bytes.
#[derive(Clone, Copy)]
struct Sent {
    datagrams: u64,
    bytes: u64,
}

impl Sent {
    fn since(self, before: Self) -> Self {
        Self { datagrams: self.datagrams - before.datagrams, bytes: self.bytes - before.bytes }
    }
}

fn sent(pair: &LossyPair) -> Sent {
    let of = |transport: &Transport| {
        let stats = transport.stats();
        Sent { datagrams: stats.datagrams_sent(), bytes: stats.bytes_sent() }
    };
    let (near, far) = (of(&pair.client.datagrams), of(&pair.accepted.datagrams));
    Sent { datagrams: near.datagrams + far.datagrams, bytes: near.bytes + far.bytes }
}

/// What the bytes are that were handed to QUIC. Only one end sends messages; every datagram that is no DATA frame is an
/// acknowledgement or one of the few HELLOs.
fn breakdown(sender: &SenderStats, sent: Sent) -> Value {
    let messages = sender.transmissions * MESSAGE_BYTES as u64;
    let acknowledgements = sent.datagrams.saturating_sub(sender.transmissions);
    let acknowledgement_bytes = sent.bytes.saturating_sub(sender.bytes_transmitted);
    let mean = |bytes: u64, datagrams: u64| bytes.checked_div(datagrams).unwrap_or(0);
    json!({
        "message_bytes": messages,
        "layer_header_bytes": sender.bytes_transmitted - messages,
        "layer_acknowledgement_bytes": acknowledgement_bytes,
        "datagram_header_bytes":
            sender.transmissions * datagram_header_bytes(mean(sender.bytes_transmitted, sender.transmissions))
                + acknowledgements * datagram_header_bytes(mean(acknowledgement_bytes, acknowledgements)),
        "acknowledgements": acknowledgements,
    })
}

/// Before a datagram of so many bytes: the session's id, and a DATAGRAM frame's type and length (RFC 9221 section 4).
fn datagram_header_bytes(payload_bytes: u64) -> u64 {
    let session_id = 1;
    session_id + 1 + if payload_bytes + session_id < 64 { 1 } else { 2 }
}
