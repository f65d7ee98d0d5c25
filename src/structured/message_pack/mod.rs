//! MessagePack on the wire, JSON text for the program.
//!
//! MessagePack can express all that JSON can, and the same JSON comes back: members in their order,
//! also repeated ones, and integers from -2^63 to 2^64 - 1. Other numbers become the nearest IEEE
//! 754 double (RFC 8259 section 6 says that programs can rely on it); integers beyond 64 bits and
//! numbers beyond a double's range are refused.
//!
//! MessagePack can express more than JSON. Received MessagePack is mapped as in the JSON form of
//! Protocol Buffers:
//!
//! | MessagePack | JSON |
//! |---|---|
//! | bin | a string, base64 with padding (RFC 4648 section 4) |
//! | ext, timestamps included | `{"type": number, "data": base64}` |
//! | NaN, infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | float 32 | the same value as a double |
//! | integers and booleans as map keys | their JSON text as a string |
//! | other map keys, strings that are not UTF-8, the byte 0xc1 | refused |

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmp::Marker;
use rmp::decode::RmpRead as _;
use rmp::encode;

use super::json::{Event, MAX_DEPTH, Reader, Refused, Writer};

/// Appends the MessagePack form of a JSON text to `out`. `out` keeps its content, also if the text
/// is refused.
pub fn from_json(text: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
    // MessagePack writes counts first, and JSON shows them last. So one pass counts and checks, and
    // one writes.
    let counts = counts(text)?;
    let start = out.len();
    let written = write(text, &counts, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// The number of elements of each array and object, in the order in which they begin.
fn counts(text: &[u8]) -> Result<Vec<u32>, Refused> {
    let mut counts: Vec<u32> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut reader = Reader::new(text)?;
    let mut after_name = false;
    while let Some(event) = reader.next()? {
        match event {
            Event::ArrayEnd | Event::ObjectEnd => drop(open.pop()),
            event => {
                // A member counts once, with its name.
                if let Some(place) = open.last()
                    && !after_name
                {
                    counts[*place] = counts[*place].saturating_add(1);
                }
                after_name = matches!(event, Event::Name(_));
                if matches!(event, Event::ArrayStart | Event::ObjectStart) {
                    open.push(counts.len());
                    counts.push(0);
                }
            }
        }
    }
    Ok(counts)
}

fn write(text: &[u8], counts: &[u32], out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut counts = counts.iter().copied();
    let mut reader = Reader::new(text)?;
    while let Some(event) = reader.next()? {
        // Writing to a vector cannot fail.
        match event {
            Event::Null => drop(encode::write_nil(out)),
            Event::Bool(value) => drop(encode::write_bool(out, value)),
            Event::Number(digits) => number(digits, out).map_err(|what| Refused { what, at: reader.at() })?,
            Event::Text(text) | Event::Name(text) => drop(encode::write_str(out, &text)),
            Event::ArrayStart => drop(encode::write_array_len(out, counts.next().unwrap_or(0))),
            Event::ObjectStart => drop(encode::write_map_len(out, counts.next().unwrap_or(0))),
            Event::ArrayEnd | Event::ObjectEnd => {}
        }
    }
    Ok(())
}

fn number(digits: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if digits.bytes().any(|byte| b".eE".contains(&byte)) {
        let value: f64 = digits.parse().map_err(|_| "a number that is none")?;
        if value.is_infinite() {
            return Err("a number beyond the range of a double");
        }
        drop(encode::write_f64(out, value));
    } else if digits == "-0" {
        // No integer has a negative zero.
        drop(encode::write_f64(out, -0.0));
    } else if let Ok(value) = digits.parse::<u64>() {
        drop(encode::write_uint(out, value));
    } else {
        let value: i64 = digits.parse().map_err(|_| "an integer beyond 64 bits")?;
        drop(encode::write_sint(out, value));
    }
    Ok(())
}

/// Appends the JSON text of one MessagePack object to `out`. `out` keeps its content, also if the
/// object is refused.
pub fn to_json(wire: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
    let start = out.len();
    let mut rest = wire;
    let read = read(&mut rest, &mut Writer::new(out));
    let at = wire.len() - rest.len();
    let read = match read {
        Ok(()) if !rest.is_empty() => Err("something follows the object"),
        other => other,
    };
    read.map_err(|what| {
        out.truncate(start);
        Refused { what, at }
    })
}

/// An array or map that is being read.
struct Open {
    /// Keys and values still to come.
    left: u64,
    map: bool,
}

fn read(rest: &mut &[u8], writer: &mut Writer<'_>) -> Result<(), &'static str> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        let is_key = open.last().is_some_and(|open| open.map && open.left.is_multiple_of(2));
        let object = next(rest)?;
        let begun = match object {
            Object::Array(count) if !is_key => {
                writer.write(&Event::ArrayStart);
                Some(Open { left: u64::from(count), map: false })
            }
            Object::Map(count) if !is_key => {
                writer.write(&Event::ObjectStart);
                Some(Open { left: u64::from(count) * 2, map: true })
            }
            other if is_key => {
                writer.write(&Event::Name(key(&other)?));
                None
            }
            // An extension is an object in JSON.
            Object::Extension(..) if open.len() == MAX_DEPTH => return Err(DEPTH),
            other => {
                scalar(&other, writer);
                None
            }
        };
        if let Some(container) = open.last_mut() {
            container.left -= 1;
        }
        if let Some(begun) = begun {
            if open.len() == MAX_DEPTH {
                return Err(DEPTH);
            }
            open.push(begun);
        }
        while open.last().is_some_and(|open| open.left == 0) {
            let map = open.pop().is_some_and(|open| open.map);
            writer.write(if map { &Event::ObjectEnd } else { &Event::ArrayEnd });
        }
        if open.is_empty() {
            return Ok(());
        }
    }
}

fn key<'a>(object: &Object<'a>) -> Result<Cow<'a, str>, &'static str> {
    Ok(match *object {
        Object::Text(text) => text.into(),
        Object::Unsigned(value) => value.to_string().into(),
        Object::Signed(value) => value.to_string().into(),
        Object::Bool(value) => value.to_string().into(),
        _ => return Err("a map key that cannot be a JSON name"),
    })
}

