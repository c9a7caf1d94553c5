//! The demo's BullMQ queues, with producers and workers made of the engine BullMQ's own makers publish.
//!
//! Ten queues under two prefixes, each showing something else: retries and error texts, long jobs with steps and logs,
//! priorities, a flow, a scheduler, a rate limit, a pause, a backlog nobody works on.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use bullmq::job_scheduler::RepeatOptions;
use bullmq::options::RedisConnectionOptions;
use bullmq::types::{BackoffStrategy, RemoveOnFinish};
use bullmq::{BulkJob, FlowJob, FlowProducer, FlowProducerOptions, Job, JobOptions, JobProgress, MetricsOptions};
use bullmq::{Queue, QueueOptions, Worker, WorkerOptions};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::data::{self, chance, one_of};
use super::error::DemoError;
use super::keep_alive;

/// The prefix BullMQ uses unless told otherwise.
const BULL: &str = "bull";
/// Another prefix, in the braces a Redis Cluster wants. The engine refuses a colon in a prefix, so there is none here.
const SHOP: &str = "{shop}";

/// Finished jobs kept a queue, so that a demo left running stays small.
const KEPT_COMPLETED: usize = 200;
const KEPT_FAILED: usize = 60;
/// Above this many waiting jobs a producer rests.
const FULL: u64 = 400;

type Work = Pin<Box<dyn Future<Output = Result<Value, bullmq::Error>> + Send>>;

/// Seeds all queues and spawns their producers and workers.
pub(super) async fn start(url: &str) -> Result<(), DemoError> {
    let failed = DemoError::seed("BullMQ queues");
    let shop = Shop { url: url.to_owned() };
    let mail = shop.queue(BULL, "mail").await.map_err(&failed)?;
    let video = shop.queue(BULL, "video").await.map_err(&failed)?;
    let thumbnails = shop.queue(BULL, "thumbnails").await.map_err(&failed)?;
    let webhooks = shop.queue(BULL, "webhooks").await.map_err(&failed)?;
    let imports = shop.queue(BULL, "imports").await.map_err(&failed)?;
    let cleanup = shop.queue(BULL, "cleanup").await.map_err(&failed)?;
    let digest = shop.queue(BULL, "digest").await.map_err(&failed)?;
    let orders = shop.queue(SHOP, "orders").await.map_err(&failed)?;
    let invoices = shop.queue(SHOP, "invoices").await.map_err(&failed)?;

    // Some without a second try, so that there are failures to look at from the start.
    seed(&mail, 15, data::mail, |options| options).await?;
    seed(&mail, 15, data::mail, |options| options.attempts(3).backoff(BackoffStrategy::Exponential(2_000))).await?;
    seed(&mail, 12, data::mail, |options| options.delay(seconds(20..180))).await?;
    seed(&video, 7, data::video, |options| options).await?;
    seed(&thumbnails, 30, data::picture, |options| options.priority(fastrand::u32(1..10))).await?;
    seed(&webhooks, 40, data::hook, |options| options).await?;
    seed(&imports, 180, || ("import-feed", json!({ "feed": fastrand::u16(..) })), |options| options).await?;
    seed(&cleanup, 14, || ("remove-old-files", json!({ "days": 30 })), |options| options).await?;
    seed(&orders, 20, data::order, |options| options).await?;
    seed(&invoices, 6, data::order, |options| options).await?;
    cleanup.pause().await.map_err(&failed)?;
    webhooks.set_global_rate_limit(4, 5_000).await.map_err(&failed)?;
    invoices.set_global_concurrency(1).await.map_err(&failed)?;
    schedules(&digest).await.map_err(&failed)?;

    shop.worker(BULL, "mail", "mail-1", |options| options.concurrency(4), send_mail).await.map_err(&failed)?;
    shop.worker(BULL, "video", "gpu-1", |options| options.concurrency(2), transcode).await.map_err(&failed)?;
    shop.worker(BULL, "video", "gpu-2", |options| options, transcode).await.map_err(&failed)?;
    shop.worker(BULL, "thumbnails", "images-1", |options| options.concurrency(2), thumbnail).await.map_err(&failed)?;
    shop.worker(BULL, "webhooks", "hooks-1", |options| options.concurrency(2), call_hook).await.map_err(&failed)?;
    shop.worker(BULL, "digest", "digest-1", |options| options, short).await.map_err(&failed)?;
    shop.worker(BULL, "pages", "pages-1", |options| options.concurrency(2), render_page).await.map_err(&failed)?;
    shop.worker(BULL, "reports", "reports-1", |options| options, short).await.map_err(&failed)?;
    shop.worker(SHOP, "orders", "orders-1", |options| options.concurrency(3), process_order).await.map_err(&failed)?;
    shop.worker(SHOP, "invoices", "invoices-1", |options| options, short).await.map_err(&failed)?;

    let retried = || JobOptions::new().attempts(3).backoff(BackoffStrategy::Exponential(2_000));
    produce(
        "mail",
        mail,
        1_000,
        data::mail,
        move || {
            if chance(15) { retried().delay(seconds(15..120)) } else { retried() }
        },
    );
    produce("video", video, 14_000, data::video, JobOptions::new);
    produce("thumbnails", thumbnails, 700, data::picture, || JobOptions::new().priority(fastrand::u32(1..10)));
    produce("webhooks", webhooks, 1_250, data::hook, JobOptions::new);
    produce("imports", imports, 2_500, || ("import-feed", json!({ "feed": fastrand::u16(..) })), JobOptions::new);
    produce("orders", orders, 600, data::order, || {
        JobOptions::new().attempts(2).backoff(BackoffStrategy::Fixed(5_000))
    });
    produce("invoices", invoices, 2_500, data::order, JobOptions::new);
    produce_flows(url.to_owned());
    Ok(())
}

