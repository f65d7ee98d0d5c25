//! The command line of a peer's program.
//!
//! ```text
//! PEER server --certificate FILE --key FILE [--close-code N] [--close-reason TEXT] [--protocol NAME] [--seconds S]
//! PEER client URL --hash HEX [--count N] [--closer client|server] [--close-code N] [--close-reason TEXT]
//!      [--protocols A,B] [--seconds S]
//! ```

use super::Outcome;

/// The command line of both roles.
pub struct Arguments {
    /// Of a client.
    pub url: Option<String>,
    /// SHA-256 of the server's certificate.
    pub hash: Option<[u8; 32]>,
    /// PEM files of a server.
    pub certificate: String,
    /// PEM files of a server.
    pub key: String,
    /// Subprotocols that a client offers.
    pub protocols: Vec<String>,
    /// Subprotocol that a server selects.
    pub protocol: Option<String>,
    pub(super) count: u32,
    pub(super) server_closes: bool,
    pub(super) close_code: u32,
    pub(super) close_reason: String,
    pub(super) seconds: u64,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let url = match words.next().as_deref() {
            Some("server") => None,
            Some("client") => Some(words.next().ok_or("a client needs a URL")?),
            _ => return Err("the role is server or client".into()),
        };
        let mut arguments = Self {
            url,
            hash: None,
            certificate: String::new(),
            key: String::new(),
            protocols: Vec::new(),
            protocol: None,
            count: 1000,
            server_closes: false,
            close_code: 0,
            close_reason: String::new(),
            seconds: 60,
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} lacks its value"))?;
            match name.as_str() {
                "--hash" => arguments.hash = Some(parse_hash(&value)?),
                "--certificate" => arguments.certificate = value,
                "--key" => arguments.key = value,
                "--protocols" => arguments.protocols = value.split(',').map(str::to_owned).collect(),
                "--protocol" => arguments.protocol = Some(value),
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

fn parse_hash(text: &str) -> Outcome<[u8; 32]> {
    let bytes = (0..text.len() / 2)
        .map(|index| text.get(2 * index..2 * index + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<Vec<u8>>>()
        .ok_or("--hash takes hexadecimal digits")?;
    bytes.try_into().map_err(|_| "--hash takes 64 hexadecimal digits".into())
}
