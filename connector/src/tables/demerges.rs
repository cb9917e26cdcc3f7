//! `clevertap.demerges`: people who were merged by mistake and are split again.
//!
//! ```sql
//! SET clevertap.delete_rows_max = 100;
//! INSERT INTO clevertap.demerges SELECT user_id AS identity FROM 'merged_by_mistake.csv';
//! ```
//!
//! The identity is reset and each device gets a profile of its own; history of events may be lost, and nothing brings it back. So
//! it needs an account that may erase, is bounded, and is never sent again after a lost answer, whatever `clevertap.in_doubt`
//! says. Wire format: <https://developer.clevertap.com/docs/demerge-user-profile-api>, read 2026-11-24.

use crate::table::Kind::Text;
use crate::table::Shape::Identifier;
use crate::table::Target::Required;
use crate::table::{BodyForm, Order, Resend, Source, Table, Write, column};

pub(crate) static TABLE: Table = Table {
    name: "demerges",
    about: "People who were merged by mistake, split again, one row a person.",
    columns: &[column("identity", Text, Source::Nowhere, Required("/identities", Identifier))],
    read: None,
    write: Some(Write::Batch {
        path: "/1/demerge/profiles.json",
        form: BodyForm::Keys,
        rows_max: 100,
        fixed: &[],
        open: None,
        resend: Resend::Appends,
        order: Order::Any,
    }),
}
.checked();
