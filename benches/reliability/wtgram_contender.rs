//! This library's reliability layer with its default options.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wtgram::datagram::transport::SendOptions;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::reliability::negotiation::Mode;
use wtgram::runtime::wait::{Deadline, Timeout};

use crate::Failure;
use crate::meter::{Load, MESSAGE_BYTES, carried, sleep_until};
use crate::session::LossyPair;
use crate::simulator::Conditions;

pub fn run(load: Load, seed: u64, conditions: Conditions, negotiate: bool) -> Result<(), Failure> {
    let pair = LossyPair::new(seed);
    let negotiation = if negotiate { Mode::Auto } else { Mode::Off };
    let options = LayerOptions { negotiation, ..LayerOptions::default() };
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &options)?;
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &options)?;
    pair.link.set(conditions);
    sleep_until(load.due(0));
    let before = carried(&pair.link);
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
            }),
        );
        let _ = near.close(Timeout::After(Duration::from_secs(1)).deadline());
        let _ = far.close(Deadline::Now);
    });
    Ok(())
}
