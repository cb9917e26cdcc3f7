//! Doors to the hot paths, for this project's benches alone: nothing here is part of the crate's interface.

/// Batches to bodies, as a statement writes them.
pub mod encode {
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;

    use crate::error::Result;
    use crate::options::{LongValues, NaiveTime, Nulls};
    use crate::tables;
    use crate::write::body::Packer;
    use crate::write::encode::{Encoder, Row, Rules};
    use crate::write::mapping::Mapping;

    /// Writes bodies of 1000 records and gives each buffer back at once.
    #[derive(Debug)]
    pub struct Bodies {
        encoder: Encoder,
        packer: Packer,
        rows: Vec<Row>,
    }

    impl Bodies {
        /// For profiles, or for events whose names are a column, with the options as they are when nobody sets them, in a project in India.
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
                time_zone: Some(chrono_tz::Tz::Asia__Kolkata),
            };
            let encoder = Encoder::new(&Mapping::new(table, None, schema)?, schema, &rules)?;
            Ok(Self { encoder, packer: Packer::new(1_000, 5_000_000), rows: Vec::new() })
        }

        /// Writes `batch` and shows each body; says how many rows were rejected.
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
                        Row::Record(record) => self.packer.keep(&record, 0),
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

        /// Shows the last body.
        pub fn finish(&mut self, mut body: impl FnMut(&[u8])) {
            if let Some(last) = self.packer.finish() {
                body(&last.bytes);
                self.packer.recycle(last.bytes);
            }
        }
    }
}
