//! Fuzz targets: the two codecs.

use serde_json::Value;

use super::json::compact;
use super::message_pack::{from_json, to_json};

/// Any bytes: what we take for JSON is what serde_json takes for JSON, it means the same, and
/// compacting it again changes nothing.
pub fn structured_json(text: &[u8]) {
    let mut compacted = Vec::new();
    let accepted = compact(text, &mut compacted).is_ok();
    let theirs = serde_json::from_slice::<Value>(text);
    // The one key that serde_json keeps for itself may make it refuse an object that is fine.
    if text.windows(11).any(|window| window == b"$serde_json") {
        return;
    }
    assert_eq!(accepted, theirs.is_ok());
    if !accepted {
        assert!(compacted.is_empty());
        return;
    }
    assert_eq!(serde_json::from_slice::<Value>(&compacted).unwrap(), theirs.unwrap());
    let mut again = Vec::new();
    compact(&compacted, &mut again).unwrap();
    assert_eq!(again, compacted);
}

/// Any bytes as MessagePack become strict JSON or are refused. Any bytes as JSON become MessagePack
/// that comes back.
pub fn structured_message_pack(bytes: &[u8]) {
    let mut text = Vec::new();
    if to_json(bytes, &mut text).is_ok() {
        let mut compacted = Vec::new();
        compact(&text, &mut compacted).expect("what we make is JSON");
        assert_eq!(compacted, text);
    } else {
        assert!(text.is_empty());
    }
    let mut wire = Vec::new();
    if from_json(bytes, &mut wire).is_err() {
        assert!(wire.is_empty());
        return;
    }
    // Numbers may change their spelling the first time, and never again.
    let (mut once, mut wire_again) = (Vec::new(), Vec::new());
    to_json(&wire, &mut once).expect("what we make is MessagePack");
    from_json(&once, &mut wire_again).expect("and becomes JSON that fits");
    assert_eq!(wire_again, wire);
}
