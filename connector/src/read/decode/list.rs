//! Columns of type `List<Utf8View>`.
//!
//! In: the spans of lists, or of scalars, which become lists of one. Out: the array.

use std::sync::Arc;

use arrow::array::ListArray;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};

use super::simd::Words;
use super::span::{ByteSpan, JsonKind};
use super::text::Texts;
use super::walk::Walk;

/// A list column being built.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// The number of items of each row.
    pub(super) lens: Vec<usize>,
    pub(super) items: Items,
}

#[derive(Debug, Default)]
pub(super) struct Items {
    texts: Texts,
    valid: Vec<bool>,
}

impl Lists {
    pub(super) fn item() -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Utf8View, true))
    }

    pub(super) fn clear(&mut self) {
        self.lens.clear();
        self.items.texts.truncate(0);
        self.items.valid.clear();
    }

    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> ListArray {
        let offsets = OffsetBuffer::from_lengths(self.lens.drain(..));
        let valid = NullBuffer::from_iter(self.items.valid.drain(..));
        let items = self.items.texts.take((valid.null_count() > 0).then_some(valid));
        ListArray::new(Self::item(), offsets, Arc::new(items), nulls)
    }
}

impl Items {
    /// Adds the scalars of a list, or a scalar as a list of one. Returns the number of items. `None` if the value has an item that is not
    /// a scalar; then nothing is added.
    pub(super) fn push(&mut self, page: &str, span: ByteSpan) -> Option<usize> {
        if span.kind() != JsonKind::Nested {
            self.item(page, span);
            return Some(1);
        }
        let before = self.valid.len();
        let pushed = self.scalars(page, span);
        if pushed.is_none() {
            self.valid.truncate(before);
            self.texts.truncate(before);
        }
        pushed.map(|()| self.valid.len() - before)
    }

    fn scalars(&mut self, page: &str, span: ByteSpan) -> Option<()> {
        let walk = Walk::new(page, Words);
        let mut at = walk.enter(b'[', span.start(), 0).ok()?;
        // The list was walked before, so it is valid.
        while walk.byte(at)? != b']' {
            let (kind, end) = walk.value(at, 0).ok()?;
            if kind == JsonKind::Nested {
                return None;
            }
            self.item(page, ByteSpan::new(kind, at, end));
            at = walk.blanks(end);
            if walk.byte(at) == Some(b',') {
                at = walk.blanks(at + 1);
            }
        }
        Some(())
    }

    fn item(&mut self, page: &str, span: ByteSpan) {
        self.valid.push(span.is_value());
        self.texts.add(page, &[span], Words);
    }
}
