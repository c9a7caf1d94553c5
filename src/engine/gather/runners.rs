//! Joins what runners of qtop say of themselves to what the systems know of their workers.
//!
//! A pool takes jobs as a worker of its queue, under a name of its own. A system that knows this worker often knows
//! neither its machine nor its process; one that leaves no trace of idle workers does not know it at all.

use crate::domain::ids::Name;
use crate::domain::queue::Count;
use crate::domain::text::age;
use crate::domain::worker::{Liveness, Worker};
use crate::engine::sign::{PoolSeen, Runner};

/// Completes the rows of workers that are pools of a runner, and adds one for each pool that no row tells of.
pub fn join(workers: &mut Vec<Worker>, runners: &[Runner]) {
    for runner in runners {
        for pool in &runner.pools {
            let mut known = false;
            for worker in workers.iter_mut().filter(|worker| is_of(worker, pool)) {
                complete(worker, runner, pool);
                known = true;
            }
            if !known {
                workers.push(alone(runner, pool));
            }
        }
    }
    // A connection that waits for nobody knows what is told by the rows of its runner.
    let waits = |worker: &Worker, runner: &Runner| {
        runner.is_live() && runner.client.as_ref().is_some_and(|client| worker.name.as_bytes() == client.as_bytes())
    };
    workers.retain(|worker| !worker.queues.is_empty() || !runners.iter().any(|runner| waits(worker, runner)));
}

fn is_of(worker: &Worker, pool: &PoolSeen) -> bool {
    // Some systems know their workers by the names of connections.
    worker.instance == pool.queue.instance && worker.name.visible().eq(pool.worker.visible())
}

fn complete(worker: &mut Worker, runner: &Runner, pool: &PoolSeen) {
    worker.evidence = format!("{}; {}", evidence(runner), worker.evidence);
    worker.state = match worker.state {
        _ if runner.is_live() => Liveness::Live,
        Liveness::Unknown => Liveness::Gone,
        // It may still hold jobs that nobody else may take.
        seen => seen,
    };
    // The system may know of something younger.
    worker.heartbeat = worker.heartbeat.map_or(Some(runner.age), |seen| Some(seen.min(runner.age)));
    worker.host = runner.host.clone().or_else(|| worker.host.take());
    worker.pid = runner.pid.or(worker.pid);
    worker.since = runner.since.or(worker.since);
    worker.pool = Some(pool.tells.clone());
}

fn alone(runner: &Runner, pool: &PoolSeen) -> Worker {
    Worker {
        instance: pool.queue.instance.clone(),
        name: pool.worker.clone(),
        queues: vec![Name::clone(&pool.queue.name)],
        state: if runner.is_live() { Liveness::Live } else { Liveness::Gone },
        paused: None,
        heartbeat: Some(runner.age),
        running: Vec::new(),
        host: runner.host.clone(),
        pid: runner.pid,
        stands_for: Count::Exact(1),
        since: runner.since,
        pool: Some(pool.tells.clone()),
        evidence: evidence(runner),
    }
}

fn evidence(runner: &Runner) -> String {
    match runner.is_live() {
        true => format!("sign of the runner {}", runner.name),
        false => {
            format!("last sign of the runner {}, {} ago, which has not said goodbye", runner.name, age(runner.age))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::ids::QueueId;
    use crate::domain::worker::RunnerPool;

    fn runner(seconds: u64) -> Runner {
        let tells = RunnerPool { runner: "box-1".to_owned(), state: None, slots: Some(5), busy: Some(3) };
        Runner {
            name: "box-1".to_owned(),
            host: Some("box".to_owned()),
            pid: Some(7),
            client: Some("qtop:ann@box:7".to_owned()),
            since: None,
            age: Duration::from_secs(seconds),
            pools: vec![PoolSeen { queue: QueueId::new("list", "", "mail"), worker: "box-1-aa".into(), tells }],
        }
    }

    fn row(runner: &Runner, name: &str, state: Liveness) -> Worker {
        Worker {
            name: name.into(),
            state,
            host: Some("10.0.0.5:5000".to_owned()),
            pid: None,
            pool: None,
            ..alone(runner, &runner.pools[0])
        }
    }

    #[test]
    fn a_row_of_the_system_is_completed_rather_than_doubled() {
        let runner = runner(2);
        let mut workers = vec![row(&runner, "box-1-aa", Liveness::Unknown), row(&runner, "other", Liveness::Unknown)];
        workers[0].heartbeat = Some(Duration::from_secs(1));
        join(&mut workers, &[runner]);
        assert_eq!(workers.len(), 2);
        let own = &workers[0];
        assert_eq!((own.state, own.host.as_deref(), own.pid), (Liveness::Live, Some("box"), Some(7)));
        assert_eq!((own.slots().as_deref(), own.heartbeat), (Some("3/5"), Some(Duration::from_secs(1))));
        assert_eq!((workers[1].state, &workers[1].pool), (Liveness::Unknown, &None));
    }

    #[test]
    fn its_waiting_connection_is_not_told_of_beside_it() {
        let mut waiting = row(&runner(2), "qtop:ann@box:7", Liveness::Live);
        waiting.queues.clear();
        let mut workers = vec![waiting.clone()];
        join(&mut workers, &[runner(2)]);
        assert_eq!((workers.len(), &workers[0].name), (1, &"box-1-aa".into()));
        let mut workers = vec![waiting];
        join(&mut workers, &[runner(200)]);
        assert_eq!(workers.len(), 2, "one that is there although the sign has run out is worth telling");
    }

    #[test]
    fn without_a_sign_it_is_gone_unless_the_system_knows_better() {
        let silent = runner(40);
        let mut workers = vec![];
        join(&mut workers, std::slice::from_ref(&silent));
        assert_eq!((workers[0].state, workers[0].pid), (Liveness::Gone, Some(7)));
        assert!(workers[0].evidence.contains("40s ago"), "{}", workers[0].evidence);
        for (seen, told) in [(Liveness::Unknown, Liveness::Gone), (Liveness::Live, Liveness::Live)] {
            let mut workers = vec![row(&silent, "box-1-aa", seen)];
            join(&mut workers, std::slice::from_ref(&silent));
            assert_eq!((workers.len(), workers[0].state), (1, told));
        }
    }
}
