//! R2 of undo: qtop is cut off after each number of commands while it puts jobs back, or the answer is lost, and tries
//! again; in the end every job is back once, where it was.

use qtop::domain::mutation::{Change, Verb};
use qtop_testkit::{Proxy, TestServer};

use crate::office::{Office, plan};
use crate::scenes::{Row, Scene};
use crate::tables::scenes;

/// More than any undo here sends.
const MOST_COMMANDS: u64 = 60;

/// What happens to the connection while the undo is under way.
#[derive(Clone, Copy, Debug)]
enum Fault {
    CutAfter(u64),
    LostAnswer,
}

/// Deletes, meets the fault in the undo, tries again; false if the fault never came.
fn undo_with(server: &TestServer, scene: &Scene, row: &Row, fault: Fault) -> bool {
    let what = format!("undo of {} {:?} of {}, {fault:?}", scene.name, row.change, row.state);
    server.run("FLUSHALL");
    (scene.seed)(server);
    // The last child that goes sets its parent free to run, and an undo does not make that one wait again.
    let children = row.ids.iter().any(|id| id.starts_with('k'));
    let places = || {
        let mut places = (scene.places)(server);
        places.retain(|id, _| !(children && id == "a"));
        places
    };
    let before = places();
    let lists = server.digest();
    let proxy = Proxy::start(server.port());
    let office = Office::with(&proxy.url(), (scene.described)());
    let finished = office.carry_out(plan(&scene.queue, row.change.clone(), row.scope()));
    assert_eq!(finished.outcome.done.len(), row.ids.len(), "{what}: {finished:?}");
    match fault {
        Fault::CutAfter(commands) => proxy.cut_after(commands),
        Fault::LostAnswer => proxy.lose_answer("EVALSHA", 0),
    }
    let first = office.try_undo();
    let met = proxy.has_cut();
    assert!(met || first.is_ok(), "{what}: {first:?}");
    if first.is_err() {
        let again = office.try_undo().unwrap_or_else(|error| panic!("{what}: again: {error}"));
        assert!(again.outcome.refused.is_empty() && again.outcome.unknown.is_empty(), "{what}: {again:?}");
    }
    assert_eq!(places(), before, "{what}");
    if scene.name == "list" {
        assert_eq!(server.digest(), lists, "{what}: in order");
    }
    met
}

fn undo_everywhere(name: &str) {
    let scene = scenes().into_iter().find(|scene| scene.name == name).unwrap();
    let server = TestServer::start();
    let (mut rows, mut faults) = (0, 0);
    let removes = |row: &Row| row.change.verb() == Verb::Remove && row.change != Change::Remove { children: true };
    for row in (scene.rows)().iter().filter(|row| removes(row)) {
        rows += 1;
        for commands in 0..MOST_COMMANDS {
            if !undo_with(&server, &scene, row, Fault::CutAfter(commands)) {
                break;
            }
            faults += 1;
        }
        faults += u64::from(undo_with(&server, &scene, row, Fault::LostAnswer));
    }
    assert!(rows > 0 && faults > rows, "{name}: {rows} rows, {faults} faults");
}

#[test]
fn r2_an_undo_of_bullmq_jobs_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("BullMQ 6");
}

#[test]
fn r2_an_undo_of_list_items_that_is_cut_and_tried_again_puts_each_back_once() {
    undo_everywhere("list");
}
