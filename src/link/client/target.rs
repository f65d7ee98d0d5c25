//! The URL of a session.

use url::Url;

use crate::error::{Error, Result};

/// The target that a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: String,
    pub(super) path: String,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = |what: String| Error::InvalidUrl(what.into());
        let url = Url::parse(text).map_err(|error| invalid(format!("{error}")))?;
        if url.scheme() != "https" {
            return Err(invalid(format!("the scheme must be https, not {}", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("user names and passwords are not sent".into()));
        }
        if url.fragment().is_some() {
            return Err(invalid("a fragment has no meaning here".into()));
        }
        let host = url.host().ok_or_else(|| invalid("there is no host".into()))?;
        let port = url.port().unwrap_or(443);
        if port == 0 {
            return Err(invalid("port 0 cannot be connected to".into()));
        }
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path.push('?');
            path.push_str(query);
        }
        let host = match host {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port, authority, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_host_port_authority_and_path() {
        let target = Target::parse("https://Example.com/a/b?c=d").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("example.com", 443));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("example.com", "/a/b?c=d"));
        let target = Target::parse("https://[::1]:4433").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 4433));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("[::1]:4433", "/"));
    }

    #[test]
    fn urls_that_cannot_name_a_session_are_refused() {
        for text in [
            "",
            "localhost",
            "http://localhost/",
            "https://",
            "https://u:p@h/",
            "https://h/#f",
            "https://h:0/",
            "https://h:99999/",
        ] {
            assert!(matches!(Target::parse(text), Err(Error::InvalidUrl(_))), "{text}");
        }
    }
}
