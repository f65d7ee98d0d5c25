use proptest::prelude::*;

use super::super::json::tests::any_json;
use super::super::json::{Refused, compact};
use super::*;

fn packed(text: &str) -> Result<Vec<u8>, Refused> {
    let mut out = vec![0xc1];
    let result = from_json(text.as_bytes(), &mut out);
    assert_eq!(out[0], 0xc1, "what was there stays");
    result.map(|()| out.split_off(1))
}

fn unpacked(wire: &[u8]) -> Result<String, Refused> {
    let mut out = b"x".to_vec();
    let result = to_json(wire, &mut out);
    assert_eq!(out[0], b'x', "what was there stays");
    result.map(|()| String::from_utf8(out.split_off(1)).unwrap())
}

#[test]
fn json_becomes_the_smallest_messagepack_as_python_writes_it() {
    // From msgpack 1.x: packb(value).hex().
    let known = [
        (r#"{"id":1,"name":"x"}"#, "82a2696401a46e616d65a178"),
        ("[null,true,false]", "93c0c3c2"),
        (
            "[127,128,255,256,65535,65536,4294967295,4294967296]",
            "987fcc80ccffcd0100cdffffce00010000ceffffffffcf0000000100000000",
        ),
        (
            "[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]",
            "99ffe0d0dfd080d1ff7fd18000d2ffff7fffd280000000d3ffffffff7fffffff",
        ),
        ("[1.5,1e2,-0]", "93cb3ff8000000000000cb4059000000000000cb8000000000000000"),
        ("[18446744073709551615,-9223372036854775808]", "92cfffffffffffffffffd38000000000000000"),
        (r#"["",{},[]]"#, "93a08090"),
    ];
    for (text, hex) in known {
        let wire = packed(text).unwrap();
        let written: String = wire.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hex, "{text}");
    }
}

#[test]
fn what_json_can_say_comes_back_as_it_was() {
    for text in [
        r#"{"b":1,"a":[],"b":2,"":{}}"#,
        "[-0.0,1.5,1e+300,5e-324,0.1,123456789.125]",
        "[18446744073709551615,-9223372036854775808,0]",
        r#""\u0000 \" é 😀""#,
        r#"{"type":1,"data":"AA=="}"#,
    ] {
        assert_eq!(unpacked(&packed(text).unwrap()).unwrap(), text);
    }
    let long = format!("[{}]", vec!["1"; 70_000].join(","));
    assert_eq!(unpacked(&packed(&long).unwrap()).unwrap(), long);
}

#[test]
fn numbers_that_do_not_fit_are_refused_not_bent() {
    for text in ["18446744073709551616", "-9223372036854775809", "1e309", "-1e400", "[1,1e309]"] {
        assert!(packed(text).is_err(), "{text}");
    }
    for text in ["NaN", "[1", "", "{\"a\":1,}", "\"\\ud800\""] {
        assert!(packed(text).is_err(), "{text}");
    }
}

#[test]
fn what_json_cannot_say_is_mapped_as_documented() {
    let mapped: [(&[u8], &str); 10] = [
        (b"\xc4\x03\x00\x01\xff", r#""AAH/""#),
        (b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", r#""NaN""#),
        (b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", r#""Infinity""#),
        (b"\xca\xff\x80\x00\x00", r#""-Infinity""#),
        (b"\xca\x3d\xcc\xcc\xcd", "0.10000000149011612"),
        (b"\x82\x01\xc0\xc3\xc0", r#"{"1":null,"true":null}"#),
        (b"\x81\xff\x01", r#"{"-1":1}"#),
        (b"\xd6\xff\x00\x00\x00\x01", r#"{"type":-1,"data":"AAAAAQ=="}"#),
        (b"\xc7\x00\x05", r#"{"type":5,"data":""}"#),
        (b"\xdf\x00\x00\x00\x01\xd9\x01k\xdd\x00\x00\x00\x00", r#"{"k":[]}"#),
    ];
    for (wire, text) in mapped {
        assert_eq!(unpacked(wire).unwrap(), text, "{}", wire.escape_ascii());
    }
}

#[test]
fn what_is_not_one_messagepack_object_is_refused() {
    let refused: [&[u8]; 13] = [
        b"",
        b"\xc1",
        b"\xa2a",
        b"\xa1\xff",
        b"\x91",
        b"\x82\x01\x02",
        b"\x00\x00",
        b"\xdd\xff\xff\xff\xff\x00",
        b"\xc6\xff\xff\xff\xff\x00",
        b"\x81\xc0\x00",
        b"\x81\x90\x00",
        b"\x81\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xd4\x01",
    ];
    for wire in refused {
        assert!(unpacked(wire).is_err(), "{}", wire.escape_ascii());
    }
    assert!(unpacked(&vec![0x91; 1_000_000]).is_err());
    assert!(unpacked(&[vec![0x91; MAX_DEPTH], vec![0xc0]].concat()).is_ok());
    assert!(unpacked(&[vec![0x91; MAX_DEPTH + 1], vec![0xc0]].concat()).is_err());
}

proptest! {
    #[test]
    fn any_json_survives_the_journey(value in any_json()) {
        let text = serde_json::to_string(&value).unwrap();
        let mut expected = Vec::new();
        compact(text.as_bytes(), &mut expected).unwrap();
        let back = unpacked(&packed(&text).unwrap()).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&back).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_refused_or_become_json_that_a_strict_reader_takes(wire in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(text) = unpacked(&wire) {
            let mut again = Vec::new();
            compact(text.as_bytes(), &mut again).unwrap();
            prop_assert_eq!(String::from_utf8(again).unwrap(), text);
        }
    }
}
