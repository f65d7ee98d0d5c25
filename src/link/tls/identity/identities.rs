//! The identities of a server: which one a client is shown depends on the name that it asks for
//! (SNI, RFC 6066 section 3).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::pki_types::{DnsName, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;

use super::Identity;
use super::self_signed::SelfSigned;
use crate::error::{Error, Result};
use crate::link::config::{IdentitySource, ListenOptions};
use crate::runtime::clock::WallClock;

/// The most sessions that clients can resume. rustls has the same default.
const RESUMABLE: usize = 256;

/// What a server shows to new connections. It may change at any time.
pub struct Identities {
    clock: WallClock,
    shown: Mutex<Shown>,
    /// Sessions that clients may resume without being shown a certificate.
    resumable: Mutex<Arc<ServerSessionMemoryCache>>,
}

struct Shown {
    default: Slot,
    by_name: HashMap<Name, Slot>,
}

/// An identity that stays, or one that renews itself.
enum Slot {
    Loaded(Identity),
    SelfSigned(SelfSigned),
}

impl Identities {
    /// Shows what `default` names to every client. Self-signed identities renew themselves by
    /// `clock`.
    pub fn new(default: &IdentitySource, clock: WallClock) -> Result<Arc<Self>> {
        let shown = Shown { default: Slot::load(default, clock.now())?, by_name: HashMap::new() };
        Ok(Arc::new(Self {
            clock,
            shown: Mutex::new(shown),
            resumable: Mutex::new(ServerSessionMemoryCache::new(RESUMABLE)),
        }))
    }

    /// The identities of a server with these options.
    pub fn of(options: &ListenOptions) -> Result<Arc<Self>> {
        let identities = Self::new(&options.identity, options.clock.clone())?;
        for (name, source) in &options.named_identities {
            identities.set(Some(name), source)?;
        }
        Ok(identities)
    }

    /// Shows what `source` names to new connections: to those that ask for `name`, or to all that
    /// ask for none that is known. On an error, nothing changes.
    pub fn set(&self, name: Option<&str>, source: &IdentitySource) -> Result<()> {
        match name {
            None => {
                let slot = Slot::load(source, self.clock.now())?;
                self.shown.lock().default = slot;
            }
            Some(text) => {
                let name = Name::new(text)?;
                let slot = Slot::load(&named(source, text), self.clock.now())?;
                slot.shown().check_name(&name.example()?)?;
                self.shown.lock().by_name.insert(name, slot);
            }
        }
        self.forget_resumable();
        Ok(())
    }

    /// Shows to those that ask for `name` what is shown to others.
    pub fn remove(&self, name: &str) -> Result<()> {
        let name = Name::new(name)?;
        if self.shown.lock().by_name.remove(&name).is_none() {
            return Err(Error::InvalidState("there is no identity for this name".into()));
        }
        self.forget_resumable();
        Ok(())
    }

    /// SHA-256 of the certificate that is shown to a client that asks for `name`, and that of the
    /// next one, if it renews itself.
    pub fn certificate_hashes(&self, name: Option<&str>) -> Vec<[u8; 32]> {
        let name = name.map(|text| Name::new(text).map_or_else(|_| text.to_owned(), |name| name.0));
        let mut shown = self.shown.lock();
        let identities = match self.current(shown.for_client(name.as_deref())) {
            Slot::Loaded(identity) => vec![identity],
            Slot::SelfSigned(identity) => vec![identity.shown(), identity.next()],
        };
        identities.into_iter().map(Identity::certificate_hash).collect()
    }

    /// SHA-256 of the certificate that is shown if no other is asked for.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.current(&mut self.shown.lock().default).shown().certificate_hash()
    }

    /// SHA-256 of the certificate that will be shown after it.
    pub fn next_certificate_hash(&self) -> Result<[u8; 32]> {
        match self.current(&mut self.shown.lock().default) {
            Slot::SelfSigned(identity) => Ok(identity.next().certificate_hash()),
            Slot::Loaded(_) => Err(Error::InvalidState("only a self-signed identity renews itself".into())),
        }
    }

    /// Renews the identity if that is due.
    fn current<'a>(&self, slot: &'a mut Slot) -> &'a Slot {
        if let Slot::SelfSigned(identity) = slot {
            match identity.renew(self.clock.now()) {
                Ok(false) => {}
                Ok(true) => self.forget_resumable(),
                Err(error) => tracing::error!(%error, "a self-signed certificate was not renewed"),
            }
        }
        slot
    }

    /// Otherwise a client could go on with a certificate that may have been replaced because its
    /// key was stolen.
    fn forget_resumable(&self) {
        *self.resumable.lock() = ServerSessionMemoryCache::new(RESUMABLE);
    }

    fn resumable(&self) -> Arc<ServerSessionMemoryCache> {
        Arc::clone(&self.resumable.lock())
    }
}

impl Shown {
    fn for_client(&mut self, name: Option<&str>) -> &mut Slot {
        let known = name.map(Name::of_client).and_then(|[exact, wildcard]| {
            [exact, wildcard].into_iter().find(|name| self.by_name.contains_key(name))
        });
        match known {
            Some(name) => self.by_name.get_mut(&name).unwrap_or(&mut self.default),
            None => &mut self.default,
        }
    }
}

impl Slot {
    fn load(source: &IdentitySource, now: SystemTime) -> Result<Self> {
        Ok(match source {
            IdentitySource::SelfSigned { names } => Self::SelfSigned(SelfSigned::new(names, now)?),
            IdentitySource::PemFiles { certificate, private_key } => {
                Self::Loaded(Identity::from_files(certificate, private_key)?)
            }
            IdentitySource::PemBytes { certificate, private_key } => {
                Self::Loaded(Identity::from_pem(certificate, private_key)?)
            }
        })
    }

    fn shown(&self) -> &Identity {
        match self {
            Self::Loaded(identity) => identity,
            Self::SelfSigned(identity) => identity.shown(),
        }
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
        let mut shown = self.shown.lock();
        Some(Arc::clone(&self.current(shown.for_client(hello.server_name())).shown().key))
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
