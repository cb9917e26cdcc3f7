//! Custom lists in three steps: a URL (`url.rs`), a file that is put there (`file.rs`), a word that it is there
//! (`complete.rs`); and a job that reads it later, whose outcome comes by letter only (reference 12.1).
//!
//! The file is kept as it came until the job has read it; a member is the number of an identifier, so that a million fit.

pub(crate) mod complete;
mod csv;
pub(crate) mod file;
pub(crate) mod url;

use std::collections::HashMap;

use bytes::Bytes;

use crate::emulator::{Emulator, Inner};
use crate::lock;
use crate::settings::Store;
use crate::store::Books;
use csv::Rows;

/// The number of the first list.
const FIRST_ID: u64 = 1_700_000_001;

/// A custom list, as a list of segments shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomList {
    /// The segment's number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What can be done with it.
    pub state: ListState,
    /// People who are on it, by the last file that was good.
    pub members: u64,
}

/// What can be done with a custom list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListState {
    /// Its job has not run yet: not usable.
    Processing,
    /// A good file was read. A later one that failed changes nothing.
    Ready,
    /// No file was good so far.
    Failed,
}

/// An e-mail that says what became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Whom it goes to.
    pub to: String,
    /// The list's name.
    pub list: String,
    /// The segment's number.
    pub segment_id: u64,
    /// The file's name, as it was told.
    pub filename: String,
    /// The news.
    pub outcome: ListOutcome,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListOutcome {
    /// It is the list now.
    Done {
        /// People who are on the list.
        members: u64,
        /// Rows that name nobody who is known, or somebody again.
        ignored: u64,
    },
    /// The list is what it was before.
    Failed {
        /// What is wrong with the file.
        reason: String,
    },
}

/// All URLs, lists, jobs and letters of a project.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// By the token in the path.
    urls: HashMap<String, Issued>,
    /// In the order of their numbers.
    lists: Vec<List>,
    jobs: Vec<Job>,
    letters: Vec<Letter>,
}

/// A URL that was given out.
#[derive(Debug)]
struct Issued {
    /// The whole URL, which step 3 repeats.
    url: String,
    query: String,
    expires_at: i64,
    file: Option<File>,
    is_used: bool,
}

/// What was put at a URL.
#[derive(Debug)]
enum File {
    /// As it came.
    Kept(Bytes),
    /// Where only counts are kept: read at once, and its rows counted.
    Counted(Result<u64, String>),
}

#[derive(Debug)]
struct List {
    name: String,
    members: Option<Members>,
    jobs: usize,
    is_in_use: bool,
}

#[derive(Debug)]
enum Members {
    Known(Vec<u32>),
    Counted(u64),
}

/// A file that waits to be read.
#[derive(Debug)]
struct Job {
    list: usize,
    token: String,
    to: String,
    filename: String,
    due_at: i64,
}

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
                let books = lock(&self.inner.books);
                let mut texts: Vec<String> = books.living(members).map(|(_, text)| text.to_owned()).collect();
                texts.sort_unstable();
                texts
            }
            Some(Members::Counted(_)) | None => Vec::new(),
        }
    }

    /// The letters that were sent so far, the oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Letter> {
        self.inner.catch_up();
        lock(&self.inner.custom_lists).letters.clone()
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
        let books = lock(&self.books);
        lists.all(&books)
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
            let letter = Letter { to: job.to, list: list.name.clone(), segment_id: id(job.list), filename: job.filename, outcome };
            lists.letters.push(letter);
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
                let books = lock(&self.books);
                let mut known = Vec::new();
                for row in Rows::open(file)? {
                    let (kind, id) = row?;
                    rows += 1;
                    known.extend(books.member(kind, &id));
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

impl Lists {
    /// All lists with their names, numbers and members.
    pub(crate) fn all(&self, books: &Books) -> Vec<CustomList> {
        let show = |(place, list): (usize, &List)| {
            let state = match &list.members {
                _ if list.jobs > 0 => ListState::Processing,
                Some(_) => ListState::Ready,
                None => ListState::Failed,
            };
            let members = match &list.members {
                Some(Members::Known(members)) => books.living(members).count() as u64,
                Some(Members::Counted(members)) => *members,
                None => 0,
            };
            CustomList { id: id(place), name: list.name.clone(), state, members }
        };
        self.lists.iter().enumerate().map(show).collect()
    }

    /// The list with this name, which is new if need be.
    fn named(&mut self, name: &str) -> (usize, &mut List) {
        let place = self.lists.iter().position(|list| list.name == name).unwrap_or_else(|| {
            self.lists.push(List { name: name.to_owned(), members: None, jobs: 0, is_in_use: false });
            self.lists.len() - 1
        });
        (place, &mut self.lists[place])
    }
}

fn id(place: usize) -> u64 {
    FIRST_ID + place as u64
}
