//! Any bytes as MessagePack become strict JSON or are refused; any bytes as JSON become MessagePack that comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wtgram::structured::json::compact;
use wtgram::structured::message_pack::{from_json, to_json};

fuzz_target!(|bytes: &[u8]| {
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
});
