//! Asking, then carrying a plan out with its progress on standard error.

use std::io::{IsTerminal, Write};

use tokio::sync::watch;

use super::how::{How, title};
use super::{Counter, ask, report};
use crate::cli::failure::{Exit, Failure};
use crate::domain::change::{Control, Plan, Progress, Scope};
use crate::engine::change::run::{Room, blocks, run};
use crate::engine::change::trash::Trash;
use crate::engine::change::{Finished, journal::Interrupted};
use crate::engine::executor::told;

impl Counter<'_> {
    /// Shows what would be done (`preview` goes first), asks unless told not to, and does it.
    pub(super) async fn ask_and_carry_out(
        &mut self,
        plan: Plan,
        preview: &[String],
        how: &How,
    ) -> Result<Exit, Failure> {
        match self.ask_and_do(&plan, preview, how).await? {
            Some(finished) => report::print(self, &plan, &finished, how.json),
            None => Ok(Exit::Good),
        }
    }

    /// Likewise, without printing the outcome; `None` after a dry run.
    pub(super) async fn ask_and_do(
        &mut self,
        plan: &Plan,
        preview: &[String],
        how: &How,
    ) -> Result<Option<Finished>, Failure> {
        let mut lines = self.describe(plan, preview)?;
        let mut own = self.commands(plan).await?.into_iter();
        if let (Some(says), Some(line)) = (own.next(), lines.get_mut(1)) {
            // The application's own way stands in the place of the system's.
            *line = says;
        }
        lines.extend(own);
        if how.dry_run {
            self.output.text(&lines.join("\n"))?;
            if plan.change.verb().destroys() {
                Trash::new(&self.places).warning().into_iter().for_each(|warning| self.output.note(&warning));
            }
            return Ok(None);
        }
        if !how.yes {
            ask::yes(&lines, &format!("{} {}?", title(plan.change.verb()), amount(plan)))?;
        }
        self.carry_out(plan.clone(), None).await.map(Some)
    }

    /// What really happens and the exact commands, where the change is in an application's own words.
    async fn commands(&mut self, plan: &Plan) -> Result<Vec<String>, Failure> {
        let Scope::Jobs(groups) = &plan.scope else { return Ok(Vec::new()) };
        let system = self.system(&plan.queue)?;
        let link = self.desk.link().await.map_err(|error| told(&error.into()))?;
        let mut lines = Vec::new();
        for (state, ids) in groups {
            let commands = system.preview(&link, &plan.queue, plan.change.verb(), *state, ids).await;
            lines.extend(commands.map_err(|error| told(&error))?);
        }
        Ok(lines)
    }

    /// What a person reads before saying yes.
    pub(super) fn describe(&self, plan: &Plan, preview: &[String]) -> Result<Vec<String>, Failure> {
        let system = self.system(&plan.queue)?;
        let verb = plan.change.verb();
        let ability = system.abilities().iter().find(|ability| ability.verb == verb).ok_or_else(|| {
            Failure::new(Exit::Refused, format!("{} cannot {} anything", system.spec().title, verb.word()))
        })?;
        let environment = self.environment.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut lines = vec![format!(
            "{} {} of {} on {}{environment}",
            title(verb),
            amount(plan),
            plan.queue.full_address(),
            self.server
        )];
        lines.push(ability.says.to_owned());
        lines.extend(preview.iter().cloned());
        let million = blocks(&*system, plan, 1_000_000).as_millis();
        if million > 0 {
            lines
                .push(format!("each job taken out of a long list makes the server walk it: {million} ms at a million"));
        }
        Ok(lines)
    }

    /// Carries a plan out; Ctrl-C ends it after the present piece.
    pub(super) async fn carry_out(
        &mut self,
        plan: Plan,
        interrupted: Option<Interrupted>,
    ) -> Result<Finished, Failure> {
        let (sender, control) = watch::channel(Control::Go);
        let stop = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                sender.send_replace(Control::Stop);
            }
            // Keeps the channel open until the run is over and this task is ended.
            std::future::pending::<()>().await;
        });
        let system = self.system(&plan.queue)?;
        let shown = std::io::stderr().is_terminal() && plan.scope.len() > 1;
        let report = move |progress: &Progress| {
            if shown {
                // A bar that cannot be drawn is no reason to stop.
                drop(write!(std::io::stderr().lock(), "\r{}\x1b[K", bar(progress)));
            }
        };
        let room = Room { desk: &mut self.desk, system: &*system, places: &self.places, control, report: &report };
        let finished = match interrupted {
            Some(interrupted) => crate::engine::change::run::resume(room, interrupted).await,
            None => run(room, plan).await,
        };
        stop.abort();
        if shown {
            drop(writeln!(std::io::stderr().lock()));
        }
        Ok(finished)
    }
}

fn bar(progress: &Progress) -> String {
    let dealt = progress.done + progress.refused + progress.unknown;
    let left = progress.requested.saturating_sub(dealt);
    let eta =
        if progress.rate > 0.0 { format!("  about {:.0}s left", left as f64 / progress.rate) } else { String::new() };
    format!("{dealt} of {}  {:.0}/s  {} refused{eta}", progress.requested, progress.rate, progress.refused)
}

/// `3 jobs`, `1 schedule`, `the queue`.
fn amount(plan: &Plan) -> String {
    let plural = |count: usize, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
    match &plan.scope {
        Scope::Queue => "the queue".to_owned(),
        Scope::Jobs(_) => plural(plan.scope.len(), "job"),
        Scope::Schedules(ids) => plural(ids.len(), "schedule"),
    }
}