/// Makes queues and workers on one server.
struct Shop {
    url: String,
}

impl Shop {
    fn connection(&self) -> RedisConnectionOptions {
        RedisConnectionOptions::new().url(self.url.as_str())
    }

    async fn queue(&self, prefix: &str, name: &str) -> Result<Queue, bullmq::Error> {
        let kept = JobOptions::new()
            .remove_on_complete(RemoveOnFinish::Count(KEPT_COMPLETED))
            .remove_on_fail(RemoveOnFinish::Count(KEPT_FAILED));
        let options = QueueOptions::new().connection(self.connection()).prefix(prefix).default_job_options(kept);
        Queue::with_options(name, options).await
    }

    /// Starts a worker that lives as long as the runtime.
    async fn worker(
        &self,
        prefix: &str,
        queue: &str,
        name: &str,
        adjust: impl FnOnce(WorkerOptions) -> WorkerOptions,
        work: fn(Job) -> Work,
    ) -> Result<(), bullmq::Error> {
        let options = WorkerOptions::new()
            .connection(self.connection())
            .prefix(prefix)
            .name(name)
            .remove_on_complete(RemoveOnFinish::Count(KEPT_COMPLETED))
            .remove_on_fail(RemoveOnFinish::Count(KEPT_FAILED))
            .metrics(MetricsOptions { max_data_points: 24 * 60 });
        // The engine does not catch a panic of a job: it would renew that job's lock for ever.
        let guarded = move |job: Job, _| {
            AssertUnwindSafe(work(job)).catch_unwind().map(|outcome| {
                outcome.unwrap_or_else(|_| Err(bullmq::Error::ProcessingError("the job's code panicked".to_owned())))
            })
        };
        let worker = Worker::with_options(queue, guarded, adjust(options)).await?;
        // Events pile up unless somebody takes them.
        tokio::spawn(async move { while worker.next_event().await.is_some() {} });
        Ok(())
    }
}

fn seconds(range: std::ops::Range<u64>) -> Duration {
    Duration::from_secs(fastrand::u64(range))
}