fn scalar(object: &Object<'_>, writer: &mut Writer<'_>) {
    match *object {
        Object::Nil => writer.write(&Event::Null),
        Object::Bool(value) => writer.write(&Event::Bool(value)),
        Object::Unsigned(value) => writer.write(&Event::Number(&value.to_string())),
        Object::Signed(value) => writer.write(&Event::Number(&value.to_string())),
        Object::Float(value) => float(value, writer),
        Object::Text(text) => writer.write(&Event::Text(text.into())),
        Object::Binary(data) => writer.write(&Event::Text(STANDARD.encode(data).into())),
        Object::Extension(kind, data) => {
            writer.write(&Event::ObjectStart);
            writer.write(&Event::Name("type".into()));
            writer.write(&Event::Number(&kind.to_string()));
            writer.write(&Event::Name("data".into()));
            writer.write(&Event::Text(STANDARD.encode(data).into()));
            writer.write(&Event::ObjectEnd);
        }
        // The caller starts these itself.
        Object::Array(_) | Object::Map(_) => {}
    }
}

fn float(value: f64, writer: &mut Writer<'_>) {
    let name = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        value => {
            // The shortest digits that mean this double, always with a point or an exponent. This
            // cannot fail.
            let digits = serde_json::to_string(&value).unwrap_or_default();
            return writer.write(&Event::Number(&digits));
        }
    };
    writer.write(&Event::Text(name.into()));
}

enum Object<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Binary(&'a [u8]),
    Extension(i8, &'a [u8]),
    Array(u32),
    Map(u32),
}

const DEPTH: &str = "too many arrays and maps within each other";
const ENDS: &str = "the object ends early";

/// Takes the next object from `rest`; of an array or map only the header.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Object<'a>, &'static str> {
    let marker = Marker::from_u8(rest.read_u8().map_err(|_| ENDS)?);
    macro_rules! number {
        ($read:ident) => {
            rest.$read().map_err(|_| ENDS)?
        };
    }
    Ok(match marker {
        Marker::Null => Object::Nil,
        Marker::True => Object::Bool(true),
        Marker::False => Object::Bool(false),
        Marker::FixPos(value) => Object::Unsigned(value.into()),
        Marker::FixNeg(value) => Object::Signed(value.into()),
        Marker::U8 => Object::Unsigned(number!(read_data_u8).into()),
        Marker::U16 => Object::Unsigned(number!(read_data_u16).into()),
        Marker::U32 => Object::Unsigned(number!(read_data_u32).into()),
        Marker::U64 => Object::Unsigned(number!(read_data_u64)),
        Marker::I8 => Object::Signed(number!(read_data_i8).into()),
        Marker::I16 => Object::Signed(number!(read_data_i16).into()),
        Marker::I32 => Object::Signed(number!(read_data_i32).into()),
        Marker::I64 => Object::Signed(number!(read_data_i64)),
        Marker::F32 => Object::Float(number!(read_data_f32).into()),
        Marker::F64 => Object::Float(number!(read_data_f64)),
        Marker::FixStr(length) => text(length.into(), rest)?,
        Marker::Str8 => text(number!(read_data_u8).into(), rest)?,
        Marker::Str16 => text(number!(read_data_u16).into(), rest)?,
        Marker::Str32 => text(number!(read_data_u32), rest)?,
        Marker::Bin8 => Object::Binary(take(number!(read_data_u8).into(), rest)?),
        Marker::Bin16 => Object::Binary(take(number!(read_data_u16).into(), rest)?),
        Marker::Bin32 => Object::Binary(take(number!(read_data_u32), rest)?),
        Marker::FixExt1 => extension(1, rest)?,
        Marker::FixExt2 => extension(2, rest)?,
        Marker::FixExt4 => extension(4, rest)?,
        Marker::FixExt8 => extension(8, rest)?,
        Marker::FixExt16 => extension(16, rest)?,
        Marker::Ext8 => extension(number!(read_data_u8).into(), rest)?,
        Marker::Ext16 => extension(number!(read_data_u16).into(), rest)?,
        Marker::Ext32 => extension(number!(read_data_u32), rest)?,
        Marker::FixArray(count) => Object::Array(count.into()),
        Marker::Array16 => Object::Array(number!(read_data_u16).into()),
        Marker::Array32 => Object::Array(number!(read_data_u32)),
        Marker::FixMap(count) => Object::Map(count.into()),
        Marker::Map16 => Object::Map(number!(read_data_u16).into()),
        Marker::Map32 => Object::Map(number!(read_data_u32)),
        Marker::Reserved => return Err("the byte 0xc1, which MessagePack does not use"),
    })
}

fn take<'a>(length: u32, rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let (taken, left) =
        usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)).ok_or(ENDS)?;
    *rest = left;
    Ok(taken)
}

fn text<'a>(length: u32, rest: &mut &'a [u8]) -> Result<Object<'a>, &'static str> {
    std::str::from_utf8(take(length, rest)?).map(Object::Text).map_err(|_| "a string is not UTF-8")
}

fn extension<'a>(length: u32, rest: &mut &'a [u8]) -> Result<Object<'a>, &'static str> {
    let kind = rest.read_data_i8().map_err(|_| ENDS)?;
    Ok(Object::Extension(kind, take(length, rest)?))
}

#[cfg(test)]
mod tests;
