//! Custom lists: sent again when their membership changed, and only then.

use clevertap_emulator::{Fault, What};
use datafusion_clevertap_sync::definition::{InDoubt, Mode};
use datafusion_clevertap_sync::report::Status;
use datafusion_clevertap_sync::{Definition, Error};

use crate::world::{World, counts};

fn lists() -> Definition {
    let mut lists = Definition::new("lists", "SELECT plan AS list_name, id AS identity FROM people", "clevertap.custom_lists");
    lists.options = vec![("list_email".to_owned(), "admin@example.org".to_owned())];
    lists
}

/// Four lists of 250 members.
const FOUR: &str = "SELECT 'p' || value, 'list ' || (value % 4) FROM generate_series(1, 1000)";

#[tokio::test]
async fn a_list_is_created_once_and_replaced_when_its_members_are_others() {
    let world = World::new().await;
    world.people(FOUR).await;
    let plan = world.syncs.plan(&lists()).await.expect("a plan");
    assert_eq!((counts(&plan.changes), plan.changes.rows), ((4, 0, 0, 0), 1000));
    let first = world.syncs.run(&lists()).await.expect("a run");
    assert_eq!((first.status, counts(&first.changes), first.accepted), (Status::Successful, (4, 0, 0, 0), 1000), "{first:?}");
    // Another order, and a member twice: the same lists.
    world.people("SELECT * FROM (SELECT 'p' || value AS id, 'list ' || (value % 4) AS plan FROM generate_series(1, 1000) UNION ALL VALUES ('p1', 'list 1')) ORDER BY id DESC").await;
    let same = world.syncs.run(&lists()).await.expect("a run");
    assert_eq!((counts(&same.changes), same.accepted, same.status), ((0, 0, 4, 0), 0, Status::Successful));
    // One list gets a member, one is new, one left.
    world
        .people(&format!(
            "SELECT * FROM ({FOUR}) AS t (id, plan) WHERE plan <> 'list 3' UNION ALL VALUES ('new', 'list 0'), ('new', 'list 9')"
        ))
        .await;
    let third = world.syncs.run(&lists()).await.expect("a run");
    assert_eq!((counts(&third.changes), third.changes.removed, third.accepted), ((1, 1, 2, 0), 1, 252), "{third:?}");
    assert_eq!(third.status, Status::Successful);
}

#[tokio::test]
async fn a_list_whose_last_answer_was_lost_is_held_until_it_is_asked_for() {
    let world = World::new().await;
    world.people(FOUR).await;
    world.emulator.add_fault(Fault { count: Some(1), ..Fault::new(What::ResetAfter).on("/upload_custom_list_segment_completed") });
    let first = world.syncs.run(&lists()).await.expect("a run");
    assert_eq!((first.status, first.accepted + first.in_doubt + first.unsent), (Status::Error, 1000), "{first:?}");
    assert_eq!(first.in_doubt, 250);
    let second = world.syncs.run(&lists()).await.expect("a run");
    assert_eq!((second.changes.held, second.status), (1, Status::Partial), "{second:?}");
    assert_eq!(second.accepted, first.unsent);
    let mut again = lists();
    again.in_doubt = InDoubt::Resend;
    let third = world.syncs.run(&again).await.expect("a run");
    assert_eq!((third.changes.changed, third.accepted, third.status), (1, 250, Status::Successful), "{third:?}");
}

#[tokio::test]
async fn a_list_that_is_taken_is_rejected_and_tried_again_when_asked_for() {
    let world = World::new().await;
    world.people("VALUES ('a', 'VIP'), ('b', 'VIP'), ('c', NULL)").await;
    assert!(matches!(world.syncs.run(&lists()).await, Err(Error::Guard(text)) if text.contains("1 of 3 rows have no list_name")));
    world.people("VALUES ('a', 'VIP'), ('b', 'VIP')").await;
    assert_eq!(world.syncs.run(&lists()).await.expect("a run").accepted, 2);
    let mut other = lists();
    other.name = "other".to_owned();
    let run = world.syncs.run(&other).await.expect("a run");
    assert_eq!((run.status, run.rejected), (Status::Partial, 2), "{run:?}");
    assert_eq!(world.syncs.run(&other).await.expect("a run").changes.held, 1);
    // Who knows that the list is there, and as it is, says so.
    assert_eq!(world.syncs.baseline(&lists()).await.expect("a baseline"), 2);
    let mut keyed = lists();
    keyed.key = vec!["identity".to_owned()];
    let mut upsert = lists();
    upsert.mode = Some(Mode::Upsert);
    for definition in [keyed, upsert] {
        assert!(matches!(world.syncs.run(&definition).await, Err(Error::Definition(_))));
    }
}
