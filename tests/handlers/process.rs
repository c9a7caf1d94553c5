//! Long-lived children: many jobs, one after the other; recycled, restarted, and never confused.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use qtop::domain::ids::JobId;
use qtop::engine::runner::handler::Handler;
use qtop::engine::runner::work::{Ending, Stream, Work};
use qtop_testkit::{alive, wait_until};

use super::bench::{build, run, run_in, work};

/// A child in Python: what it does with a job stands in the job.
fn python(more: &str) -> Handler {
    let program = r#"
import json, os, sys, time, signal
print(json.dumps({"ready": True}), flush=True)
keep = []
for line in sys.stdin:
    job = json.loads(line)
    data = job["data"] or {}
    if "exit" in data: sys.exit(data["exit"])
    if "kill" in data: os.kill(os.getpid(), data["kill"])
    if "sleep" in data: time.sleep(data["sleep"])
    if "eat" in data: keep.append(b"x" * data["eat"])
    if "say" in data: print(data["say"], flush=True)
    if "raw" in data:
        sys.stdout.buffer.write(data["raw"].encode("latin-1") + b"\n")
        sys.stdout.flush()
        continue
    if "complain" in data: print(data["complain"], file=sys.stderr, flush=True); time.sleep(0.1)
    answer = data.get("answer", {"result": {"pid": os.getpid(), "attempt": job["attempt"]}})
    print(json.dumps({"id": data.get("as", job["id"]), **answer}), flush=True)
"#;
    build(&format!("process = [\"python3\", \"-c\", {}]\n{more}", toml::Value::from(program)))
}

fn pid_of(result: Option<&str>) -> u32 {
    let json: serde_json::Value = serde_json::from_str(result.expect("a result")).expect("JSON");
    u32::try_from(json["pid"].as_u64().expect("a pid")).expect("small")
}

async fn pid_after(handler: &Handler, payload: &str) -> u32 {
    pid_of(run(handler, payload.to_owned()).await.result())
}

