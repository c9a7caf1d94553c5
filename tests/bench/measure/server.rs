//! What Redis notices of qtop, and what qtop notices of a slow link.

use std::time::{Duration, Instant};

use qtop_testkit::{Proxy, Terminal, TestServer};

use crate::machine::{memory_kib, ms, percentile};
use crate::{QTOP, seed};

const LIMIT: Duration = Duration::from_secs(60);

/// Commands, bytes, server time and wall time of a refresh at 10, 200 and 1,000 queues.
pub fn refresh() {
    println!("\n## A refresh of the overview\n");
    println!(
        "| queues | commands | a queue | bytes out | bytes in | server time | wall time, median | 99 % | qtop's memory |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for count in [10, 200, 1_000] {
        let server = TestServer::start();
        seed::queues(&mut server.client(), count, true);
        let proxy = Proxy::start(server.port());
        let terminal = Terminal::builder(QTOP).args(["--url", &proxy.url()]).size(160, 45).spawn();
        terminal.wait_for_text("queue-0", LIMIT);
        // Discovery is over when a pass over the keyspace and its second looks are done.
        std::thread::sleep(Duration::from_secs(10));
        server.run("CONFIG RESETSTAT");
        proxy.clear();
        std::thread::sleep(Duration::from_secs(20));
        let traffic = proxy.traffic();
        let usec: f64 = server_microseconds(&server);
        let Some((&sampler, &turns)) = traffic.turns_by_connection.iter().max_by_key(|(_, turns)| **turns) else {
            panic!("qtop asked nothing within 20 s");
        };
        let commands = proxy.sent().iter().filter(|sent| sent.connection == sampler).count();
        let of_sampler = traffic.turn_times.iter().filter(|turn| turn.connection == sampler);
        let mut times: Vec<Duration> = of_sampler.map(|turn| turn.took).collect();
        let each = |total: u64| total as f64 / turns as f64;
        println!(
            "| {count} | {:.0} | {:.1} | {:.0} | {:.0} | {:.2} ms | {} | {} | {:.1} MiB |",
            each(commands as u64),
            each(commands as u64) / count as f64,
            each(traffic.bytes_to_server),
            each(traffic.bytes_to_client),
            usec / 1000.0 / turns as f64,
            ms(percentile(&mut times, 0.5)),
            ms(percentile(&mut times, 0.99)),
            memory_kib(terminal.pid()).0 as f64 / 1024.0,
        );
    }
    println!("\nAverages over 20 s in a steady state; one refresh is one round trip on one connection.");
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
