//! Deleting a whole queue.

use futures_util::future::BoxFuture;

use super::how::{How, plan};
use super::{Counter, ask, report};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::domain::change::{Plan, Scope};
use crate::domain::ids::QueueId;
use crate::domain::mutation::{Change, Outcome};
use crate::engine::change::Finished;
use crate::engine::change::obliterate::{Steps, obliterate as take_down};
use crate::link::Link;
use crate::systems::SystemError;

/// Deletes a queue with everything in it, once its name was typed.
pub async fn obliterate(
    counter: &mut Counter<'_>,
    session: &Session,
    queue: &QueueId,
    confirm: Option<&str>,
    how: &How,
) -> Result<Exit, Failure> {
    let system = counter.system(queue)?;
    let name = queue.name.to_text();
    let whole = plan(&counter.server, queue, Change::Obliterate, Scope::Queue, how);
    let mut lines = counter.describe(&whole, &[])?;
    if let Some((instance, sample)) = session.snapshot().queue(queue) {
        for state in instance.states {
            if let Some(count) = sample.count(state.id).value().filter(|count| *count > 0) {
                lines.push(format!("{}: {count}", state.id));
            }
        }
    }
    if how.dry_run {
        counter.output.text(&lines.join("\n"))?;
        return Ok(Exit::Good);
    }
    match confirm {
        Some(typed) if typed == name => {}
        Some(_) => return Err(Failure::new(Exit::Refused, format!("nothing was changed: --confirm is not {name}"))),
        None if how.yes => {
            return Err(Failure::new(Exit::Usage, "nothing was changed: --yes alone does not delete a queue")
                .with_remedy(format!("add --confirm {name}")));
        }
        None => ask::name(&lines, &name)?,
    }
    let was_paused = session.snapshot().queue(queue).is_some_and(|(_, sample)| sample.conditions.paused == Some(true));
    let finished = take_down(&mut Typed { counter }, &*system, whole.clone(), was_paused).await;
    report::print(counter, &whole, &finished, how.json)
}

/// The steps, with a bar for each on standard error.
struct Typed<'a, 'b> {
    counter: &'a mut Counter<'b>,
}

impl Steps for Typed<'_, '_> {
    fn carry_out(&mut self, plan: Plan) -> BoxFuture<'_, Finished> {
        Box::pin(async {
            let left = plan.scope.len() as u64;
            let carried_out = self.counter.carry_out(plan, None).await;
            carried_out.unwrap_or_else(|failure| {
                let error = SystemError::Unsupported(failure.text);
                Finished { outcome: Outcome::default(), left, undo: None, error: Some(error.into()) }
            })
        })
    }

    fn link(&mut self) -> BoxFuture<'_, Result<Link, SystemError>> {
        Box::pin(async { Ok(self.counter.desk.link().await?) })
    }

    fn go_on(&self) -> bool {
        true
    }
}
