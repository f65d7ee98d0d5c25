//! Certificates of clients: off, optional, required, and what each side learns of the other.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use support::authority::{Authority, from_pem, good, only_for_servers, valid};
use support::pair::*;
use wtgram::datagram::session::{Server, Session};
use wtgram::error::{Error, Result};
use wtgram::link::config::{CaSource, ClientCertificates, ConnectOptions, IdentitySource, ListenOptions};
use wtgram::link::server::stats::HandshakeFailure;

fn authorities(authority: &Authority) -> CaSource {
    CaSource::Pem(authority.pem.clone().into_bytes())
}

fn serve(client_certificates: ClientCertificates) -> Server {
    listen_with(&ListenOptions { client_certificates, ..on_loopback() })
}

fn attempt(server: &Server, identity: Option<IdentitySource>) -> Result<Session> {
    connect(&url_at("127.0.0.1", server), &ConnectOptions { identity, ..trusting(server) })
}

/// The text of the error that says that the server refused the client's certificate.
fn refused(attempt: Result<Session>) -> String {
    match attempt.map(drop) {
        Err(Error::ClientCertificate(text)) => text,
        other => panic!("ClientCertificate expected, not {other:?}"),
    }
}

/// How many clients the server has refused because of their certificate.
fn refusals(server: &Server) -> u64 {
    server.link.stats().failed[HandshakeFailure::ClientCertificate as usize]
}

fn certificates(session: &Session) -> &[CertificateDer<'static>] {
    &session.link.established().expect("established").peer_certificates
}

fn parsed(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("PEM")
}

#[test]
fn a_client_without_a_certificate_is_refused_and_counted_if_one_is_required() {
    let authority = Authority::new();
    let server = serve(ClientCertificates::Required(authorities(&authority)));
    let text = refused(attempt(&server, None));
    assert!(text.contains("requires"), "{text}");
    eventually("the refusal is counted", || refusals(&server) == 1);
    let (client, accepted) = {
        let client = attempt(&server, Some(authority.identity(&["player"]))).expect("a session");
        (client, server.accept(soon()).expect("the same session"))
    };
    exchange(&client, &accepted);
    assert_eq!(refusals(&server), 1);
    server.link.close();
}

#[test]
fn each_side_has_the_chain_of_the_other_also_after_the_end() {
    let authority = Authority::new();
    let (leaf, key) = authority.sign(&good(&["player"]));
    let chain = format!("{leaf}{}", authority.pem);
    let server = serve(ClientCertificates::Required(authorities(&authority)));
    let (shown, shown_key) = authority.sign(&good(&["127.0.0.1"]));
    server.link.set_identity(None, &from_pem((shown.clone(), shown_key))).expect("a good identity");
    let client = attempt(&server, Some(from_pem((chain.clone(), key)))).expect("a session");
    let accepted = server.accept(soon()).expect("the same session");
    server.link.close();
    wait_closed(&client);
    assert_eq!(certificates(&accepted), parsed(&chain));
    assert_eq!(certificates(&client), parsed(&shown));
    let established = accepted.link.established().expect("established");
    assert_eq!(established.peer_certificate(1), Ok(&*parsed(&authority.pem)[0]));
    assert!(matches!(established.peer_certificate(2), Err(Error::InvalidArgument(_))));
}

#[test]
fn a_certificate_that_is_not_good_is_refused_also_if_none_is_required() {
    let (authority, other) = (Authority::new(), Authority::new());
    let file = std::env::temp_dir().join(format!("wtgram-test-client-ca-{}.pem", std::process::id()));
    std::fs::write(&file, &authority.pem).expect("written");
    for wanted in [ClientCertificates::Optional, ClientCertificates::Required] {
        let server = serve(wanted(CaSource::File(file.clone())));
        let text = refused(attempt(&server, Some(other.identity(&["player"]))));
        assert!(text.contains("invalid peer certificate"), "{text}");
        let mut expired = good(&["player"]);
        valid(&mut expired, -10, -1);
        let text = refused(attempt(&server, Some(from_pem(authority.sign(&expired)))));
        assert!(text.contains("Expired"), "{text}");
        let for_servers = from_pem(authority.sign(&only_for_servers(&["player"])));
        refused(attempt(&server, Some(for_servers)));
        eventually("the refusals are counted", || refusals(&server) == 3);
        attempt(&server, Some(authority.identity(&["player"]))).expect("a session");
        server.link.close();
    }
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn a_client_may_have_no_certificate_if_none_is_required() {
    let authority = Authority::new();
    let server = serve(ClientCertificates::Optional(authorities(&authority)));
    let client = attempt(&server, None).expect("a session");
    let accepted = server.accept(soon()).expect("the same session");
    assert_eq!(certificates(&accepted), []);
    assert_eq!(certificates(&client).len(), 1);
    assert_eq!(refusals(&server), 0);
    server.link.close();
}

#[test]
fn a_program_sees_the_certificate_of_a_client_when_it_decides() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&good(&["player"]));
    let shown = parsed(&certificate);
    let client_certificates = ClientCertificates::Optional(authorities(&authority));
    let server = listen_with(&ListenOptions { asks: true, client_certificates, ..on_loopback() });
    for (identity, shown) in [(Some(from_pem((certificate, key))), shown), (None, Vec::new())] {
        let options = ConnectOptions { identity, ..trusting(&server) };
        let url = url_at("127.0.0.1", &server);
        let client = std::thread::spawn(move || connect(&url, &options).map(drop));
        let request = server.next_request(soon()).expect("a request");
        assert_eq!(request.peer_certificates(), shown);
        request.reject(403, &[]).expect("rejected");
        let rejected = Error::Rejected { status: 403, retry_after: None };
        assert_eq!(client.join().expect("no panic"), Err(rejected));
    }
    server.link.close();
}

#[test]
fn a_server_that_does_not_ask_gets_no_certificate() {
    let server = listen();
    attempt(&server, Some(Authority::new().identity(&["player"]))).expect("a session");
    let accepted = server.accept(soon()).expect("the same session");
    assert_eq!(certificates(&accepted), []);
    server.link.close();
}

#[test]
fn what_cannot_work_is_refused_at_once() {
    let server = listen();
    let authority = Authority::new();
    let self_signed = IdentitySource::SelfSigned { names: Vec::new() };
    assert!(matches!(attempt(&server, Some(self_signed)), Err(Error::InvalidArgument(_))));
    let (certificate, _) = authority.sign(&good(&["player"]));
    let (_, other_key) = authority.sign(&good(&["player"]));
    let mixed = from_pem((certificate, other_key));
    assert!(matches!(attempt(&server, Some(mixed)), Err(Error::KeyMismatch(_))));
    let no_file = CaSource::File("/no/such/ca.pem".into());
    for (source, text) in [(no_file, "/no/such/ca.pem"), (CaSource::Pem(Vec::new()), "CERTIFICATE")] {
        let client_certificates = ClientCertificates::Required(source);
        let options = ListenOptions { client_certificates, ..on_loopback() };
        let Some(Error::Identity(found)) = wtgram::link::Server::listen(&options).err() else {
            panic!("another result")
        };
        assert!(found.contains(text), "{found}");
    }
    server.link.close();
}
