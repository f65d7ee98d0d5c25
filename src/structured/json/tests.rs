use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn compacted(text: &[u8]) -> Result<String, Refused> {
    let mut out = b"before".to_vec();
    let result = compact(text, &mut out);
    assert!(out.starts_with(b"before"), "what was there stays");
    result.map(|()| String::from_utf8(out.split_off(6)).unwrap())
}

#[test]
fn spaces_go_and_digits_order_and_repeated_members_stay() {
    let text =
        b" { \"b\" : [ 1 , 1.10 , -0 , 1E400 , 18446744073709551617 ] ,\r\n\t\"a\" : null, \"a\": true } ";
    let expected = r#"{"b":[1,1.10,-0,1E400,18446744073709551617],"a":null,"a":true}"#;
    assert_eq!(compacted(text).unwrap(), expected);
    assert_eq!(compacted(expected.as_bytes()).unwrap(), expected);
    for empty in ["[]", "{}", "\"\"", "0", "[[],{},[{}]]"] {
        assert_eq!(compacted(empty.as_bytes()).unwrap(), empty);
    }
}

#[test]
fn strings_get_their_shortest_spelling() {
    assert_eq!(compacted(br#""\u0041\/\u00e9\ud83d\ude00""#).unwrap(), "\"A/é😀\"");
    assert_eq!(compacted(br#""\u0000\u001f\"\\\n""#).unwrap(), r#""\u0000\u001f\"\\\n""#);
    assert_eq!(compacted(br#"{"\u006e":":"}"#).unwrap(), r#"{"n":":"}"#);
}

#[test]
fn an_object_that_looks_like_serde_jsons_private_number_stays_an_object() {
    let text = r#"{"$serde_json::private::Number":"12"}"#;
    assert_eq!(compacted(text.as_bytes()).unwrap(), text);
}

#[test]
fn what_is_not_json_is_refused_and_leaves_nothing_behind() {
    let not_json: [&[u8]; 44] = [
        b"",
        b" ",
        b"NaN",
        b"[NaN]",
        b"Infinity",
        b"-Infinity",
        b"-",
        b"+1",
        b"01",
        b"-01",
        b"1.",
        b".5",
        b"1e",
        b"1e+",
        b"0x1",
        b"tru",
        b"True",
        b"nul",
        b"'a'",
        b"\"",
        b"\"\\",
        b"\"\\\"",
        b"\"\\x41\"",
        b"\"\\ud800\"",
        b"\"\\udc00\\ud800\"",
        b"\"\\u00g0\"",
        b"\"\x01\"",
        b"\"\n\"",
        b"[",
        b"]",
        b"[1",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"{",
        b"{]",
        b"[}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{a:1}",
        b"{1:1}",
        b"1 2",
        b"\xef\xbb\xbf1",
    ];
    for text in not_json {
        assert!(compacted(text).is_err(), "{}", text.escape_ascii());
    }
    assert_eq!(compacted(b"[1,\xff]"), Err(Refused { what: "not UTF-8", at: 3 }));
    assert!(compacted(b"\"\xed\xa0\x80\"").is_err(), "a surrogate in UTF-8 is none");
}

#[test]
fn depth_is_limited_as_in_serde_json_however_deep_the_text() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(compacted(&nested(MAX_DEPTH)).is_ok());
    assert!(serde_json::from_slice::<Value>(&nested(MAX_DEPTH)).is_ok());
    assert!(compacted(&nested(MAX_DEPTH + 1)).is_err());
    assert!(serde_json::from_slice::<Value>(&nested(MAX_DEPTH + 1)).is_err());
    assert!(compacted(&vec![b'['; 1_000_000]).is_err());
    assert!(compacted(&b"{\"a\":".repeat(1_000_000)).is_err());
}

pub(in crate::structured) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no other", |value| value.is_finite())
            .prop_map(|value| json!(value)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn compacting_says_what_serde_json_says(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(compacted(pretty.as_bytes()).unwrap(), serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn any_bytes_are_accepted_exactly_when_serde_json_accepts_them(text in r#"[\[\]{},:"\\u0-9a-f\-+.eE truefalsn\n]{0,12}"#) {
        let accepted = compacted(text.as_bytes());
        prop_assert_eq!(accepted.is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        if let Ok(compact) = accepted {
            prop_assert_eq!(compacted(compact.as_bytes()).unwrap(), compact);
        }
    }

    #[test]
    fn a_changed_byte_is_accepted_exactly_when_serde_json_accepts_it(
        value in any_json(), place in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let place = place.index(text.len());
        text[place] = byte;
        prop_assert_eq!(compacted(&text).is_ok(), serde_json::from_slice::<Value>(&text).is_ok());
    }
}
