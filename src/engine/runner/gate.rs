//! Whether the machine has room for another job: load, memory, disk.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Runner;

/// Between two looks at the machine.
const EVERY: Duration = Duration::from_secs(5);

/// The last finding.
#[derive(Default)]
pub struct Gate(Mutex<Option<String>>);

/// What the machine must have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    max_load: Option<f64>,
    memory: Option<u64>,
    disk: Option<(u64, PathBuf)>,
}

impl Needs {
    /// As configured.
    pub fn of(runner: &Runner) -> Self {
        let directory = runner.directory.clone().unwrap_or_else(std::env::temp_dir);
        Self {
            max_load: runner.max_load,
            memory: runner.min_free_memory,
            disk: runner.min_free_disk.map(|bytes| (bytes, directory)),
        }
    }

    /// What is missing now; what cannot be found out is not held against the machine.
    async fn missing(&self) -> Option<String> {
        if let (Some(most), Some(load)) = (self.max_load, load())
            && load > most
        {
            return Some(format!("the load is {load:.2}, above max_load {most}"));
        }
        if let (Some(least), Some(free)) = (self.memory, free_memory())
            && free < least
        {
            return Some(format!("{} MiB of memory are free, less than min_free_memory", free >> 20));
        }
        if let Some((least, directory)) = &self.disk
            && let Some(free) = free_disk(directory).await
            && free < *least
        {
            return Some(format!("{} MiB are free in {}, less than min_free_disk", free >> 20, directory.display()));
        }
        None
    }
}

impl Gate {
    /// Why no job may be taken; `None`: some may.
    pub fn closed(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the machine until cancelled; at once when it must have something else.
    pub async fn watch(self: Arc<Self>, mut needs: watch::Receiver<Needs>, over: CancellationToken) {
        loop {
            let now = needs.borrow_and_update().clone();
            let missing = now.missing().await;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = missing;
            tokio::select! {
                () = over.cancelled() => return,
                changed = needs.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(EVERY), if now != Needs::default() => {}
            }
        }
    }
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

async fn free_disk(directory: &std::path::Path) -> Option<u64> {
    let output = tokio::process::Command::new("df").arg("-Pk").arg(directory).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_missing_is_said() {
        let none = Needs::default();
        assert_eq!(none.missing().await, None);
        let load = Needs { max_load: Some(-1.0), ..Needs::default() };
        assert!(load.missing().await.is_some_and(|text| text.contains("max_load")));
        let memory = Needs { memory: Some(u64::MAX), ..Needs::default() };
        assert!(memory.missing().await.is_some_and(|text| text.contains("min_free_memory")));
        let disk = Needs { disk: Some((u64::MAX, std::env::temp_dir())), ..Needs::default() };
        assert!(disk.missing().await.is_some_and(|text| text.contains("min_free_disk")));
    }
}
