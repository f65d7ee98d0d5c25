//! Any bytes: what we take for JSON is what serde_json takes for JSON, it means the same, and
//! compacting it again changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wtgram::structured::json::compact;

fuzz_target!(|text: &[u8]| {
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
});
