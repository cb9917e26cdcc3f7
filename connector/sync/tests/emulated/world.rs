//! What the tests stand in.

use std::sync::Arc;

use clevertap_emulator::{Emulator, Settings};
use clevertap_tests::{CallLog, EmulatorTransport};
use datafusion::prelude::SessionContext;
use datafusion_clevertap::transport::Transport;
use datafusion_clevertap::{Access, Account, AccountSettings, Region, Secret, register};
use datafusion_clevertap_sync::report::Changes;
use datafusion_clevertap_sync::{Definition, Syncs};

pub(crate) const PEOPLE: &str = "SELECT id AS identity, plan AS \"Plan\" FROM people";
pub(crate) const EVENTS: &str =
    "SELECT 'Charged' AS event_name, 1767225600 AS event_time, id AS identity, id, plan AS \"Plan\" FROM people";

/// An account of the emulator, a session, a ledger.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) ctx: SessionContext,
    pub(crate) syncs: Syncs,
    state: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let emulator = Emulator::new(Settings { seed: 7, ..Settings::default() });
        Self::over(emulator, tempfile::tempdir().expect("a folder"), "TEST-123-456Z").await
    }

    /// The same CleverTap and ledger, as another process opens them.
    pub(crate) async fn reopened(self) -> Self {
        let world = Self::over(self.emulator, self.state, "TEST-123-456Z").await;
        world.register_ledger();
        world
    }

    /// The same ledger, with another account.
    pub(crate) async fn of_account(self, account: &str) -> Self {
        Self::over(self.emulator, self.state, account).await
    }

    async fn over(emulator: Emulator, state: tempfile::TempDir, account: &str) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(EmulatorTransport::new(emulator.clone(), CallLog::Off));
        let settings = AccountSettings::new().with_transport(transport).with_seed(7).with_own_limits(true);
        let settings = settings.with_time_zone(chrono_tz::Asia::Kolkata).with_access(Access::Erase);
        let account = Account::open(account, Secret::new("emulator-passcode"), Region::In1, settings).expect("an account");
        let ctx = SessionContext::new();
        register(&ctx, "clevertap", &account).expect("registered");
        let syncs = Syncs::open(ctx.clone(), &state.path().display().to_string()).await.expect("a ledger");
        Self { emulator, ctx, syncs, state }
    }

    /// `sync_runs`, `sync_rows`, `dead_letters`.
    pub(crate) fn register_ledger(&self) {
        for (name, table) in self.syncs.ledger().tables() {
            self.ctx.register_table(name, table).expect("a table");
        }
    }

    /// The people of the source: `query` has the columns `id` and `plan`.
    pub(crate) async fn people(&self, query: &str) {
        let view = format!("CREATE OR REPLACE VIEW people AS SELECT id, plan FROM ({query}) AS t (id, plan)");
        self.ctx.sql(&view).await.expect("a view").collect().await.expect("made");
    }

    /// Where the ledger is.
    pub(crate) fn state(&self) -> &std::path::Path {
        self.state.path()
    }

    pub(crate) fn plan_of(&self, identity: &str) -> Option<String> {
        let profile = self.emulator.profile(identity)?;
        profile.to_string().split("\"Plan\":\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    }
}

/// new, changed, unchanged, held.
pub(crate) fn counts(changes: &Changes) -> (u64, u64, u64, u64) {
    (changes.new, changes.changed, changes.unchanged, changes.held)
}

pub(crate) fn events() -> Definition {
    let mut events = Definition::new("charged", EVENTS, "clevertap.events");
    events.key = vec!["id".to_owned()];
    events
}
