//! `clevertap.custom_lists`: lists of people, which can be used as segments.
//!
//! ```sql
//! SET clevertap.list_email = 'admin@example.org';
//! INSERT INTO clevertap.custom_lists SELECT 'Big spenders' AS list_name, user_id AS identity FROM 'spenders.parquet';
//! ```
//!
//! Each name is one list; a statement may write several. CleverTap leaves out people who do not exist. It reports the result of a list
//! only by mail to `clevertap.list_email`, so an accepted row is a row that was submitted. Wire format:
//! <https://developer.clevertap.com/docs/custom-list-endpoints>, read 2026-11-24; the call that lists existing lists is not documented.

use crate::table::Kind::Text;
use crate::table::Shape::{Identifier, Identity};
use crate::table::Target::{Optional, Required};
use crate::table::{Completion, List, Source, Table, Write, column};
use crate::tables::segments;

static CALLS: List = List {
    url_path: "/get_custom_list_segment_url",
    url: "/presignedS3URL",
    header: "Type,Identity\n",
    kinds: &[("identity", "i"), ("object_id", "g")],
    bytes_max: 5_000_000_000,
    completion_path: "/upload_custom_list_segment_completed",
    completion: Completion { name: "name", email: "email", file_name: "filename", creator: "creator", url: "url", replace: "replace" },
    taken: "duplicate_name",
    existing: &segments::LISTING,
    existing_name: segments::NAME,
};

pub(crate) static TABLE: Table = Table {
    name: "custom_lists",
    about: "Who is on a list, one row a person and list.",
    columns: &[
        column("list_name", Text, Source::Nowhere, Required("/list_name", Identity)),
        column("identity", Text, Source::Nowhere, Optional("/identity", Identifier)),
        column("object_id", Text, Source::Nowhere, Optional("/objectId", Identifier)),
    ],
    read: None,
    write: Some(Write::List(&CALLS)),
}
.checked();