#[tokio::test]
async fn one_child_takes_many_jobs() {
    let handler = python("");
    let first = pid_after(&handler, "{}").await;
    for _ in 0..20 {
        assert_eq!(pid_after(&handler, "{}").await, first);
    }
    let told = run(&handler, r#"{"say":"::progress 40 words","complain":"hm"}"#).await;
    assert_eq!(told.progress()[0].percent, Some(40.0));
    assert_eq!(told.output(Stream::Err), ["hm"]);
    handler.close().await;
    assert!(!alive(first), "it ends when there are no more jobs");
}

#[tokio::test]
async fn a_renewal_replaces_children_after_their_job() {
    let handler = python("");
    let idle = pid_after(&handler, "{}").await;
    handler.renew();
    let busy = tokio::join!(pid_after(&handler, r#"{"sleep":0.5}"#), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        handler.renew();
    })
    .0;
    let fresh = pid_after(&handler, "{}").await;
    assert!(idle != busy && busy != fresh, "{idle} {busy} {fresh}");
    assert_eq!(pid_after(&handler, "{}").await, fresh);
    wait_until("the end of those before", Duration::from_secs(10), || !alive(idle) && !alive(busy));
    handler.close().await;
}

#[tokio::test]
async fn there_are_as_many_children_as_jobs_at_once() {
    let handler = python("");
    let jobs = (0..4).map(|_| async { pid_after(&handler, r#"{"sleep":0.5}"#).await });
    let start = Instant::now();
    let pids: HashSet<u32> = futures_util::future::join_all(jobs).await.into_iter().collect();
    assert_eq!(pids.len(), 4);
    assert!(start.elapsed() < Duration::from_secs(10));
    handler.close().await;
    pids.into_iter().for_each(|pid| assert!(!alive(pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_shrinks_keeps_no_more_children_than_it_runs_jobs() {
    let handler = python("");
    let at_once = async |count: usize| -> HashSet<u32> {
        let jobs = (0..count).map(|_| async { pid_after(&handler, r#"{"sleep":0.5}"#).await });
        futures_util::future::join_all(jobs).await.into_iter().collect()
    };
    let alive_of = |pids: &HashSet<u32>| pids.iter().filter(|pid| alive(**pid)).count();
    let four = at_once(4).await;
    assert_eq!(alive_of(&four), 4);
    handler.resize(1);
    wait_until("the end of three", Duration::from_secs(10), || alive_of(&four) == 1);
    // Jobs that still ran when it shrank give back their children later.
    let three = at_once(3).await;
    wait_until("the end of two", Duration::from_secs(10), || alive_of(&three) == 1);
    handler.resize(3);
    let three = at_once(3).await;
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(alive_of(&three), 3);
    handler.close().await;
}

#[tokio::test]
async fn a_failed_job_leaves_its_child_alive() {
    let handler = python("fail_on = [\"INVALID\"]");
    let first = pid_after(&handler, "{}").await;
    let told = run(&handler, r#"{"answer":{"error":"no disk","stack":"a\nb"}}"#).await;
    assert_eq!((told.retried().message.as_str(), told.retried().stack.len()), ("no disk", 2));
    assert!(!told.retried().crashed);
    run(&handler, r#"{"answer":{"error":"x","retry":false}}"#).await.failed();
    run(&handler, r#"{"answer":{"error":"INVALID_SIGNATURE"}}"#).await.failed();
    let told = run(&handler, r#"{"answer":{"error":"x","retry":"90s"}}"#).await;
    assert!(matches!(told.ending, Ending::Retry { after: Some(after), .. } if after.as_secs() == 90), "{told:?}");
    assert_eq!(pid_after(&handler, "{}").await, first);
    handler.close().await;
}

#[tokio::test]
async fn r15_a_child_that_dies_with_a_job_has_crashed_and_is_replaced() {
    let handler = python("");
    let first = pid_after(&handler, "{}").await;
    let told = run(&handler, r#"{"kill":11,"complain":"x"}"#).await;
    assert!(told.retried().crashed, "{:?}", told.retried());
    assert!(told.retried().message.ends_with("died in the middle of the job: killed by SIGSEGV (11)"), "{told:?}");
    let told = run(&handler, r#"{"exit":3}"#).await;
    assert!(told.retried().crashed && told.retried().message.contains("exit code 3"), "{told:?}");
    assert_ne!(pid_after(&handler, "{}").await, first);
    handler.close().await;
}

#[tokio::test]
async fn a_program_that_cannot_start_is_tried_again_slowly() {
    let handler = build("process = [\"sh\", \"-c\", \"echo no such module >&2; exit 1\"]");
    let start = Instant::now();
    for _ in 0..4 {
        let told = run(&handler, "{}").await;
        let reason = told.not_started();
        assert!(reason.ends_with("ended before it answered its first job: exit code 1: no such module"), "{reason}");
    }
    assert!(start.elapsed() >= Duration::from_millis(100 + 200 + 400));
    handler.close().await;
}

#[tokio::test]
async fn children_that_die_together_count_as_one() {
    let handler = build("process = [\"sh\", \"-c\", \"exit 1\"]");
    let jobs = (0..8).map(|_| async { run(&handler, "{}").await.not_started().to_owned() });
    futures_util::future::join_all(jobs).await;
    let start = Instant::now();
    run(&handler, "{}").await.not_started();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    handler.close().await;
}

/// It never says that it is ready, so a first death tells nothing about its job; a child that lives without a job does.
#[tokio::test]
async fn r15_a_job_that_kills_each_new_child_is_found_out() {
    let handler = build(
        "process = [\"sh\", \"-c\", \"while read -r job; do case $job in *bad*) kill -SEGV $$;; esac; echo ::done; done\"]",
    );
    assert!(run(&handler, r#""bad""#).await.not_started().contains("SIGSEGV"));
    for _ in 0..2 {
        let told = run(&handler, r#""bad""#).await;
        assert!(told.retried().crashed, "{told:?}");
    }
    assert!(matches!(run(&handler, "{}").await.ending, Ending::Done { .. }));
    handler.close().await;
}

/// What takes long to say that it is ready is waited for after a death; no longer than the job may take.
#[tokio::test]
async fn a_child_in_doubt_is_given_a_job_when_it_is_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("fine");
    let script = format!(
        "sleep 0.3; [ -e {} ] || exit 4; sleep 0.3; echo ::ready; while read -r job; do echo ::done; done",
        flag.display()
    );
    let handler = build(&format!("process = [\"sh\", \"-c\", {}]", toml::Value::from(script)));
    let limit = Some(Duration::from_secs(5));
    run_in(&handler, &work("{}"), limit).await.not_started();
    run_in(&handler, &work("{}"), limit).await.not_started();
    let told = run_in(&handler, &work("{}"), Some(Duration::from_millis(100))).await;
    assert!(told.not_started().contains("was ready within 100ms"), "{told:?}");
    std::fs::write(&flag, "").expect("written");
    let told = run_in(&handler, &work("{}"), limit).await;
    assert!(matches!(told.ending, Ending::Done { .. }), "{told:?}");
    handler.close().await;
}

#[tokio::test]
async fn worn_children_are_replaced() {
    for (more, payload) in
        [("max_jobs = 2", "{}"), ("max_time = \"1ms\"", "{}"), ("max_memory = \"100MiB\"", r#"{"eat":120000000}"#)]
    {
        let handler = python(more);
        let mut pids = HashSet::new();
        for _ in 0..4 {
            pids.insert(pid_after(&handler, payload).await);
        }
        let wanted = if more == "max_jobs = 2" { 2 } else { 4 };
        assert_eq!(pids.len(), wanted, "{more}");
        handler.close().await;
        pids.into_iter().for_each(|pid| assert!(!alive(pid), "{more}"));
    }
}

#[tokio::test]
async fn a_job_that_takes_too_long_costs_its_child() {
    let handler = python("kill_after = \"200ms\"");
    let first = pid_after(&handler, "{}").await;
    let told = run_in(&handler, &work(r#"{"sleep":60}"#), Some(Duration::from_millis(300))).await;
    assert!(matches!(told.ending, Ending::TimedOut(_)), "{:?}", told.ending);
    wait_until("the child to be gone", Duration::from_secs(5), || !alive(first));
    assert_ne!(pid_after(&handler, "{}").await, first);
    handler.close().await;
}

#[tokio::test]
async fn an_answer_to_another_job_is_not_taken() {
    let handler = python("");
    let told = run(&handler, r#"{"as":"8"}"#).await;
    assert!(told.retried().message.contains("it answered job \"8\" while it had job \"7\""), "{told:?}");
    let told = run(&handler, r#"{"say":"{\"result\":1}"}"#).await;
    assert_eq!(told.result(), Some("1"), "the first answer counts");
    let next = Work { id: JobId::from("8"), ..work(r#"{"answer":{"result":2}}"#) };
    let told = run_in(&handler, &next, None).await;
    assert_eq!(told.result(), Some("2"), "a second answer is not taken for the next job");
    handler.close().await;
}

/// An answer that is written as it stands here; a child that is not understood would be waited for.
async fn answered(handler: &Handler, raw: &str) -> super::bench::Told {
    let payload = serde_json::json!({ "raw": raw }).to_string();
    run_in(handler, &work(payload), Some(Duration::from_secs(5))).await
}

#[tokio::test]
async fn an_answer_is_understood_as_far_as_it_can_be() {
    let handler = python("");
    for retry in ["-3", "\"later\"", "1e999", "[]"] {
        let told = answered(&handler, &format!(r#"{{"id":"7","error":"rate limit","retry":{retry}}}"#)).await;
        assert!(matches!(&told.ending, Ending::Retry { after: None, .. }), "{retry}: {:?}", told.ending);
        assert_eq!(told.retried().message, "rate limit");
    }
    let told = answered(&handler, r#"{"id":"7","error":{"code":5},"stack":[1],"retry":false}"#).await;
    assert_eq!(told.failed().message, r#"{"code":5}"#);
    let told = answered(&handler, "{\"id\":\"7\",\"result\":\"caf\u{e9}\"}").await;
    assert_eq!(told.result(), Some("\"caf\u{fffd}\""));
    assert!(told.logs()[0].contains("no UTF-8"), "{:?}", told.logs());
    handler.close().await;
}

#[tokio::test]
async fn an_answer_that_means_nothing_costs_the_child_and_not_the_slot() {
    let handler = python("");
    let mut before = pid_after(&handler, "{}").await;
    for raw in [
        r#"{"id":"7","result":NaN}"#,
        r#"{"id":"7","resullt":1}"#,
        r#"{"id":"7"}"#,
        r#"{"id" : "7", "result": {"#,
        r#"{"id":"7","done":"yes"}"#,
    ] {
        let told = answered(&handler, raw).await;
        let said = "its answer cannot be read";
        assert!(told.retried().message.contains(said) && told.retried().message.contains(raw), "{raw}: {told:?}");
        assert!(!told.retried().crashed);
        let next = pid_after(&handler, "{}").await;
        assert_ne!(next, before, "{raw}: another child");
        before = next;
    }
    for say in [
        r#"{"level":"info","id":"7","msg":"working"}"#,
        r#"{"id":"8","result":NaN}"#,
        r#"{"ids":["7"]}"#,
        r#"{"user":{"id":"7"}}"#,
    ] {
        let payload = serde_json::json!({ "say": say }).to_string();
        let told = run(&handler, payload).await;
        assert_eq!(pid_of(told.result()), before, "{say} is no answer");
        assert_eq!(told.output(Stream::Out), [say]);
    }
    handler.close().await;
}

/// A child in Python that takes two jobs and then ends by itself, after this.
fn of_two_jobs(last: &str) -> Handler {
    let program = format!(
        r#"
import json, os, sys, time
for count in range(2):
    job = json.loads(sys.stdin.readline())
    print(json.dumps({{"id": job["id"], "result": {{"pid": os.getpid()}}}}), flush=True)
{last}
"#
    );
    build(&format!("process = [\"python3\", \"-c\", {}]", toml::Value::from(program)))
}

#[tokio::test]
async fn a_child_that_ends_between_two_jobs_costs_none_of_them() {
    // The last reads no more when it is given a job, whatever it ends with.
    for (pause, last) in [
        (0, "time.sleep(0.05)"),
        (0, "os.close(0); time.sleep(0.05)"),
        (200, "os.close(0); time.sleep(0.6); os._exit(3)"),
    ] {
        let handler = of_two_jobs(last);
        let mut pids = Vec::new();
        for number in 0..6 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let told = run(&handler, "{}").await;
            assert!(matches!(told.ending, Ending::Done { .. }), "{last}: job {number}: {:?}", told.ending);
            pids.push(pid_of(told.result()));
        }
        assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[3] != pids[4], "{last}: {pids:?}");
        handler.close().await;
    }
}

#[tokio::test]
async fn a_child_that_ends_with_every_job_is_not_started_for_ever() {
    let handler = python("");
    pid_after(&handler, "{}").await;
    let told = run(&handler, r#"{"exit":0}"#).await;
    assert!(told.retried().message.contains("exit code 0"), "{:?}", told.retried());
    pid_after(&handler, "{}").await;
    let told = run(&handler, r#"{"say":"::progress 10","exit":0}"#).await;
    assert!(!told.retried().message.is_empty());
    pid_after(&handler, "{}").await;
    let told = run(&handler, r#"{"exit":3}"#).await;
    assert!(told.retried().crashed, "a job that was read may be to blame: {:?}", told.retried());
    handler.close().await;
}

#[tokio::test]
async fn closing_ends_a_child_that_does_not_listen() {
    let handler = build(
        "process = [\"sh\", \"-c\", \"trap '' TERM; read job; echo '::result '$$; while :; do sleep 1; done\"]\nkill_after = \"200ms\"",
    );
    let told = run(&handler, "{}").await;
    let pid: u32 = told.result().expect("a result").parse().expect("a pid");
    assert!(alive(pid));
    handler.close().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn r17_large_jobs_and_large_results_pass() {
    let program = "import sys\nfor line in sys.stdin: print('::result ' + str(len(line)) + '0' * 500000, flush=True)";
    let handler = build(&format!("process = [\"python3\", \"-c\", {}]", toml::Value::from(program)));
    let told = run(&handler, format!("\"{}\"", "x".repeat(8 << 20))).await;
    assert!(told.result().expect("a result").len() > 500_000);
    handler.close().await;
}
