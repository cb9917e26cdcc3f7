//! What a write is: the statement, the mapping, the options. Made when the statement is planned.
//!
//! In: a relation and the schema of a source. Out: a [`Job`], or why the source cannot be written to the table.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::access::Access;
use crate::account::Account;
use crate::client::Api;
use crate::error::Error;
use crate::fate::Tally;
use crate::options::{DryRun, Options};
use crate::redact::without_secrets;
use crate::relation::Relation;
use crate::runs::{PlannedRun, Run, RunContext, Status};
use crate::table::{BodyForm, Shape, Target, Write};
use crate::write::encode::{Encoder, Rules};
use crate::write::hooks::{EraseConsent, FateWatch};
use crate::write::mapping::{IdentifierChoice, Mapping, SourceColumn};

/// What a statement does to its table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Operation {
    /// INSERT, or COPY.
    #[default]
    Insert,
    /// UPDATE: of people who were looked up.
    Update,
    /// DELETE: of people who were looked up, or are named in the statement.
    Delete,
    /// Records of failed rows, as they were encoded.
    Resend,
}

impl Operation {
    /// As `clevertap.runs` and EXPLAIN show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Resend => "RESEND",
        }
    }

    fn identifier_choice(self) -> IdentifierChoice {
        match self {
            Self::Insert => IdentifierChoice::OneColumn,
            Self::Update | Self::Delete | Self::Resend => IdentifierChoice::FirstThere,
        }
    }
}

/// What is known of the statement that writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteStatement {
    pub(crate) operation: Operation,
    /// Its text, where it was run by `clevertap_sql`.
    pub(crate) text: Option<String>,
    /// Where each column of the source comes from, for EXPLAIN.
    pub(crate) sources: Vec<SourceColumn>,
    /// Where the keys of an UPDATE or a DELETE come from, for EXPLAIN.
    pub(crate) keys: Option<String>,
}

/// The ids of a plan's runs: that of the next one is known before it begins.
#[derive(Debug)]
pub(crate) struct RunUids(Mutex<Arc<PlannedRun>>);

impl RunUids {
    fn new(account: &Account) -> Self {
        Self(Mutex::new(account.runs_kept().plan(account.new_run_uid())))
    }

    /// That of the run that begins next.
    pub(crate) fn planned(&self) -> Arc<str> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).uid)
    }

    /// Takes it for a run that begins.
    pub(crate) fn take(&self, account: &Account) -> Arc<PlannedRun> {
        let next = account.runs_kept().plan(account.new_run_uid());
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), next)
    }
}

/// What a write needs besides its input: made when the statement is planned.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) statement: WriteStatement,
    pub(crate) relation: Relation,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) options: Options,
    pub(crate) rules: Rules,
    /// Where the source is records that were encoded before: the columns that every record has.
    pub(crate) records: Option<SchemaRef>,
    /// Who watches, and who is asked before it erases: of the session that planned it.
    pub(crate) watch: Option<FateWatch>,
    pub(crate) consent: Option<EraseConsent>,
    /// What it is a part of, and what it goes on with: of the session that planned it.
    pub(crate) context: Arc<RunContext>,
    pub(crate) run_uids: Arc<RunUids>,
}

impl Job {
    /// Maps `source` onto `relation`, or says why it cannot be written.
    pub(crate) fn new(statement: &WriteStatement, relation: &Relation, source: &Schema, options: &Options) -> Result<Self, Error> {
        let Relation { account, table, event, .. } = relation;
        let mapping = Mapping::new(table, event.as_deref(), relation.qualified(), source, statement.operation.identifier_choice())?;
        let (id, qualified) = (account.id(), mapping.qualified().to_owned());
        if account.access() == Access::Read {
            return Err(Error::Unauthorized(format!(
                "account \"{id}\" was opened to be read only, and {qualified} would be written; open it with write access"
            )));
        }
        if table.erases() && account.access() < Access::Erase {
            return Err(Error::Unauthorized(format!(
                "account \"{id}\" was opened without the right to erase, and {} {qualified} cannot be undone; open it with erase access \
                 (clevertap-sql --allow-erase)",
                if statement.operation == Operation::Delete { "DELETE FROM" } else { "INSERT INTO" },
            )));
        }
        let upload = matches!(table.write, Some(Write::Batch { path, .. }) if Api::of(path).is_upload());
        if options.dry_run == DryRun::Server && !upload {
            return Err(Error::Setting(format!(
                "option \"clevertap.dry_run\" is 'server', and CleverTap checks uploads alone: {qualified} would be written; \
                 SET clevertap.dry_run = 'local'"
            )));
        }
        let rules = Rules {
            nulls: options.nulls,
            nested: options.nested,
            naive_time: options.naive_time,
            long_values: options.long_values,
            null_marks: options.null_marks,
            time_zone: account.time_zone(),
        };
        let mapping = mapping.with_origins(&statement.sources);
        // What cannot be encoded is refused now, not at the first batch.
        Encoder::new(&mapping, source, &rules)?;
        Ok(Self {
            statement: statement.clone(),
            relation: relation.clone(),
            mapping: Arc::new(mapping),
            options: options.clone(),
            rules,
            records: None,
            watch: None,
            consent: None,
            context: Arc::default(),
            run_uids: Arc::new(RunUids::new(account)),
        })
    }

    /// Takes records of failed rows for `relation`.
    pub(crate) fn of_records(relation: &Relation, options: &Options) -> Result<Self, Error> {
        let table = relation.table;
        if !matches!(table.write, Some(Write::Batch { form: BodyForm::Records, .. })) {
            return Err(Error::Unwritable(format!(
                "records of {} are not sent again as they are: run the statement again, for those rows",
                relation.qualified()
            )));
        }
        // What every record has, and what may say whose it is.
        let fields = table.columns.iter().filter_map(|column| match column.target {
            Target::Required(_, Shape::EpochSeconds) => Some(Field::new(column.name, DataType::Int64, true)),
            Target::Required(..) | Target::Optional(_, Shape::Identifier) => Some(Field::new(column.name, DataType::Utf8, true)),
            _ => None,
        });
        let statement = WriteStatement { operation: Operation::Resend, ..WriteStatement::default() };
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { records: Some(Arc::clone(&schema)), ..Self::new(&statement, relation, &schema, options)? })
    }

    /// The run of this job, which has not begun.
    pub(crate) fn new_run(&self, planned: &PlannedRun) -> Run {
        Run {
            run_id: 0,
            run_uid: Arc::clone(&planned.uid),
            label: self.options.run_label.clone(),
            account: self.relation.account.id().to_owned(),
            table_name: self.mapping.qualified().to_owned(),
            operation: self.statement.operation.name(),
            statement: self.statement.text.as_deref().map(|text| without_secrets(text).into_owned()),
            started_at: self.relation.account.clock().now(),
            finished_at: None,
            status: Status::Running,
            input_complete: false,
            settled_through: 0,
            tally: Tally::default(),
            checked: 0,
            requests: 0,
            retries: 0,
            bytes_sent: 0,
            error_code: None,
            error: None,
            mapping: if self.statement.operation == Operation::Resend {
                "records as they are".to_owned()
            } else {
                self.mapping.to_string()
            },
            changed_options: self.options.changed(),
            failed_rows_written: 0,
            samples: Vec::new(),
            warnings: Vec::new(),
        }
    }
}
