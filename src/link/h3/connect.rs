//! The extended CONNECT request that asks for a session, and its response.
//!
//! RFC 9114 sections 4.2 to 4.4 say what a well-formed message is, RFC 9220 says what extended
//! CONNECT adds, and draft-ietf-webtrans-http3 section 3.2 what WebTransport adds.

use std::time::Duration;

use super::fields::Fields;
use crate::error::{Error, Result, RetryAfter};

/// In drafts 02 to 06, the client offers its draft in a header, and the server picks one. Released
/// servers of that time refuse requests without the header, and browsers of that time refuse
/// responses without it.
const DRAFT02_OFFER: (&str, &str) = ("sec-webtransport-http3-draft02", "1");
const DRAFT02_CHOICE: (&str, &str) = ("sec-webtransport-http3-draft", "draft02");

/// The `:protocol` of a session. Both values name the same protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `webtransport`: drafts up to 14, and browsers.
    WebTransport,
    /// `webtransport-h3`: drafts from 15.
    WebTransportH3,
}

impl Protocol {
    /// The token on the wire.
    pub fn token(self) -> &'static str {
        match self {
            Self::WebTransport => "webtransport",
            Self::WebTransportH3 => "webtransport-h3",
        }
    }

    fn from_token(token: &str) -> Option<Self> {
        [Self::WebTransport, Self::WebTransportH3].into_iter().find(|protocol| protocol.token() == token)
    }
}

/// A request for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Host and, if not 443, port.
    pub authority: String,
    /// Path and query; starts with `/`.
    pub path: String,
    /// All other header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The token with which it came. A client chooses its token when it sends the request.
    pub protocol: Protocol,
}

impl ConnectRequest {
    /// A request to send; [`Error::InvalidArgument`] if the peer would find it malformed.
    pub fn new(authority: &str, path: &str, headers: &[(String, String)]) -> Result<Self> {
        let invalid = |what: &str| Error::InvalidArgument(format!("CONNECT request: {what}").into());
        check_target(authority, path).map_err(invalid)?;
        let headers = outgoing(headers)?;
        Ok(Self { authority: authority.into(), path: path.into(), headers, protocol: Protocol::WebTransport })
    }

    /// The first header field of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The query, without its `?`; empty if there is none.
    pub fn query(&self) -> &str {
        self.path.split_once('?').map_or("", |(_, query)| query)
    }

    /// The `origin` field, which browsers send.
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// Whether the client wants to know which draft the server chose.
    pub(crate) fn offers_draft02(&self) -> bool {
        self.header(DRAFT02_OFFER.0) == Some(DRAFT02_OFFER.1)
    }

    /// The fields to send.
    pub(crate) fn fields(&self, protocol: Protocol) -> impl Iterator<Item = (&str, &str)> {
        let offer = (protocol == Protocol::WebTransport && self.header(DRAFT02_OFFER.0).is_none())
            .then_some(DRAFT02_OFFER);
        [
            (":method", "CONNECT"),
            (":scheme", "https"),
            (":authority", self.authority.as_str()),
            (":path", self.path.as_str()),
            (":protocol", protocol.token()),
        ]
        .into_iter()
        .chain(offer)
        .chain(pairs(&self.headers))
    }
}

/// How our server classifies a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Session(ConnectRequest),
    /// Well-formed, but not served here; the status with which to answer.
    Other(u16),
    Malformed(&'static str),
}

impl Incoming {
    pub(crate) fn parse(fields: Fields) -> Self {
        match parse_request(fields) {
            Ok(incoming) => incoming,
            Err(reason) => Self::Malformed(reason),
        }
    }
}

