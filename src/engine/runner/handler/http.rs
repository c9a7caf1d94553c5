//! Delivering a job to a service: one request, its answer, and calls that tell what becomes of the job.

mod address;
mod answer;
mod request;

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::work::{Cause, Ending, Failure, Outlook, Room, Work};
use super::command::{FOREVER, LONGEST_RESULT};
use super::facts::Facts;
use super::relay::Relay;
use super::verdict::Rules;
use super::{HandlerError, Surroundings};
use crate::config::{self, StatusClass};
use crate::domain::template;
use crate::link::{TlsOptions, client_config};
use address::{Guard, Reach};
use answer::Answer;
use request::Request;

pub use address::{Lookup, SystemLookup};

/// Longest time for a call that tells the status: it must not hold up the jobs.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// What is told as the error of a job that nothing is wrong with.
const GOES_BACK: &str = "the runner ends or rests: the job goes back and will be delivered later";
/// Shortest wait before another delivery, whatever the service asks for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// A service that takes jobs.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    request: Request,
    status: Option<Status>,
    success: Vec<StatusClass>,
    retry: Vec<StatusClass>,
    rules: Rules,
    timeout: Duration,
    longest: usize,
}

#[derive(Debug)]
struct Status {
    request: Request,
    before: bool,
    after: bool,
}

impl Http {
    pub(super) fn build(
        http: &config::Http,
        config: &config::Handler,
        surroundings: &Surroundings,
    ) -> Result<Self, HandlerError> {
        let request = Request::build("http", http, template::BODY, surroundings)?;
        let status = match &http.status {
            Some(call) => {
                let headers = call.headers.clone().unwrap_or_else(|| http.headers.clone());
                let body = call.body.clone().unwrap_or_else(request::usual_status);
                let (method, url) = (call.method.clone(), call.url.clone());
                let http = config::Http { method, url, headers, body: Some(body), ..config::Http::default() };
                let request = Request::build("http.status", &http, template::STATUS, surroundings)?;
                Some(Status { request, before: call.before, after: call.after })
            }
            None => None,
        };
        for (setting, request) in
            [("http.url", Some(&request)), ("http.status.url", status.as_ref().map(|s| &s.request))]
        {
            if let Some(ip) = request.and_then(Request::literal_address)
                && let Reach::Never(why) = address::reach(ip)
            {
                return Err(HandlerError::new(setting, format!("nothing is sent to {ip}: {why}"), "name another host"));
            }
        }
        Ok(Self {
            client: client(http, surroundings)?,
            request,
            status,
            success: http.success.clone(),
            retry: http.retry.clone(),
            rules: Rules::of(config),
            timeout: http.timeout,
            longest: usize::try_from(config.max_result.unwrap_or(LONGEST_RESULT)).unwrap_or(usize::MAX),
        })
    }

    pub(super) async fn handle(&self, work: &Work, room: Room) -> Ending {
        let mut relay = Relay::new(room.events.clone());
        let ending = {
            let mut deadline = pin!(sleep(room.timeout.unwrap_or(FOREVER)));
            tokio::select! {
                biased;
                () = room.cancel.cancelled() => Ending::Cancelled,
                () = &mut deadline => {
                    let limit = room.timeout.unwrap_or_default();
                    let message = format!("{} took longer than {limit:?}", self.request.label());
                    Ending::TimedOut(Failure::new(message))
                }
                ending = self.deliver(work, room.outlook, &mut relay) => ending,
            }
        };
        self.tell_after(work, &ending, &room, &mut relay).await;
        ending
    }

    async fn deliver(&self, work: &Work, outlook: Outlook, relay: &mut Relay) -> Ending {
        let request = match self.request.fill(&self.client, &Facts::of(work)) {
            Ok(request) => request,
            // The same data would fail the same way again.
            Err(message) => return Ending::Failed(Failure::new(message)),
        };
        if let Some(status) = self.status.as_ref().filter(|status| status.before) {
            self.tell(status, &Facts::with_outcome(work, "processing", ""), relay).await;
        }
        let answer = match Answer::to(&self.client, request, self.timeout, self.longest).await {
            Ok(answer) => answer,
            Err(error) => {
                let message = answer::explain(self.request.label(), self.timeout, &error);
                let failure = Failure::new(message);
                return self.rules.judge(None, failure, super::lines::Again::AsConfigured);
            }
        };
        self.judge(answer, outlook, relay).await
    }

