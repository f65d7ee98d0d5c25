//! What both ends of a session do.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{Arguments, Closed, Outcome, Session, say};

const ASK_CLOSE: &[u8] = b"please close";
const ASK_LARGE: &[u8] = b"large?";
const ANSWER_LARGE: &[u8] = b"large!";
const WINDOW: usize = 32;
const ATTEMPTS: usize = 10;
const QUIET: Duration = Duration::from_millis(250);
const PAYLOAD_RANGE_BYTES: u32 = 992;

// ---- client ----

/// The client's side of a session.
pub async fn run_client(session: &impl Session, arguments: &Arguments) -> Outcome<()> {
    exchange(session, arguments.count, Instant::now() + Duration::from_secs(arguments.seconds)).await?;
    exchange_extremes(session).await;
    if arguments.server_closes {
        for _ in 0..10 {
            // The close may have arrived meanwhile: then `receive` reports it.
            let _ = session.send(ASK_CLOSE);
            while let Ok(received) = timeout(QUIET * 2, session.receive()).await {
                if let Err(closed) = received {
                    say_closed(&closed, 0);
                    return Ok(());
                }
            }
        }
        return Err("the server was asked to close, and no close was seen".into());
    }
    session.close(arguments.close_code, &arguments.close_reason).await;
    say(
        json!({"event": "closed", "by": "local", "code": arguments.close_code, "reason": arguments.close_reason}),
    );
    tokio::time::sleep(QUIET * 2).await;
    Ok(())
}

/// Each payload must come back byte for byte, with at most `wanted` re-sends in all.
async fn exchange(session: &impl Session, wanted: u32, deadline: Instant) -> Outcome<()> {
    let mut outstanding: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut returned = HashSet::new();
    let (mut next, mut resent, mut duplicates) = (0, 0, 0);
    while returned.len() < wanted as usize {
        while next < wanted && outstanding.len() < WINDOW {
            let bytes = payload(next);
            session.send(&bytes)?;
            outstanding.insert(next, bytes);
            next += 1;
        }
        if Instant::now() > deadline {
            return Err(format!("out of time: {} of {wanted} came back", returned.len()).into());
        }
        let Ok(echo) = timeout(QUIET, session.receive()).await else {
            resent += outstanding.len();
            if resent > 50 * wanted as usize {
                return Err(format!("too many re-sends: {} of {wanted} came back", returned.len()).into());
            }
            for bytes in outstanding.values() {
                session.send(bytes)?;
            }
            continue;
        };
        let echo = echo.map_err(|closed| format!("closed during the exchange: {}", closed.reason))?;
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

/// The largest and the smallest datagram that there can be, each way.
async fn exchange_extremes(session: &impl Session) {
    let ask_large = || large(ASK_LARGE, 0, session.largest());
    let answered = ask(session, ask_large, |question, answer| {
        answer == large(ANSWER_LARGE, question.len(), answer.len())
    })
    .await;
    let (sent, received, problem) = match answered {
        Ok((sent, received)) => (sent, received, None),
        Err(error) => (0, 0, Some(error.to_string())),
    };
    say(json!({"event": "largest", "sent": sent, "received": received, "problem": problem}));

    let empty = ask(session, Vec::new, |_, answer| answer.is_empty()).await;
    say(json!({"event": "empty", "problem": empty.err().map(|error| error.to_string())}));
}

/// Sends what `make` returns until the answer comes, and returns the size of both.
async fn ask(
    session: &impl Session,
    make: impl Fn() -> Vec<u8>,
    is_answer: impl Fn(&[u8], &[u8]) -> bool,
) -> Outcome<(usize, usize)> {
    for _ in 0..ATTEMPTS {
        let question = make();
        session.send(&question)?;
        while let Ok(received) = timeout(QUIET, session.receive()).await {
            let answer = received.map_err(|closed| closed.reason)?;
            if is_answer(&question, &answer) {
                return Ok((question.len(), answer.len()));
            }
        }
    }
    Err(format!("no answer to {ATTEMPTS} datagrams").into())
}

fn payload(number: u32) -> Vec<u8> {
    let size = 8 + number.wrapping_mul(37) % PAYLOAD_RANGE_BYTES;
    let mut bytes: Vec<u8> =
        (0..size).map(|index| (number.wrapping_mul(31).wrapping_add(index)) as u8).collect();
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn large(marker: &[u8], number: usize, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size.max(10)).map(|index| (size * 31 + index) as u8).collect();
    bytes[..6].copy_from_slice(marker);
    bytes[6..10].copy_from_slice(&(number as u32).to_be_bytes());
    bytes
}

// ---- server ----

/// The server's side of a session: answers until one side closes it.
pub async fn run_server_session(
    session: &impl Session,
    path: &str,
    protocol: Option<&str>,
    arguments: &Arguments,
) -> Outcome<()> {
    say(json!({"event": "session", "path": path, "protocol": protocol}));
    let mut echoed = 0;
    loop {
        match session.receive().await {
            Ok(bytes) if bytes.starts_with(ASK_CLOSE) => {
                session.close(arguments.close_code, &arguments.close_reason).await;
                say(json!({"event": "closed", "by": "local", "echoed": echoed}));
                return Ok(());
            }
            Ok(bytes) if bytes.starts_with(ASK_LARGE) => {
                if bytes != large(ASK_LARGE, 0, bytes.len()) {
                    return Err(format!("a large datagram of {} bytes arrived changed", bytes.len()).into());
                }
                session.send(&large(ANSWER_LARGE, bytes.len(), session.largest()))?;
            }
            Ok(bytes) => session.send(&bytes)?,
            Err(closed) => {
                say_closed(&closed, echoed);
                return Ok(());
            }
        }
        echoed += 1;
    }
}

fn say_closed(closed: &Closed, echoed: u64) {
    let by = if closed.by_peer { "peer" } else { "transport" };
    say(json!({"event": "closed", "by": by, "echoed": echoed, "code": closed.code, "reason": closed.reason}));
}