fn parse_request(fields: Fields) -> Result<Incoming, &'static str> {
    let [mut method, mut scheme, mut authority, mut path, mut protocol] = [const { None }; 5];
    let headers = split_pseudo(fields, |name, value| {
        let slot = match name {
            ":method" => &mut method,
            ":scheme" => &mut scheme,
            ":authority" => &mut authority,
            ":path" => &mut path,
            ":protocol" => &mut protocol,
            _ => return Err("an unknown pseudo-header field"),
        };
        if slot.replace(value).is_some() { Err("a pseudo-header field occurs twice") } else { Ok(()) }
    })?;
    let method = method.ok_or("no :method")?;
    if let (Some(authority), Some(host)) = (&authority, find(&headers, "host"))
        && authority != host
    {
        return Err(":authority and host differ");
    }
    if method != "CONNECT" {
        if protocol.is_some() {
            return Err(":protocol without CONNECT");
        }
        if scheme.is_none() || path.is_none_or(|path| path.is_empty()) {
            return Err("no :scheme or no :path");
        }
        // There are no resources here, only sessions.
        return Ok(Incoming::Other(if matches!(method.as_str(), "GET" | "HEAD") { 404 } else { 405 }));
    }
    let Some(protocol) = protocol else {
        // RFC 9114 section 4.4: CONNECT for a tunnel.
        return match (scheme, path, authority) {
            (None, None, Some(_)) => Ok(Incoming::Other(501)),
            _ => Err("CONNECT without :protocol is of another form"),
        };
    };
    let (Some(scheme), Some(authority), Some(path)) = (scheme, authority, path) else {
        return Err("extended CONNECT without :scheme, :authority or :path");
    };
    // RFC 9220 section 3: "SHOULD respond with a 501".
    let Some(protocol) = Protocol::from_token(&protocol) else { return Ok(Incoming::Other(501)) };
    if scheme != "https" {
        return Err(":scheme is not https");
    }
    check_target(&authority, &path)?;
    Ok(Incoming::Session(ConnectRequest { authority, path, headers, protocol }))
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The HTTP status, exactly as it arrived.
    pub status: u16,
    /// The header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl ConnectResponse {
    /// A response to send. `choose_draft02` is for a request that
    /// [offers](ConnectRequest::offers_draft02) the draft.
    pub(crate) fn new(status: u16, headers: &[(String, String)], choose_draft02: bool) -> Result<Self> {
        let mut response = Self { status, headers: outgoing(headers)? };
        if response.is_accepted() && choose_draft02 && response.header(DRAFT02_CHOICE.0).is_none() {
            response.headers.push((DRAFT02_CHOICE.0.into(), DRAFT02_CHOICE.1.into()));
        }
        Ok(response)
    }

    /// Whether the session is established.
    pub(crate) fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header field of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// When the server asks to be tried again, if it does.
    pub(crate) fn retry_after(&self) -> Option<RetryAfter> {
        let value = self.header("retry-after")?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // Only a number that is too large for us cannot be parsed.
            return Some(RetryAfter::Delay(Duration::from_secs(value.parse().unwrap_or(u64::MAX))));
        }
        httpdate::parse_http_date(value).ok().map(RetryAfter::Date)
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let status = self.status.to_string();
        super::fields::headers_frame([(":status", status.as_str())].into_iter().chain(pairs(&self.headers)))
    }

    pub(crate) fn parse(fields: Fields) -> Result<Self, &'static str> {
        let mut status = None;
        let headers = split_pseudo(fields, |name, value| match name {
            ":status" if status.is_none() => {
                status = Some(value);
                Ok(())
            }
            ":status" => Err("a pseudo-header field occurs twice"),
            _ => Err("an unknown pseudo-header field"),
        })?;
        let status = status.ok_or("no :status")?;
        let three_digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        match status.parse() {
            // RFC 9114 section 4.5: HTTP/3 has no 101.
            Ok(status) if three_digits && status >= 100 && status != 101 => Ok(Self { status, headers }),
            _ => Err(":status is not a status"),
        }
    }
}

/// Checks fields before they are sent, and puts their names in lower case.
fn outgoing(headers: &[(String, String)]) -> Result<Vec<(String, String)>> {
    headers
        .iter()
        .map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            match check_field(&name, value) {
                Ok(()) => Ok((name, value.clone())),
                Err(what) => Err(Error::InvalidArgument(format!("header {name:?}: {what}").into())),
            }
        })
        .collect()
}

/// Gives pseudo-header fields, which must come first, to `pseudo`, and returns the others.
fn split_pseudo(
    fields: Fields,
    mut pseudo: impl FnMut(&str, String) -> Result<(), &'static str>,
) -> Result<Fields, &'static str> {
    let mut headers = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if name.starts_with(':') {
            if !headers.is_empty() {
                return Err("a pseudo-header field after a header field");
            }
            check_value(&value)?;
            pseudo(&name, value)?;
        } else {
            check_field(&name, &value)?;
            headers.push((name, value));
        }
    }
    Ok(headers)
}

/// Checks the rules of RFC 9114 section 4.2 (lower case, no connection-specific fields) and of RFC
/// 9110 sections 5.1 and 5.5 (characters).
fn check_field(name: &str, value: &str) -> Result<(), &'static str> {
    let token =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err("not the name of a header field");
    }
    if matches!(name, "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade")
        || (name == "te" && value != "trailers")
    {
        return Err("a connection-specific field");
    }
    check_value(value)
}

