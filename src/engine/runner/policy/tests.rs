use bytes::Bytes;

use super::*;
use crate::domain::time::Timestamp;
use crate::systems::consume::Limits;

fn retry(toml: &str) -> Retry {
    toml::from_str(toml).expect("a retry table")
}

fn terms(retry: Option<&Retry>) -> Terms {
    Terms { timeout: None, retry: retry.cloned(), max_crashes: 2, once: None }
}

fn claim(made: u32) -> Claim {
    Claim {
        id: "1".into(),
        name: String::new(),
        payload: Bytes::new(),
        attempts_made: made,
        attempts: None,
        backoff: None,
        created_at: None,
        ready_at: None,
        claimed_at: Timestamp(0),
        deaths: 0,
        limits: Limits::default(),
        doomed: None,
        token: Bytes::new(),
        receipt: Bytes::new(),
    }
}

fn seconds(retry: &Retry, attempts: std::ops::RangeInclusive<u32>) -> Vec<u64> {
    attempts.map(|attempt| wait(retry, attempt, 0.5).as_secs()).collect()
}

#[test]
fn the_waits_of_the_deployments_can_be_written() {
    let fixed = retry("attempts = 10000\nbase = '30s'");
    assert_eq!(seconds(&fixed, 1..=3), [30, 30, 30]);
    assert_eq!(wait(&fixed, 9_999, 0.5).as_secs(), 30);
    assert_eq!(seconds(&retry("backoff = 'exponential'\nbase = '2s'"), 1..=3), [2, 4, 8]);
    let capped = retry("backoff = 'exponential'\nbase = '30s'\nmax = '600s'");
    assert_eq!(seconds(&capped, 1..=7), [30, 60, 120, 240, 480, 600, 600]);
    let minute = retry("backoff = 'exponential'\nbase = '5s'\nfactor = 2.0\nmax = '60s'");
    assert_eq!(seconds(&minute, 1..=6), [5, 10, 20, 40, 60, 60]);
    assert_eq!(seconds(&retry("backoff = 'linear'\nbase = '5s'"), 1..=3), [5, 10, 15]);
    assert_eq!(seconds(&retry("backoff = ['5s', '15s']"), 1..=4), [5, 15, 15, 15]);
    assert_eq!(wait(&retry("backoff = 'exponential'\nbase = '5s'\nmax = '1m'"), 4_000_000, 0.5).as_secs(), 60);
}

#[test]
fn chance_moves_a_wait_by_its_share_only() {
    let retry = retry("base = '10s'\njitter = 0.1");
    assert_eq!(wait(&retry, 1, 0.0).as_millis(), 9_000);
    assert_eq!(wait(&retry, 1, 1.0).as_millis(), 11_000);
}

#[test]
fn attempts_come_from_the_pool_then_the_job_then_the_list() {
    let own = Claim { attempts: Some(7), ..claim(0) };
    assert_eq!(allowed(Some(&retry("attempts = 3")), &own), 3);
    assert_eq!(allowed(Some(&retry("backoff = ['5s', '15s']")), &own), 7);
    assert_eq!(allowed(Some(&retry("backoff = ['5s', '15s']")), &claim(0)), 3);
    assert_eq!(allowed(None, &own), 7);
    assert_eq!(allowed(None, &claim(0)), 1);
}

#[test]
fn an_ending_becomes_a_verdict() {
    let pool = retry("attempts = 3\nbase = '5s'");
    let failed = || Ending::Retry { failure: Failure::new("no route"), after: None };
    let first = decide(failed(), &claim(0), &terms(Some(&pool)), 0.5);
    assert_eq!(first.ended, Ended::Retried);
    assert!(matches!(first.verdict, Verdict::Retry { delay, .. } if delay == Duration::from_secs(5)));
    assert_eq!(decide(failed(), &claim(2), &terms(Some(&pool)), 0.5).ended, Ended::Failed);
    let asked = Ending::Retry { failure: Failure::new("busy"), after: Some(Duration::from_secs(77)) };
    let asked = decide(asked, &claim(0), &terms(Some(&pool)), 0.5);
    assert!(matches!(asked.verdict, Verdict::Retry { delay, .. } if delay == Duration::from_secs(77)));
    let never = decide(Ending::Failed(Failure::new("bad address")), &claim(0), &terms(Some(&pool)), 0.5);
    assert_eq!((never.ended, never.message.as_str()), (Ended::Failed, "bad address"));
    assert_eq!(decide(Ending::Cancelled, &claim(0), &terms(Some(&pool)), 0.5).ended, Ended::Cancelled);
    let foreign = Claim { attempts: Some(5), backoff: Some(OwnBackoff::Foreign("mine".into())), ..claim(0) };
    let foreign = decide(failed(), &foreign, &terms(None), 0.5);
    assert!(foreign.message.contains("\"mine\""), "{}", foreign.message);
}

