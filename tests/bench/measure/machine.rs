//! On what was measured (F11), and figures about a process.

use std::fs;
use std::process::Command;
use std::time::Duration;

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start_matches([' ', '\t', ':']).to_owned()))
}

/// Prints processor, memory, system, Redis and compiler.
pub fn print() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("Machine: {cores} × {}, ", field("/proc/cpuinfo", "model name").unwrap_or_default());
    println!("{} memory, Linux {}; ", field("/proc/meminfo", "MemTotal").unwrap_or_default(), output("uname", &["-r"]));
    println!("{}; ", output("redis-server", &["--version"]));
    println!("{}; release build, Redis on the same machine (loopback).", output("rustc", &["--version"]));
    println!("Measured on {}.", output("date", &["-u", "+%Y-%m-%d"]));
}

/// Resident memory of a process now and at its highest, in KiB.
pub fn memory_kib(pid: u32) -> (u64, u64) {
    let file = format!("/proc/{pid}/status");
    let kib = |name| field(&file, name).and_then(|text| text.trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    (kib("VmRSS"), kib("VmHWM"))
}

/// Processor time a process has used, in the kernel's ticks of 10 ms.
pub fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<u64> = after_name.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    let ticks = fields.get(11).copied().unwrap_or(0) + fields.get(12).copied().unwrap_or(0);
    Duration::from_millis(ticks * 10)
}

/// The value below which this share of the sorted values lies.
pub fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort();
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// Milliseconds with two digits.
pub fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
