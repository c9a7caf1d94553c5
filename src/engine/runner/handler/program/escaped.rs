//! Children that left the group of their job (a daemon makes a session of its own) and must not outlive it.

use std::path::Path;

/// Kills every process that was started with this folder as its TMPDIR. The folder is new for every start, so what has
/// it belongs to that start. Reads /proc; does nothing where there is none.
#[cfg(target_os = "linux")]
pub(in super::super) fn kill_escaped(folder: &Path) -> usize {
    use std::os::unix::ffi::OsStrExt;

    let mark = [b"TMPDIR=", folder.as_os_str().as_bytes()].concat();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    // Only those of the same user can be read, and only those could have been started from here.
    let of_job = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == mark))
    };
    pids.filter(of_job).filter_map(rustix::process::Pid::from_raw).map(kill).filter(|killed| *killed).count()
}

#[cfg(target_os = "linux")]
fn kill(pid: rustix::process::Pid) -> bool {
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(in super::super) fn kill_escaped(_folder: &Path) -> usize {
    0
}
