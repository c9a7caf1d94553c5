//! Consumers of groups.

use std::collections::BTreeSet;
use std::time::Duration;

use super::info::Consumer;
use super::names::Place;
use super::read;
use super::sample::{LIVE, STUCK};
use crate::domain::ids::{JobId, JobRef, Name, QueueId};
use crate::domain::queue::Count;
use crate::domain::text::age;
use crate::domain::worker::{Liveness, Worker};
use crate::link::Link;
use crate::systems::{Instance, SystemError};

/// Streams and groups that one answer covers.
const GROUPS: usize = 200;

/// Entries told of each consumer.
const RUNNING: u64 = 10;

/// A silent consumer without entries that has not spoken for so long is only a name that nobody removed.
const LITTER: Duration = Duration::from_secs(24 * 3600);

/// All consumers of all groups, one line for each group a consumer is in.
pub async fn workers(link: &Link, instance: &Instance) -> Result<Vec<Worker>, SystemError> {
    let places: BTreeSet<Place> = instance.queues.iter().map(Place::parse).collect();
    let streams: BTreeSet<&[u8]> = places.iter().map(|place| place.stream.as_slice()).collect();
    let mut workers = Vec::new();
    let mut seen = 0;
    for stream in streams {
        let whole = places.contains(&Place { stream: stream.to_vec(), group: None });
        for group in read::groups(link, stream).await? {
            let place = Place { stream: stream.to_vec(), group: Some(group.name.clone()) };
            seen += 1;
            if seen > GROUPS || !(whole || places.contains(&place)) {
                continue;
            }
            let queue = instance.queue(&place.name());
            for consumer in read::consumers(link, stream, &group.name).await? {
                workers.push(worker(link, &place, &queue, &group.name, consumer).await?);
            }
        }
    }
    Ok(workers)
}

async fn worker(
    link: &Link,
    place: &Place,
    queue: &QueueId,
    group: &[u8],
    consumer: Consumer,
) -> Result<Worker, SystemError> {
    let mut running = Vec::new();
    if consumer.pending > 0 {
        let held = read::pending(link, &place.stream, group, None, RUNNING, Some(&consumer.name)).await?;
        running.extend(held.iter().map(|held| JobRef { queue: queue.clone(), id: JobId::from(held.id.to_string()) }));
    }
    Ok(Worker {
        instance: queue.instance.clone(),
        name: Name::from(consumer.name.as_slice()),
        queues: vec![queue.name.clone()],
        state: liveness(&consumer),
        paused: None,
        heartbeat: Some(consumer.idle),
        running,
        host: None,
        pid: None,
        stands_for: Count::Exact(1),
        since: None,
        pool: None,
        evidence: evidence(&consumer),
    })
}

/// Silence means death only where every attempt to read is counted (7.2 and later).
pub fn liveness(consumer: &Consumer) -> Liveness {
    match consumer {
        Consumer { idle, .. } if *idle < LIVE => Liveness::Live,
        Consumer { idle, pending: 0, .. } if *idle >= LITTER => Liveness::Gone,
        Consumer { every_read_counts: true, .. } => Liveness::Stale,
        Consumer { idle, pending, .. } if *pending > 0 && *idle >= STUCK => Liveness::Stale,
        _ => Liveness::Unknown,
    }
}

fn evidence(consumer: &Consumer) -> String {
    let idle = age(consumer.idle);
    if consumer.every_read_counts {
        format!("XINFO CONSUMERS: last read {idle} ago, {} pending", consumer.pending)
    } else {
        format!("XINFO CONSUMERS: last entry {idle} ago, {} pending; empty reads do not show", consumer.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_death_only_where_empty_reads_count() {
        let consumer = |idle: u64, pending, every_read_counts| Consumer {
            name: b"c".to_vec(),
            pending,
            idle: Duration::from_secs(idle),
            every_read_counts,
        };
        assert_eq!(liveness(&consumer(5, 0, false)), Liveness::Live);
        assert_eq!(liveness(&consumer(600, 0, false)), Liveness::Unknown);
        assert_eq!(liveness(&consumer(600, 0, true)), Liveness::Stale);
        assert_eq!(liveness(&consumer(120, 1, false)), Liveness::Unknown);
        assert_eq!(liveness(&consumer(601, 1, false)), Liveness::Stale);
        assert_eq!(liveness(&consumer(90_000, 0, false)), Liveness::Gone);
    }
}
