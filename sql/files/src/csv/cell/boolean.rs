//! `true` and `false`.
//!
//! In: a cell. Out: the value and its spelling, since a column is boolean only if all of its cells are spelled alike.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Lower,
    Title,
    Upper,
}

#[inline(always)]
pub(crate) fn boolean(cell: &[u8]) -> Option<(bool, Spelling)> {
    match cell {
        b"true" => Some((true, Spelling::Lower)),
        b"false" => Some((false, Spelling::Lower)),
        b"True" => Some((true, Spelling::Title)),
        b"False" => Some((false, Spelling::Title)),
        b"TRUE" => Some((true, Spelling::Upper)),
        b"FALSE" => Some((false, Spelling::Upper)),
        _ => None,
    }
}
