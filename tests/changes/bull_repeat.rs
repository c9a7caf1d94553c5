//! Repeatables of Bull 3 and 4: they survive what is done to their jobs, and end when they are removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qtop::domain::change::Scope;
use qtop::domain::ids::QueueId;
use qtop::domain::job::{PageRequest, Schedule};
use qtop::domain::mutation::Change;
use qtop::engine::change::Finished;
use qtop::link::Link;
use serde_json::{Value, json};

use crate::bull::with_each;
use crate::command_line::Shell;
use crate::library::Library;
use crate::office::{Office, plan};

const REMOVE: Change = Change::Remove { children: false };

/// A repeatable that runs whenever the clock shows a multiple of so many milliseconds; the id of its next run, which has
/// almost that long to come.
fn repeat(library: &mut Library, every: u64) -> String {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    std::thread::sleep(Duration::from_millis(every - clock % every));
    library.add("mail", "tick", json!({ "from": "repeatable" }), json!({ "repeat": { "every": every } }));
    library.ids("mail", "delayed").remove(0)
}

fn runs(library: &mut Library) -> Vec<Value> {
    library.ask("runs", json!({ "queue": "mail" })).as_array().unwrap().clone()
}

/// Waits for so many further runs.
fn further(library: &mut Library, count: usize) {
    let before = runs(library).len();
    for _ in 0..400 {
        if runs(library).len() >= before + count {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited 8 s for {count} further runs of Bull {}", library.major);
}

fn schedules(server: &qtop_testkit::TestServer, office: &Office, queue: &QueueId) -> Vec<Schedule> {
    let system = office.system(queue);
    office.runtime.block_on(async {
        let link = Link::open(&server.url()).await.unwrap();
        system.schedules(&link, queue, PageRequest { cursor: None, limit: 10 }).await.unwrap().rows
    })
}

fn of_repeatable(office: &Office, queue: &QueueId, change: Change) -> Finished {
    office.carry_out(plan(queue, change, Scope::Schedules(vec!["tick:::500".into()])))
}

#[test]
fn a_repeatable_survives_what_is_done_to_its_jobs() {
    with_each(|server, library, office, queue| {
        let next = repeat(library, 1000);
        let refused = |state, id: &str, change| {
            let finished = office.jobs(queue, state, &[id.to_owned()], change);
            assert_eq!((finished.outcome.done.len(), finished.outcome.refused.len()), (0, 1), "{finished:?}");
            assert!(finished.outcome.refused[0].1.contains("next run of a repeatable"), "{finished:?}");
        };
        refused("delayed", &next, REMOVE);
        refused("delayed", &next, Change::Cancel);
        refused("delayed", &next, Change::Delay { by: Duration::from_secs(3600) });
        // Due, and nobody has taken it: without it the chain would end, too.
        office.all(queue, "delayed", std::slice::from_ref(&next), Change::Promote);
        refused("waiting", &next, REMOVE);
        let copy = office.all(queue, "waiting", std::slice::from_ref(&next), Change::Duplicate).outcome.created;
        library.ask("work", json!({ "queue": "mail" }));
        further(library, 3);
        library.until("mail", &next, "completed");
        library.until("mail", &copy[0].to_text(), "completed");
        assert_eq!(library.job("mail", &copy[0].to_text())["opts"]["repeat"], Value::Null, "a copy repeats nothing");
        // A run that has ended can go, and run again, like any other.
        office.all(queue, "completed", std::slice::from_ref(&next), Change::Retry { reset_attempts: true });
        library.until("mail", &next, "completed");
        office.all(queue, "completed", std::slice::from_ref(&next), REMOVE);
        further(library, 2);
        let listed = library.ask("repeatables", json!({ "queue": "mail" }));
        assert_eq!(listed.as_array().unwrap().len(), 1, "Bull {}: {listed}", library.major);
        library.ask("rest", json!({ "queue": "mail" }));
        let shown = schedules(server, office, queue);
        assert_eq!((shown[0].name.as_deref(), shown[0].rule.as_str()), (Some("tick"), "every 1.0s"));
        assert!(shown[0].fired >= Some(3), "{shown:?}");
    });
}

#[test]
fn a_removed_repeatable_runs_no_more_and_comes_back() {
    with_each(|server, library, office, queue| {
        repeat(library, 500);
        library.ask("work", json!({ "queue": "mail" }));
        further(library, 2);
        let removed = of_repeatable(office, queue, Change::Unschedule);
        assert_eq!(removed.outcome.done.len(), 1, "{removed:?}");
        assert_eq!(library.ask("repeatables", json!({ "queue": "mail" })), json!([]));
        // One that was being taken just then may still run.
        std::thread::sleep(Duration::from_millis(700));
        let before = runs(library).len();
        std::thread::sleep(Duration::from_millis(1_200));
        assert_eq!(runs(library).len(), before, "Bull {}", library.major);
        assert_eq!(library.ids("mail", "delayed"), Vec::<String>::new());
        assert!(schedules(server, office, queue).is_empty());
        let again = of_repeatable(office, queue, Change::Unschedule);
        assert_eq!(again.outcome.refused[0].1, "there is no such repeatable any more");
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_repeatable_removed_by_mistake_goes_on_after_undo() {
    with_each(|_, library, office, queue| {
        let next = repeat(library, 500);
        let before = library.ask("repeatables", json!({ "queue": "mail" }));
        of_repeatable(office, queue, Change::Unschedule);
        assert_eq!(library.state("mail", &next), "gone");
        let undone = office.undo();
        assert!(undone.outcome.refused.is_empty(), "{undone:?}");
        assert_eq!(library.ask("repeatables", json!({ "queue": "mail" })), before);
        library.ask("work", json!({ "queue": "mail" }));
        further(library, 3);
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_repeatable_runs_once_more_now_and_keeps_its_times() {
    with_each(|server, library, office, queue| {
        let options = json!({ "repeat": { "cron": "0 3 1 1 *", "tz": "Europe/Oslo" }, "attempts": 2 });
        library.add("mail", "yearly: report", json!({ "n": 1 }), options);
        let shown = schedules(server, office, queue).remove(0);
        assert_eq!((shown.rule.as_str(), shown.zone.as_deref()), ("0 3 1 1 *", Some("Europe/Oslo")));
        assert_eq!((shown.fired, shown.note.as_deref()), (Some(0), None));
        let before = library.ask("repeatables", json!({ "queue": "mail" }));
        let run = office.carry_out(plan(queue, Change::Trigger, Scope::Schedules(vec![shown.id])));
        let id = run.outcome.created[0].to_text();
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &id, "completed");
        let job = library.job("mail", &id);
        assert_eq!((&job["data"]["n"], &job["opts"]["attempts"]), (&json!(1), &json!(2)));
        assert_eq!(library.ask("repeatables", json!({ "queue": "mail" })), before, "Bull {}", library.major);
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn an_obliterated_queue_takes_its_repeatables_along_and_brings_them_back() {
    with_each(|server, library, _, _| {
        repeat(library, 500);
        library.add("mail", "good", json!({}), json!({ "priority": 2 }));
        library.add("mail", "good", json!({}), json!({ "delay": 60_000 }));
        let shell = Shell::at(&server.url());
        let (code, done) = shell.json(&["obliterate", "bull:mail", "--yes", "--confirm", "mail", "--json"]);
        assert_eq!(code, 0, "{done}");
        let left: Vec<String> = redis::cmd("KEYS").arg("bull:mail:*").query(&mut server.client()).unwrap();
        assert!(left.iter().all(|key| key.ends_with(":stalled-check")), "Bull {}: {left:?}", library.major);
        for token in done["undo"].as_str().unwrap_or_else(|| panic!("{done}")).split(' ') {
            let (code, undone) = shell.json(&["undo", token, "--yes", "--json"]);
            assert_eq!(code, 0, "{undone}");
        }
        assert_eq!(library.ids("mail", "waiting").len(), 1);
        assert_eq!(library.ids("mail", "delayed").len(), 2);
        library.ask("work", json!({ "queue": "mail" }));
        further(library, 3);
        library.ask("rest", json!({ "queue": "mail" }));
    });
}
