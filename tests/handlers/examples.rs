//! The examples that are shipped work, and what is told of them is true.

use std::path::Path;

use qtop::engine::runner::work::Work;

use super::bench::{build, run_in, work};

async fn judge(program: &str, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/handlers").join(file);
    let handler = build(&format!("process = [\"{program}\", {path:?}]"));
    let named = |name: &str, payload: &str| Work { name: name.to_owned(), ..work(payload.to_owned()) };
    let told = run_in(&handler, &named("count_words", r#"{"text":"two words"}"#), None).await;
    let result: serde_json::Value = serde_json::from_str(told.result().expect("a result")).expect("JSON");
    assert_eq!(result, serde_json::json!({ "words": 2 }));
    assert_eq!(told.progress()[0].text.as_deref(), Some("counting"));
    let told = run_in(&handler, &named("count_words", "{}"), None).await;
    assert_eq!(told.failed().message, "the job has no text");
    let told = run_in(&handler, &named("toString", "{}"), None).await;
    assert!(told.failed().message.starts_with("nobody knows how to do"), "{told:?}");
    handler.close().await;
}

#[tokio::test]
async fn the_python_worker_works() {
    judge("python3", "python/worker.py").await;
}

#[tokio::test]
async fn the_node_worker_works() {
    judge("node", "node/worker.mjs").await;
}
