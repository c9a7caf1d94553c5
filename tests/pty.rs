//! The built program on a pseudo-terminal: what a person at a keyboard, a shell and a kernel see of it.

mod pty {
    mod acting;
    mod broken_screen;
    mod ending;
    mod faults;
    mod keys;
    mod leaving;
    mod look;
    mod panics;
    mod private;
    mod refused;
    mod running;
    mod without_terminal;

    use std::time::Duration;

    use qtop_testkit::{Terminal, TerminalBuilder, TestServer};

    /// For everything that should come within a moment, on a machine that does other things too.
    pub const LIMIT: Duration = Duration::from_secs(15);

    /// The program on a server, without configuration.
    pub fn qtop(url: &str) -> TerminalBuilder {
        Terminal::builder(env!("CARGO_BIN_EXE_qtop")).args(["--url", url])
    }

    /// A server with two BullMQ queues: `mail` with jobs in several states, `reports` with failures.
    pub fn seeded() -> TestServer {
        let server = TestServer::start();
        seed(&server);
        server
    }

    /// Adds the queues to a server.
    pub fn seed(server: &TestServer) {
        let mut connection = server.client();
        for queue in ["mail", "reports"] {
            let key = |part: &str| format!("bull:{queue}:{part}");
            let mut pipeline = redis::pipe();
            pipeline.cmd("HSET").arg(key("meta")).arg("version").arg("bullmq:5.60.0").ignore();
            pipeline.set(key("id"), 40).ignore();
            for id in 1..=40_u64 {
                let mut job = redis::cmd("HSET");
                job.arg(key(&id.to_string())).arg("name").arg("send").arg("opts").arg("{\"attempts\":3}");
                job.arg("data").arg(format!("{{\"to\":\"ada@example.com\",\"number\":{id}}}"));
                job.arg("timestamp").arg(1_760_000_000_000 + id).arg("priority").arg(0);
                job.arg("processedOn").arg(1_760_000_000_100_u64).arg("finishedOn").arg(1_760_000_000_900_u64);
                if id > 30 {
                    job.arg("failedReason").arg("ConnectTimeout: upstream 10.0.0.1 timed out");
                }
                pipeline.add_command(job).ignore();
                let state = if id > 30 { "failed" } else { "completed" };
                pipeline.zadd(key(state), id, 1_760_000_000_900 + id).ignore();
            }
            pipeline.exec(&mut connection).expect("the queues can be seeded");
        }
    }

    /// Started and with its queues on the screen.
    pub fn started(server: &TestServer) -> Terminal {
        let terminal = qtop(&server.url()).spawn();
        terminal.wait_for_text("mail", LIMIT);
        terminal
    }
}
