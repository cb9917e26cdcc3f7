//! Cursors: opaque, already percent-encoded, one for each place of a chain (reference 6.2).
//!
//! A cursor is a masked place and 1,200 to 1,500 bytes of noise that follow from it, in base64. Nothing has to be kept:
//! what comes back, decoded once, is read, written again and compared. The key is the account's and the run's own.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) chain: u32,
    pub(crate) page: u32,
    /// Empty pages that were put before this page by a fault.
    pub(crate) detour: u32,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Bytes of a place: three numbers.
const PLACE: usize = 12;
/// The same in base64.
const PLACE_TEXT: usize = 16;

impl Cursor {
    /// As it stands in an answer: every plus, slash and equals sign encoded.
    pub(crate) fn encoded(self, key: u64) -> String {
        self.text(key).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
    }

    /// The place behind a text that was decoded once; none for anything that no answer has carried.
    pub(crate) fn read(text: &str, key: u64) -> Option<Self> {
        let place = unpack(text.get(..PLACE_TEXT)?)?;
        let mask = mask(key);
        let word = |at: usize| Some(u32::from_le_bytes(place.get(at..at + 4)?.try_into().ok()?) ^ mask[at / 4]);
        let cursor = Self { chain: word(0)?, page: word(4)?, detour: word(8)? };
        (cursor.text(key) == text).then_some(cursor)
    }

    fn text(self, key: u64) -> String {
        let words = [self.chain, self.page, self.detour];
        let mut bytes: Vec<u8> = words.iter().zip(mask(key)).flat_map(|(word, mask)| (word ^ mask).to_le_bytes()).collect();
        let mixed = words.iter().fold(key ^ 0xC0FF_EE00, |mixed, word| (mixed ^ u64::from(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut noise = StdRng::seed_from_u64(mixed);
        // One byte over a multiple of three, so that the text ends with two equals signs.
        let length = 3 * noise.random_range(400..500) + 1;
        bytes.resize(length, 0);
        noise.fill(&mut bytes[PLACE..]);
        pack(&bytes)
    }
}

fn mask(key: u64) -> [u32; 3] {
    StdRng::seed_from_u64(key ^ 0x0C12_5012).random()
}

fn pack(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = if place <= chunk.len() { ALPHABET[(word >> (18 - 6 * place) & 63) as usize] } else { b'=' };
            text.push(char::from(letter));
        }
    }
    text
}

fn unpack(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(PLACE);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0;
        for letter in chunk {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            word = word << 6 | u32::try_from(value).ok()?;
        }
        bytes.extend_from_slice(&word.to_be_bytes()[1..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_long_encoded_and_leads_back_to_its_place_alone() {
        let mut seen = std::collections::HashSet::new();
        for page in 0..200 {
            let cursor = Cursor { chain: 3, page, detour: page % 2 };
            let encoded = cursor.encoded(7);
            assert!((1_500..=2_400).contains(&encoded.len()), "{}", encoded.len());
            assert!(["%2B", "%2F", "%3D"].iter().all(|part| encoded.contains(part)) && !encoded.contains(['+', '/', '=']), "{encoded}");
            let decoded = encoded.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
            assert_eq!(Cursor::read(&decoded, 7), Some(cursor));
            for wrong in [encoded.as_str(), decoded.trim_end_matches('='), decoded.get(1..).unwrap(), "", "abc"] {
                assert_eq!(Cursor::read(wrong, 7), None);
            }
            assert_eq!(Cursor::read(&decoded, 8), None);
            assert!(seen.insert(encoded));
        }
    }
}