/// Adds jobs at once.
async fn seed(
    queue: &Queue,
    count: usize,
    make: impl Fn() -> (&'static str, Value),
    options: impl Fn(JobOptions) -> JobOptions,
) -> Result<(), DemoError> {
    let job = |_| {
        let (name, payload) = make();
        BulkJob::with_options(name, payload, options(JobOptions::new()))
    };
    queue.add_bulk((0..count).map(job).collect()).await.map_err(DemoError::seed("BullMQ jobs"))?;
    Ok(())
}

/// Adds a job about every `every_ms` milliseconds, and rests while too many wait.
fn produce(
    name: &'static str,
    queue: Queue,
    every_ms: u64,
    make: fn() -> (&'static str, Value),
    options: impl Fn() -> JobOptions + Clone + Send + Sync + 'static,
) {
    keep_alive(name, move || {
        let (queue, options) = (queue.clone(), options.clone());
        async move {
            loop {
                sleep(Duration::from_millis(fastrand::u64(every_ms / 2..every_ms * 3 / 2))).await;
                let waiting = queue.get_waiting_count().await.map_err(DemoError::seed(name))?;
                if waiting < FULL {
                    let (job, payload) = make();
                    queue.add(job, payload).options(options()).await.map_err(DemoError::seed(name))?;
                }
            }
        }
    });
}

/// A report whose pages are rendered first: a parent that waits for its children.
fn produce_flows(url: String) {
    keep_alive("flows", move || {
        let options =
            FlowProducerOptions::new().connection(RedisConnectionOptions::new().url(url.as_str())).prefix(BULL);
        async move {
            let failed = DemoError::seed("flows");
            let producer = FlowProducer::with_options(options).await.map_err(&failed)?;
            let kept = || {
                JobOptions::new()
                    .remove_on_complete(RemoveOnFinish::Count(KEPT_COMPLETED))
                    .remove_on_fail(RemoveOnFinish::Count(KEPT_FAILED))
            };
            loop {
                let report = format!("Q{} {}", fastrand::u8(1..5), one_of(&["sales", "returns", "stock"]));
                let page = |number| FlowJob::new("render-page", "pages", json!({ "report": report, "page": number }));
                let pages = (1..=fastrand::u8(2..6)).map(page).collect::<Result<Vec<_>, _>>().map_err(&failed)?;
                let pages = pages.into_iter().map(|page| page.options(kept().ignore_dependency_on_failure())).collect();
                let parent = FlowJob::new("bind-report", "reports", json!({ "report": report })).map_err(&failed)?;
                producer.add(parent.options(kept()).children(pages)).await.map_err(&failed)?;
                sleep(seconds(8..16)).await;
            }
        }
    });
}

/// One job every 20 seconds, and one at full five minutes.
async fn schedules(queue: &Queue) -> Result<(), bullmq::Error> {
    let every = RepeatOptions { every: Some(20_000), ..RepeatOptions::default() };
    queue
        .upsert_job_scheduler("collect", every, Some("collect-news"), Some(json!({ "topics": ["rust"] })), None)
        .await?;
    let pattern = RepeatOptions { pattern: Some("0 */5 * * * *".to_owned()), ..RepeatOptions::default() };
    queue
        .upsert_job_scheduler("digest", pattern, Some("send-digest"), Some(json!({ "edition": "hourly" })), None)
        .await?;
    Ok(())
}

fn failure(text: String) -> bullmq::Error {
    bullmq::Error::ProcessingError(text)
}

/// Up to `steps` steps of some milliseconds, each reported as a percentage.
async fn in_percent(job: &mut Job, steps: u32, milliseconds: std::ops::Range<u64>) -> Result<(), bullmq::Error> {
    for step in 1..=steps {
        sleep(Duration::from_millis(fastrand::u64(milliseconds.clone()))).await;
        job.update_progress(JobProgress::Number(f64::from(step * 100 / steps))).await?;
    }
    Ok(())
}

fn send_mail(mut job: Job) -> Work {
    Box::pin(async move {
        job.log(&format!("resolving the exchanger of {}", job.data()["to"])).await?;
        in_percent(&mut job, 5, 200..900).await?;
        if chance(18) {
            let error = data::mail_error();
            job.log(&format!("giving up this attempt: {error}")).await?;
            return Err(failure(error));
        }
        job.log("250 accepted for delivery").await?;
        Ok(json!({ "message_id": format!("{:016x}@mail.example.com", fastrand::u64(..)) }))
    })
}

fn transcode(mut job: Job) -> Work {
    Box::pin(async move {
        let stages = ["download", "analyse", "first pass", "second pass", "package", "upload"];
        let total = stages.len() * 5;
        let stuck_at = chance(12).then(|| fastrand::usize(5..total));
        for step in 1..=total {
            let stage = stages[(step - 1) / 5];
            if step % 5 == 1 {
                job.log(&format!("{stage}: started")).await?;
            }
            // Now and then a job does not move for long: that is what the screen has to point out.
            sleep(if stuck_at == Some(step) {
                seconds(90..150)
            } else {
                Duration::from_millis(fastrand::u64(300..1_500))
            })
            .await;
            let percent = step * 100 / total;
            let progress = json!({ "percent": percent, "step": step, "total": total, "text": stage });
            job.update_progress(JobProgress::Object(progress)).await?;
        }
        if chance(10) {
            return Err(failure(format!("ffmpeg exited with code {}", one_of(&[1, 137, 139]))));
        }
        Ok(json!({ "url": "s3://films/out.mp4", "bytes": fastrand::u64(10_000_000..9_000_000_000) }))
    })
}

fn thumbnail(mut job: Job) -> Work {
    Box::pin(async move {
        in_percent(&mut job, 3, 100..500).await?;
        if chance(3) {
            return Err(failure(format!("cannot read {}: unexpected end of file", job.data()["key"])));
        }
        Ok(json!({ "written": 3 }))
    })
}

fn call_hook(job: Job) -> Work {
    Box::pin(async move {
        sleep(Duration::from_millis(fastrand::u64(80..600))).await;
        if chance(20) {
            job.log("the other side did not take it").await?;
            return Err(failure(data::hook_error()));
        }
        Ok(json!({ "status": 200 }))
    })
}

fn render_page(mut job: Job) -> Work {
    Box::pin(async move {
        in_percent(&mut job, 4, 200..1_200).await?;
        if chance(5) {
            return Err(failure("font 'Inter' not found".to_owned()));
        }
        Ok(json!({ "page": job.data()["page"], "bytes": fastrand::u32(20_000..400_000) }))
    })
}

fn process_order(mut job: Job) -> Work {
    Box::pin(async move {
        in_percent(&mut job, 2, 100..700).await?;
        if chance(6) {
            return Err(failure(data::order_error()));
        }
        Ok(json!({ "done": true }))
    })
}

fn short(mut job: Job) -> Work {
    Box::pin(async move {
        in_percent(&mut job, 4, 150..700).await?;
        Ok(Value::Null)
    })
}
