//! What Redis notices of qtop, and what qtop notices of a slow link.

use std::time::{Duration, Instant};

use qtop_testkit::{Proxy, Terminal, TestServer};

use crate::machine::{memory_kib, ms, percentile};
use crate::{QTOP, seed};

/// Queues, how long it takes until their finding is over and the interval between two refreshes is settled, and how long
/// that steady state is then watched, both in seconds.
const STEADY: [(usize, u64, u64); 3] = [(10, 10, 40), (200, 30, 40), (1_000, 70, 95)];
const LIMIT: Duration = Duration::from_secs(60);

/// Commands, bytes, server time and wall time of a refresh at 10, 200 and 1,000 queues.
pub fn refresh() {
    println!("\n## A refresh of the overview\n");
    println!(
        "| queues | commands | a queue | bytes out | bytes in | server time | wall time, median | 99 % | every | memory |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (count, settling, observed) in STEADY {
        let server = TestServer::start();
        seed::queues(&mut server.client(), count, true);
        let proxy = Proxy::start(server.port());
        let terminal = Terminal::builder(QTOP).args(["--url", &proxy.url()]).size(160, 45).spawn();
        terminal.wait_for_text("queue-0", LIMIT);
        std::thread::sleep(Duration::from_secs(settling));
        server.run("CONFIG RESETSTAT");
        proxy.clear();
        std::thread::sleep(Duration::from_secs(observed));
        let traffic = proxy.traffic();
        let usec: f64 = server_microseconds(&server);
        let Some((&sampler, _)) = traffic.turns_by_connection.iter().max_by_key(|(_, turns)| **turns) else {
            panic!("qtop asked nothing within {observed} s");
        };
        let sent = proxy.sent();
        let of_sampler = || sent.iter().filter(|sent| sent.connection == sampler);
        // Every refresh asks for the number of keys once, behind the time.
        let starts: Vec<Instant> = of_sampler().filter(|sent| sent.name == "DBSIZE").map(|sent| sent.at).collect();
        let mut times: Vec<Duration> = starts
            .windows(2)
            .filter_map(|pair| {
                let turns = traffic.turn_times.iter().filter(|turn| turn.connection == sampler);
                // A large pipeline is answered while it is still being sent, which the proxy sees as several turns.
                let ends = turns.map(|turn| turn.began + turn.took).filter(|end| (pair[0]..pair[1]).contains(end));
                Some(ends.max()? - pair[0])
            })
            .collect();
        let commands = of_sampler().count() as u64;
        let each = |total: u64| total as f64 / starts.len() as f64;
        println!(
            "| {count} | {:.0} | {:.1} | {:.0} | {:.0} | {:.2} ms | {} | {} | {:.1} s | {:.1} MiB |",
            each(commands),
            each(commands) / count as f64,
            each(traffic.bytes_to_server),
            each(traffic.bytes_to_client),
            usec / 1000.0 / starts.len() as f64,
            ms(percentile(&mut times, 0.5)),
            ms(percentile(&mut times, 0.99)),
            observed as f64 / starts.len() as f64,
            memory_kib(terminal.pid()).0 as f64 / 1024.0,
        );
    }
    println!("\nAverages in a steady state. A refresh is one pipeline, cut after 10,000 commands;");
    println!(
        "the interval, 1, 2, 5, 10 or 30 s, is what the budget of the defaults (50 KiB/s, 2,000 commands/s) leaves of the wished 1 s."
    );
}

/// Time Redis spent in commands since `CONFIG RESETSTAT`, in microseconds, without the measuring itself.
fn server_microseconds(server: &TestServer) -> f64 {
    let all: String = redis::from_redis_value(server.run("INFO commandstats")).expect("INFO answers with text");
    let of_line = |line: &str| {
        let name = line.strip_prefix("cmdstat_")?.split(':').next()?;
        if name.starts_with("config") {
            return None;
        }
        line.split(',').find_map(|part| part.strip_prefix("usec="))?.parse::<f64>().ok()
    };
    all.lines().filter_map(of_line).sum()
}

/// A link of 60 ms each way, 50 queues among 500,000 keys.
pub fn slow_link() {
    println!("\n## A slow link: 60 ms each way, 50 queues among 500 000 keys\n");
    let server = TestServer::start();
    let mut client = server.client();
    seed::queues(&mut client, 50, true);
    seed::other_keys(&mut client, 500_000);
    let proxy = Proxy::start(server.port());
    proxy.delay(Duration::from_millis(60));
    let mut terminal = Terminal::builder(QTOP).args(["--url", &proxy.url()]).size(160, 70).spawn();
    terminal.wait_for_text("queue-", LIMIT);
    println!("- first queue on the screen after {}", ms(terminal.started().elapsed()));
    terminal.wait_for("all 50 queues", LIMIT, |screen| {
        let text = screen.contents();
        (0..50).all(|number| text.contains(&format!("queue-{number:04}")))
    });
    println!("- all queues after {}", ms(terminal.started().elapsed()));
    let quit = Instant::now();
    terminal.send("q");
    terminal.wait_exit(LIMIT);
    println!("- `q` to the end of the process: {}", ms(quit.elapsed()));
}
