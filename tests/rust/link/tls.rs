//! Which servers clients trust, and which identities servers accept: each refusal has its own error
//! and a text that explains it.

use support::authority::{Authority, from_pem, good, valid};
use support::pair::*;
use support::raw_peer::{PATIENCE, Raw};
use wtgram::datagram::session::Server;
use wtgram::error::Error;
use wtgram::link::config::{ConnectOptions, IdentitySource, ListenOptions, Trust};

fn serve(pem: (String, String)) -> Server {
    listen_with(&ListenOptions { identity: from_pem(pem), ..on_loopback() })
}

fn attempt(server: &Server, trust: Trust) -> Result<(), Error> {
    let options = ConnectOptions { trust, timeout: PATIENCE, ..ConnectOptions::default() };
    connect(&url_at("127.0.0.1", server), &options).map(drop)
}

/// The text of the error, if it has the right variant and says more than its title.
macro_rules! refused {
    ($result:expr, $variant:ident) => {
        match $result.err() {
            Some(Error::$variant(text)) if !text.is_empty() => text,
            other => panic!("{} expected, not {other:?}", stringify!($variant)),
        }
    };
}

#[test]
fn a_certificate_of_a_trusted_authority_is_accepted_from_bytes_and_from_a_file() {
    let authority = Authority::new();
    let server = serve(authority.sign(&good(&["127.0.0.1"])));
    assert_eq!(attempt(&server, authority.trust()), Ok(()));
    let path = std::env::temp_dir().join(format!("wtgram-test-ca-{}.pem", std::process::id()));
    std::fs::write(&path, format!("{}{}", Authority::new().pem, authority.pem)).expect("written");
    assert_eq!(attempt(&server, Trust::CaFile(path.clone())), Ok(()));
    std::fs::remove_file(path).expect("removed");
    server.link.close();
}

#[test]
fn a_self_signed_certificate_began_a_day_ago_and_is_valid_for_14_days_in_all() {
    let server = listen();
    let chain = Raw::client(address(&server)).quic.peer_identity().expect("a certificate");
    let chain = chain.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().expect("a chain");
    let (_, certificate) = x509_parser::parse_x509_certificate(&chain[0]).expect("a certificate");
    let (from, to) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let (now, day) = (now.as_secs() as i64, 24 * 3600);
    assert!((from - (now - day)).abs() <= 60, "it begins a day ago");
    // RFC 5280 section 4.1.2.5: both its first and its last second count.
    assert_eq!(to - from + 1, 14 * day);
    assert_eq!(attempt(&server, Trust::CertificateHashes(vec![server.link.certificate_hash()])), Ok(()));
    server.link.close();
}

#[test]
fn a_certificate_of_an_unknown_authority_is_untrusted() {
    let server = serve(Authority::new().sign(&good(&["127.0.0.1"])));
    refused!(attempt(&server, Authority::new().trust()), CertificateUntrusted);
    refused!(attempt(&server, Trust::System), CertificateUntrusted);
    let self_signed = listen();
    refused!(attempt(&self_signed, Trust::System), CertificateUntrusted);
    server.link.close();
    self_signed.link.close();
}

#[test]
fn a_certificate_for_another_name_says_which_was_wanted() {
    let authority = Authority::new();
    let server = serve(authority.sign(&good(&["example.org", "127.0.0.2"])));
    let text = refused!(attempt(&server, authority.trust()), CertificateNameMismatch);
    assert!(text.contains("127.0.0.1"), "{text}");
    server.link.close();
}

#[test]
fn a_certificate_out_of_its_time_is_expired_by_authority_and_by_hash() {
    let authority = Authority::new();
    for (from, to) in [(-10, -1), (1, 10)] {
        let mut params = good(&["127.0.0.1"]);
        valid(&mut params, from, to);
        let server = serve(authority.sign(&params));
        refused!(attempt(&server, authority.trust()), CertificateExpired);
        let hash = server.link.certificate_hash();
        refused!(attempt(&server, Trust::CertificateHashes(vec![hash])), CertificateExpired);
        server.link.close();
    }
}

#[test]
fn a_certificate_trusted_by_hash_is_valid_for_at_most_14_days() {
    let authority = Authority::new();
    for (to, accepted) in [(12, true), (20, false)] {
        let mut params = good(&["somebody.else"]);
        valid(&mut params, -1, to);
        let server = serve(authority.sign(&params));
        let result =
            attempt(&server, Trust::CertificateHashes(vec![[7; 32], server.link.certificate_hash()]));
        if accepted {
            assert_eq!(result, Ok(()), "the name does not matter, nor the authority");
        } else {
            let text = refused!(result, CertificateExpired);
            assert!(text.contains("14 days"), "{text}");
        }
        server.link.close();
    }
}

