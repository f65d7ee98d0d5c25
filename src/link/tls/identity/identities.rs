//! The identities of a server: which one a client is shown depends on the name that it asks for
//! (SNI, RFC 6066 section 3).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::{DnsName, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;

use super::Identity;
use crate::error::{Error, Result};
use crate::link::config::IdentitySource;

/// The most sessions that clients can resume. rustls has the same default.
const RESUMABLE: usize = 256;

/// What a server shows to new connections. It may change at any time.
pub struct Identities {
    shown: Mutex<Shown>,
    /// Sessions that clients may resume without being shown a certificate.
    resumable: Mutex<Arc<ServerSessionMemoryCache>>,
}

struct Shown {
    default: Identity,
    by_name: HashMap<Name, Identity>,
}

impl Identities {
    /// Shows what `default` names to every client.
    pub fn new(default: &IdentitySource) -> Result<Arc<Self>> {
        let shown = Shown { default: Identity::load(default)?, by_name: HashMap::new() };
        Ok(Arc::new(Self {
            shown: Mutex::new(shown),
            resumable: Mutex::new(ServerSessionMemoryCache::new(RESUMABLE)),
        }))
    }

    /// Shows what `source` names to new connections: to those that ask for `name`, or to all that
    /// ask for none that is known. On an error, nothing changes.
    pub fn set(&self, name: Option<&str>, source: &IdentitySource) -> Result<()> {
        match name {
            None => {
                let identity = Identity::load(source)?;
                self.shown.lock().default = identity;
            }
            Some(text) => {
                let name = Name::new(text)?;
                let identity = Identity::load(&named(source, text))?;
                identity.check_name(&name.example()?)?;
                self.shown.lock().by_name.insert(name, identity);
            }
        }
        // Otherwise a client could go on with a certificate that may have been replaced because its
        // key was stolen.
        *self.resumable.lock() = ServerSessionMemoryCache::new(RESUMABLE);
        Ok(())
    }

    /// SHA-256 of the certificate that is shown if no other is asked for.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.shown.lock().default.certificate_hash()
    }

    fn resumable(&self) -> Arc<ServerSessionMemoryCache> {
        Arc::clone(&self.resumable.lock())
    }
}

/// A self-signed certificate without names of its own is for the name under which it is shown.
fn named(source: &IdentitySource, name: &str) -> IdentitySource {
    match source {
        IdentitySource::SelfSigned { names } if names.is_empty() => {
            IdentitySource::SelfSigned { names: vec![name.to_owned()] }
        }
        other => other.clone(),
    }
}

impl fmt::Debug for Identities {
    // Written by hand so that a private key can never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities")
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.lock();
        let known = hello.server_name().and_then(|name| {
            let [exact, wildcard] = Name::of_client(name);
            shown.by_name.get(&exact).or_else(|| shown.by_name.get(&wildcard))
        });
        Some(Arc::clone(&known.unwrap_or(&shown.default).key))
    }
}

impl StoresServerSessions for Identities {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.resumable().put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.resumable().get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.resumable().take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// A name under which an identity is shown, in ASCII and small letters. It may begin with `*.`,
/// which stands for one label.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name(String);

impl Name {
    fn new(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidArgument(format!("{text:?} is not a DNS name").into());
        let (star, rest) = match text.strip_prefix("*.") {
            Some(rest) => ("*.", rest),
            None => ("", text),
        };
        let rest = match url::Host::parse(rest.strip_suffix('.').unwrap_or(rest)) {
            Ok(url::Host::Domain(name)) => name,
            Ok(_) => {
                let why = "clients name no IP address (RFC 6066): the default identity is for them";
                return Err(Error::InvalidArgument(why.into()));
            }
            Err(_) => return Err(invalid()),
        };
        DnsName::try_from(rest.as_str()).map_err(|_| invalid())?;
        Ok(Self(format!("{star}{rest}")))
    }

    /// The name that a client asks for, and the wildcard that includes it.
    fn of_client(name: &str) -> [Self; 2] {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map_or(String::new(), |(_, rest)| format!("*.{rest}"));
        [Self(name), Self(wildcard)]
    }

    /// A name of a server that would be shown this identity.
    fn example(&self) -> Result<ServerName<'static>> {
        let example = self.0.replacen('*', "any", 1);
        ServerName::try_from(example).map_err(|error| Error::InvalidArgument(error.to_string().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_ascii_and_small_letters() {
        for (text, name) in [
            ("Game.Example", "game.example"),
            ("game.example.", "game.example"),
            ("*.Game.example", "*.game.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(Name::new(text).unwrap(), Name(name.into()));
        }
        for text in
            ["", "*", "*.", "a b", "a.*.example", "*.*.example", "*a.example", "192.0.2.1", "[::1]", "a:1"]
        {
            assert!(matches!(Name::new(text), Err(Error::InvalidArgument(_))), "{text}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let names = |name| Name::of_client(name).map(|name| name.0);
        assert_eq!(names("A.b.c"), ["a.b.c", "*.b.c"]);
        assert_eq!(names("localhost"), ["localhost", ""]);
    }
}