    async fn judge(&self, answer: Answer, outlook: Outlook, relay: &mut Relay) -> Ending {
        let holds = |classes: &[StatusClass]| classes.iter().any(|class| class.holds(answer.status));
        if holds(&self.success) {
            if answer.cut {
                relay.log(format!("the answer is longer than {} bytes and was not kept", self.longest)).await;
            }
            return Ending::Done { result: answer.json() };
        }
        let message = format!("{} answered {}", self.request.label(), answer.describe());
        let code = Some(answer.status);
        let failure = Failure::new(message);
        if !holds(&self.retry) && !self.rules.passes(code, &failure.message) {
            return Ending::Failed(failure);
        }
        match self.rules.judge(code, failure, super::lines::Again::AsConfigured) {
            Ending::Retry { failure, .. } => {
                // The least wait, by RFC 9110: it comes on top of what holds without it.
                let least = outlook.again.unwrap_or_default().max(SHORTEST_WAIT);
                Ending::Retry { failure, after: answer.after.map(|asked| asked.max(least)) }
            }
            ending => ending,
        }
    }

    async fn tell_after(&self, work: &Work, ending: &Ending, room: &Room, relay: &mut Relay) {
        let Some(status) = self.status.as_ref().filter(|status| status.after) else { return };
        let why = room.why.get();
        if matches!(why, Some(Cause::Lost(_))) {
            // Whoever has the job now may have told already what became of it (R5).
            return;
        }
        let Outlook { again, asked, late } = room.outlook;
        let word = |again: bool| if again { "retrying" } else { "failed" };
        let (word, error) = match ending {
            Ending::Done { .. } => ("delivered", ""),
            Ending::Retry { failure, after: None } => (word(again.is_some()), failure.message.as_str()),
            Ending::Retry { failure, after: Some(_) } => (word(asked), failure.message.as_str()),
            Ending::TimedOut(failure) => (word(late), failure.message.as_str()),
            Ending::Failed(failure) => ("failed", failure.message.as_str()),
            Ending::Cancelled if why == Some(Cause::Grace) => (word(true), GOES_BACK),
            // Nothing is started to deliver.
            Ending::NotStarted { .. } => return,
            Ending::Cancelled => ("cancelled", ""),
        };
        self.tell(status, &Facts::with_outcome(work, word, error), relay).await;
    }

    /// Tells the status. That this fails changes nothing about the job, so it is only noted.
    async fn tell(&self, status: &Status, facts: &Facts<'_>, relay: &mut Relay) {
        let failed = match status.request.fill(&self.client, facts) {
            Ok(request) => match timeout(STATUS_LIMIT, self.client.execute(request)).await {
                Ok(Ok(answer)) if answer.status().is_success() => return,
                Ok(Ok(answer)) => format!("answered {}", answer.status()),
                Ok(Err(error)) => answer::explain(status.request.label(), STATUS_LIMIT, &error),
                Err(_) => format!("did not answer within {STATUS_LIMIT:?}"),
            },
            Err(message) => message,
        };
        relay.log(format!("the status could not be told: {}: {failed}", status.request.label())).await;
    }
}

/// A client that follows nobody: no redirects, no proxies, only addresses that are allowed.
fn client(http: &config::Http, surroundings: &Surroundings) -> Result<reqwest::Client, HandlerError> {
    let tls = TlsOptions {
        authorities: http.ca.clone(),
        certificate: http.cert.clone(),
        key: http.key.clone(),
        ..TlsOptions::default()
    };
    let tls = client_config(&tls).map_err(|failure| {
        let remedy = "PEM files are expected; relative paths start at the folder of the configuration";
        HandlerError::new("http", failure.to_string(), remedy)
    })?;
    reqwest::Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .dns_resolver(Guard { lookup: Arc::clone(&surroundings.lookup), private: http.private })
        .connect_timeout(http.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("qtop/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| HandlerError::new("http", format!("no client could be made: {error}"), ""))
}

/// An address in the form hosts of URLs have it.
fn parse_address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}