#[test]
fn a_wrong_hash_says_which_would_be_right() {
    let server = listen();
    let text = refused!(attempt(&server, Trust::CertificateHashes(vec![[0; 32]])), CertificateHashMismatch);
    let right: String = server.link.certificate_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(&right), "{text}");
    refused!(attempt(&server, Trust::CertificateHashes(vec![])), InvalidArgument);
    server.link.close();
}

#[test]
fn without_verification_anybody_will_do() {
    let mut params = good(&["example.org"]);
    valid(&mut params, -10, -1);
    let server = serve(Authority::new().sign(&params));
    assert_eq!(attempt(&server, Trust::InsecureNoVerification), Ok(()));
    server.link.close();
}

#[test]
fn authorities_that_cannot_be_read_are_said_to_be() {
    let server = listen();
    let text = refused!(attempt(&server, Trust::CaFile("/no/such/ca.pem".into())), Identity);
    assert!(text.contains("/no/such/ca.pem"), "{text}");
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        refused!(attempt(&server, Trust::CaPem(pem.into())), Identity);
    }
    refused!(
        attempt(
            &server,
            Trust::CaPem(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec())
        ),
        Identity
    );
    server.link.close();
}

fn listen_as(certificate: &str, private_key: &str) -> Result<(), Error> {
    let identity = from_pem((certificate.into(), private_key.into()));
    wtgram::link::Server::listen(&ListenOptions { identity, ..on_loopback() }).map(|server| server.close())
}

#[test]
fn an_identity_that_cannot_be_used_is_refused_by_listen() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&good(&["localhost"]));
    let (_, other_key) = authority.sign(&good(&["localhost"]));
    assert_eq!(listen_as(&certificate, &key), Ok(()));
    assert_eq!(listen_as(&format!("{certificate}{}", authority.pem), &key), Ok(()), "a chain");
    refused!(listen_as(&certificate, &other_key), KeyMismatch);
    let cut = &certificate[..certificate.len() / 2];
    for (certificate, key) in [
        ("", key.as_str()),
        (&certificate, ""),
        ("no PEM", &key),
        (&certificate, "no PEM"),
        (&key, &key),
        (&certificate, &certificate),
        (cut, &key),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key),
        (&certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    ] {
        refused!(listen_as(certificate, key), Identity);
    }
    let identity = IdentitySource::PemFiles {
        certificate: "/no/such/chain.pem".into(),
        private_key: "/no/such/key.pem".into(),
    };
    let text = refused!(
        wtgram::link::Server::listen(&ListenOptions { identity, ..on_loopback() }).map(drop),
        Identity
    );
    assert!(text.contains("/no/such/chain.pem"), "{text}");
}

/// The lines of a key log, sorted.
fn secrets(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a key log");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn both_ends_log_the_same_secrets_where_they_are_told_to_and_only_there() {
    let path = |end| std::env::temp_dir().join(format!("wtgram-test-keys-{end}-{}", std::process::id()));
    let (ours, theirs) = (path("server"), path("client"));
    let server = listen_with(&ListenOptions { key_log_file: Some(ours.clone()), ..on_loopback() });
    let options = ConnectOptions { key_log_file: Some(theirs.clone()), ..trusting(&server) };
    let client = connect(&url_at("127.0.0.1", &server), &options).expect("a session");
    let accepted = server.accept(soon()).expect("the same");
    exchange(&client, &accepted);
    let lines = secrets(&theirs);
    assert_eq!(lines, secrets(&ours));
    let of_rfc_8446 = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_TRAFFIC_SECRET_0",
    ];
    for label in of_rfc_8446 {
        let line = lines.iter().find(|line| line.starts_with(&format!("{label} "))).expect(label);
        // A random number of 32 bytes, and a secret as long as the hash of the cipher suite.
        let parts: Vec<_> = line.split(' ').map(str::len).collect();
        assert!(parts == [label.len(), 64, 64] || parts == [label.len(), 64, 96], "{line}");
    }
    // A session whose options name no file: only the server logs it.
    let (_quiet, _accepted) = pair(&server);
    assert_eq!(secrets(&theirs), lines);
    assert_eq!(secrets(&ours).len(), 2 * lines.len());
    server.link.close();
    for file in [ours, theirs] {
        std::fs::remove_file(file).expect("removed");
    }
}

#[test]
fn a_key_log_that_cannot_be_opened_is_refused_at_once() {
    let nowhere = Some(std::path::PathBuf::from("/no/such/folder/keys"));
    let server = listen();
    let options = ConnectOptions { key_log_file: nowhere.clone(), ..trusting(&server) };
    let results = [
        wtgram::link::client::start(&url_at("127.0.0.1", &server), &options, |_| Ok(())).map(drop),
        wtgram::link::Server::listen(&ListenOptions { key_log_file: nowhere, ..on_loopback() }).map(drop),
    ];
    for result in results {
        match result {
            Err(Error::Io { message, .. }) => assert!(message.contains("/no/such/folder/keys"), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    server.link.close();
}
