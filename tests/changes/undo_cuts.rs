//! R2 of undo: qtop is cut off after each number of commands while it puts jobs back, or an answer is lost, or it is
//! killed before it has written down that a job is back, and tries again; in the end every job is back once, where it was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qtop::domain::mutation::{Change, Verb};
use qtop_testkit::{Proxy, TestServer};

use crate::more_scenes::NO_REDIS;
use crate::office::{Office, plan};
use crate::scenes::{Row, Scene};
use crate::tables::scenes;

/// More than any undo here sends.
const MOST_COMMANDS: u64 = 60;

/// What happens while the undo is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The connection is cut after so many commands.
    CutAfter(u64),
    /// The server does it, and the answer is lost.
    LostAnswer,
    /// All is back, but what says so on disk is from before.
    Killed,
}

type Places = BTreeMap<String, Vec<String>>;

/// What must be as before. An entry that left its stream comes back behind all others, to be delivered anew.
fn comparable(scene: &Scene, row: &Row, mut places: Places) -> Places {
    let anew = scene.name == "stream" && row.change.verb() == Verb::Remove;
    for found in places.values_mut().filter(|found| anew && found[0] != "dead") {
        "live".clone_into(&mut found[0]);
    }
    places
}

/// Every file of the trash.
fn trash_files(office: &Office) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(office.state().join("trash")).unwrap();
    entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// As if qtop had been killed when all that it had sent had arrived and nothing of that was written down.
fn as_if_killed(office: &Office, files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        std::fs::write(path, bytes).unwrap();
        let calls: String = (0..MOST_COMMANDS).map(|number| format!("\ncall {number}\n")).collect();
        std::fs::write(path.with_extension("sent"), calls).unwrap();
    }
    assert_eq!(trash_files(office).len(), files.len() * 2, "the first undo left nothing");
}

/// Deletes, meets the fault in the undo, tries again; false if the fault never came.
fn undo_with(server: &TestServer, scene: &Scene, row: &Row, fault: Fault) -> bool {
    let what = format!("undo of {} {:?} of {}, {fault:?}", scene.name, row.change, row.state);
    server.run("FLUSHALL");
    (scene.seed)(server);
    let places = || comparable(scene, row, (scene.places)(server));
    let before = places();
    let lists = server.digest();
    let proxy = Proxy::start(server.port());
    let office = Office::with(&proxy.url(), (scene.described)());
    let finished = office.carry_out(plan(&scene.queue, row.change.clone(), row.scope()));
    assert_eq!(finished.outcome.done.len(), row.ids.len(), "{what}: {finished:?}");
    let copies = trash_files(&office);
    match fault {
        Fault::CutAfter(commands) => proxy.cut_after(commands),
        Fault::LostAnswer => proxy.lose_answer("EVALSHA", 0),
        Fault::Killed => {}
    }
    let first = office.try_undo();
    let met = match fault {
        Fault::CutAfter(_) => proxy.has_cut(),
        Fault::LostAnswer => proxy.has_lost(),
        Fault::Killed => true,
    };
    assert!(met || first.is_ok(), "{what}: {first:?}");
    if fault == Fault::Killed {
        assert_eq!(places(), before, "{what}, before it");
        as_if_killed(&office, &copies);
    }
    if first.is_err() || fault == Fault::Killed {
        let again = office.try_undo().unwrap_or_else(|error| panic!("{what}: again: {error}"));
        assert!(again.outcome.refused.is_empty() && again.outcome.unknown.is_empty(), "{what}: {again:?}");
    }
    assert_eq!(places(), before, "{what}");
    if matches!(scene.name, "list" | "Bull" | "Laravel") {
        assert_eq!(server.digest(), lists, "{what}: in order");
    }
    met
}

fn undo_everywhere(name: &str) {
    let scene = scenes().into_iter().find(|scene| scene.name == name).unwrap();
    let server = TestServer::start();
    let (mut rows, mut faults) = (0, 0);
    let whole = |row: &Row| matches!(row.change, Change::Obliterate | Change::Trim { .. });
    for row in (scene.rows)().iter().filter(|row| row.change.verb().destroys() && !whole(row)) {
        rows += 1;
        for commands in 0..MOST_COMMANDS {
            if row.by == NO_REDIS || !undo_with(&server, &scene, row, Fault::CutAfter(commands)) {
                break;
            }
            faults += 1;
        }
        let lost = row.by == NO_REDIS || undo_with(&server, &scene, row, Fault::LostAnswer);
        assert!(lost && undo_with(&server, &scene, row, Fault::Killed), "{name}: {:?}", row.change);
        faults += 2;
    }
    assert!(rows > 0 && faults > rows, "{name}: {rows} rows, {faults} faults");
}

#[test]
fn r2_an_undo_of_bullmq_jobs_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("BullMQ 6");
}

#[test]
fn r2_an_undo_of_older_bullmq_jobs_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("BullMQ 5");
    undo_everywhere("BullMQ 4");
}

#[test]
fn r2_an_undo_of_list_items_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("list");
}

#[test]
fn r2_an_undo_of_stream_entries_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("stream");
}

#[test]
fn r2_an_undo_of_bull_and_arq_jobs_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("Bull");
    undo_everywhere("ARQ");
}

#[test]
fn r2_an_undo_of_laravel_jobs_and_of_failures_in_a_database_puts_each_back_once() {
    undo_everywhere("Laravel");
}
