//! Stock wtransport as one end of the echo test (`echo_test.py` says what both ends do).
//!
//! ```text
//! wtransport_peer server [--close-code N] [--close-reason TEXT] [--seconds S]
//! wtransport_peer client URL --hash HEX [--count N] [--closer client|server] [--close-code N] [--close-reason TEXT]
//!                 [--seconds S]
//! ```

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use wtransport::error::ConnectionError;
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Connection, Endpoint, Identity, ServerConfig, VarInt};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ASK_CLOSE: &[u8] = b"please close";
const WINDOW: usize = 32;
const QUIET: Duration = Duration::from_millis(250);
const PAYLOAD_RANGE_BYTES: u32 = 992;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
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

async fn run(arguments: &Arguments) -> Outcome<()> {
    match &arguments.url {
        Some(url) => client(url, arguments).await,
        None => server(arguments).await,
    }
}

/// The command line of both roles.
struct Arguments {
    url: Option<String>,
    hash: Option<String>,
    count: u32,
    server_closes: bool,
    close_code: u32,
    close_reason: String,
    seconds: u64,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let url = match words.next().as_deref() {
            Some("server") => None,
            Some("client") => Some(words.next().ok_or("a client needs a URL")?),
            _ => return Err("the role is server or client".into()),
        };
        let mut arguments = Self {
            url,
            hash: None,
            count: 1000,
            server_closes: false,
            close_code: 0,
            close_reason: String::new(),
            seconds: 60,
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} lacks its value"))?;
            match name.as_str() {
                "--hash" => arguments.hash = Some(value),
                "--count" => arguments.count = value.parse()?,
                "--closer" => arguments.server_closes = value == "server",
                "--close-code" => arguments.close_code = value.parse()?,
                "--close-reason" => arguments.close_reason = value,
                "--seconds" => arguments.seconds = value.parse()?,
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        Ok(arguments)
    }
}

fn say(line: Value) {
    println!("{line}");
}

// ---- client ----

async fn client(url: &str, arguments: &Arguments) -> Outcome<()> {
    let hash = parse_hash(arguments.hash.as_deref().ok_or("a client needs --hash")?)?;
    let config = ClientConfig::builder().with_bind_default().with_server_certificate_hashes([hash]).build();
    let connection = Endpoint::client(config)?.connect(url).await?;
    say(json!({"event": "session"}));

    exchange(&connection, arguments.count, Instant::now() + Duration::from_secs(arguments.seconds)).await?;
    if arguments.server_closes {
        for _ in 0..10 {
            // The close may have arrived meanwhile; `closed` reports it, or the loop ends without it.
            let _ = connection.send_datagram(ASK_CLOSE);
            // Not `closed()`, which returns "locally closed" for a CLOSE capsule. `receive_datagram` returns what was
            // in the capsule.
            while let Ok(received) = timeout(QUIET * 2, connection.receive_datagram()).await {
                if let Err(error) = received {
                    say(closed_line(&error, 0));
                    return Ok(());
                }
            }
        }
        return Err("the server was asked to close and did not".into());
    }
    connection.close(VarInt::from_u32(arguments.close_code), arguments.close_reason.as_bytes());
    say(
        json!({"event": "closed", "by": "local", "code": arguments.close_code, "reason": arguments.close_reason}),
    );
    tokio::time::sleep(QUIET * 2).await;
    Ok(())
}

/// Each payload must come back byte for byte, with at most `wanted` re-sends in all.
async fn exchange(connection: &Connection, wanted: u32, deadline: Instant) -> Outcome<()> {
    let mut outstanding: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut returned = HashSet::new();
    let (mut next, mut resent, mut duplicates) = (0, 0, 0);
    while returned.len() < wanted as usize {
        while next < wanted && outstanding.len() < WINDOW {
            let bytes = payload(next);
            connection.send_datagram(&bytes)?;
            outstanding.insert(next, bytes);
            next += 1;
        }
        if Instant::now() > deadline {
            return Err(format!("out of time: {} of {wanted} came back", returned.len()).into());
        }
        let Ok(echo) = timeout(QUIET, connection.receive_datagram()).await else {
            resent += outstanding.len();
            if resent > 50 * wanted as usize {
                return Err(format!("too many re-sends: {} of {wanted} came back", returned.len()).into());
            }
            for bytes in outstanding.values() {
                connection.send_datagram(bytes)?;
            }
            continue;
        };
        let echo = echo?.payload();
        let number = echo.first_chunk().map_or(wanted, |head| u32::from_be_bytes(*head));
        if outstanding.get(&number).is_some_and(|sent| sent[..] == echo[..]) {
            outstanding.remove(&number);
            returned.insert(number);
        } else if returned.contains(&number) {
            duplicates += 1;
        } else {
            return Err(format!("a datagram of {} bytes that was never sent", echo.len()).into());
        }
    }
    say(json!({"event": "echoes", "wanted": wanted, "returned": returned.len(), "resent": resent,
        "duplicates": duplicates, "problem": null}));
    Ok(())
}

fn payload(number: u32) -> Vec<u8> {
    let size = 8 + number.wrapping_mul(37) % PAYLOAD_RANGE_BYTES;
    let mut bytes: Vec<u8> =
        (0..size).map(|index| (number.wrapping_mul(31).wrapping_add(index)) as u8).collect();
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn parse_hash(text: &str) -> Outcome<Sha256Digest> {
    let bytes = (0..text.len() / 2)
        .map(|index| text.get(2 * index..2 * index + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<Vec<u8>>>()
        .ok_or("--hash takes hexadecimal digits")?;
    let digest: [u8; 32] = bytes.try_into().map_err(|_| "--hash takes 64 hexadecimal digits")?;
    Ok(Sha256Digest::from(digest))
}

// ---- server ----

async fn server(arguments: &Arguments) -> Outcome<()> {
    let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
    let hash = identity.certificate_chain().as_slice()[0].hash();
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let config = ServerConfig::builder()
        .with_bind_address(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_identity(identity)
        .build();
    let endpoint = Endpoint::server(config)?;
    say(json!({"event": "listening", "port": endpoint.local_addr()?.port(), "hash": hash}));
    loop {
        let request = endpoint.accept().await.await?;
        say(json!({"event": "session", "path": request.path()}));
        let connection = request.accept().await?;
        echo(&connection, arguments).await?;
    }
}

async fn echo(connection: &Connection, arguments: &Arguments) -> Outcome<()> {
    let mut echoed = 0;
    loop {
        match connection.receive_datagram().await {
            Ok(datagram) if datagram.starts_with(ASK_CLOSE) => {
                connection.close(VarInt::from_u32(arguments.close_code), arguments.close_reason.as_bytes());
                say(json!({"event": "closed", "by": "local", "echoed": echoed}));
                return Ok(());
            }
            Ok(datagram) => {
                connection.send_datagram(datagram.payload())?;
                echoed += 1;
            }
            Err(error) => {
                say(closed_line(&error, echoed));
                return Ok(());
            }
        }
    }
}

fn closed_line(error: &ConnectionError, echoed: u64) -> Value {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            json!({"event": "closed", "by": "peer", "echoed": echoed,
            "code": close.code().into_inner(), "reason": String::from_utf8_lossy(close.reason())})
        }
        other => {
            json!({"event": "closed", "by": "transport", "echoed": echoed, "code": null, "reason": other.to_string()})
        }
    }
}