fn check_value(value: &str) -> Result<(), &'static str> {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    if bytes.iter().any(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        return Err("a control character in a value");
    }
    if blank(bytes.first()) || blank(bytes.last()) {
        return Err("white space around a value");
    }
    Ok(())
}

/// Checks the rules of RFC 9114 section 4.3.1. An authority has the characters of RFC 3986 section
/// 3.2.2 and the colon of a port: a backslash would end it for those who read it as part of a URL.
fn check_target(authority: &str, path: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(allowed) {
        return Err(":authority is not a host and port");
    }
    if !path.starts_with('/') || path.contains('#') || !path.bytes().all(|byte| byte > b' ' && byte != 0x7f) {
        return Err(":path is not a path");
    }
    Ok(())
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
}

/// The values of all fields of a name in any case, in order, joined with commas (RFC 9110 section
/// 5.3).
pub fn joined(headers: &[(String, String)], name: &str) -> String {
    let values = headers.iter().filter(|field| field.0.eq_ignore_ascii_case(name)).map(|field| &*field.1);
    values.collect::<Vec<_>>().join(", ")
}

/// All fields, each in its line. No value contains a line feed.
pub fn lines(headers: &[(String, String)]) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

fn pairs(headers: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const GOOD: [(&str, &str); 5] = [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", "example.com"),
        (":path", "/chat?room=1"),
        (":protocol", "webtransport"),
    ];

    fn owned<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Fields {
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn with(changes: &[(&str, Option<&str>)], more: &[(&str, &str)]) -> Incoming {
        let mut fields = owned(GOOD);
        for (name, value) in changes {
            match value {
                Some(value) => fields.iter_mut().find(|field| field.0 == *name).unwrap().1 = (*value).into(),
                None => fields.retain(|field| field.0 != *name),
            }
        }
        fields.extend(owned(more.iter().copied()));
        Incoming::parse(fields)
    }

    fn malformed(incoming: &Incoming) -> bool {
        matches!(incoming, Incoming::Malformed(_))
    }

    #[test]
    fn a_request_keeps_its_headers_in_order() {
        let more = [("origin", "https://a"), ("x", "1"), ("x", "2")];
        let Incoming::Session(request) = with(&[], &more) else { panic!() };
        assert_eq!(request.authority, "example.com");
        assert_eq!(request.path, "/chat?room=1");
        assert_eq!(request.origin(), Some("https://a"));
        assert_eq!(request.headers, owned(more));
        assert_eq!(request.protocol, Protocol::WebTransport);
    }

    #[test]
    fn what_we_send_is_what_we_take_with_either_token() {
        let headers = owned([("Origin", "https://a"), ("x", "1")]);
        let sent = ConnectRequest::new("example.com:4433", "/p", &headers).unwrap();
        for protocol in [Protocol::WebTransport, Protocol::WebTransportH3] {
            let Incoming::Session(taken) = Incoming::parse(owned(sent.fields(protocol))) else { panic!() };
            assert_eq!((taken.authority.as_str(), taken.path.as_str()), ("example.com:4433", "/p"));
            assert_eq!(taken.protocol, protocol);
            assert_eq!(taken.origin(), Some("https://a"));
            let offers = taken.header("sec-webtransport-http3-draft02").is_some();
            assert_eq!(offers, protocol == Protocol::WebTransport);
        }
    }

    #[test]
    fn a_session_needs_every_pseudo_header_exactly_once_and_first() {
        for name in [":method", ":scheme", ":authority", ":path"] {
            assert!(malformed(&with(&[(name, None)], &[])), "{name}");
        }
        for (name, value) in GOOD {
            assert!(malformed(&with(&[], &[(name, value)])), "{name} twice");
            assert!(malformed(&with(&[(name, None)], &[("x", "y"), (name, value)])), "{name} late");
        }
        assert!(malformed(&with(&[], &[(":status", "200")])));
        assert!(malformed(&Incoming::parse(Vec::new())));
    }

    #[test]
    fn the_target_must_be_a_real_one() {
        for authority in
            ["", "user@example.com", "a b", "a/b", r"a\b", r"\\a", "a?b", "a#b", "a\"b", "<a>", "\u{e4}"]
        {
            assert!(malformed(&with(&[(":authority", Some(authority))], &[])), "{authority}");
        }
        for path in ["", "chat", "*", "/a b", "/a#b"] {
            assert!(malformed(&with(&[(":path", Some(path))], &[])), "{path}");
        }
        assert!(malformed(&with(&[(":scheme", Some("http"))], &[])));
        assert!(malformed(&with(&[], &[("host", "other.example")])));
        assert!(!malformed(&with(&[], &[("host", "example.com")])));
    }

    #[test]
    fn fields_that_http3_forbids_make_a_message_malformed() {
        for field in [
            ("X-Upper", "1"),
            ("", "1"),
            ("a b", "1"),
            ("connection", "close"),
            ("te", "gzip"),
            ("x", "a\nb"),
            ("x", "a\0"),
            ("x", " a"),
            ("x", "a\t"),
        ] {
            assert!(malformed(&with(&[], &[field])), "{field:?}");
            if field.0 != "X-Upper" {
                let error = ConnectRequest::new("a", "/", &owned([field])).unwrap_err();
                assert!(matches!(error, Error::InvalidArgument(_)), "{field:?}");
            }
        }
        assert!(!malformed(&with(&[], &[("te", "trailers"), ("x", ""), ("y", "a\tb ä")])));
        assert!(ConnectRequest::new("a", "/", &owned([(":path", "/")])).is_err());
    }

    #[test]
    fn other_requests_get_the_status_that_fits() {
        let get = [(":protocol", None)];
        let method = |method| with(&[get[0], (":method", Some(method))], &[]);
        assert_eq!(method("GET"), Incoming::Other(404));
        assert_eq!(method("HEAD"), Incoming::Other(404));
        assert_eq!(method("POST"), Incoming::Other(405));
        assert_eq!(with(&[(":protocol", Some("connect-udp"))], &[]), Incoming::Other(501));
        let tunnel = [(":protocol", None), (":scheme", None), (":path", None)];
        assert_eq!(with(&tunnel, &[]), Incoming::Other(501));
        assert!(malformed(&with(&tunnel[..2], &[])));
        assert!(malformed(&with(&[(":method", Some("GET"))], &[])));
    }

    #[test]
    fn a_response_has_one_status_of_three_digits() {
        let parse = |fields: &[(&str, &str)]| ConnectResponse::parse(owned(fields.iter().copied()));
        let response = parse(&[(":status", "429"), ("retry-after", "3"), ("x", "1")]).unwrap();
        assert_eq!((response.status, response.is_accepted()), (429, false));
        assert_eq!(response.header("retry-after"), Some("3"));
        assert!(parse(&[(":status", "204")]).unwrap().is_accepted());
        for status in ["", "20", "2000", "+20", "101", "099", "abc"] {
            assert!(parse(&[(":status", status)]).is_err(), "{status}");
        }
        assert!(parse(&[]).is_err());
        assert!(parse(&[("x", "1")]).is_err());
        assert!(parse(&[(":status", "200"), (":status", "200")]).is_err());
        assert!(parse(&[(":status", "200"), (":path", "/")]).is_err());
        assert!(parse(&[("x", "1"), (":status", "200")]).is_err());
    }

    #[test]
    fn a_response_may_say_when_to_try_again_in_seconds_or_as_a_date() {
        let after = |value: &str| {
            let fields = owned([(":status", "503"), ("retry-after", value)]);
            ConnectResponse::parse(fields).unwrap().retry_after()
        };
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let delay = |value| after(value).map(|after| after.delay(now));
        assert_eq!(delay("0"), Some(Duration::ZERO));
        assert_eq!(delay("120"), Some(Duration::from_secs(120)));
        assert_eq!(delay("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        // The three forms of a date of RFC 9110 section 5.6.7, and one that has passed.
        for date in
            ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"]
        {
            assert_eq!(delay(date), Some(Duration::from_secs(60)), "{date}");
        }
        assert_eq!(delay("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        for value in ["", "-1", "+1", "1.5", "soon", "1 2"] {
            assert_eq!(delay(value), None, "{value}");
        }
        assert_eq!(ConnectResponse::parse(owned([(":status", "503")])).unwrap().retry_after(), None);
    }

    #[test]
    fn the_draft_a_client_offers_is_chosen_in_the_response() {
        let Incoming::Session(request) = with(&[], &[]) else { panic!() };
        assert!(!request.offers_draft02());
        let Incoming::Session(request) = with(&[], &[DRAFT02_OFFER]) else { panic!() };
        assert!(request.offers_draft02());
        let response = ConnectResponse::new(200, &[], true).unwrap();
        assert_eq!(response.header("sec-webtransport-http3-draft"), Some("draft02"));
        assert_eq!(ConnectResponse::new(200, &[], false).unwrap().headers, []);
        assert_eq!(ConnectResponse::new(403, &[], true).unwrap().headers, []);
    }
}
