//! SETTINGS (RFC 9114 section 7.2.4): what we announce, what the peer announced, and the
//! consequences.
//!
//! WebTransport changed its settings with almost every draft. We announce all generations, because
//! each peer looks for exactly one of them: Chromium for `0x2b603742` (and `0xc671706a` behind a
//! flag), peers of drafts 13 and 14 for `0x14e9cd29`, current webtransport-go and pywebtransport
//! from 0.21 for `0x2c7cf000`.

use super::connect::Protocol;
use super::error::{ConnectionError, H3_FRAME_ERROR, H3_SETTINGS_ERROR};
use super::frame::{self, MAX_HEADERS_BYTES};
use super::types;
use super::wire::{put_varint, take_varint};

const QPACK_MAX_TABLE_CAPACITY: u64 = 0x01;
const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
const QPACK_BLOCKED_STREAMS: u64 = 0x07;
/// RFC 9220 section 3.
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
/// RFC 9297 section 2.1.1.
const H3_DATAGRAM: u64 = 0x33;
/// draft-ietf-masque-h3-datagram-04; same wire format as the RFC.
const H3_DATAGRAM_DRAFT04: u64 = 0x00ff_d277;
/// draft-ietf-webtrans-http3-02 to -06.
const ENABLE_WEBTRANSPORT: u64 = 0x2b60_3742;
/// draft-ietf-webtrans-http3-07 to -12.
const WT_MAX_SESSIONS_DRAFT07: u64 = 0xc671_706a;
/// draft-ietf-webtrans-http3-13 and -14.
const WT_MAX_SESSIONS_DRAFT13: u64 = 0x14e9_cd29;
/// draft-ietf-webtrans-http3-15 onwards.
const WT_ENABLED: u64 = 0x2c7c_f000;
/// A reserved identifier (`0x1f * N + 0x21`), which peers ignore.
const GREASE: u64 = 0x1f * 0x0b5e + 0x21;

/// The settings that all our endpoints announce, in both roles. A setting that means nothing in one
/// direction is ignored there (RFC 8441 section 3). Several clients insist on each of them from a
/// server, and several servers from a client. One session per connection keeps WebTransport's own
/// flow control off (draft-15 section 5.1).
const OURS: [(u64, u64); 11] = [
    (QPACK_MAX_TABLE_CAPACITY, 0),
    (MAX_FIELD_SECTION_SIZE, MAX_HEADERS_BYTES as u64),
    (QPACK_BLOCKED_STREAMS, 0),
    (ENABLE_CONNECT_PROTOCOL, 1),
    (H3_DATAGRAM, 1),
    (H3_DATAGRAM_DRAFT04, 1),
    (ENABLE_WEBTRANSPORT, 1),
    (WT_MAX_SESSIONS_DRAFT07, 1),
    (WT_MAX_SESSIONS_DRAFT13, 1),
    (WT_ENABLED, 1),
    (GREASE, 0x2a),
];

/// Which end of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The end that sends CONNECT.
    Client,
    /// The end that answers it.
    Server,
}

/// Our SETTINGS frame.
pub(crate) fn settings_frame() -> Vec<u8> {
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    for (id, value) in OURS {
        put_varint(&mut payload, id);
        put_varint(&mut payload, value);
    }
    frame::put_frame(&mut out, types::SETTINGS, &payload);
    out
}

/// What the peer announced, as far as it matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerSettings {
    /// `SETTINGS_ENABLE_CONNECT_PROTOCOL`.
    pub connect_protocol: bool,
    /// `SETTINGS_H3_DATAGRAM`, of the RFC or its draft 04.
    pub datagrams: bool,
    /// `ENABLE_WEBTRANSPORT` of drafts 02 to 06.
    pub webtransport_draft02: bool,
    /// `WEBTRANSPORT_MAX_SESSIONS` of drafts 07 to 12.
    pub max_sessions_draft07: u64,
    /// `WT_MAX_SESSIONS` of drafts 13 and 14.
    pub max_sessions_draft13: u64,
    /// `WT_ENABLED` of drafts 15 onwards.
    pub wt_enabled: bool,
    /// The largest field section that the peer takes, if it announced one.
    pub max_field_section_bytes: Option<u64>,
}

