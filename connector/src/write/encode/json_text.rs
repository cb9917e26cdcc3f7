//! Objects and items given as JSON text.

use super::json::{self, Json};
use super::reject::{CHARGED_ITEMS_MAX, Checked, depth, many_items};
use super::value::{LongText, Style};

/// What is expected of a JSON text of properties, for the message.
pub(super) const OBJECT: &str = "a JSON object";
/// What is expected of a JSON text of items, for the message.
const ITEM_LIST: &str = "a JSON list of objects without lists and objects in them";

/// `Items` of a Charged event from parsed JSON.
pub(super) fn items(value: &Json<'_>, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    let Json::List(list) = value else { return Err(json::not_json(ITEM_LIST)) };
    if list.len() > CHARGED_ITEMS_MAX {
        return Err(many_items(list.len(), CHARGED_ITEMS_MAX));
    }
    for item in list {
        let Json::Object(pairs) = item else { return Err(json::not_json(ITEM_LIST)) };
        if !pairs.iter().all(|(_, value)| value.is_scalar()) {
            return Err(depth(2));
        }
    }
    value.write(style, 2, out, cut)
}

/// `Items` from JSON text.
pub(super) fn items_text(text: &str, style: Style, out: &mut Vec<u8>, cut: &mut bool) -> Checked<()> {
    items(&json::parse(text, ITEM_LIST)?, style, out, cut)
}

/// An object from JSON text.
pub(super) fn object_text(text: &str, out: &mut Vec<u8>) -> Checked<()> {
    let value = json::parse(text, OBJECT)?;
    let Json::Object(_) = value else { return Err(json::not_json(OBJECT)) };
    value.write(Style { long: LongText::Keep, ..Style::INSIDE }, usize::MAX, out, &mut false)
}
