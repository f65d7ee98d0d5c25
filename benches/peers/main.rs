//! The Rust ends of `make bench`: what quinn and stock wtransport deliver, each end in a process of
//! its own. benches/c is the same over the C interface.
//!
//! A server prints `LISTENING <port> <certificate hash>` first; every end prints one line of JSON last.
//!
//! | command | arguments |
//! |---|---|
//! | `receive`, `send` | path; the sender also a target |
//! | `echo-server`, `echo-client` | `plain` or `handed-over`; the client also a target |
//! | `sessions-receive`, `sessions-send` | sessions; the sender also a target |
//! | `broadcast` | `by-thread` or `by-lane`, sessions, rounds, size in bytes |
//! | `join` | port, hash, sessions |
//! | `flood-server` | size in bytes, seconds |
//! | `flood-client` | target |
//! | `knock`, `visit` | target, whose size means nothing |
//! | `urgent-receive`, `urgent-send` | none; the sender a target |
//!
//! A target is a port, a certificate hash, a size in bytes and seconds.

mod attack;
mod broadcast;
mod endpoint;
mod handed_over;
mod link;
mod meter;
mod raw_quinn;
mod sessions;
mod stock_wtransport;

use std::process::ExitCode;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the sender finds the receiver, and what it sends.
struct Target {
    port: u16,
    certificate_hash: [u8; 32],
    size_bytes: usize,
    duration: Duration,
}

impl Target {
    fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let &[port, hash, size_bytes, seconds] = arguments else {
            return Err("expected <port> <hash> <size_bytes> <seconds>".into());
        };
        let size_bytes = size_bytes.parse()?;
        if size_bytes < meter::SEQUENCE_BYTES {
            return Err("a datagram carries an 8-byte sequence number".into());
        }
        Ok(Self {
            port: port.parse()?,
            certificate_hash: endpoint::parse_hash(hash)?,
            size_bytes,
            duration: Duration::try_from_secs_f64(seconds.parse()?)?,
        })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // `cargo bench` runs every bench target itself, with `--bench`; one end alone has nothing to measure.
    if arguments.first() == Some(&"--bench") {
        println!("one end of a measurement; `make bench` runs both");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// One thread for everything of quinn's: measured faster than two, and what a lane of the library is.
fn run(arguments: &[&str]) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments {
            ["receive", "quinn-plain"] => raw_quinn::receive_plain().await,
            ["receive", "quinn-drained"] => raw_quinn::receive_drained().await,
            ["receive", "wtransport"] => stock_wtransport::receive().await,
            ["send", "quinn-plain" | "quinn-drained", target @ ..] => {
                raw_quinn::send(Target::parse(target)?).await
            }
            ["send", "wtransport", target @ ..] => stock_wtransport::send(Target::parse(target)?).await,
            ["echo-server", "plain"] => raw_quinn::echo_server().await,
            ["echo-client", "plain", target @ ..] => raw_quinn::echo_client(Target::parse(target)?).await,
            ["echo-server", "handed-over"] => handed_over::echo_server().await,
            ["echo-client", "handed-over", target @ ..] => {
                handed_over::echo_client(Target::parse(target)?).await
            }
            ["broadcast", form, sessions, rounds, size_bytes] => {
                let form = match *form {
                    "by-thread" => broadcast::Form::ByThread,
                    "by-lane" => broadcast::Form::ByLane,
                    _ => return Err("expected by-thread or by-lane".into()),
                };
                broadcast::serve(form, sessions.parse()?, rounds.parse()?, size_bytes.parse()?).await
            }
            ["join", port, hash, sessions] => broadcast::join(port.parse()?, hash, sessions.parse()?).await,
            ["sessions-receive", sessions] => sessions::receive(sessions.parse()?).await,
            ["sessions-send", sessions, target @ ..] => {
                sessions::send(sessions.parse()?, Target::parse(target)?).await
            }
            ["knock", target @ ..] => attack::flood(Target::parse(target)?).await,
            ["visit", target @ ..] => attack::visit(Target::parse(target)?).await,
            ["flood-server", size_bytes, seconds] => {
                let duration = Duration::try_from_secs_f64(seconds.parse()?)?;
                link::flood_server(size_bytes.parse()?, duration).await
            }
            ["flood-client", target @ ..] => link::flood_client(Target::parse(target)?).await,
            ["urgent-receive"] => link::urgent_receive().await,
            ["urgent-send", target @ ..] => link::urgent_send(Target::parse(target)?).await,
            _ => Err("no such command; the head of benches/peers/main.rs lists them".into()),
        }
    })
}
