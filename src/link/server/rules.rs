//! The rules by which a server accepts requests by itself: origins, authorities and paths.

use url::{Host, Origin, Url};

use super::stats::Refused;
use crate::error::{Error, Result};
use crate::link::h3::ConnectRequest;

/// The rules of one server. The default accepts every authority and path, and web pages of the same
/// host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    origins: Origins,
    /// Host and port, or any port; empty accepts all.
    authorities: Vec<(Host, Option<u16>)>,
    /// Paths without query; empty accepts all.
    paths: Vec<String>,
}

/// The web pages that may connect. A request without `Origin` does not come from a page, and is
/// always accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Origins {
    /// Those of the host that the request is for, at any port.
    #[default]
    SameHost,
    All,
    Listed(Vec<Origin>),
}

impl Rules {
    /// Rules from their text. Each list may be empty, which means the default.
    ///
    /// - `origins`: such as `https://example.com:8443`; `*` accepts all.
    /// - `authorities`: a host, or a host and a port.
    /// - `paths`: such as `/chat`; with `*` at the end, all that begin like this.
    pub fn new(origins: &[String], authorities: &[String], paths: &[String]) -> Result<Self> {
        let paths = paths.iter().map(|path| match path.starts_with('/') && !path.contains(['?', '#']) {
            true => Ok(path.clone()),
            false => Err(invalid("an allowed path begins with '/' and has no query", path)),
        });
        Ok(Self {
            origins: match origins {
                [] => Origins::SameHost,
                all if all.iter().any(|one| one == "*") => Origins::All,
                listed => {
                    Origins::Listed(listed.iter().map(|one| listed_origin(one)).collect::<Result<_>>()?)
                }
            },
            authorities: authorities.iter().map(|one| listed_authority(one)).collect::<Result<_>>()?,
            paths: paths.collect::<Result<_>>()?,
        })
    }

    /// Why the request is refused; `None` if it is accepted.
    pub(super) fn refuse(&self, request: &ConnectRequest) -> Option<Refused> {
        if !self.allows_authority(&request.authority) {
            return Some(Refused::Authority);
        }
        if !self.allows_path(&request.path) {
            return Some(Refused::Path);
        }
        (!self.allows_origin(request)).then_some(Refused::Origin)
    }

    fn allows_authority(&self, authority: &str) -> bool {
        self.authorities.is_empty()
            || host_and_port(authority).is_some_and(|(host, port)| {
                self.authorities.iter().any(|allowed| {
                    allowed.0 == host && allowed.1.is_none_or(|allowed| allowed == port.unwrap_or(443))
                })
            })
    }

    fn allows_path(&self, path: &str) -> bool {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        self.paths.is_empty()
            || self.paths.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(begin) => path.starts_with(begin) && !has_dot_segment(path),
                None => path == allowed,
            })
    }

    fn allows_origin(&self, request: &ConnectRequest) -> bool {
        let mut origins = request.headers.iter().filter(|field| field.0 == "origin");
        let (first, more) = (origins.next(), origins.next());
        let Some((_, origin)) = first else { return true };
        if matches!(self.origins, Origins::All) {
            return true;
        }
        let (Some(origin), None) = (parsed_origin(origin), more) else { return false };
        match (&self.origins, &origin) {
            (Origins::Listed(allowed), _) => allowed.contains(&origin),
            (_, Origin::Tuple(_, host, _)) => {
                host_and_port(&request.authority).is_some_and(|(own, _)| own == *host)
            }
            _ => false,
        }
    }
}

/// Whether the path has a segment `.` or `..`, also an encoded one (RFC 3986 section 5.2.4). A program
/// that removes them later would get a path that does not begin as it did.
fn has_dot_segment(path: &str) -> bool {
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

/// An origin with a host. `null`, the origin of sandboxed pages and of files, has none.
fn parsed_origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let is_bare =
        url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
    Some(url.origin()).filter(|origin| is_bare && url.username().is_empty() && origin.is_tuple())
}

fn listed_origin(text: &str) -> Result<Origin> {
    let what = "an allowed origin is '*', or a scheme, a host and at most a port";
    parsed_origin(text).filter(|_| !text.contains('*')).ok_or_else(|| invalid(what, text))
}

fn host_and_port(authority: &str) -> Option<(Host, Option<u16>)> {
    let url = Url::parse(&format!("https://{authority}")).ok()?;
    Some((url.host()?.to_owned(), url.port()))
}

fn listed_authority(text: &str) -> Result<(Host, Option<u16>)> {
    let is_bare = !text.contains(['/', '?', '#', '@', '*']);
    // The URL parser leaves out 443, which is the port of https.
    let port = if text.ends_with(":443") { Some(443) } else { None };
    let found = host_and_port(text).filter(|_| is_bare).map(|(host, other)| (host, other.or(port)));
    found.ok_or_else(|| invalid("an allowed authority is a host and at most a port", text))
}

