//! Keys of a runner's place at a queue. qtop's own stand behind the application's prefix: `PREFIXqtop:laravel:…`, so that
//! nobody takes them for a queue.

use super::super::keys::Keys;
use super::super::plan::{RESTART, caches, pause_all_key, pause_keys};
use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, QueueId};
use crate::systems::consume::Seat;

/// The keys of one runner at one queue.
pub struct Place {
    /// The queue's own.
    pub queue: Keys,
    rate: Vec<u8>,
    held: Vec<u8>,
    deaths: Vec<u8>,
    paused: Vec<Vec<u8>>,
}

impl Place {
    /// Of a seat at a queue of that application.
    pub fn of(seat: &Seat, application: &Application) -> Self {
        let queue = &seat.queue;
        let named = |part: &str| own(&queue.instance, &[part, ":"].concat(), queue.name.as_bytes());
        let paused = caches(&queue.instance, Some(application))
            .iter()
            .flat_map(|cache| {
                let mut keys = pause_keys(cache, Some(application), &queue.name);
                keys.push(pause_all_key(cache));
                keys
            })
            .collect();
        Self {
            queue: Keys::of(queue),
            rate: named("rate"),
            held: held(&queue.instance, seat.worker.as_bytes()),
            deaths: named("deaths"),
            paused,
        }
    }

    /// In the order the scripts want.
    pub fn keys(&self) -> Vec<&[u8]> {
        let Keys { list, delayed, reserved, notify } = &self.queue;
        let mut keys: Vec<&[u8]> = vec![list, delayed, reserved, notify, &self.rate, &self.held, &self.deaths];
        keys.extend(self.paused.iter().map(Vec::as_slice));
        keys
    }
}

/// A key of qtop's own.
fn own(instance: &InstanceId, part: &str, name: &[u8]) -> Vec<u8> {
    [instance.name.as_bytes(), b"qtop:laravel:", part.as_bytes(), name].concat()
}

/// Hash of what a runner holds: SHA-1 of the reserved text, with the job's id.
pub fn held(instance: &InstanceId, worker: &[u8]) -> Vec<u8> {
    own(instance, "held:", worker)
}

/// Hash of the runners of an application, by name: unix second of the last sign of life, a space, and JSON.
pub fn runners(instance: &InstanceId) -> Vec<u8> {
    own(instance, "runners", b"")
}

/// Hash of the moments of schedules that have fired.
pub fn fired(queue: &QueueId) -> Vec<u8> {
    own(&queue.instance, "fired:", queue.name.as_bytes())
}

/// Where the exceptions of a job are counted: as Laravel does it in the application's cache, if that is in this Redis.
pub fn exceptions(queue: &QueueId, cache: Option<&[u8]>, uuid: &str) -> Vec<u8> {
    match cache {
        Some(cache) => [cache, b"job-exceptions:", uuid.as_bytes()].concat(),
        None => own(&queue.instance, "exceptions:", uuid.as_bytes()),
    }
}

/// Where a restart of the application may be noted.
pub fn restarts(instance: &InstanceId, application: &Application) -> Vec<Vec<u8>> {
    let prefixes = caches(instance, Some(application));
    prefixes.into_iter().map(|cache| [cache.as_slice(), RESTART.as_bytes()].concat()).collect()
}
