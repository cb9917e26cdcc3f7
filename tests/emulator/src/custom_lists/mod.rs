//! Custom lists in three steps: a URL (`url.rs`), a file that is put there (`file.rs`), a word that it is there
//! (`complete.rs`); and a job that reads it later, whose outcome comes by e-mail only (reference 12.1).
//!
//! The file is kept as it came until the job has read it; a member is the number of an identifier, so that a million fit.

pub(crate) mod complete;
mod csv;
pub(crate) mod file;
pub(crate) mod state;
pub(crate) mod url;

use bytes::Bytes;

use crate::emulator::{Emulator, Inner};
use crate::lock;
use crate::settings::Store;
use csv::Rows;
use state::{CustomList, File, Job, ListOutcome, Members, OutcomeEmail, id};

impl Emulator {
    /// Every custom list, in the order in which their names came up.
    #[must_use]
    pub fn lists(&self) -> Vec<CustomList> {
        self.inner.custom_lists()
    }

    /// The identities and object ids of those who are on a list, as the file had them; sorted, nobody twice. Empty where
    /// only counts are kept.
    #[must_use]
    pub fn list_members(&self, name: &str) -> Vec<String> {
        self.inner.catch_up();
        let lists = lock(&self.inner.custom_lists);
        let list = lists.lists.iter().find(|list| list.name == name);
        match list.and_then(|list| list.members.as_ref()) {
            Some(Members::Known(members)) => {
                let database = lock(&self.inner.database);
                let mut texts: Vec<String> = database.living(members).map(|(_, text)| text.to_owned()).collect();
                texts.sort_unstable();
                texts
            }
            Some(Members::Counted(_)) | None => Vec::new(),
        }
    }

    /// The e-mails about files that were sent so far, the oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<OutcomeEmail> {
        self.inner.catch_up();
        lock(&self.inner.custom_lists).emails.clone()
    }

    /// Reads all files that wait, as if their time had come; gives their number.
    pub fn run_lists(&self) -> usize {
        self.inner.read_files(|_| true)
    }

    /// Lets a campaign run on a list, or end: a list that is in use cannot be replaced.
    pub fn use_list(&self, name: &str, is_in_use: bool) {
        for list in lock(&self.inner.custom_lists).lists.iter_mut().filter(|list| list.name == name) {
            list.is_in_use = is_in_use;
        }
    }
}

impl Inner {
    /// Every custom list, for whoever lists segments.
    pub(crate) fn custom_lists(&self) -> Vec<CustomList> {
        self.catch_up();
        let lists = lock(&self.custom_lists);
        let database = lock(&self.database);
        lists.all(&database)
    }

    /// Reads the files whose time has come.
    pub(crate) fn read_due_files(&self) {
        if !lock(&self.custom_lists).jobs.is_empty() {
            let now = self.now();
            self.read_files(|job| job.due_at <= now);
        }
    }

    fn read_files(&self, is_due: impl Fn(&Job) -> bool) -> usize {
        let mut lists = lock(&self.custom_lists);
        let due: Vec<Job> = lists.jobs.extract_if(.., |job| is_due(job)).collect();
        let count = due.len();
        for job in due {
            let file = lists.urls.get_mut(&job.token).and_then(|issued| issued.file.take());
            let outcome = match file.map_or_else(|| Err("there is no file".to_owned()), |file| self.members(&file)) {
                Ok((members, outcome)) => {
                    lists.lists[job.list].members = Some(members);
                    outcome
                }
                Err(reason) => ListOutcome::Failed { reason },
            };
            let list = &mut lists.lists[job.list];
            list.jobs -= 1;
            let email = OutcomeEmail { to: job.to, list: list.name.clone(), segment_id: id(job.list), filename: job.filename, outcome };
            lists.emails.push(email);
        }
        count
    }

    /// Who is on the list that a file makes.
    fn members(&self, file: &File) -> Result<(Members, ListOutcome), String> {
        match file {
            File::Counted(rows) => {
                let members = rows.clone()?;
                Ok((Members::Counted(members), ListOutcome::Done { members, ignored: 0 }))
            }
            File::Kept(file) => {
                let mut rows = 0;
                let database = lock(&self.database);
                let mut known = Vec::new();
                for row in Rows::open(file)? {
                    let (kind, id) = row?;
                    rows += 1;
                    known.extend(database.member(kind, &id));
                }
                // One row a person, whatever they are called.
                known.sort_unstable();
                known.dedup_by_key(|(person, _)| *person);
                let members = known.len() as u64;
                let known = known.into_iter().map(|(_, identifier)| identifier).collect();
                Ok((Members::Known(known), ListOutcome::Done { members, ignored: rows - members }))
            }
        }
    }

    /// A file as it is kept.
    fn keep(&self, body: &[u8]) -> File {
        match self.settings.store {
            Store::Everything => File::Kept(Bytes::copy_from_slice(body)),
            Store::Counts => {
                let count = |rows: Rows<'_>| rows.map(|row| row.map(|_| 1_u64)).sum();
                File::Counted(Rows::open(body).and_then(count))
            }
        }
    }
}