fn invalid(what: &str, text: &str) -> Error {
    Error::InvalidArgument(format!("{what}, unlike {text:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|one| (*one).to_owned()).collect()
    }

    fn refuse(rules: &Rules, authority: &str, path: &str, origin: Option<&str>) -> Option<Refused> {
        let headers: Vec<_> = origin.iter().map(|one| ("origin".to_owned(), (*one).to_owned())).collect();
        rules.refuse(&ConnectRequest::new(authority, path, &headers).unwrap())
    }

    fn origin(allowed: &[&str], origin: &str) -> Option<Refused> {
        refuse(&Rules::new(&owned(allowed), &[], &[]).unwrap(), "example.com:4433", "/", Some(origin))
    }

    #[test]
    fn by_default_pages_of_the_same_host_may_connect_whatever_their_port_and_scheme() {
        for same in ["https://example.com", "https://EXAMPLE.com:8443", "http://example.com"] {
            assert_eq!(origin(&[], same), None, "{same}");
        }
        let other = [
            "https://example.org",
            "https://sub.example.com",
            "https://example.com.evil.example",
            "null",
            "",
            "example.com",
            "file:///etc",
            "https://example.com/path",
            "https://user@example.com",
        ];
        for other in other {
            assert_eq!(origin(&[], other), Some(Refused::Origin), "{other}");
        }
        let numbers = Rules::default();
        assert_eq!(refuse(&numbers, "[::1]:4433", "/", Some("http://[0:0::1]:80")), None);
        assert_eq!(refuse(&numbers, "127.0.0.1", "/", Some("http://localhost")), Some(Refused::Origin));
    }

    #[test]
    fn who_sends_no_origin_is_no_page() {
        for allowed in [&[][..], &["https://a.example"], &["*"]] {
            let rules = Rules::new(&owned(allowed), &[], &[]).unwrap();
            assert_eq!(refuse(&rules, "example.com", "/", None), None);
        }
    }

    #[test]
    fn a_list_of_origins_is_exact_and_a_star_is_all() {
        let allowed = ["https://a.example", "http://b.example:8080"];
        for one in ["https://a.example", "https://A.example:443", "http://b.example:8080"] {
            assert_eq!(origin(&allowed, one), None, "{one}");
        }
        for one in ["http://a.example", "https://a.example:8443", "https://example.com", "null"] {
            assert_eq!(origin(&allowed, one), Some(Refused::Origin), "{one}");
        }
        for one in ["https://anything", "null", "nonsense"] {
            assert_eq!(origin(&["*"], one), None, "{one}");
        }
    }

    #[test]
    fn two_origins_are_one_too_many() {
        let twice = ("origin".to_owned(), "https://a".to_owned());
        let request = ConnectRequest::new("a", "/", &[twice.clone(), twice]).unwrap();
        assert_eq!(Rules::default().refuse(&request), Some(Refused::Origin));
    }

    #[test]
    fn authorities_are_compared_with_and_without_port() {
        let rules = Rules::new(&[], &owned(&["a.example", "b.example:4433", "[::1]:443"]), &[]).unwrap();
        for allowed in ["a.example", "A.example:1", "b.example:4433", "[::1]", "[0::1]:443"] {
            assert_eq!(refuse(&rules, allowed, "/", None), None, "{allowed}");
        }
        for refused in ["b.example", "c.example", "[::1]:444", "a.example:99999"] {
            assert_eq!(refuse(&rules, refused, "/", None), Some(Refused::Authority), "{refused}");
        }
    }

    #[test]
    fn paths_are_compared_without_query_and_a_star_ends_a_prefix() {
        let rules = Rules::new(&[], &[], &owned(&["/chat", "/rooms/*"])).unwrap();
        for allowed in ["/chat", "/chat?x=1", "/rooms/", "/rooms/7?a"] {
            assert_eq!(refuse(&rules, "a", allowed, None), None, "{allowed}");
        }
        for refused in ["/", "/chats", "/chat/", "/rooms", "/x?/chat"] {
            assert_eq!(refuse(&rules, "a", refused, None), Some(Refused::Path), "{refused}");
        }
        for normalized in
            ["/rooms/../admin", "/rooms/%2E%2e/admin", "/rooms/..%2fadmin", "/rooms/a\\..", "/rooms/."]
        {
            assert_eq!(refuse(&rules, "a", normalized, None), Some(Refused::Path), "{normalized}");
        }
        for dots in ["/rooms/...", "/rooms/a.b", "/rooms/.a?..", "/rooms/%2e%2ea"] {
            assert_eq!(refuse(&rules, "a", dots, None), None, "{dots}");
        }
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        for bad in ["null", "example.com", "https://a/b", "https://a/", "https://*.example.com", ""] {
            assert!(Rules::new(&owned(&[bad]), &[], &[]).is_err(), "{bad}");
        }
        for bad in ["", "https://a", "a/b", "a b", "*"] {
            assert!(Rules::new(&[], &owned(&[bad]), &[]).is_err(), "{bad}");
        }
        for bad in ["", "chat", "/chat?x"] {
            assert!(Rules::new(&[], &[], &owned(&[bad])).is_err(), "{bad}");
        }
    }
}
