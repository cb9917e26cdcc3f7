//! The hot kernels, for the benchmarks and nobody else: no part of the public interface, may change at any time.

/// Pages of records to Arrow arrays.
pub mod decode {
    use arrow::array::ArrayRef;
    use arrow::datatypes::Field;
    use bytes::Bytes;
    use chrono_tz::Tz;

    pub use crate::read::decode::Form;
    use crate::read::decode::{PageDecoder, Slot};

    /// A decoder of pages.
    #[derive(Debug)]
    pub struct Pages(PageDecoder);

    impl Pages {
        /// A decoder of pages whose `records` have columns at `(path, form)`, keys apart by slashes; none if there is no such zone.
        #[must_use]
        pub fn new(columns: &[(&str, Form)], zone: &str) -> Option<Self> {
            let zone: Tz = zone.parse().ok()?;
            let slot = |(path, form): &(&str, Form)| {
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

        /// The columns of a page.
        ///
        /// # Errors
        /// Why the page cannot be read.
        pub fn decode(&mut self, body: &Bytes) -> Result<Vec<ArrayRef>, String> {
            self.0.decode(body).map(|page| page.columns).map_err(|unread| unread.to_string())
        }
    }
}
