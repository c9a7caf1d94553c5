//! Prometheus metrics and `/healthz`, on loopback and only when asked for (S11). Labels are the pools' queues, which the
//! configuration names: nothing that comes from a job makes a label. There is no route that changes anything.

use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Backlogs};
use super::error::RunnerError;
use super::pool::Pool;
use super::stats::{BUCKETS, Histogram};
use crate::domain::runner::PoolState;

/// Connections served at once; a scraper needs one.
const CONNECTIONS: usize = 16;
/// Longest time a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pools as they are now.
pub type Pools = Arc<dyn Fn() -> Vec<Arc<Pool>> + Send + Sync>;

/// Opens the listener.
///
/// # Errors
/// If the address is not this machine's own, or taken.
pub async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), RunnerError> {
    let failed = |cause: String| RunnerError::Metrics { address: address.to_owned(), cause };
    let parsed: SocketAddr = address.parse().map_err(|_| failed("it is no address with a port".to_owned()))?;
    if !parsed.ip().is_loopback() {
        return Err(failed("metrics are served to this machine only".to_owned()));
    }
    let listener = TcpListener::bind(parsed).await.map_err(|error| failed(error.to_string()))?;
    let bound = listener.local_addr().map_err(|error| failed(error.to_string()))?;
    Ok((listener, bound))
}

/// Serves until cancelled. Nothing that goes wrong here reaches the jobs (R13).
pub async fn serve(listener: TcpListener, pools: Pools, backlogs: Backlogs, over: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = over.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: it passes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (pools, backlogs) = (Arc::clone(&pools), backlogs.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &pools, &backlogs);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            drop(tokio::time::timeout(PATIENCE * 2, served).await);
            drop(permit);
        });
    }
}

fn answer<B>(request: &Request<B>, pools: &Pools, backlogs: &Backlogs) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text(&pools(), backlogs))
        }
        (&Method::GET | &Method::HEAD, "/healthz") => {
            let (status, body) = health(&pools());
            (status, "application/json", body)
        }
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, "text/plain", "there are /metrics and /healthz\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

/// Healthy while every pool that should take jobs can, and there are some.
fn health(pools: &[Arc<Pool>]) -> (StatusCode, String) {
    let now = std::time::Instant::now();
    let mut told = Vec::new();
    let (mut there, mut unable) = (false, false);
    for pool in pools {
        let view = pool.view(now);
        // One that has ended is about to be forgotten: its queue is another's now, or nobody's.
        there |= view.state != PoolState::Stopped;
        unable |= matches!(view.state, PoolState::Connecting | PoolState::Stuck);
        let word: &'static str = view.state.into();
        told.push(
            serde_json::json!({ "queue": view.address, "state": word, "active": view.slots.len(), "note": view.note }),
        );
    }
    let healthy = there && !unable;
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if healthy { "ok" } else { "not taking jobs" };
    (status, format!("{}\n", serde_json::json!({ "status": word, "pools": told })))
}

/// What the pools of one queue tell together: while its configuration changes there may be several.
#[derive(Default)]
struct Told {
    queue: String,
    taken: u64,
    done: u64,
    failed: u64,
    retried: u64,
    lost: u64,
    returned: u64,
    active: usize,
    concurrency: usize,
    consuming: bool,
    ran: Histogram,
    waited: Histogram,
    backlog: Backlog,
}

