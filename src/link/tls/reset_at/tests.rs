//! The rewriting of packets beside a plain one, over frames with integers of every length, over
//! packets that are cut or changed, and over bytes that mean nothing.

use proptest::collection::vec;
use proptest::prelude::*;

use super::plain::{check, watching};
use super::*;

/// An integer in any of its forms.
fn integer() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![4 => 0..8_u64, 2 => 0..300_u64, 1 => any::<u64>()];
    (value, 0..4_u32).prop_map(|(value, form)| encoded(value, form))
}

/// `value` in at least 1, 2, 4 or 8 bytes.
fn encoded(value: u64, form: u32) -> Vec<u8> {
    let value = value & ((1 << 62) - 1);
    let form = form.max([1 << 6, 1 << 14, 1 << 30].iter().filter(|limit| value >= **limit).count() as u32);
    let bytes = (value | u64::from(form) << (8_u32 * (1 << form) - 2).min(62)).to_be_bytes();
    bytes[8 - (1 << form)..].to_vec()
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let content = || vec(any::<u8>(), 0..40);
    let many = |kind: u8, count| {
        vec(integer(), count).prop_map(move |fields| [&[kind][..], &fields.concat()].concat())
    };
    let sized = move |kind: u8, numbers| {
        (vec(integer(), numbers), content(), 0..3_u32).prop_map(move |(numbers, content, form)| {
            [&[kind][..], &numbers.concat(), &encoded(content.len() as u64, form), &content].concat()
        })
    };
    prop_oneof![
        4 => sized(0x31, 0),
        4 => (0..3_u64, 0..3_u64, 5..9_u64, 0..9_u64, 0..4_u32).prop_map(|(stream, code, all, size, form)| {
            let fields = [stream * 2, code, all, size].map(|value| encoded(value, form));
            [&[0x24][..], &fields.concat()].concat()
        }),
        1 => many(0x24, 4),
        1 => many(0x04, 3),
        1 => many(0x05, 2),
        1 => prop_oneof![Just(0x11_u8), Just(0x15)].prop_flat_map(move |kind| many(kind, 2)),
        1 => (0x10..0x15_u8).prop_flat_map(move |kind| many(kind, if kind == 0x11 { 2 } else { 1 })),
        1 => (0x16..0x18_u8).prop_flat_map(move |kind| many(kind, 1)),
        1 => many(0x19, 1),
        1 => Just(vec![0]),
        1 => Just(vec![1]),
        1 => Just(vec![0x1e]),
        1 => Just(vec![0x1f]),
        2 => (2..4_u8, vec(integer(), 2), integer(), vec(integer(), 0..4_usize), vec(integer(), 3)).prop_map(
            |(kind, head, first, ranges, ecn)| {
                let pairs = ranges.len() / 2;
                let mut frame = [vec![kind], head.concat(), encoded(pairs as u64, 1), first].concat();
                frame.extend(ranges[..2 * pairs].concat());
                frame.extend(if kind == 3 { ecn.concat() } else { Vec::new() });
                frame
            }
        ),
        1 => sized(0x06, 1),
        1 => sized(0x07, 0),
        2 => prop_oneof![Just((0x0a_u8, 1)), Just((0x0b, 1)), Just((0x0e, 2)), Just((0x0f, 2))]
            .prop_flat_map(move |(kind, numbers)| sized(kind, numbers)),
        1 => (vec(integer(), 2), content()).prop_map(|(head, id)| {
            [&[0x18][..], &head.concat(), &[id.len() as u8], &id, &[9; 16]].concat()
        }),
        1 => (0x1a..0x1c_u8, any::<[u8; 8]>()).prop_map(|(kind, data)| [&[kind][..], &data].concat()),
        1 => vec(integer(), 4).prop_map(|fields| [&[0x40, 0xaf][..], &fields.concat()].concat()),
        1 => (0x20..0x50_u8).prop_map(|kind| vec![kind]),
    ]
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let last = prop_oneof![
        3 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..20).prop_map(|data| [&[0x30][..], &data].concat()),
        1 => vec(any::<u8>(), 0..20).prop_map(|data| [&[0x08, 0x04][..], &data].concat()),
    ];
    (vec(frame(), 0..8), last).prop_map(|(frames, last)| [frames.concat(), last].concat())
}

proptest! {
    #[test]
    fn packets_become_what_a_plain_rewriting_makes_of_them(packets in vec(packet(), 1..4)) {
        check(&packets);
    }

    #[test]
    fn packets_that_are_cut_or_changed_as_well(
        mut packet in packet(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bits: u8,
    ) {
        packet.push(0x24);
        let at = at.index(packet.len());
        packet[at] ^= bits;
        let cut = cut.index(packet.len() + 1);
        check(&[packet[..cut].to_vec()]);
    }

    #[test]
    fn any_bytes_as_well(packet in vec(prop_oneof![0..0x32_u8, any::<u8>()], 0..60)) {
        check(&[packet]);
    }
}

#[test]
fn a_reset_of_the_connect_stream_waits_until_its_bytes_were_read() {
    let connect = watching();
    let mut packet = [0x24, 4, 7, 20, 12, 0x24, 4, 7, 20, 10, 0x24, 4, 7, 20, 11];
    rewrite(&mut packet, &connect);
    assert_eq!(packet, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!((connect.code_after(9), connect.code_after(10)), (None, Some(7)));
}

#[test]
fn a_reset_of_another_stream_becomes_reset_stream() {
    let connect = watching();
    let mut packet = [0x24, 8, 7, 20, 0x40, 12, 0x24, 4, 7, 20, 0];
    rewrite(&mut packet, &connect);
    assert_eq!(packet, [0x04, 8, 7, 20, 0, 0, 0x04, 4, 7, 20, 0]);
    assert_eq!(connect.code_after(u64::MAX), None);
}

#[test]
fn malformed_resets_stay_as_they_are() {
    for packet in [&[0x24, 8, 7, 20, 21][..], &[0x24, 8, 7, 20], &[0x40, 0x24, 8, 7, 20, 12], &[0x24]] {
        let mut rewritten = packet.to_vec();
        rewrite(&mut rewritten, &watching());
        assert_eq!(rewritten, packet);
    }
    let mut packet = [0x24, 4, 7, 20, 12, 0x24, 4, 8, 20, 12];
    rewrite(&mut packet, &watching());
    assert_eq!(packet, [1, 0, 0, 0, 0, 0x24, 4, 8, 20, 12], "the code has changed");
}