impl PeerSettings {
    /// Parses and validates a SETTINGS payload.
    pub(crate) fn parse(mut payload: &[u8]) -> Result<Self, ConnectionError> {
        let mut settings = Self::default();
        let mut seen = Vec::new();
        while !payload.is_empty() {
            let (Some(id), Some(value)) = (take_varint(&mut payload), take_varint(&mut payload)) else {
                return Err(ConnectionError::new(H3_FRAME_ERROR, "SETTINGS ends within a setting"));
            };
            seen.push(id);
            settings.apply(id, value)?;
        }
        // The payload is bounded, so sorting is cheap. Unknown identifiers must not repeat either
        // (7.2.4).
        seen.sort_unstable();
        if let Some(pair) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(error(format!("setting {:#x} occurs twice", pair[0])));
        }
        Ok(settings)
    }

    fn apply(&mut self, id: u64, value: u64) -> Result<(), ConnectionError> {
        let boolean = || match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(error(format!("setting {id:#x} is {value}, not 0 or 1"))),
        };
        match id {
            // Settings of HTTP/2, RFC 9114 section 7.2.4.1.
            0x00 | 0x02..=0x05 => return Err(error(format!("setting {id:#x} belongs to HTTP/2"))),
            MAX_FIELD_SECTION_SIZE => self.max_field_section_bytes = Some(value),
            ENABLE_CONNECT_PROTOCOL => self.connect_protocol = boolean()?,
            H3_DATAGRAM | H3_DATAGRAM_DRAFT04 => self.datagrams |= boolean()?,
            ENABLE_WEBTRANSPORT => self.webtransport_draft02 = boolean()?,
            WT_MAX_SESSIONS_DRAFT07 => self.max_sessions_draft07 = value,
            WT_MAX_SESSIONS_DRAFT13 => self.max_sessions_draft13 = value,
            WT_ENABLED => self.wt_enabled = boolean()?,
            _ => {}
        }
        Ok(())
    }

    /// Why no session can run with this peer; `None` if one can. `us` is our own role.
    ///
    /// A client need not announce its WebTransport support (`:protocol` shows it), but a server
    /// must. A server of draft 02 implies extended CONNECT, as Chromium reads it.
    pub fn problem(&self, us: Role) -> Option<&'static str> {
        if !self.datagrams {
            return Some("the peer does not offer HTTP datagrams (SETTINGS_H3_DATAGRAM)");
        }
        if us == Role::Server {
            return None;
        }
        if self.protocol().is_none() {
            return Some("the server does not offer WebTransport (no SETTINGS of any generation)");
        }
        if !self.connect_protocol && !self.webtransport_draft02 {
            return Some("the server does not offer extended CONNECT (SETTINGS_ENABLE_CONNECT_PROTOCOL)");
        }
        None
    }

    /// The `:protocol` that our client uses with this server. It is the older token if the server
    /// offers any older generation, because a peer that offers both accepts both. It is the new
    /// token only if nothing else works.
    pub fn protocol(&self) -> Option<Protocol> {
        if self.webtransport_draft02 || self.max_sessions_draft07 > 0 || self.max_sessions_draft13 > 0 {
            Some(Protocol::WebTransport)
        } else if self.wt_enabled {
            Some(Protocol::WebTransportH3)
        } else if self.connect_protocol && self.datagrams {
            // pywebtransport up to 0.9 names no WebTransport setting. A server without WebTransport
            // answers with a status.
            Some(Protocol::WebTransport)
        } else {
            None
        }
    }
}

