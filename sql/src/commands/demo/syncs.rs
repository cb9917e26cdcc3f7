//! The sync of the demo: people who are mirrored, three of them changed, one gone.
//!
//! In: how many people, a folder for the ledger. Out: what a plan and two runs said, to be compared with what the emulator took.

use std::path::Path;

use super::Demo;
use crate::{
    engine::syncs::sync_failure,
    failure::{Failure, Result},
};
use clevertap_emulator::Emulator;
use datafusion_clevertap_sync::{
    Definition, RunReport, SyncPlan,
    definition::{Mode, OnRemoved},
    report::Changes,
};

const QUERY: &str = "SELECT id AS identity, plan AS \"Plan\" FROM members";

/// What was counted, on both sides.
pub(super) struct SyncFigures {
    first: RunReport,
    plan: SyncPlan,
    second: RunReport,
    /// Records that the emulator accepted in each run.
    records: [u64; 2],
    /// The `Plan` of who left.
    of_gone: bool,
}

impl Demo<'_> {
    /// Runs a mirror twice; between the runs three members change and one leaves.
    pub(super) async fn syncs(&mut self, emulator: &Emulator, rows: u32, state: &Path) -> Result<SyncFigures> {
        self.step("A sync: of people who are loaded again and again, only what changed is sent")?;
        self.say(format_args!(
            "\n[syncs.members]                   # in clevertap.toml; clevertap-sql sync plan members, sync run members\nquery = '{QUERY}'\n\
             into = \"clevertap.profiles\"\nmode = \"mirror\"\non_removed = {{ \"Plan\" = \"churned\" }}\n"
        ))?;
        let mut members = Definition::new("members", QUERY, "clevertap.profiles");
        members.mode = Some(Mode::Mirror);
        members.on_removed = OnRemoved::Set(vec![("Plan".to_owned(), "churned".into())]);
        let syncs = self.runner.session.syncs(&state.display().to_string()).await?;

        let before = emulator.report().profile_records;
        self.members(&format!("SELECT concat('member-', value) AS id, 'gold' AS plan FROM generate_series(1, {rows}) AS t (value)"))
            .await?;
        let first = Box::pin(syncs.run(&members)).await.map_err(|error| sync_failure(&error))?;
        self.say_run("first run", &first)?;
        let between = emulator.report().profile_records;

        self.say(format_args!("three members change, and the last one leaves"))?;
        self.members(&format!(
            "SELECT concat('member-', value) AS id, CASE WHEN value <= 3 THEN 'silver' ELSE 'gold' END AS plan \
             FROM generate_series(1, {rows} - 1) AS t (value)"
        ))
        .await?;
        let plan = Box::pin(syncs.plan(&members)).await.map_err(|error| sync_failure(&error))?;
        let Changes { new, changed, removed, unchanged, .. } = plan.changes;
        self.say(format_args!("plan: {new} new, {changed} changed, {removed} removed, {unchanged} unchanged"))?;
        let second = Box::pin(syncs.run(&members)).await.map_err(|error| sync_failure(&error))?;
        self.say_run("second run", &second)?;
        let records = [between - before, emulator.report().profile_records - between];
        let gone = emulator.profile(&format!("member-{rows}"));
        let of_gone = gone.is_some_and(|profile| profile.to_string().contains("\"Plan\":\"churned\""));
        Ok(SyncFigures { first, plan, second, records, of_gone })
    }

    async fn members(&mut self, query: &str) -> Result<()> {
        let rows = self.runner.session.rows(&format!("CREATE OR REPLACE VIEW members AS {query}")).await;
        rows.map(drop).map_err(Failure::from)
    }

    fn say_run(&mut self, name: &str, run: &RunReport) -> Result<()> {
        let took = run.finished_at.map(|at| (at - run.started_at).as_seconds_f64()).unwrap_or_default();
        self.say(format_args!(
            "{name}: {} rows, {} accepted, {} rejected, {} in doubt, {} unsent in {took:.1} s",
            run.changes.rows, run.accepted, run.rejected, run.in_doubt, run.unsent
        ))
    }
}

impl SyncFigures {
    /// What was found, and what was expected.
    pub(super) fn figures(&self, rows: u64) -> [(&'static str, u64, u64); 9] {
        let Self { first, plan, second, records, of_gone } = self;
        [
            ("members that the first run sent", first.accepted, rows),
            ("records of the first run that the emulator accepted", records[0], rows),
            ("members that are new by the plan", plan.changes.new, 0),
            ("members that changed by the plan", plan.changes.changed, 3),
            ("members that left by the plan", plan.changes.removed, 1),
            ("members that did not change by the plan", plan.changes.unchanged, rows - 4),
            ("members that the second run sent", second.accepted, plan.changes.changed + plan.changes.removed),
            ("records of the second run that the emulator accepted", records[1], second.accepted),
            ("members who left and are told by their plan", u64::from(*of_gone), 1),
        ]
    }
}
