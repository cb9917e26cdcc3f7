//! Who is erased leaves what syncs remember, too.
//!
//! In: keys whose deletion CleverTap took, the ledger of syncs. Out: a ledger without them, and what is to be known of it on stderr. That it
//! failed changes nothing of the erasure.

use std::collections::BTreeSet;

use super::{super::person_key::PersonKey, eraser::Eraser, log::RequestState};
use crate::{commands::sync::forgotten, engine::syncs::sync_failure};

impl Eraser<'_> {
    /// Has syncs forget those of `keys` whose deletion CleverTap took, now or before.
    pub(super) async fn forget(&mut self, keys: &BTreeSet<PersonKey>, ledger: Option<&str>) {
        let Some(place) = ledger else { return };
        let mut people = BTreeSet::new();
        for key in keys {
            let Some(request) = self.log.request(key) else { continue };
            if matches!(request.state(), RequestState::Requested | RequestState::StillThere | RequestState::Gone) {
                people.insert(key.value.clone());
                people.extend(request.person.iter().map(|person| person.value.clone()));
            }
        }
        if people.is_empty() {
            return;
        }
        let people: Vec<String> = people.into_iter().collect();
        let Self { session, interrupts, console, .. } = self;
        let forgetting = async { session.syncs(place).await?.forget(&people).await.map_err(|error| sync_failure(&error)) };
        match interrupts.or(forgetting).await.flatten() {
            Ok(done) => {
                if done.rows + done.dead_letters + done.in_flight > 0 {
                    console.say(&forgotten::counts(&done));
                }
                if let Some(until) = forgotten::until(&done) {
                    console.say(&until);
                }
                if let Some(held) = forgotten::held(&done) {
                    console.say(&format!("{held}; the same command asks again, and so does clevertap-sql sync forget"));
                }
            }
            Err(failure) => console.say(&format!(
                "what syncs remember of these people was not forgotten: {failure}. Their erasure goes on; the same command, or clevertap-sql sync \
                 forget, tries it again"
            )),
        }
    }
}
