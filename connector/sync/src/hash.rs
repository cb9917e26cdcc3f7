//! 128 bits of a key, and of a payload.
//!
//! In: bytes. Out: XXH3 with 128 bits, behind a version number: the same on every machine, in every run, for every size of batches. Two rows
//! that would send the same record have the same hash, whatever the types of their columns were.

use xxhash_rust::xxh3::Xxh3;

/// Version of what is hashed. With another one every payload is another: the ledger does not say yet which version it holds, and all rows would
/// be sent again.
pub const VERSION: u8 = 1;

/// A hash, as the ledger keeps it: big-endian.
pub type Hash = [u8; 16];

const KEY: u8 = b'k';
const PAYLOAD: u8 = b'p';
const REJECTED: u8 = b'r';

fn hash(kind: u8, bytes: &[u8]) -> Hash {
    let mut hasher = Xxh3::new();
    hasher.update(&[VERSION, kind]);
    hasher.update(bytes);
    hasher.digest128().to_be_bytes()
}

/// Of a key's text.
#[must_use]
pub fn of_key(key: &str) -> Hash {
    hash(KEY, key.as_bytes())
}

/// Of a record, as JSON with its fields in the order of their names.
#[must_use]
pub fn of_payload(record: &[u8]) -> Hash {
    hash(PAYLOAD, record)
}

/// Of a row that cannot be sent, by the code of its reject: once it can, its payload is another.
#[must_use]
pub fn of_reject(code: &str) -> Hash {
    hash(REJECTED, code.as_bytes())
}

/// As it is shown: the first eight digits, by which nobody finds the value.
#[must_use]
pub fn shown(hash: &Hash) -> String {
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// These never change within a version: a ledger of years ago is compared with them. They are those of Python's `xxhash`:
    /// `xxhash.xxh3_128(b'\x01k' + b'cust-1001').hexdigest()`.
    #[test]
    fn test_vectors() {
        assert_eq!(hex(of_key("cust-1001")), "695ea27cf3febc07eecce6a5e014b921");
        assert_eq!(hex(of_key("")), "77e0a91cd1fc791100c54538f1deca6a");
        assert_eq!(
            hex(of_payload(br#"{"identity":"cust-1001","profileData":{"Plan":"gold"},"type":"profile"}"#)),
            "68d9911d6faf4b14f4e4b4319371cd6d"
        );
        assert_eq!(hex(of_reject("CT-501")), "13b565c4564015a3dd441b6a6dc4091f");
        assert_eq!(shown(&of_key("cust-1001")).len(), 8);
    }
}