fn text(pools: &[Arc<Pool>], backlogs: &Backlogs) -> String {
    let mut told: Vec<Told> = Vec::new();
    for pool in pools {
        let address = &pool.parts.address;
        let at = told.iter().position(|told| told.queue == *address).unwrap_or_else(|| {
            let backlog = backlogs.of(&pool.parts.seat.queue);
            told.push(Told { queue: address.clone(), backlog, ..Told::default() });
            told.len() - 1
        });
        told[at].add(pool);
    }
    let mut out = String::new();
    type Of = fn(&Told) -> u64;
    let counters: [(&str, &str, Of); 7] = [
        ("worker_messages_processed_total", "Attempts that have ended.", |told| {
            told.done + told.failed + told.retried + told.lost + told.returned
        }),
        ("worker_messages_delivered_total", "Jobs that succeeded.", |told| told.done),
        ("worker_messages_failed_total", "Jobs given up.", |told| told.failed),
        ("worker_messages_retried_total", "Attempts that will be made again.", |told| told.retried),
        ("worker_messages_lost_total", "Attempts whose claim was lost; nothing was written.", |told| told.lost),
        ("worker_messages_returned_total", "Jobs put back unfinished.", |told| told.returned),
        ("worker_messages_taken_total", "Attempts started.", |told| told.taken),
    ];
    for (name, help, of) in counters {
        head(&mut out, name, help, "counter");
        told.iter().for_each(|told| line(&mut out, name, &told.queue, "", of(told) as f64));
    }
    let gauges: [(&str, &str, Of); 3] = [
        ("worker_active_workers", "Jobs that may run at once.", |told| told.concurrency as u64),
        ("worker_processing", "Jobs that run now.", |told| told.active as u64),
        ("worker_consuming", "1 while jobs can be taken.", |told| u64::from(told.consuming)),
    ];
    for (name, help, of) in gauges {
        head(&mut out, name, help, "gauge");
        told.iter().for_each(|told| line(&mut out, name, &told.queue, "", of(told) as f64));
    }
    // What is not known has no line: a zero would say that nothing waits.
    type Known = fn(&Backlog) -> Option<f64>;
    let known: [(&str, &str, Known); 2] = [
        ("worker_queue_waiting", "Jobs in the queue that could run now.", |backlog| {
            backlog.waiting.map(|waiting| waiting as f64)
        }),
        ("worker_queue_oldest_seconds", "How long the oldest of them has waited; 0 if there is none.", |backlog| {
            backlog.oldest.map(|oldest| oldest.as_secs_f64())
        }),
    ];
    for (name, help, of) in known {
        head(&mut out, name, help, "gauge");
        for told in &told {
            of(&told.backlog).into_iter().for_each(|value| line(&mut out, name, &told.queue, "", value));
        }
    }
    type Spans = fn(&Told) -> &Histogram;
    let histograms: [(&str, &str, Spans); 2] = [
        ("worker_delivery_duration_seconds", "How long attempts ran.", |told| &told.ran),
        ("worker_queue_wait_seconds", "From when a job could have run until it was taken.", |told| &told.waited),
    ];
    for (name, help, of) in histograms {
        head(&mut out, name, help, "histogram");
        for told in &told {
            let histogram = of(told);
            let mut sum = 0;
            for (bound, count) in BUCKETS.iter().zip(histogram.counts) {
                sum += count;
                line(&mut out, &format!("{name}_bucket"), &told.queue, &format!(",le=\"{bound}\""), sum as f64);
            }
            line(&mut out, &format!("{name}_bucket"), &told.queue, ",le=\"+Inf\"", histogram.total as f64);
            line(&mut out, &format!("{name}_sum"), &told.queue, "", histogram.sum);
            line(&mut out, &format!("{name}_count"), &told.queue, "", histogram.total as f64);
        }
    }
    out
}

impl Told {
    /// Adds a pool, whose state is held for a moment.
    fn add(&mut self, pool: &Pool) {
        let state = pool.state();
        let counts = state.stats.counts;
        self.taken += counts.taken;
        self.done += counts.done;
        self.failed += counts.failed + counts.cancelled;
        self.retried += counts.retried;
        self.lost += counts.lost;
        self.returned += counts.returned;
        self.active += state.slots.len();
        // Beside a predecessor that ends, a pool runs no more jobs than it may alone.
        if self.concurrency == 0 || !pool.stop.is_cancelled() {
            self.concurrency = state.concurrency;
        }
        self.consuming |= pool.word(&state) == PoolState::Consuming;
        self.ran.add(&state.stats.ran);
        self.waited.add(&state.stats.waited);
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, queue: &str, more: &str, value: f64) {
    let queue = queue.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let _ = writeln!(out, "{name}{{queue=\"{queue}\"{more}}} {value}");
}
