//! What becomes of the programs of a runner that is killed with SIGKILL.

use std::fs;
use std::time::Duration;

use qtop_testkit::{TestServer, alive, wait_until};

use crate::program::{Home, fill};

/// Writes its own id, that of a child, that of a daemon in a session of its own, and that of one that has cleared its
/// environment as well; then all of them wait.
const FAMILY: &str = "trap '' TERM HUP; echo $$ >> $1; sleep 600 & echo $! >> $1\n\
                      setsid sh -c 'echo $$ >> '$1'; exec sleep 600' &\n\
                      setsid env -i PATH=$PATH sh -c 'echo $$ >> '$1'; exec sleep 600' &\nwait; wait";

fn pids(home: &Home) -> Vec<u32> {
    let text = fs::read_to_string(home.path().join("ran")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn folders(home: &Home) -> usize {
    fs::read_dir(home.path().join("scratch")).unwrap().count()
}

#[test]
fn programs_do_not_outlive_a_qtop_that_is_killed() {
    let server = TestServer::start();
    for (kind, count) in [("command", 8), ("process", 4)] {
        server.run("FLUSHALL");
        let home = match kind {
            "command" => Home::new(&server, FAMILY, "concurrency = 2"),
            _ => Home::process(&server, FAMILY, "concurrency = 1"),
        };
        fs::create_dir(home.path().join("scratch")).unwrap();
        let file = home.path().join("config.toml");
        let text = fs::read_to_string(&file).unwrap();
        let scratch = format!("[runner]\ndirectory = {:?}\n", home.path().join("scratch").display().to_string());
        fs::write(&file, text.replace("[runner]\n", &scratch)).unwrap();
        fill(&server, 0, 2);
        let mut child = home.run();
        wait_until("all processes", Duration::from_secs(20), || pids(&home).len() == count);
        assert!(pids(&home).into_iter().all(alive) && folders(&home) > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        for pid in pids(&home) {
            wait_until(&format!("the end of {pid} ({kind})"), Duration::from_secs(5), || !alive(pid));
        }
        wait_until("no folder left", Duration::from_secs(5), || folders(&home) == 0);
    }
}
