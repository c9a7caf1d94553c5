//! qtop's side: finds the queues of a server and reads them through the adapter, as the engine does.

use std::collections::BTreeMap;

use qtop::domain::ids::{InstanceId, QueueId};
use qtop::domain::job::{Job, JobRow, PageRequest, Search};
use qtop::domain::queue::QueueSample;
use qtop::domain::snapshot::InstanceSample;
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::link::{Batch, Link, Replies, Value, cmd};
use qtop::systems::bullmq::BullMq;
use qtop::systems::{Instance, Memo, Sighting, System};

pub const SYSTEM: BullMq = BullMq;

/// Everything the adapter recognises in a keyspace, by instance.
pub async fn discover(link: &Link) -> Vec<Instance> {
    let mut found: BTreeMap<InstanceId, Instance> = BTreeMap::new();
    for pass in SYSTEM.spec().scans {
        let mut cursor = 0_i64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pass.pattern).arg("COUNT").arg(1000);
            let Value::Array(reply) = link.ask(scan).await.unwrap() else { panic!("SCAN answers an array") };
            cursor = qtop::systems::reply::int(&reply[0]).unwrap();
            for key in qtop::systems::reply::names(&reply[1]).unwrap() {
                if let Some(Sighting::Queue(queue)) = SYSTEM.recognise(&key) {
                    let id = queue.instance.clone();
                    let instance = found.entry(id.clone()).or_insert(Instance { id, queues: Vec::new() });
                    instance.queues.push(queue.name);
                }
            }
            if cursor == 0 {
                break;
            }
        }
    }
    let mut instances: Vec<Instance> = found.into_values().collect();
    for instance in &mut instances {
        instance.queues.sort();
        instance.queues.dedup();
    }
    instances
}

/// One instance watched over several ticks.
pub struct Watch {
    pub instance: Instance,
    pub memo: Memo,
    /// Commands of the last tick.
    pub commands: usize,
}

impl Watch {
    pub fn new(instance: Instance) -> Self {
        Self { instance, memo: Memo::default(), commands: 0 }
    }

    /// One tick, as the sampler makes it.
    pub async fn tick(&mut self, link: &Link) -> InstanceSample {
        self.memo.tick += 1;
        let mut batch = Batch::new();
        SYSTEM.plan(&self.instance, &self.memo, &mut batch);
        self.commands = batch.len();
        let replies = link.send(&batch).await.unwrap();
        let mut replies = Replies::new(&replies);
        let sample = SYSTEM.read(&self.instance, &mut self.memo, &mut replies).unwrap();
        assert_eq!(replies.left(), 0, "every reply was read");
        self.memo.server_time = now(link).await;
        sample
    }
}

pub async fn now(link: &Link) -> Timestamp {
    let Value::Array(time) = link.ask(cmd("TIME")).await.unwrap() else { panic!("TIME answers an array") };
    let part = |at: usize| qtop::systems::reply::int(&time[at]).unwrap();
    Timestamp(part(0) * 1000 + part(1) / 1000)
}

/// All rows of a state, read in pages of this size.
pub async fn rows(link: &Link, queue: &QueueId, state: StateId, limit: usize) -> Vec<JobRow> {
    let mut request = PageRequest { cursor: None, limit };
    let mut rows = Vec::new();
    for _ in 0..10_000 {
        let page = SYSTEM.jobs(link, queue, state, request.clone()).await.unwrap();
        assert!(page.rows.len() <= limit, "a page of {limit} has {} rows", page.rows.len());
        rows.extend(page.rows);
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => return rows,
        }
    }
    panic!("the pages of {state} never end");
}

pub async fn job(link: &Link, queue: &QueueId, id: &str) -> Job {
    let id = id.into();
    let job = SYSTEM.job(link, queue, &id, 64 << 10).await.unwrap();
    job.unwrap_or_else(|| panic!("job {id} of {} is not found", queue.full_address()))
}

/// Reads everything there is to read: samples, pages, details, searches, workers, schedules, reasons.
pub async fn tour(link: &Link, clients: Option<&str>) -> Vec<QueueSample> {
    let mut samples = Vec::new();
    for instance in discover(link).await {
        let mut watch = Watch::new(instance.clone());
        let mut last = Vec::new();
        for _ in 0..12 {
            last = watch.tick(link).await.queues;
        }
        SYSTEM.workers(link, &instance, clients).await.unwrap();
        for sample in &last {
            SYSTEM.why(link, &sample.id, None).await.unwrap();
            SYSTEM.schedules(link, &sample.id, PageRequest { cursor: None, limit: 100 }).await.unwrap();
            for (state, _) in &sample.counts {
                for row in rows(link, &sample.id, *state, 3).await {
                    SYSTEM.job(link, &sample.id, &row.id, 64 << 10).await.unwrap();
                    SYSTEM.why(link, &sample.id, Some(&row.id)).await.unwrap();
                }
                let search = Search { text: "example".to_owned(), payload_bytes: 64 << 10 };
                let page = PageRequest { cursor: None, limit: 500 };
                SYSTEM.search(link, &sample.id, *state, &search, page).await.unwrap();
            }
        }
        samples.extend(last);
    }
    samples
}
