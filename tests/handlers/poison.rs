//! Jobs that behave badly: they crash, hang, fork, leave their group, eat memory (fault matrix, R5, R15).

use std::time::{Duration, Instant};

use qtop::engine::runner::work::{Ending, Stream};
use qtop_testkit::{alive, wait_until};

use super::bench::{room, run, run_in, shell, work};

fn pid(text: &str) -> u32 {
    text.trim().parse().unwrap_or_else(|_| panic!("no process id: {text:?}"))
}

fn gone(pid: u32) {
    wait_until("the process to be gone", Duration::from_secs(5), || !alive(pid));
}

#[tokio::test]
async fn r15_a_job_that_dies_by_a_signal_has_crashed() {
    for (signal, name) in [("SEGV", "SIGSEGV (11)"), ("KILL", "SIGKILL (9)"), ("ABRT", "SIGABRT (6)")] {
        let told = run(&shell(&format!("echo last words >&2; kill -{signal} $$"), ""), "{}").await;
        let failure = told.retried();
        assert!(failure.crashed && failure.message.contains(&format!("was killed by {name}")), "{failure:?}");
        assert_eq!(failure.stack, ["last words"]);
    }
}

#[tokio::test]
async fn a_job_that_ignores_being_asked_is_killed() {
    let handler = shell("trap '' TERM; echo $$; while :; do sleep 0.05; done", "kill_after = \"300ms\"");
    let start = Instant::now();
    let told = run_in(&handler, &work("{}"), Some(Duration::from_millis(500))).await;
    let Ending::TimedOut(failure) = &told.ending else { panic!("{:?}", told.ending) };
    assert!(failure.message.contains("took longer than 500ms"), "{failure:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    gone(pid(told.output(Stream::Out)[0]));
}

#[tokio::test]
async fn a_job_that_ends_when_asked_is_not_killed() {
    let handler = shell("trap 'echo tidied; exit 0' TERM; while :; do sleep 0.05; done", "kill_after = \"10s\"");
    let told = run_in(&handler, &work("{}"), Some(Duration::from_millis(300))).await;
    assert!(matches!(told.ending, Ending::TimedOut(_)), "{:?}", told.ending);
    assert_eq!(told.output(Stream::Out), ["tidied"]);
}

#[tokio::test]
async fn r5_cancelling_kills_the_whole_group() {
    let handler = shell("sleep 60 & echo $!; sh -c 'sleep 60 & echo $!; wait' & wait", "kill_after = \"300ms\"");
    let (room, mut reader, cancel) = room(None);
    let job = work("{}");
    let attempt = handler.handle(&job, room);
    let watch = async {
        let mut pids = Vec::new();
        while let Some(event) = reader.recv().await {
            if let qtop::engine::runner::work::Event::Output { line, .. } = event {
                pids.push(pid(&line));
            }
            if pids.len() == 2 {
                cancel.cancel();
            }
        }
        pids
    };
    let (ending, pids) = tokio::join!(attempt, watch);
    assert_eq!(ending, Ending::Cancelled);
    pids.into_iter().for_each(gone);
}

#[tokio::test]
async fn what_a_job_leaves_behind_is_killed_with_it() {
    let start = Instant::now();
    let told = run(&shell("sleep 60 & echo $!; (sh -c 'sleep 60 & echo $!' &)", ""), "{}").await;
    assert!(matches!(told.ending, Ending::Done { .. }), "{:?}", told.ending);
    assert!(start.elapsed() < Duration::from_secs(5), "nobody waits for it");
    told.output(Stream::Out).into_iter().map(pid).for_each(gone);
}

/// A daemon makes its own session, so the group does not reach it; and it may clear its environment.
#[tokio::test]
async fn a_daemon_that_holds_the_output_is_killed() {
    for clear in ["", "env -i"] {
        for limit in ["", "memory = \"512MiB\"\nnice = 1"] {
            let begun = "until [ -e begun ]; do sleep 0.05; done";
            let script = format!("setsid {clear} sh -c 'echo $$; : > begun; exec sleep 60' & {begun}");
            let told = run(&shell(&script, limit), "{}").await;
            assert!(matches!(told.ending, Ending::Done { .. }), "{:?}", told.ending);
            told.output(Stream::Out).into_iter().map(pid).for_each(gone);
        }
    }
}

#[tokio::test]
async fn a_daemon_of_a_job_that_took_too_long_is_killed() {
    let handler = shell("setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' & sleep 60", "kill_after = \"200ms\"");
    let told = run_in(&handler, &work("{}"), Some(Duration::from_millis(500))).await;
    assert!(matches!(told.ending, Ending::TimedOut(_)), "{:?}", told.ending);
    told.output(Stream::Out).into_iter().map(pid).for_each(gone);
}

#[tokio::test]
async fn an_attempt_that_is_dropped_leaves_nothing() {
    let handler = shell("echo $$; sleep 60 & echo $!; wait", "");
    let (room, mut reader, _) = room(None);
    let job = work("{}");
    let mut pids = Vec::new();
    {
        let mut attempt = Box::pin(handler.handle(&job, room));
        while pids.len() < 2 {
            tokio::select! {
                ending = &mut attempt => panic!("{ending:?}"),
                Some(event) = reader.recv() => {
                    if let qtop::engine::runner::work::Event::Output { line, .. } = event {
                        pids.push(pid(&line));
                    }
                }
            }
        }
    }
    pids.into_iter().for_each(gone);
}

#[tokio::test]
async fn a_job_cannot_take_all_memory() {
    let script = "exec python3 -c 'x = bytearray(1 << 30); print(len(x))'";
    let told = run(&shell(script, "memory = \"128MiB\""), "{}").await;
    assert!(told.retried().message.contains("MemoryError"), "{:?}", told.retried());
}

#[tokio::test]
async fn a_flood_of_output_is_bounded() {
    let told =
        run_in(&shell("yes | head -c 3000000; yes x | tr -d '\\n' | head -c 5000000", ""), &work("{}"), None).await;
    assert!(matches!(told.ending, Ending::Done { .. }), "{:?}", told.ending);
    let longest = told.output(Stream::Out).iter().map(|line| line.len()).max();
    assert!(longest < Some(10_000), "{longest:?}");
}

#[tokio::test]
async fn no_zombie_stays() {
    for _ in 0..5 {
        run(&shell("true & true & exit 0", ""), "{}").await;
    }
    let me = std::process::id();
    let zombies = || {
        let entries = std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        let of_mine = |stat: &String| {
            let rest = stat.rsplit(") ").next().unwrap_or_default();
            rest.starts_with('Z') && rest.split(' ').nth(1) == Some(&me.to_string())
        };
        entries.filter(of_mine).count()
    };
    wait_until("zombies to be reaped", Duration::from_secs(10), || zombies() == 0);
}
