//! The targets over their corpora, and what each target consists of.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use super::*;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 18] = [
    ("client_url", client_url),
    ("h3_capsule", h3_capsule),
    ("h3_datagram", h3_datagram),
    ("h3_fields", h3_fields),
    ("h3_frame", h3_frame),
    ("h3_request", h3_request),
    ("h3_response", h3_response),
    ("h3_session", h3_session),
    ("h3_settings", h3_settings),
    ("h3_subprotocols", h3_subprotocols),
    ("h3_uni", h3_uni),
    ("reliability_ack", reliability_ack),
    ("reliability_frame", reliability_frame),
    ("reliability_negotiation", reliability_negotiation),
    ("server_rules", server_rules),
    ("structured_json", structured_json),
    ("structured_message_pack", structured_message_pack),
    ("tls_reset_at", tls_reset_at),
];

/// A folder of `fuzz`.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    read.map(|entry| entry.unwrap().path()).collect()
}

fn stems(folder: &Path) -> BTreeSet<String> {
    entries(folder).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_input_of_the_corpora_passes() {
    for (name, target) in TARGETS {
        let inputs = entries(&folder("corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            assert!(catch_unwind(|| target(&bytes)).is_ok(), "{name} fails with {}", input.display());
        }
    }
}

#[test]
fn every_target_takes_inputs_that_say_nothing() {
    for (_, target) in TARGETS {
        for byte in [0, 1, 0x7f, 0xff] {
            for len in [0, 1, 2, 100] {
                target(&vec![byte; len]);
            }
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.0.to_owned()).collect();
    assert_eq!(stems(&folder("src/bin")), names);
    assert_eq!(stems(&folder("corpus")), names);
}
