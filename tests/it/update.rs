//! `UPDATE clevertap.profiles` under faults. What it changes and refuses is `slt/update_delete.slt`.

use clevertap_emulator::{Fault, What};

use crate::world::World;

/// People `p1` to `p3`.
async fn world() -> World {
    let world = World::new();
    world.source(3);
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity, concat('Name ', n) AS name, n AS \"Visits\",
             concat('p', n, '@example.org') AS email FROM source",
        )
        .await;
    world.forget_sent();
    world
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_an_increment_is_in_doubt_and_of_anything_else_is_asked_for_again() {
    for (assigned, fate) in [("\"Visits\" = ct_incr(1)", "1 in doubt"), ("\"Visits\" = 7", "ok")] {
        let world = world().await;
        world.emulator.add_fault(Fault::new(What::ResetAfter).on("/1/upload").times(1));
        let result = world.run(&format!("UPDATE clevertap.profiles SET {assigned} WHERE identity = 'p1'")).await;
        let outcome = result.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(outcome.contains(fate), "{assigned}: {outcome}");
    }
}
