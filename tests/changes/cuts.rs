//! R2: qtop is cut off from the server after each number of commands, in every change of every system; every job must
//! be in exactly one state, and what was told must be true.

use std::collections::BTreeMap;

use qtop::domain::mutation::Verb;
use qtop::engine::change::Finished;
use qtop_testkit::{Proxy, TestServer};

use crate::more_scenes::NO_REDIS;
use crate::office::{Office, plan};
use crate::scenes::{Row, Scene};
use crate::tables::scenes;

/// More than any of the changes sends.
const MOST_COMMANDS: u64 = 120;

type Places = BTreeMap<String, Vec<String>>;

/// Jobs that no change may touch: all that are not named by it (and the parent of those that are).
fn bystanders(row: &Row, places: &Places) -> Places {
    let spared = |id: &String| {
        let named = row.ids.contains(&id.as_str()) || row.ids.iter().any(|named| short(named) == *id);
        !named && id != "a" && !id.starts_with('k') && !id.starts_with("repeat:")
    };
    places.iter().filter(|(id, _)| spared(id)).map(|(id, found)| (id.clone(), found.clone())).collect()
}

/// The job that an entry of the stream stands for.
fn short(id: &str) -> String {
    id.strip_suffix("-0").map_or_else(String::new, |time| format!("e{}", &time[time.len() - 1..]))
}

/// What was told of each id must be what is true: done means another picture, refused the same.
fn judge(scene: &Scene, row: &Row, before: &Places, after: &Places, finished: &Finished, what: &str) {
    // Those that add something are judged by the number of jobs; those of the queue have no picture here.
    let verb = row.change.verb();
    for id in row.ids.iter().filter(|_| row.state != "schedules" && verb != Verb::Duplicate) {
        let key = if scene.name == "stream" { short(id) } else { (*id).to_owned() };
        let changed = before.get(&key) != after.get(&key);
        if finished.outcome.done.iter().any(|done| done.to_text() == *id) {
            assert!(changed, "{what}: {id} is told as done and is as before");
        }
        if finished.outcome.refused.iter().any(|(refused, _)| refused.to_text() == *id) {
            assert!(
                !changed,
                "{what}: {id} is told as refused and was {:?}, is {:?}",
                before.get(&key),
                after.get(&key)
            );
        }
    }
    let more = after.len() as i64 - before.len() as i64;
    if matches!(verb, Verb::Add | Verb::Duplicate | Verb::Trigger) {
        assert!((0..=1).contains(&more), "{what}: {more} jobs came to be");
        if !finished.outcome.done.is_empty() {
            assert_eq!(more, 1, "{what}: told as done");
        }
    } else {
        assert!(more <= 0, "{what}: {more} jobs came to be");
    }
}

fn cut_everywhere(server: &TestServer, scene: &Scene, row: &Row) -> u64 {
    for cut in 0..MOST_COMMANDS {
        let what = format!("{} {:?} of {} cut after {cut}", scene.name, row.change, row.state);
        server.run("FLUSHALL");
        (scene.seed)(server);
        let before = (scene.places)(server);
        let proxy = Proxy::start(server.port());
        let office = Office::with(&proxy.url(), (scene.described)());
        proxy.cut_after(cut);
        let finished = office.carry_out(plan(&scene.queue, row.change.clone(), row.scope()));
        let after = (scene.places)(server);
        let spared = bystanders(row, &before);
        for (id, found) in &spared {
            assert_eq!(after.get(id), Some(found), "{what}: {id} was not to be touched");
        }
        judge(scene, row, &before, &after, &finished, &what);
        let asked = row.ids.len().max(1);
        let told = finished.outcome.done.len() + finished.outcome.refused.len() + finished.outcome.unknown.len();
        assert_eq!(told as u64 + finished.left, asked as u64, "{what}: {finished:?}");
        if !proxy.has_cut() {
            assert!(finished.error.is_none() && finished.outcome.unknown.is_empty(), "{what}: {finished:?}");
            return cut;
        }
    }
    panic!("{} {:?} never came to an end", scene.name, row.change);
}

fn cut_scene(name: &str) -> u64 {
    let scene = scenes().into_iter().find(|scene| scene.name == name).unwrap();
    let server = TestServer::start();
    let mut cuts = 0;
    for row in (scene.rows)() {
        cuts += cut_everywhere(&server, &scene, &row);
    }
    cuts
}

#[test]
fn r2_every_job_of_bullmq_6_is_in_exactly_one_state_wherever_the_connection_is_cut() {
    println!("BullMQ 6: {} cuts", cut_scene("BullMQ 6"));
}

#[test]
fn r2_every_job_of_bullmq_5_is_in_exactly_one_state_wherever_the_connection_is_cut() {
    println!("BullMQ 5: {} cuts", cut_scene("BullMQ 5"));
}

#[test]
fn r2_every_job_of_bullmq_4_is_in_exactly_one_state_wherever_the_connection_is_cut() {
    println!("BullMQ 4: {} cuts", cut_scene("BullMQ 4"));
}

#[test]
fn r2_every_item_of_a_list_is_in_exactly_one_place_wherever_the_connection_is_cut() {
    println!("list: {} cuts", cut_scene("list"));
}

#[test]
fn r2_every_entry_of_a_stream_is_live_exactly_once_wherever_the_connection_is_cut() {
    println!("stream: {} cuts", cut_scene("stream"));
}

#[test]
fn r2_every_job_of_bull_arq_and_laravel_is_in_exactly_one_state_wherever_the_connection_is_cut() {
    for name in ["Bull", "ARQ", "Laravel"] {
        println!("{name}: {} cuts", cut_scene(name));
    }
}

/// R9: the server does what it is asked, and the answer is lost. What is told afterwards must be the truth.
#[test]
fn r9_two_hundred_lost_answers_and_what_is_told_is_true() {
    let (mut runs, mut unknown) = (0, 0);
    let server = TestServer::start();
    for round in 0..4 {
        for scene in scenes() {
            for row in (scene.rows)().into_iter().filter(|row| row.by != NO_REDIS) {
                let what = format!("{} {:?} of {} without its answer", scene.name, row.change, row.state);
                server.run("FLUSHALL");
                (scene.seed)(&server);
                let before = (scene.places)(&server);
                let proxy = Proxy::start(server.port());
                let office = Office::with(&proxy.url(), (scene.described)());
                // In the first round the server may not know a script yet; then it is the second call that counts.
                proxy.lose_answer(if round == 0 && row.by == "EVALSHA" { "EVALSHA" } else { row.by }, 0);
                let finished = office.carry_out(plan(&scene.queue, row.change.clone(), row.scope()));
                assert!(proxy.has_lost(), "{what}: nothing was lost");
                assert!(finished.error.is_none(), "{what}: {finished:?}");
                let after = (scene.places)(&server);
                judge(&scene, &row, &before, &after, &finished, &what);
                if !finished.outcome.unknown.is_empty() {
                    unknown += 1;
                    let may = matches!(row.change.verb(), Verb::Duplicate | Verb::Trigger | Verb::Add | Verb::Trim);
                    assert!(may, "{what}: {finished:?}");
                }
                runs += 1;
            }
        }
    }
    println!("{runs} lost answers, {unknown} of them not to be told");
    assert!(runs >= 200, "{runs}");
}