#[test]
fn r15_a_job_that_kills_its_worker_is_given_up() {
    let pool = retry("attempts = 100\nbase = '0s'");
    let crash = || Ending::Retry {
        failure: Failure { message: "signal 11".into(), crashed: true, ..Failure::default() },
        after: None,
    };
    assert_eq!(decide(crash(), &claim(0), &terms(Some(&pool)), 0.5).ended, Ended::Retried);
    let again = decide(crash(), &Claim { deaths: 1, ..claim(1) }, &terms(Some(&pool)), 0.5);
    assert_eq!(again.ended, Ended::Failed);
    assert!(again.message.contains("2 times") && again.message.contains("signal 11"), "{}", again.message);
}

#[test]
fn a_list_of_waits_in_the_job_is_gone_through_and_its_last_repeats() {
    let waits = OwnBackoff::Listed([10, 30].map(Duration::from_secs).to_vec());
    let waited = |made: u32| {
        let failing = Claim { attempts: Some(9), backoff: Some(waits.clone()), ..claim(made) };
        match decide(Ending::Retry { failure: Failure::new("x"), after: None }, &failing, &terms(None), 0.5).verdict {
            Verdict::Retry { delay, .. } => delay.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([waited(0), waited(1), waited(2)], [10, 30, 30]);
}

#[test]
fn r15_a_job_counted_at_its_start_is_given_up_after_its_last_attempt_died_with_the_worker() {
    let counted = |made| {
        let limits = Limits { counted_at_start: true, ..Limits::default() };
        Claim { attempts: Some(2), limits, ..claim(made) }
    };
    assert_eq!(used_up(None, &counted(1)), None);
    assert!(used_up(None, &counted(2)).is_some_and(|reason| reason.contains("its 2 attempts")));
    assert_eq!(used_up(Some(&retry("attempts = 3")), &counted(2)), None, "the pool allows one more");
    assert_eq!(used_up(None, &Claim { attempts: Some(2), ..claim(2) }), None);
}

#[test]
fn a_job_may_say_that_its_first_timeout_is_the_end() {
    let limits = Limits { fail_on_timeout: true, ..Limits::default() };
    let strict = Claim { attempts: Some(5), limits, ..claim(0) };
    let late = || Ending::TimedOut(Failure::new("late"));
    assert_eq!(decide(late(), &strict, &terms(None), 0.5).ended, Ended::Failed);
    assert_eq!(decide(late(), &Claim { attempts: Some(5), ..claim(0) }, &terms(None), 0.5).ended, Ended::Retried);
}

#[test]
fn where_a_failure_is_final_only_a_job_that_asks_is_tried_again() {
    let own = Claim { attempts: Some(5), backoff: Some(OwnBackoff::OnRequest), ..claim(0) };
    let failed = |after| Ending::Retry { failure: Failure::new("no"), after };
    let dead = decide(failed(None), &own, &terms(None), 0.5);
    assert!(matches!(dead.verdict, Verdict::Dead { fate: Fate::Failed, .. }), "{dead:?}");
    let again = decide(failed(Some(Duration::from_secs(7))), &own, &terms(None), 0.5);
    assert!(matches!(again.verdict, Verdict::Retry { delay, .. } if delay.as_secs() == 7), "{again:?}");
    let again = decide(failed(None), &own, &terms(Some(&retry("attempts = 2\nbase = '3s'"))), 0.5);
    assert!(matches!(again.verdict, Verdict::Retry { delay, .. } if delay.as_secs() == 3), "{again:?}");
    let late = decide(Ending::TimedOut(Failure::new("late")), &own, &terms(None), 0.5);
    assert!(matches!(late.verdict, Verdict::Dead { fate: Fate::TimedOut, .. }), "{late:?}");
    let ended = decide(Ending::Cancelled, &own, &terms(None), 0.5);
    assert!(matches!(ended.verdict, Verdict::Dead { fate: Fate::Cancelled, .. }), "{ended:?}");
}
