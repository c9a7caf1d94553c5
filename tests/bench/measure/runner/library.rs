//! The libraries' own workers on a queue that is filled already. Each gives jobs a second.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use qtop_testkit::TestServer;

use super::queues;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The figure that a worker prints, counted in its own process.
fn told(program: &mut Command) -> f64 {
    let output = program.stderr(Stdio::inherit()).output().expect("it is installed by tests/run.sh");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("it prints jobs a second")
}

/// BullMQ's worker.
pub fn bullmq(server: &TestServer, concurrency: usize, jobs: usize) -> f64 {
    let folder = Path::new(ROOT).join("tests/interop");
    let words = [server.port().to_string(), concurrency.to_string(), jobs.to_string()];
    told(Command::new("node").arg(folder.join("drain.mjs")).args(words).current_dir(&folder))
}

/// ARQ's worker.
pub fn arq(server: &TestServer, concurrency: usize, jobs: usize) -> f64 {
    let root = Path::new(ROOT);
    let words = [server.port().to_string(), concurrency.to_string(), jobs.to_string()];
    let mut python = Command::new(root.join("target/python/bin/python"));
    told(python.arg(root.join("tests/interop/arq_drain.py")).args(words))
}

/// Laravel's worker: from its first job to its last, since the start of PHP is not what is compared.
pub fn laravel(server: &TestServer) -> f64 {
    let root = tempfile::tempdir().expect("a folder");
    let script = Path::new(ROOT).join("tests/interop/laravel/artisan.php");
    let mut php = Command::new("php");
    php.arg("-d").arg("log_errors=0").arg(script).args(["queue:work", "--stop-when-empty", "--sleep=0", "--quiet"]);
    php.env("APP_ROOT", root.path()).env("REDIS_PORT", server.port().to_string()).env("DB_CONNECTION", "sqlite");
    let all = queues::left_in_laravel(server);
    let mut worker = php.stdout(Stdio::null()).spawn().expect("php is installed by tests/run.sh");
    let left = || {
        std::thread::sleep(Duration::from_millis(2));
        queues::left_in_laravel(server)
    };
    let mut first = left();
    while first == all {
        first = left();
    }
    let began = Instant::now();
    while left() > 0 {
        assert!(began.elapsed() < Duration::from_secs(120), "Laravel's worker does not come to an end");
    }
    let rate = first as f64 / began.elapsed().as_secs_f64();
    worker.wait().expect("it ends");
    rate
}
