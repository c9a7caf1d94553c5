//! Deliveries over HTTP: what is sent, what the answers mean, S12, certificates, and what is said when it fails.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use qtop::engine::runner::handler::{Handler, Lookup};
use qtop::engine::runner::work::Ending;
use rcgen::ExtendedKeyUsagePurpose;

use super::bench::{Told, build, room, run, run_in, settings, surroundings, try_build, work};
use super::service::{Authority, Script, Seen, Service, answer};

/// Answers that were written down, one for each question; the last one for all that follow.
#[derive(Debug)]
struct Fixed {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Lookup for Fixed {
    fn lookup(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        let answer = self.answers[asked].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn with_lookup(text: &str, answers: &[&str]) -> (Handler, Arc<Fixed>) {
    let parse = |list: &&str| list.split(' ').map(|ip| ip.parse().expect("an address")).collect();
    let fixed = Arc::new(Fixed { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) });
    let mut surroundings = surroundings();
    surroundings.lookup = Arc::clone(&fixed) as Arc<dyn Lookup>;
    (Handler::build(&settings(text), &surroundings).unwrap_or_else(|error| panic!("{text}: {error}")), fixed)
}

async fn deliver(script: Script, more: &str, payload: &str) -> (Told, Vec<Seen>) {
    let service = Service::start(script).await;
    let more = more.replace("PORT", &service.port.to_string());
    let handler = build(&format!("[http]\nurl = \"http://localhost:{}/deliver\"\n{more}", service.port));
    let told = run(&handler, payload.to_owned()).await;
    (told, service.seen())
}

fn fine(_: usize, _: &Seen) -> Option<String> {
    answer("200 OK", "", "{\"stored\": true}")
}

#[tokio::test]
async fn r17_the_exact_data_is_delivered() {
    let payload = r#"{"a" : 1e400, "a":2}"#;
    let (told, seen) = deliver(fine, "", payload).await;
    assert_eq!(told.result(), Some("{\"stored\": true}"));
    assert_eq!((seen[0].line.as_str(), seen[0].text().as_str()), ("POST /deliver", payload));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    let (_, seen) = deliver(fine, "", "not json").await;
    assert_eq!(seen[0].header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn address_headers_and_body_are_filled() {
    let service = Service::start(fine).await;
    let mut surroundings = surroundings();
    surroundings.variables.insert("API_TOKEN".into(), "t0ken".into());
    let text = format!(
        "[http]\nmethod = \"PUT\"\nurl = \"http://127.0.0.1:{}/users/{{data.user}}?q={{data.q}}\"\n\
         headers = {{ Authorization = \"Bearer {{env.API_TOKEN}}\", X-Job = \"{{id}}\" }}\n\
         body = {{ n = \"{{data.n}}\", who = \"user {{data.user}}\", list = [1, true, \"{{attempt}}\"], all = \"{{data}}\" }}",
        service.port
    );
    let handler = Handler::build(&settings(&text), &surroundings).expect("builds");
    let payload = r#"{"user":"a/../b?x#y","q":"1&2=3 ","n":1e400}"#;
    assert!(matches!(run(&handler, payload).await.ending, Ending::Done { .. }));
    let seen = &service.seen()[0];
    assert_eq!(seen.line, "PUT /users/a%2F..%2Fb%3Fx%23y?q=1%262%3D3%20");
    assert_eq!((seen.header("authorization"), seen.header("x-job")), (Some("Bearer t0ken"), Some("7")));
    let body = format!(r#"{{"all":{payload},"list":[1,true,2],"n":1e400,"who":"user a/../b?x#y"}}"#);
    assert_eq!(seen.text(), body);

    for (payload, said) in [
        (r#"{"user":"..","q":"","n":1}"#, "would be . or .., and lead elsewhere"),
        (r#"{"q":"","n":1}"#, "the job has no \"user\" there"),
    ] {
        let told = run(&handler, payload).await;
        assert!(told.failed().message.contains(said), "{:?}", told.failed());
    }
    assert_eq!(service.seen().len(), 1, "nothing was sent for those");
}

#[tokio::test]
async fn a_header_cannot_be_broken_out_of() {
    let more = "headers = { X-Who = \"{data.who}\" }";
    let (told, seen) = deliver(fine, more, r#"{"who":"a\r\nX-Admin: yes"}"#).await;
    assert!(told.failed().message.contains("x-who cannot hold"), "{:?}", told.failed());
    assert!(seen.is_empty());
}

#[tokio::test]
async fn statuses_decide() {
    let failing: [(Script, bool, &str); 5] = [
        (
            |_, _| answer("503 Service Unavailable", "retry-after: 90\r\n", "busy\nvery"),
            true,
            "answered 503 Service Unavailable: busy",
        ),
        (|_, _| answer("429 Too Many Requests", "", ""), true, "answered 429 Too Many Requests"),
        (|_, _| answer("404 Not Found", "", "no such user"), false, "answered 404 Not Found: no such user"),
        (|_, _| answer("400 Bad Request", "", "NOT_YET"), true, "NOT_YET"),
        (|_, _| answer("500 Internal Server Error", "", "INVALID_SIGNATURE"), false, "INVALID_SIGNATURE"),
    ];
    for (script, again, said) in failing {
        let service = Service::start(script).await;
        let rules = "retry_on = [\"NOT_YET\"]\nfail_on = [\"INVALID\"]";
        let text = format!("{rules}\n[http]\nurl = \"http://localhost:{}/\"", service.port);
        let told = run(&build(&text), "{}").await;
        let failure = if again { told.retried() } else { told.failed() };
        assert!(failure.message.contains(said), "{failure:?}");
        if said.contains("503") {
            assert!(matches!(told.ending, Ending::Retry { after: Some(after), .. } if after.as_secs() == 90));
        }
    }
    let created: Script = |_, _| answer("201 Created", "", "plain words");
    assert_eq!(deliver(created, "success = [201]", "{}").await.0.result(), None, "only JSON is a result");
}

#[tokio::test]
async fn s12_redirects_are_not_followed() {
    let redirect: Script = |_, _| answer("302 Found", "location: /elsewhere\r\n", "");
    let (told, seen) = deliver(redirect, "", "{}").await;
    assert!(told.failed().message.contains("a redirect; they are not followed"), "{:?}", told.failed());
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn s12_a_name_that_leads_to_a_forbidden_address_is_refused() {
    let service = Service::start(fine).await;
    let url = format!("[http]\nurl = \"http://service.test:{}/\"", service.port);
    for (private, address, said) in [
        (false, "127.0.0.1", "an address of a private network"),
        (false, "10.0.0.1", "an address of a private network"),
        (true, "169.254.169.254", "nothing is sent there"),
        (true, "127.0.0.1 169.254.169.254", "nothing is sent there"),
        (true, "::ffff:169.254.169.254", "nothing is sent there"),
    ] {
        let (handler, _) = with_lookup(&format!("{url}\nprivate = {private}"), &[address]);
        let told = run(&handler, "{}").await;
        assert!(told.retried().message.contains(said), "{address}: {:?}", told.retried());
    }
    assert!(service.seen().is_empty());
    let error =
        try_build("http = { url = \"http://169.254.169.254/latest/meta-data\", private = true }").expect_err("refused");
    assert!(error.to_string().contains("http.url: nothing is sent to 169.254.169.254"), "{error}");
    let error =
        try_build("http = { url = \"http://0xa9fea9fe/\", private = true }").expect_err("refused, written otherwise");
    assert!(error.to_string().contains("169.254.169.254"), "{error}");
}

#[tokio::test]
async fn s12_a_name_that_changes_its_address_is_checked_each_time() {
    let close: Script = |_, _| answer("200 OK", "connection: close\r\n", "{}");
    let service = Service::start(close).await;
    let url = format!("[http]\nurl = \"http://service.test:{}/\"\nprivate = true", service.port);
    let (handler, fixed) = with_lookup(&url, &["127.0.0.1", "169.254.169.254"]);
    assert!(matches!(run(&handler, "{}").await.ending, Ending::Done { .. }));
    assert_eq!(fixed.asked.load(Ordering::Relaxed), 1, "one lookup for one connection: what is checked is used");
    let told = run(&handler, "{}").await;
    assert!(told.retried().message.contains("169.254.169.254, and nothing is sent there"), "{:?}", told.retried());
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn status_calls_tell_what_becomes_of_the_job() {
    let script: Script = |_, seen| match seen.line.as_str() {
        "POST /deliver" => answer("503 Service Unavailable", "", ""),
        _ => answer("204 No Content", "", ""),
    };
    let status = "[http.status]\nurl = \"http://localhost:PORT/messages/{data.id}/status\"\n\
                  body = { status = \"{status}\", attempts = \"{attempt}\", error = \"{error}\" }";
    let (told, seen) = deliver(script, status, r#"{"id":5}"#).await;
    told.retried();
    let lines: Vec<(&str, String)> = seen.iter().map(|seen| (seen.line.as_str(), seen.text())).collect();
    let label = "POST http://localhost:";
    assert_eq!(lines[0], ("PUT /messages/5/status", r#"{"attempts":2,"error":"","status":"processing"}"#.to_owned()));
    assert_eq!(lines[1].0, "POST /deliver");
    assert!(lines[2].1.contains("\"status\":\"retrying\"") && lines[2].1.contains(label), "{lines:?}");
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn a_status_call_that_fails_changes_nothing() {
    let script: Script = |_, seen| match seen.line.as_str() {
        "POST /deliver" => answer("200 OK", "", "1"),
        _ => answer("500 Internal Server Error", "", ""),
    };
    let (told, seen) =
        deliver(script, "status = { url = \"http://localhost:PORT/status\", before = false }", "{}").await;
    assert_eq!(told.result(), Some("1"));
    assert_eq!(seen[1].text(), r#"{"attempt":2,"attempts":3,"error":"","id":"7","status":"delivered"}"#);
    assert!(told.logs()[0].starts_with("the status could not be told: PUT http://localhost"), "{:?}", told.logs());
}

#[tokio::test]
async fn certificates_of_both_sides_are_checked() {
    let authority = Authority::new();
    let (cert, key) = authority.sign("client", "worker", ExtendedKeyUsagePurpose::ClientAuth);
    let service = Service::start_tls(fine, authority.server("localhost")).await;
    let url = format!("[http]\nurl = \"https://localhost:{}/\"", service.port);
    let own = format!("cert = {cert:?}\nkey = {key:?}");
    let told = run(&build(&format!("{url}\nca = {:?}\n{own}", authority.file())), "{}").await;
    assert_eq!(told.result(), Some("{\"stored\": true}"));
    for (more, said) in [
        (own.clone(), "signed by an unknown authority"),
        (format!("ca = {:?}", authority.file()), "asks for a client certificate"),
    ] {
        let told = run(&build(&format!("{url}\n{more}")), "{}").await;
        assert!(told.retried().message.contains(said), "{:?}", told.retried());
    }
    let stranger = Authority::new();
    let (cert, key) = stranger.sign("client", "worker", ExtendedKeyUsagePurpose::ClientAuth);
    let more = format!("ca = {:?}\ncert = {cert:?}\nkey = {key:?}", authority.file());
    let told = run(&build(&format!("{url}\n{more}")), "{}").await;
    assert!(told.retried().message.contains("refused the client certificate"), "{:?}", told.retried());
    let other = Service::start_tls(fine, authority.server("other.test")).await;
    let text = format!("[http]\nurl = \"https://localhost:{}/\"\nca = {:?}\n{own}", other.port, authority.file());
    let told = run(&build(&text), "{}").await;
    assert!(told.retried().message.contains("certificate is for another name"), "{:?}", told.retried());
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn a_bad_certificate_is_found_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "no certificate").expect("written");
    for (more, said) in [
        (format!("ca = {broken:?}"), "the certificate authority file"),
        ("ca = \"/no/such.pem\"".to_owned(), "/no/such.pem cannot be used: No such file"),
        (format!("cert = {broken:?}\nkey = {broken:?}"), "cannot be used"),
    ] {
        let error = try_build(&format!("[http]\nurl = \"https://localhost/\"\n{more}")).expect_err(&more);
        assert!(error.to_string().contains(said), "{error}");
    }
    let error = try_build("http = { url = \"https://h/\", headers = { A = \"{env.NO_SUCH}\" } }").expect_err("missing");
    assert_eq!(error.to_string(), "http.headers: A: the environment variable NO_SUCH is not set");
}

#[tokio::test]
async fn what_cannot_be_reached_is_said() {
    let told =
        run(&build(&format!("http = {{ url = \"http://localhost:{}/\" }}", qtop_testkit::free_port())), "{}").await;
    assert!(told.retried().message.contains("nobody listens there"), "{:?}", told.retried());
    let told = run(&build("http = { url = \"http://no-such-host.invalid/x?token=s3cret\" }"), "{}").await;
    assert!(told.retried().message.contains("the host name no-such-host.invalid cannot be resolved"), "{told:?}");
    assert!(!told.retried().message.contains("s3cret"));
    let silent: Script = |_, _| None;
    let (told, _) = deliver(silent, "timeout = \"200ms\"", "{}").await;
    assert!(told.retried().message.contains("no answer in time"), "{:?}", told.retried());
}

#[tokio::test]
async fn the_time_of_the_job_and_a_person_end_a_delivery() {
    let silent: Script = |_, _| None;
    let service = Service::start(silent).await;
    let handler = build(&format!("http = {{ url = \"http://localhost:{}/\" }}", service.port));
    let told = run_in(&handler, &work("{}"), Some(Duration::from_millis(200))).await;
    assert!(matches!(told.ending, Ending::TimedOut(_)), "{:?}", told.ending);
    let (room, _reader, cancel) = room(None);
    let job = work("{}");
    let (ending, ()) = tokio::join!(handler.handle(&job, room), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert_eq!(ending, Ending::Cancelled);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_kept() {
    let long: Script = |_, _| answer("200 OK", "", &format!("\"{}\"", "x".repeat(100_000)));
    let service = Service::start(long).await;
    let handler = build(&format!("max_result = \"4KiB\"\n[http]\nurl = \"http://localhost:{}/\"", service.port));
    let told = run(&handler, "{}").await;
    assert_eq!(told.result(), None);
    assert_eq!(told.logs(), ["the answer is longer than 4096 bytes and was not kept"]);
}
