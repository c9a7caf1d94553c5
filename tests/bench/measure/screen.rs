//! What a person notices: the start, keys, and what goes to the terminal while nothing happens.

use std::time::{Duration, Instant};

use qtop_testkit::{Proxy, Terminal, TestServer};

use crate::machine::{memory_kib, ms, percentile, processor_time};
use crate::{QTOP, seed};

const LIMIT: Duration = Duration::from_secs(60);

fn quit(mut terminal: Terminal) {
    terminal.send("q");
    terminal.wait_exit(LIMIT);
}

/// Start to the first frame and to the first numbers, 20 runs.
pub fn start() {
    let server = TestServer::start();
    seed::queues(&mut server.client(), 60, true);
    let (mut frames, mut numbers) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let terminal = Terminal::builder(QTOP).args(["--url", &server.url()]).size(160, 45).spawn();
        terminal.wait_for_text("queue-00", LIMIT);
        numbers.push(terminal.started().elapsed());
        frames.push(terminal.time_to_first_output().expect("a screen with queues was written"));
        quit(terminal);
    }
    println!("\n## Start with 60 queues, 20 runs\n");
    println!("| | median | 95 % |\n| --- | ---: | ---: |");
    println!(
        "| first bytes on the screen | {} | {} |",
        ms(percentile(&mut frames, 0.5)),
        ms(percentile(&mut frames, 0.95))
    );
    println!("| first queues | {} | {} |", ms(percentile(&mut numbers, 0.5)), ms(percentile(&mut numbers, 0.95)));
}

/// From a key to the first byte of the changed screen: on a healthy server, and in a blackhole.
pub fn keys() {
    println!("\n## Key to screen, 400 keys\n");
    println!("| | median | 99 % | largest |\n| --- | ---: | ---: | ---: |");
    for blackhole in [false, true] {
        let server = TestServer::start();
        seed::queues(&mut server.client(), 60, false);
        let proxy = Proxy::start(server.port());
        let mut terminal = Terminal::builder(QTOP).args(["--url", &proxy.url()]).size(160, 45).spawn();
        terminal.wait_for_text("queue-00", LIMIT);
        std::thread::sleep(Duration::from_secs(3));
        proxy.blackhole(blackhole);
        let mut times = Vec::new();
        for number in 0..400 {
            // Never within a refresh of the one before, and down and up in turns so that every key changes something.
            std::thread::sleep(Duration::from_millis(17));
            times.push(terminal.time_of_answer(if number % 2 == 0 { "j" } else { "k" }, LIMIT));
        }
        println!(
            "| {} | {} | {} | {} |",
            if blackhole { "Redis in a blackhole" } else { "Redis answers" },
            ms(percentile(&mut times, 0.5)),
            ms(percentile(&mut times, 0.99)),
            ms(percentile(&mut times, 1.0)),
        );
        quit(terminal);
    }
}

/// A minute in which nothing changes, after a settling time.
pub fn idle() {
    let server = TestServer::start();
    seed::queues(&mut server.client(), 60, false);
    let terminal = Terminal::builder(QTOP).args(["--url", &server.url()]).size(80, 24).spawn();
    terminal.wait_for_text("queue-00", LIMIT);
    // Rates need a while until all they show is zero.
    std::thread::sleep(Duration::from_secs(75));
    let (bytes, processor) = (terminal.bytes_written(), processor_time(terminal.pid()));
    std::thread::sleep(Duration::from_secs(60));
    println!("\n## An idle minute, 60 queues, 80×24\n");
    println!("- bytes written to the terminal: {}", terminal.bytes_written() - bytes);
    println!("- processor time: {}", ms(processor_time(terminal.pid()) - processor));
    quit(terminal);
}

/// Memory and processor time with 60 and 1,000 queues.
pub fn memory() {
    println!("\n## Memory and processor, one minute on the overview\n");
    println!("| queues | resident | highest | processor |\n| ---: | ---: | ---: | ---: |");
    for count in [60, 1_000] {
        let server = TestServer::start();
        seed::queues(&mut server.client(), count, true);
        let terminal = Terminal::builder(QTOP).args(["--url", &server.url()]).size(160, 45).spawn();
        terminal.wait_for_text("queue-0", LIMIT);
        std::thread::sleep(Duration::from_secs(10));
        let (processor, from) = (processor_time(terminal.pid()), Instant::now());
        std::thread::sleep(Duration::from_secs(60));
        let share = (processor_time(terminal.pid()) - processor).as_secs_f64() / from.elapsed().as_secs_f64();
        let (now, highest) = memory_kib(terminal.pid());
        let mib = |kib: u64| kib as f64 / 1024.0;
        println!("| {count} | {:.1} MiB | {:.1} MiB | {:.2} % of a core |", mib(now), mib(highest), share * 100.0);
        quit(terminal);
    }
}

/// Scrolling through a queue of a million jobs.
pub fn large_queue() {
    let server = TestServer::start();
    seed::large_queue(&mut server.client(), 1_000_000);
    let mut terminal = Terminal::builder(QTOP).args(["--url", &server.url()]).size(160, 45).spawn();
    terminal.wait_for_text("large", LIMIT);
    terminal.send("\r");
    terminal.wait_for_text("send", LIMIT);
    let mut times = Vec::new();
    for _ in 0..300 {
        std::thread::sleep(Duration::from_millis(40));
        times.push(terminal.time_of_answer("\x1b[6~", LIMIT));
    }
    println!("\n## A queue of 1 000 000 jobs, 300 pages down\n");
    println!("- page to screen: median {}, 99 % {}", ms(percentile(&mut times, 0.5)), ms(percentile(&mut times, 0.99)));
    println!("- memory: {:.1} MiB", memory_kib(terminal.pid()).0 as f64 / 1024.0);
}
