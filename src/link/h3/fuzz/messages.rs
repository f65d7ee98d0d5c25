//! Header blocks, and the requests and responses that they hold.

use std::collections::HashMap;

use wtransport::proto::qpack::{Decoder, Encoder};

use crate::link::h3::connect::{ConnectRequest, ConnectResponse, Incoming, Protocol};
use crate::link::h3::fields::{Fields, MAX_FIELD_SECTION_BYTES, MAX_FIELDS, decode, section_bytes};
use crate::link::h3::subprotocol::{AVAILABLE, CHOSEN, answered, available, chosen, offered};

/// Any header block: what is decoded is what wtransport decodes, is within the limits, and comes
/// back after it is encoded.
pub fn h3_fields(block: &[u8]) {
    let Ok(fields) = decode(block) else { return };
    assert!(fields.len() <= MAX_FIELDS);
    assert!(section_bytes(pairs(&fields)) <= MAX_FIELD_SECTION_BYTES);
    let theirs = Decoder::decode(block).expect("wtransport decodes what we decode");
    assert_eq!(fields.iter().cloned().collect::<HashMap<_, _>>(), theirs);
    assert_eq!(decode(&Encoder::encode(pairs(&fields))), Ok(fields));
}

/// Any header fields, each in its line: what is taken for a request could have been sent by our
/// client, and is the same request after it is sent again.
pub fn h3_request(text: &[u8]) {
    let Some(fields) = lines(text) else { return };
    let request = match Incoming::parse(fields) {
        Incoming::Session(request) => request,
        Incoming::Other(status) => return assert!(matches!(status, 404 | 405 | 501)),
        Incoming::Malformed(_) => return,
    };
    let sent = ConnectRequest::new(&request.authority, &request.path, &request.headers);
    let mut expected = ConnectRequest { protocol: Protocol::WebTransport, ..request.clone() };
    assert_eq!(sent.as_ref(), Ok(&expected));
    let again: Fields = owned(request.fields(request.protocol));
    if request.protocol == Protocol::WebTransport && !has(&request.headers, "sec-webtransport-http3-draft02")
    {
        expected.headers.insert(0, ("sec-webtransport-http3-draft02".into(), "1".into()));
    }
    expected.protocol = request.protocol;
    assert_eq!(Incoming::parse(again), Incoming::Session(expected));
}

/// Any header fields, each in its line: what is taken for a response could have been sent by our
/// server, and is the same response after it is sent again.
pub fn h3_response(text: &[u8]) {
    let Some(fields) = lines(text) else { return };
    let Ok(response) = ConnectResponse::parse(fields) else { return };
    assert!((100..=999).contains(&response.status) && response.status != 101);
    assert_eq!(ConnectResponse::new(response.status, &response.headers, false).as_ref(), Ok(&response));
    let status = response.status.to_string();
    let again = owned([(":status", &*status)].into_iter().chain(pairs(&response.headers)));
    assert_eq!(ConnectResponse::parse(again), Ok(response));
}

/// Any values of the fields of subprotocols, each in its line: what is read is the same after it is
/// written again.
pub fn h3_subprotocols(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let field = |name: &str| -> Fields { text.lines().map(|value| (name.into(), value.into())).collect() };
    let names = offered(&field(AVAILABLE));
    match available(&names) {
        Ok(None) => assert!(names.is_empty()),
        Ok(Some(value)) => assert_eq!(offered(&[(AVAILABLE.into(), value)]), names),
        // A server reads names that no client of ours offers.
        Err(_) => {
            let repeats = (1..names.len()).any(|index| names[..index].contains(&names[index]));
            assert!(repeats || names.iter().any(String::is_empty));
        }
    }
    if let Some(name) = answered(&field(CHOSEN)) {
        match chosen(&name) {
            Ok(value) => assert_eq!(answered(&[(CHOSEN.into(), value)]), Some(name)),
            Err(_) => assert!(name.is_empty()),
        }
    }
}

/// Fields from lines such as `name: value`. A name may begin with a colon. `None` if they are not
/// UTF-8, which never gets this far.
fn lines(text: &[u8]) -> Option<Fields> {
    let text = std::str::from_utf8(text).ok()?;
    Some(text.split('\n').filter_map(split).map(|(name, value)| (name.into(), value.into())).collect())
}

fn split(line: &str) -> Option<(&str, &str)> {
    let begin = usize::from(line.starts_with(':'));
    let colon = begin + line[begin..].find(':')?;
    Some((&line[..colon], line[colon + 1..].strip_prefix(' ').unwrap_or(&line[colon + 1..])))
}

fn pairs(fields: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn owned<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Fields {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn has(fields: &[(String, String)], name: &str) -> bool {
    fields.iter().any(|field| field.0 == name)
}
