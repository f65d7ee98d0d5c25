//! The echo test for peers in Rust (`../echo_test.py` says what both ends do). A peer's program gives `main` a function
//! for both roles and implements `Session`. It reports one JSON object a line.

mod arguments;
mod loops;

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

pub use arguments::Arguments;
pub use loops::{run_client, run_server_session};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The path of requests that a server refuses with status 404.
pub const REFUSED_PATH: &str = "/missing";

/// What a peer's program may fail with.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the loops need of a peer's session.
pub trait Session {
    /// Sends a datagram.
    fn send(&self, bytes: &[u8]) -> Outcome<()>;
    /// Waits for a datagram. An error is the end of the session.
    async fn receive(&self) -> Result<Vec<u8>, Closed>;
    /// The largest datagram that can be sent now, in bytes.
    fn largest(&self) -> usize;
    /// Closes the session. Returns when it may be dropped.
    async fn close(&self, code: u32, reason: &str);
}

/// The end of a session.
pub struct Closed {
    /// Whether the peer closed it, or else the transport failed.
    pub by_peer: bool,
    /// The peer's code.
    pub code: Option<u64>,
    /// The peer's reason, or what the library says.
    pub reason: String,
}

/// The whole program: reads the command line, and reports an error if `run` returns one.
pub async fn main(run: impl AsyncFn(&Arguments) -> Outcome<()>) -> ExitCode {
    let outcome = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => match timeout(Duration::from_secs(arguments.seconds + 20), run(&arguments)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("out of time".into()),
        },
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(json!({"event": "error", "message": error.to_string()}));
            ExitCode::FAILURE
        }
    }
}

/// Prints a report.
pub fn say(line: Value) {
    println!("{line}");
}

/// The version of a package in the text of a `Cargo.lock`.
pub fn locked_version<'a>(lock: &'a str, package: &str) -> &'a str {
    let entry = format!("name = \"{package}\"\nversion = \"");
    lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("?")
}

/// Reports that a client got no session, with the HTTP status, if its library says it.
pub fn refused(version: &str, status: Option<u16>, error: impl Display) {
    say(json!({"event": "refused", "version": version, "status": status, "message": error.to_string()}));
}
