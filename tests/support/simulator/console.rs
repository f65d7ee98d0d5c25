//! The simulator by JSON: one command per line in, one answer per line out.
//!
//! ```text
//! {"event":"listening","port":40001,"seed":7}
//! > {"command":"set","direction":"both","loss":0.1,"latency_us":20000}
//! {"event":"set","up":{…all conditions…},"down":{…}}
//! > {"command":"counters"}
//! {"event":"counters","up":{…},"down":{…}}
//! > {"command":"rebind"}
//! {"event":"rebound"}
//! > {"command":"quit"}
//! ```
//!
//! `direction` is `up` (client to server), `down` or `both`. A wrong command changes nothing and is
//! answered with `{"event":"error","message":…}`. The end of the input is a `quit`.

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::{Conditions, Direction, Simulator};

/// Runs until a `quit`.
pub fn run(server: SocketAddr, seed: u64, input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let simulator = Simulator::start(server, seed, Conditions::default())?;
    let mut say = |value: Value| {
        writeln!(output, "{value}")?;
        output.flush()
    };
    say(json!({"event": "listening", "port": simulator.address().port(), "seed": seed}))?;
    for line in input.lines() {
        match answer(&simulator, &line?) {
            Ok(Some(value)) => say(value)?,
            Ok(None) => return Ok(()),
            Err(message) => say(json!({"event": "error", "message": message}))?,
        }
    }
    Ok(())
}

fn answer(simulator: &Simulator, line: &str) -> Result<Option<Value>, String> {
    let mut fields: Map<String, Value> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match fields.remove("command").as_ref().and_then(Value::as_str) {
        Some("set") => {
            set(simulator, fields)?;
            Ok(Some(both("set", |direction| simulator.conditions(direction).to_json())))
        }
        Some("counters") => Ok(Some(both("counters", |direction| simulator.counters(direction).to_json()))),
        Some("rebind") => {
            simulator.rebind();
            Ok(Some(json!({"event": "rebound"})))
        }
        Some("quit") => Ok(None),
        _ => Err("command must be set, counters, rebind or quit".into()),
    }
}

fn set(simulator: &Simulator, mut fields: Map<String, Value>) -> Result<(), String> {
    let directions: &[Direction] = match fields.remove("direction").as_ref().and_then(Value::as_str) {
        Some("up") => &[Direction::Up],
        Some("down") => &[Direction::Down],
        Some("both") => &[Direction::Up, Direction::Down],
        _ => return Err("direction must be up, down or both".into()),
    };
    Conditions::default().update(&fields)?;
    for direction in directions {
        let mut result = Ok(());
        simulator.update(*direction, |conditions| result = conditions.update(&fields));
        result?;
    }
    Ok(())
}

fn both(event: &str, of: impl Fn(Direction) -> Value) -> Value {
    json!({"event": event, "up": of(Direction::Up), "down": of(Direction::Down)})
}
