//! Identities that a server makes for itself, of a kind that browsers accept by hash, and how they
//! renew themselves.
//!
//! There are always two: one that is shown, and the one that comes after it. So its hash is known
//! from the start. The first is replaced when it was shown for [`SHOWN`]. Nothing runs in between:
//! who asks for the identity says what time it is, so it does not matter whether the machine slept.

use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use super::Identity;
use crate::error::{Error, Result};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a certificate is valid in all, because browsers take at most 14 days by hash. The last
/// second counts, too.
const VALIDITY: Duration = Duration::from_secs(14 * 24 * 3600 - 1);

/// How long before and after it is shown a certificate is valid, for clients whose clocks are wrong.
const MARGIN: Duration = DAY;

/// How long a certificate is shown.
const SHOWN: Duration = Duration::from_secs(12 * 24 * 3600);

/// A self-signed identity that renews itself.
pub(super) struct SelfSigned {
    names: Vec<String>,
    shown: Made,
    next: Made,
}

/// A certificate, and when it is to be shown first.
struct Made {
    identity: Identity,
    from: SystemTime,
}

impl SelfSigned {
    /// A new identity for these names, or for this machine if there are none.
    pub(super) fn new(names: &[String], now: SystemTime) -> Result<Self> {
        let default = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let names = if names.is_empty() { default.to_vec() } else { names.to_vec() };
        let (shown, next) = (Made::new(&names, now)?, Made::new(&names, now + SHOWN)?);
        Ok(Self { names, shown, next })
    }

    /// Does what is due. Says whether another certificate is shown now.
    pub(super) fn renew(&mut self, now: SystemTime) -> Result<bool> {
        if self.shown.is_for(now) {
            return Ok(false);
        }
        if self.next.is_for(now) {
            let after = Made::new(&self.names, self.next.from + SHOWN)?;
            self.shown = std::mem::replace(&mut self.next, after);
            tracing::info!("a self-signed certificate was renewed");
        } else {
            // Nobody asked for longer than a certificate lasts, or the clock was set.
            *self = Self::new(&self.names, now)?;
            tracing::warn!("a self-signed certificate was renewed out of turn: its hash was not announced");
        }
        Ok(true)
    }

    /// The identity that is shown.
    pub(super) fn shown(&self) -> &Identity {
        &self.shown.identity
    }

    /// The identity that comes after it.
    pub(super) fn next(&self) -> &Identity {
        &self.next.identity
    }
}

impl Made {
    fn new(names: &[String], from: SystemTime) -> Result<Self> {
        let begin = OffsetDateTime::from(from) - MARGIN;
        let identity = wtransport::Identity::self_signed_builder()
            .subject_alt_names(names)
            .validity_period(begin, begin + VALIDITY)
            .build()
            .map_err(|error| Error::Identity(format!("cannot make a self-signed certificate: {error}")))?;
        let chain = identity.certificate_chain().as_slice();
        let chain = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
        let key = PrivateKeyDer::try_from(identity.private_key().secret_der().to_vec())
            .map_err(|error| Error::Identity(error.to_owned()))?;
        Ok(Self { identity: Identity::new(chain, key)?, from })
    }

    /// Whether it may be shown at this time. If the clock is set back a little, it still is.
    fn is_for(&self, now: SystemTime) -> bool {
        (self.from - MARGIN..self.from + SHOWN).contains(&now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that are shown and announced.
    fn hashes(identity: &SelfSigned) -> [[u8; 32]; 2] {
        [identity.shown(), identity.next()].map(Identity::certificate_hash)
    }

    #[test]
    fn each_certificate_is_announced_for_as_long_as_the_one_before_is_shown() {
        let start = SystemTime::now();
        let mut identity = SelfSigned::new(&[], start).unwrap();
        let mut now = start;
        for _ in 0..5 {
            let [shown, next] = hashes(&identity);
            assert_ne!(shown, next);
            now += SHOWN - Duration::from_secs(1);
            assert_eq!(identity.renew(now), Ok(false));
            assert_eq!(hashes(&identity), [shown, next]);
            now += Duration::from_secs(1);
            assert_eq!(identity.renew(now), Ok(true));
            assert_eq!(hashes(&identity)[0], next);
            assert_eq!(identity.renew(now), Ok(false));
        }
    }

    #[test]
    fn a_certificate_is_valid_a_day_before_and_a_day_after_it_is_shown() {
        let now = SystemTime::now();
        let identity = SelfSigned::new(&[], now).unwrap();
        for (made, from) in [(identity.shown(), now), (identity.next(), now + SHOWN)] {
            let der = made.key.end_entity_cert().unwrap();
            let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
            let validity = certificate.validity();
            let seconds = |time: SystemTime| OffsetDateTime::from(time).unix_timestamp();
            assert_eq!(validity.not_before.timestamp(), seconds(from - DAY));
            assert_eq!(validity.not_after.timestamp(), seconds(from + SHOWN + DAY) - 1);
        }
    }

    #[test]
    fn a_certificate_that_nobody_asked_for_in_time_is_made_then() {
        let start = SystemTime::now();
        // The machine slept for two periods and more; its clock was set back by years.
        for now in [start + 2 * SHOWN, start + 100 * SHOWN, start - 100 * SHOWN] {
            let mut identity = SelfSigned::new(&[], start).unwrap();
            let old = hashes(&identity);
            assert_eq!(identity.renew(now), Ok(true));
            let new = hashes(&identity);
            assert!(new.iter().all(|hash| !old.contains(hash)));
            assert_eq!(identity.renew(now + SHOWN), Ok(true));
            assert_eq!(hashes(&identity)[0], new[1]);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_changes_nothing() {
        let start = SystemTime::now();
        let mut identity = SelfSigned::new(&[], start).unwrap();
        assert_eq!(identity.renew(start - Duration::from_secs(3600)), Ok(false));
        assert_eq!(identity.renew(start + SHOWN), Ok(true));
        assert_eq!(identity.renew(start + SHOWN - Duration::from_secs(3600)), Ok(false));
    }
}
