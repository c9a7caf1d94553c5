//! A seeded server with one adapter before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use qtop::domain::described::Described;
use qtop::domain::ids::{JobId, Name, QueueId};
use qtop::domain::job::{Cursor, JobRow, PageRequest};
use qtop::domain::snapshot::{InstanceSample, Offer};
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::link::{Batch, Link, Replies, Reply, Value, cmd};
use qtop::systems::{Instance, Memo, Sighting, System};
use qtop_testkit::TestServer;

/// A seeded server and the adapter that is tried on it.
pub struct Bench {
    pub server: TestServer,
    pub link: Link,
    pub system: Arc<dyn System>,
    pub instances: Vec<Instance>,
    pub offers: Vec<Offer>,
}

impl Bench {
    /// Starts a server, seeds it and finds the system's queues as the sampler does.
    pub async fn new(system: &str, described: &Described, seed: impl FnOnce(&TestServer)) -> Self {
        let server = TestServer::start();
        seed(&server);
        let link = Link::open(&server.url()).await.unwrap();
        let system = qtop::systems::all(described)
            .into_iter()
            .find(|candidate| candidate.spec().name == system)
            .unwrap_or_else(|| panic!("{system} is not registered"));
        let mut bench = Self { server, link, system, instances: Vec::new(), offers: Vec::new() };
        bench.discover().await;
        bench
    }

    async fn discover(&mut self) {
        let mut queues: BTreeSet<QueueId> = self.system.described().into_iter().collect();
        for pass in self.system.spec().scans {
            let mut cursor = 0u64;
            loop {
                let mut command = cmd("SCAN");
                command.arg(cursor).arg("MATCH").arg(pass.pattern).arg("COUNT").arg(100);
                if let Some(kind) = pass.kind {
                    command.arg("TYPE").arg(kind);
                }
                let value = self.link.ask(command).await.unwrap();
                let (next, keys) = qtop::systems::reply::scan(&value).unwrap();
                for key in keys {
                    match self.system.recognise(&key) {
                        Some(Sighting::Queue(id)) => {
                            queues.insert(id);
                        }
                        Some(Sighting::Offer(offer)) => self.offers.push(offer),
                        None => {}
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        self.offers.sort_by(|a, b| a.key.cmp(&b.key));
        for queue in queues {
            match self.instances.iter_mut().find(|instance| instance.id == queue.instance) {
                Some(instance) => instance.queues.push(queue.name),
                None => self.instances.push(Instance { id: queue.instance, queues: vec![queue.name] }),
            }
        }
    }

    /// So many ticks of every instance, one after the other; the last samples.
    pub async fn ticks(&self, count: u64) -> Vec<InstanceSample> {
        let mut memos: Vec<Memo> = self.instances.iter().map(|_| Memo::default()).collect();
        let mut samples = Vec::new();
        for tick in 1..=count {
            samples.clear();
            for (instance, memo) in self.instances.iter().zip(&mut memos) {
                memo.tick = tick;
                samples.push(self.tick(instance, memo).await);
            }
        }
        samples
    }

    /// One tick of one instance.
    pub async fn tick(&self, instance: &Instance, memo: &mut Memo) -> InstanceSample {
        let mut batch = Batch::new();
        batch.ask(cmd("TIME"));
        let section = batch.section(|batch| self.system.plan(instance, memo, batch));
        let replies = self.link.send(&batch).await.unwrap();
        let mut own = Replies::section(&replies, &section);
        let sample = self.system.read(instance, memo, &mut own).unwrap();
        assert_eq!(own.left(), 0, "{:?}: every reply is read", instance.id);
        memo.server_time = time_of(&replies[0]);
        sample
    }

    /// Every row of a state, page by page, never more than `limit` at once.
    pub async fn rows(&self, queue: &QueueId, state: StateId, limit: usize) -> Vec<JobRow> {
        let mut rows = Vec::new();
        let mut cursor: Option<Cursor> = None;
        for _ in 0..1_000 {
            let request = PageRequest { cursor, limit };
            let page = self.system.jobs(&self.link, queue, state, request).await.unwrap();
            assert!(page.rows.len() <= limit, "{queue:?} {state}: {} rows, {limit} asked", page.rows.len());
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                return rows;
            }
        }
        panic!("{queue:?} {state}: the pages have no end");
    }

    /// The ids of a state, as text.
    pub async fn ids(&self, queue: &QueueId, state: &'static str) -> Vec<String> {
        self.rows(queue, StateId(state), 100).await.iter().map(|row| row.id.to_text()).collect()
    }

    /// A queue's id by its name.
    pub fn queue(&self, name: &str) -> QueueId {
        let name = Name::from(name);
        let instance = self.instances.first().expect("an instance was found");
        QueueId { instance: instance.id.clone(), name }
    }

    /// A job's id.
    pub fn id(text: &str) -> JobId {
        JobId::from(text)
    }
}

fn time_of(reply: &Reply) -> Timestamp {
    match reply {
        Ok(Value::Array(parts)) => {
            let part = |index: usize| qtop::systems::reply::int(&parts[index]).unwrap();
            Timestamp(part(0) * 1_000 + part(1) / 1_000)
        }
        other => panic!("TIME answered {other:?}"),
    }
}
