//! Options of the runner count wherever they stand, and are refused where they would mean nothing.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use qtop_testkit::{TestServer, signal, wait_until};

use crate::private::{Ends, socket};
use crate::program::{Home, fill, wait};

fn log(home: &Home) -> String {
    fs::read_to_string(home.path().join("log")).unwrap_or_default()
}

#[test]
fn local_before_the_command_runs_jobs_of_the_local_server_alone() {
    let server = TestServer::start();
    fill(&server, 0, 1);
    let home = Home::new(&server, "echo $2 >> $1", "");
    let _ends = Ends(&home);
    let log_file = fs::File::create(home.path().join("log")).unwrap();
    let mut command = home.command(&["--local", "run"]);
    let mut child = command.env("QTOP_URL", server.url()).stderr(log_file).spawn().unwrap();
    wait_until("the runner to say where it works", Duration::from_secs(20), || log(&home).contains(" works on "));
    assert!(log(&home).contains("works on local"), "{}", log(&home));
    assert!(socket(&home).exists());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((home.ran().len(), server.int("LLEN mail")), (0, 1), "the job of another server is not touched");
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
}

/// It is chosen already; what else is described does not matter, but a wish to change nothing does.
#[test]
fn a_local_server_is_chosen_whatever_servers_are_described() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1", "");
    let _ends = Ends(&home);
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("[server.other]\nurl = \"redis://127.0.0.1:1\"\n{text}")).unwrap();
    let log_file = fs::File::create(home.path().join("log")).unwrap();
    let mut child = home.command(&["run", "--local"]).stderr(log_file).spawn().unwrap();
    wait_until("the runner to say where it works", Duration::from_secs(20), || log(&home).contains("works on local"));
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    let output = home.command(&["run", "--local", "--read-only"]).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
}

#[test]
fn r18_consent_to_eviction_before_the_command_counts() {
    let server = TestServer::builder().args(["--maxmemory-policy", "allkeys-lru"]).start();
    fill(&server, 0, 1);
    let home = Home::new(&server, "echo $2 >> $1", "");
    let mut child = home.command(&["--allow-eviction", "run"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the job", Duration::from_secs(20), || home.ran().len() == 1);
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}

#[test]
fn options_that_would_mean_nothing_are_refused() {
    let server = TestServer::start();
    fill(&server, 0, 1);
    let home = Home::new(&server, "echo $2 >> $1", "");
    let url = server.url();
    let cases: [(&[&str], &str); 14] = [
        (&["--local"], "--local"),
        (&["--allow-eviction"], "--allow-eviction"),
        (&["--local", "queues"], "--local"),
        (&["--allow-eviction", "queues"], "--allow-eviction"),
        (&["--local", "config", "check"], "--local"),
        (&["--local", "demo", "--yes"], "--local"),
        (&["--run", "run"], "--run"),
        (&["--run", "queues"], "--run"),
        (&["run", "--local", "--url", &url], "--url"),
        (&["--url", &url, "run", "--local"], "--url"),
        (&["--local", "run", "--url", &url], "--url"),
        (&["run", "--local", "-s", "test"], "--server"),
        (&["--run", "--local", "--url", &url], "--url"),
        (&["--run", "--local", "-s", "test"], "--server"),
    ];
    for (arguments, named) in cases {
        let output = home.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = output.id();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(8));
            signal(id, "TERM");
        });
        let output = output.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(named), "{arguments:?}: {:?} {text}", output.status);
    }
    assert_eq!((home.ran().len(), server.int("LLEN mail")), (0, 1), "no job was taken");
}

#[test]
fn r8_a_login_that_is_refused_is_told_as_configuration_not_as_jobs_put_back() {
    let server = TestServer::builder().args(["--requirepass", "secret"]).start();
    let home = Home::new(&server, "true", "");
    let output = home.command(&["run"]).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(2),
        "3 says that jobs were put back, which is no failure of a service: {text}"
    );
}
