//! One contender of `make bench-reliability`: messages from a client to a server through the link
//! simulator, and how long each takes from when it is due to be sent until the receiving program
//! has it.
//!
//! `reliability <contender> <seed> <seconds> <conditions>` prints one line of JSON. Contenders: `wtgram` and
//! `wtgram-plain` (the reference's protocol, not negotiated), `stream` (one ordered QUIC stream over raw quinn), `kcp`.
//! The conditions are the simulator's, as JSON, for both directions.

mod kcp_contender;
mod meter;
mod stream_contender;
mod wtgram_contender;

use std::process::ExitCode;
use std::time::Duration;

use meter::Load;
use support::simulator::Conditions;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` runs every bench target itself, with `--bench`; one contender alone compares nothing.
    if arguments.first().is_some_and(|first| first == "--bench") {
        println!("one contender of a measurement; `make bench-reliability` runs all");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("reliability: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let [contender, seed, seconds, conditions] = arguments else {
        return Err("expected <contender> <seed> <seconds> <conditions>".into());
    };
    let mut set = Conditions::default();
    set.update(&serde_json::from_str(conditions)?)?;
    let load = Load::new(Duration::from_secs_f64(seconds.parse()?));
    let seed = seed.parse()?;
    match contender.as_str() {
        "wtgram" => wtgram_contender::run(load, seed, set, true),
        "wtgram-plain" => wtgram_contender::run(load, seed, set, false),
        "stream" => stream_contender::run(load, seed, set),
        "kcp" => kcp_contender::run(load, seed, set),
        _ => Err("no such contender".into()),
    }
}