fn error(reason: String) -> ConnectionError {
    ConnectionError::new(H3_SETTINGS_ERROR, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(pairs: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (id, value) in pairs {
            put_varint(&mut out, *id);
            put_varint(&mut out, *value);
        }
        out
    }

    fn parse(pairs: &[(u64, u64)]) -> Result<PeerSettings, u64> {
        PeerSettings::parse(&payload(pairs)).map_err(|error| error.code)
    }

    #[test]
    fn ours_are_acceptable_to_ourselves_in_both_roles() {
        let settings = parse(&OURS).unwrap();
        assert_eq!(settings.problem(Role::Client), None);
        assert_eq!(settings.problem(Role::Server), None);
        assert_eq!(settings.max_field_section_bytes, Some(65_536));
        assert_eq!(settings.protocol(), Some(Protocol::WebTransport));
        assert_eq!((GREASE - 0x21) % 0x1f, 0);
        assert_eq!((crate::link::h3::types::GREASE - 0x21) % 0x1f, 0);
    }

    #[test]
    fn our_frame_has_the_bytes_of_the_specifications() {
        let frame = settings_frame();
        assert_eq!(frame[0], 0x04);
        assert_eq!(usize::from(frame[1]), frame.len() - 2);
        for setting in [
            &[0x01, 0x00][..],
            &[0x07, 0x00],
            &[0x08, 0x01],
            &[0x33, 0x01],
            &[0x80, 0xff, 0xd2, 0x77, 0x01],
            &[0xab, 0x60, 0x37, 0x42, 0x01],
            &[0xc0, 0, 0, 0, 0xc6, 0x71, 0x70, 0x6a, 0x01],
            &[0x94, 0xe9, 0xcd, 0x29, 0x01],
            &[0xac, 0x7c, 0xf0, 0x00, 0x01],
        ] {
            assert!(frame.windows(setting.len()).any(|window| window == setting), "{setting:x?}");
        }
    }

    #[test]
    fn http2_settings_are_refused() {
        for id in [0, 2, 3, 4, 5] {
            assert_eq!(parse(&[(id, 0)]), Err(H3_SETTINGS_ERROR));
        }
    }

    #[test]
    fn a_setting_that_occurs_twice_is_refused_known_or_not() {
        assert_eq!(parse(&[(0x33, 1), (0x33, 1)]), Err(H3_SETTINGS_ERROR));
        assert_eq!(parse(&[(GREASE, 1), (0x33, 1), (GREASE, 2)]), Err(H3_SETTINGS_ERROR));
    }

    #[test]
    fn booleans_are_zero_or_one() {
        for id in [0x08, 0x33, 0x00ff_d277, 0x2b60_3742, 0x2c7c_f000] {
            assert_eq!(parse(&[(id, 2)]), Err(H3_SETTINGS_ERROR), "{id:#x}");
            assert!(parse(&[(id, 0)]).is_ok());
        }
    }

    #[test]
    fn counts_may_be_anything() {
        let settings = parse(&[(0xc671_706a, 16), (0x14e9_cd29, 1 << 40)]).unwrap();
        assert_eq!((settings.max_sessions_draft07, settings.max_sessions_draft13), (16, 1 << 40));
    }

    #[test]
    fn a_truncated_setting_is_a_frame_error() {
        for bytes in [&[0x33][..], &[0x40], &[0x33, 0x40], &[0x08, 0x01, 0x33]] {
            assert_eq!(PeerSettings::parse(bytes).unwrap_err().code, H3_FRAME_ERROR);
        }
    }

    #[test]
    fn a_peer_without_datagrams_is_not_usable() {
        let settings = parse(&[(0x08, 1), (0x2b60_3742, 1), (0x2c7c_f000, 1), (0x33, 0)]).unwrap();
        assert!(settings.problem(Role::Client).unwrap().contains("SETTINGS_H3_DATAGRAM"));
        assert!(settings.problem(Role::Server).unwrap().contains("SETTINGS_H3_DATAGRAM"));
        assert!(parse(&[(0x00ff_d277, 1)]).unwrap().datagrams);
    }

    #[test]
    fn only_a_server_must_offer_webtransport_and_extended_connect() {
        let settings = parse(&[(0x33, 1)]).unwrap();
        assert_eq!(settings.problem(Role::Server), None);
        assert!(settings.problem(Role::Client).unwrap().contains("WebTransport"));
        let settings = parse(&[(0x33, 1), (0x2c7c_f000, 1)]).unwrap();
        assert!(settings.problem(Role::Client).unwrap().contains("extended CONNECT"));
        let settings = parse(&[(0x33, 1), (0x2b60_3742, 1)]).unwrap();
        assert_eq!(settings.problem(Role::Client), None);
    }

    #[test]
    fn the_new_token_is_used_only_where_nothing_older_is_offered() {
        let token = |pairs: &[(u64, u64)]| parse(pairs).unwrap().protocol();
        assert_eq!(token(&[(0x2c7c_f000, 1)]), Some(Protocol::WebTransportH3));
        assert_eq!(token(&[(0x2c7c_f000, 1), (0x2b60_3742, 0)]), Some(Protocol::WebTransportH3));
        for older in [0x2b60_3742, 0xc671_706a, 0x14e9_cd29] {
            assert_eq!(token(&[(0x2c7c_f000, 1), (older, 1)]), Some(Protocol::WebTransport));
            assert_eq!(token(&[(older, 1)]), Some(Protocol::WebTransport));
            assert_eq!(token(&[(older, 0)]), None);
        }
    }
}
