//! URLs, lists and jobs of a project: what is there between the three steps.

use std::collections::HashMap;

use bytes::Bytes;

use crate::store::Database;

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
pub struct OutcomeEmail {
    /// Whom it goes to.
    pub to: String,
    /// The list's name.
    pub list: String,
    /// The segment's number.
    pub segment_id: u64,
    /// The file's name, as step 3 gave it.
    pub filename: String,
    /// What became of it.
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

/// All URLs, lists, jobs and e-mails of a project.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// By the token in the path.
    pub(super) urls: HashMap<String, Issued>,
    /// In the order of their numbers.
    pub(super) lists: Vec<List>,
    pub(super) jobs: Vec<Job>,
    pub(super) emails: Vec<OutcomeEmail>,
}

/// A URL that was given out.
#[derive(Debug)]
pub(super) struct Issued {
    /// The whole URL, which step 3 repeats.
    pub(super) url: String,
    pub(super) query: String,
    pub(super) expires_at: i64,
    pub(super) file: Option<File>,
    pub(super) is_used: bool,
}

/// What was put at a URL.
#[derive(Debug)]
pub(super) enum File {
    /// As it came.
    Kept(Bytes),
    /// Where only counts are kept: read at once, and its rows counted.
    Counted(Result<u64, String>),
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) members: Option<Members>,
    pub(super) jobs: usize,
    pub(super) is_in_use: bool,
}

#[derive(Debug)]
pub(super) enum Members {
    Known(Vec<u32>),
    Counted(u64),
}

/// A file that waits to be read.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) list: usize,
    pub(super) token: String,
    pub(super) to: String,
    pub(super) filename: String,
    pub(super) due_at: i64,
}

impl Lists {
    /// All lists with their names, numbers and members.
    pub(crate) fn all(&self, database: &Database) -> Vec<CustomList> {
        let show = |(place, list): (usize, &List)| {
            let state = match &list.members {
                _ if list.jobs > 0 => ListState::Processing,
                Some(_) => ListState::Ready,
                None => ListState::Failed,
            };
            let members = match &list.members {
                Some(Members::Known(members)) => database.living(members).count() as u64,
                Some(Members::Counted(members)) => *members,
                None => 0,
            };
            CustomList { id: id(place), name: list.name.clone(), state, members }
        };
        self.lists.iter().enumerate().map(show).collect()
    }

    /// The list with this name, which is new if need be.
    pub(super) fn named(&mut self, name: &str) -> (usize, &mut List) {
        let place = self.lists.iter().position(|list| list.name == name).unwrap_or_else(|| {
            self.lists.push(List { name: name.to_owned(), members: None, jobs: 0, is_in_use: false });
            self.lists.len() - 1
        });
        (place, &mut self.lists[place])
    }
}

/// The number of the list at a place.
pub(super) fn id(place: usize) -> u64 {
    FIRST_ID + place as u64
}
