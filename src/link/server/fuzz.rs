//! A fuzz target: the rules by which servers accept requests.

use super::rules::Rules;
use super::stats::Refused;
use crate::link::h3::ConnectRequest;

/// Any authority, path and origins, each in its line: a request that the rules accept is for a host
/// and a path of the lists, and nothing else is in its authority.
pub fn server_rules(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut lines = text.split('\n');
    let (authority, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let headers: Vec<_> = lines.map(|origin| ("origin".to_owned(), origin.to_owned())).collect();
    let Ok(request) = ConnectRequest::new(authority, path, &headers) else { return };
    let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let rules = |origins, authorities, paths| {
        Rules::new(&owned(origins), &owned(authorities), &owned(paths)).expect("rules that mean something")
    };

    let same_host = Rules::default().refuse(&request);
    assert!(matches!(same_host, None | Some(Refused::Origin)));
    assert!(!headers.is_empty() || same_host.is_none(), "who sends no origin is no page");
    let listed = rules(&["https://a.example", "http://b.example:8080"], &[], &[]);
    assert!(headers.len() < 2 || listed.refuse(&request).is_some(), "two origins are one too many");
    assert_eq!(rules(&["*"], &[], &[]).refuse(&request), None);

    let hosts = rules(&["*"], &["a.example", "b.example:4433"], &[]);
    // Other spellings of a host are the business of the URL parser.
    if hosts.refuse(&request).is_none() && !authority.contains('%') {
        let authority = authority.to_ascii_lowercase();
        let (host, port) = authority.split_once(':').unwrap_or((&authority, ""));
        assert!(host == "a.example" || host == "b.example", "{authority} is {host}");
        assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{port} is no port");
    }
    let paths = rules(&["*"], &[], &["/chat", "/rooms/*"]);
    let plain = path.split('?').next().is_some_and(|path| path == "/chat" || path.starts_with("/rooms/"));
    assert_eq!(paths.refuse(&request).is_none(), plain);
}
