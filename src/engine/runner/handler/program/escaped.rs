//! Children that left the group of their job (a daemon makes a session of its own) and must not outlive it.

use std::path::Path;

use super::Mark;

/// Kills every process that has this mark, or was started with this folder as its TMPDIR. Both are new for every start,
/// so what has one of them belongs to that start. Reads /proc; does nothing where there is none.
#[cfg(target_os = "linux")]
pub(in super::super) fn kill_escaped(folder: &Path, mark: Option<Mark>) -> usize {
    use std::os::unix::ffi::OsStrExt;

    let place = [b"TMPDIR=", folder.as_os_str().as_bytes()].concat();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    // Only the environment of the same user's can be read, and only those could have been started from here.
    let of_job = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == place))
            || mark.is_some_and(|mark| mark.is_on(*pid))
    };
    pids.filter(of_job).filter_map(rustix::process::Pid::from_raw).map(kill).filter(|killed| *killed).count()
}

#[cfg(target_os = "linux")]
fn kill(pid: rustix::process::Pid) -> bool {
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(in super::super) fn kill_escaped(_folder: &Path, _mark: Option<Mark>) -> usize {
    0
}
