//! The emulator's own paths, which CleverTap does not have: `/_emulator/faults`, `/_emulator/devices`, `/_emulator/state`.

use http::Method;
use http::request::Parts;
use serde_json::json;

use crate::answer::Answer;
use crate::emulator::Emulator;
use crate::faults::Fault;
use crate::settings::Device;

/// Where those paths begin.
pub(crate) const PREFIX: &str = "/_emulator/";

/// Answers one of them; they need no credentials, take no slot and are not counted.
pub(crate) fn run(emulator: &Emulator, head: &Parts, body: &[u8]) -> Answer {
    let done = |count: usize| Answer::json(200, &json!({ "status": "success", "added": count }));
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/_emulator/state") => Answer::json(200, &emulator.report()),
        (&Method::POST, "/_emulator/faults") => match serde_json::from_slice::<Vec<Fault>>(body) {
            Ok(faults) => {
                let count = faults.len();
                faults.into_iter().for_each(|fault| emulator.add_fault(fault));
                done(count)
            }
            Err(error) => Answer::fail(400, &error.to_string()),
        },
        (&Method::DELETE, "/_emulator/faults") => {
            emulator.clear_faults();
            done(0)
        }
        (&Method::POST, "/_emulator/devices") => match serde_json::from_slice::<Vec<Device>>(body) {
            Ok(devices) => {
                for device in &devices {
                    emulator.add_device(&device.object_id, device.platform, device.identity.as_deref());
                }
                done(devices.len())
            }
            Err(error) => Answer::fail(400, &error.to_string()),
        },
        _ => Answer::fail(404, "The emulator has GET state, POST or DELETE faults, POST devices"),
    }
}
