//! Decoder and encoder for the benchmarks only: not part of the public API, and may change at any time.

/// Decodes pages of records to Arrow arrays.
pub mod decode {
    use arrow::array::ArrayRef;
    use arrow::datatypes::Field;
    use bytes::Bytes;
    use chrono_tz::Tz;

    use crate::read::decode::{PageDecoder, Slot};
    pub use crate::table::ValueForm;

    /// A decoder of pages.
    #[derive(Debug)]
    pub struct Pages(PageDecoder);

    impl Pages {
        /// A decoder of pages that have columns at `(path, form)` in `records`, path keys separated by slashes; `None` if there is no
        /// such time zone.
        #[must_use]
        pub fn new(columns: &[(&str, ValueForm)], zone: &str) -> Option<Self> {
            let zone: Tz = zone.parse().ok()?;
            let slot = |(path, form): &(&str, ValueForm)| {
                let keys = path.split('/').map(str::to_owned).collect();
                Slot { name: (*path).to_owned(), paths: vec![keys], form: *form }
            };
            Some(Self(PageDecoder::new(columns.iter().map(slot).collect(), "records", Some(zone))))
        }

        /// The fields of the columns.
        #[must_use]
        pub fn fields(&self) -> Vec<Field> {
            self.0.fields()
        }

        /// Decodes the columns of a page.
        ///
        /// # Errors
        /// Why the page cannot be read.
        pub fn decode(&mut self, body: &Bytes) -> Result<Vec<ArrayRef>, String> {
            self.0.decode(body).map(|page| page.columns).map_err(|unread| unread.to_string())
        }
    }
}

/// Encodes batches as bodies, as a statement does.
pub mod encode {
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;

    use crate::error::Result;
    use crate::options::{LongValues, NaiveTime, NullMarks, Nulls};
    use crate::table::BodyForm;
    use crate::tables;
    use crate::write::body::Packers;
    use crate::write::encode::{Encoder, Row, Rules};
    use crate::write::mapping::{IdentifierChoice, Mapping};

    /// Writes bodies of 1000 records and reuses each buffer at once.
    #[derive(Debug)]
    pub struct Bodies {
        encoder: Encoder,
        packer: Packers,
        rows: Vec<Row>,
    }

    impl Bodies {
        /// For profiles, or for events with a column of event names; default options, in a project in India.
        ///
        /// # Errors
        /// [`crate::Error::Unwritable`] if a column cannot be written.
        pub fn new(table: &'static str, schema: &Schema) -> Result<Self> {
            let table = tables::find(table).unwrap_or(tables::events());
            let rules = Rules {
                nulls: Nulls::Omit,
                nested: false,
                naive_time: NaiveTime::Refuse,
                long_values: LongValues::Reject,
                null_marks: NullMarks::Reject,
                time_zone: Some(chrono_tz::Tz::Asia__Kolkata),
            };
            let encoder =
                Encoder::new(&Mapping::new(table, None, table.name.to_owned(), schema, IdentifierChoice::OneColumn)?, schema, &rules)?;
            Ok(Self { encoder, packer: Packers::new(BodyForm::Records, 1_000, 5_000_000), rows: Vec::new() })
        }

        /// Writes `batch`, calls `body` with each full body, and returns the number of rejected rows.
        ///
        /// # Errors
        /// [`crate::Error::Unwritable`] if a column cannot be read.
        pub fn write(&mut self, batch: &RecordBatch, mut body: impl FnMut(&[u8])) -> Result<usize> {
            let mut rejected = 0;
            let mut batch = self.encoder.begin(batch)?;
            while !batch.is_written() {
                let room = self.packer.room();
                self.encoder.write(&mut batch, room, self.packer.page(), &mut self.rows);
                for row in self.rows.drain(..) {
                    match row {
                        Row::Record(record) => self.packer.keep(&record, 0.into()),
                        Row::Reject(_) => rejected += 1,
                    }
                }
                for full in self.packer.pack() {
                    body(&full.bytes);
                    self.packer.recycle(full.bytes);
                }
            }
            self.encoder.end(&batch);
            Ok(rejected)
        }

        /// Calls `body` with the last body.
        pub fn finish(&mut self, mut body: impl FnMut(&[u8])) {
            for last in self.packer.finish() {
                body(&last.bytes);
                self.packer.recycle(last.bytes);
            }
        }
    }
}
