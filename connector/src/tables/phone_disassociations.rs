//! `clevertap.phone_disassociations`: detaches phone numbers from their profiles.
//!
//! ```sql
//! INSERT INTO clevertap.phone_disassociations SELECT '+' || msisdn AS phone FROM 'reassigned.csv';
//! ```
//!
//! For accounts whose identity is a phone number. Wire format: <https://developer.clevertap.com/docs/disassociate-api>, read
//! 2026-11-24.

use crate::table::Kind::Text;
use crate::table::Shape::Identifier;
use crate::table::Target::Required;
use crate::table::{BodyForm, Order, Resend, Source, Table, Write, column};

pub(crate) static TABLE: Table = Table {
    name: "phone_disassociations",
    about: "Phone numbers taken from the profiles that have them, one row a number.",
    columns: &[column("phone", Text, Source::Nowhere, Required("/value", Identifier))],
    read: None,
    write: Some(Write::Batch {
        path: "/1/disassociate",
        form: BodyForm::Records,
        rows_max: 1_000,
        fixed: &[("type", "\"phone\"")],
        open: None,
        resend: Resend::Idempotent,
        order: Order::Any,
    }),
}
.checked();
