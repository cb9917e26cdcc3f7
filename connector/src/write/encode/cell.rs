//! Writes one value as JSON: text, numbers, decimals.
//!
//! In: a value that is not NULL. Out: its bytes at the end of a buffer. No arrays and no rules here, so that a faster way of writing
//! bytes replaces only this file.

use arrow::array::ArrowPrimitiveType;
use arrow::datatypes::Float16Type;

use super::reject::{Checked, not_finite};

/// The byte after the backslash of an escape; 0 if the byte is not escaped, `u` for `\u00XX`.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = b'u';
        at += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Writes `text` as a JSON string.
pub(super) fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut copied = 0;
    for (at, byte) in text.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape != 0 {
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(&[b'\\', escape]);
            if escape == b'u' {
                out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
            }
            copied = at + 1;
        }
    }
    out.extend_from_slice(&text[copied..]);
    out.push(b'"');
}

/// `"name":`.
pub(super) fn key(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 3);
    text(&mut out, name.as_bytes());
    out.push(b':');
    out
}

/// Writes a comma, unless an object or a list has just been opened.
pub(super) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{' | b'[') | None) {
        out.push(b',');
    }
}

pub(super) fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

pub(super) fn double(out: &mut Vec<u8>, value: f64) -> Checked<()> {
    if !value.is_finite() {
        return Err(not_finite());
    }
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    Ok(())
}

pub(super) fn single(out: &mut Vec<u8>, value: f32) -> Checked<()> {
    if !value.is_finite() {
        return Err(not_finite());
    }
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    Ok(())
}

/// The shortest digits that parse to this half: no crate writes halves, and five digits are always enough.
pub(super) fn half(out: &mut Vec<u8>, value: <Float16Type as ArrowPrimitiveType>::Native) -> Checked<()> {
    let wide = value.to_f32();
    for digits in 0..5 {
        let short: f64 = format!("{wide:.digits$e}").parse().unwrap_or(f64::NAN);
        if <Float16Type as ArrowPrimitiveType>::Native::from_f64(short) == value {
            return double(out, short);
        }
    }
    single(out, wide)
}

/// `12345` of scale 2 is `123.45`, of scale -2 `1234500`.
pub(super) fn decimal(out: &mut Vec<u8>, digits: &str, scale: i8) {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (&b"-"[..], digits.as_bytes()),
        None => (&b""[..], digits.as_bytes()),
    };
    out.extend_from_slice(sign);
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.resize(out.len() + places, b'0');
        }
    } else if digits.len() > places {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + places - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn every_ascii_byte_is_escaped_as_serde_json_escapes_it() {
        let all: String = (0..128u8).map(char::from).chain("é\u{2028}\u{1F600}".chars()).collect();
        assert_eq!(written(|out| text(out, all.as_bytes())), serde_json::to_string(&all).expect("text"));
    }

    #[test]
    fn decimals_keep_their_digits_and_their_scale() {
        let cases = [
            ("12345", 2, "123.45"),
            ("-5", 3, "-0.005"),
            ("0", 2, "0.00"),
            ("100", 2, "1.00"),
            ("12", -2, "1200"),
            ("0", -2, "0"),
            ("-7", 0, "-7"),
        ];
        for (digits, scale, expected) in cases {
            assert_eq!(written(|out| decimal(out, digits, scale)), expected);
        }
    }

    #[test]
    fn halves_have_their_shortest_digits_and_round_trip() {
        type Half = <Float16Type as ArrowPrimitiveType>::Native;
        assert_eq!(written(|out| half(out, Half::from_f32(0.1)).expect("finite")), "0.1");
        assert_eq!(written(|out| half(out, Half::from_f32(65504.0)).expect("finite")), "65504.0".replace("65504", "65500"));
        for bits in (0..=u16::MAX).step_by(7) {
            let value = Half::from_bits(bits);
            let mut out = Vec::new();
            if half(&mut out, value).is_ok() {
                let back: f64 = std::str::from_utf8(&out).expect("digits").parse().expect("a number");
                assert_eq!(Half::from_f64(back), value);
            } else {
                assert!(!value.is_finite());
            }
        }
    }
}
