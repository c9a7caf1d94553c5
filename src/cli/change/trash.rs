//! `qtop undo`, `qtop trash`, `qtop audit` and `qtop continue`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Counter, ask, report};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::table::{Side, Table};
use crate::domain::text;
use crate::engine::change::audit::Audit;
use crate::engine::change::journal::interrupted;
use crate::engine::change::trash::{Item, Trash};
use crate::engine::change::undo::undo as put_back;
use crate::engine::change::{ChangeError, Places};
use crate::engine::executor::told_change;

/// `qtop undo`.
#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    /// From `qtop trash list`; without one the newest of this server.
    pub tokens: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Change a production server, which is read-only otherwise.
    #[arg(long)]
    pub unlock: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `qtop trash`.
#[derive(Clone, Debug, Subcommand)]
pub enum TrashCommand {
    /// What can be undone, newest first.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put back what one change deleted.
    Restore(UndoArgs),
    /// Delete copies for good: those named, or all.
    Empty {
        /// From `qtop trash list`; without one all.
        tokens: Vec<String>,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// `qtop audit`.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// The last so many lines.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn failed(error: &ChangeError) -> Failure {
    told_change(error).into()
}

/// Puts back what changes deleted, one after the other.
pub async fn undo(counter: &mut Counter<'_>, args: &UndoArgs) -> Result<Exit, Failure> {
    if args.tokens.is_empty() {
        let (exit, json) = undo_one(counter, None, args).await?;
        if args.json {
            counter.output.json(&json)?;
        }
        return Ok(exit);
    }
    let mut exit = Exit::Good;
    let mut all = Vec::new();
    for token in &args.tokens {
        let (one, json) = undo_one(counter, Some(token), args).await?;
        if one != Exit::Good {
            exit = Exit::Refused;
        }
        all.push(json);
    }
    match all.as_slice() {
        _ if !args.json => {}
        [one] => counter.output.json(one)?,
        several => counter.output.json(&several)?,
    }
    Ok(exit)
}

async fn undo_one(
    counter: &mut Counter<'_>,
    token: Option<&String>,
    args: &UndoArgs,
) -> Result<(Exit, report::Json), Failure> {
    let trash = Trash::new(&counter.places);
    let item = match token {
        Some(token) => trash.find(token),
        None => trash.newest(&counter.server),
    };
    let Item { token, header, .. } = item.map_err(|error| failed(&error))?;
    if !args.yes {
        let line = format!("{} of {} on {} at {}", header.action, header.address, header.server, header.time);
        ask::yes(&[line], "Undo it?")?;
    }
    let undone = put_back(&mut counter.desk, &counter.systems, &counter.places, &counter.server, Some(&token)).await;
    let undone = undone.map_err(|error| failed(&error))?;
    let outcome = &undone.outcome;
    let whole = outcome.refused.is_empty() && outcome.unknown.is_empty();
    if !args.json {
        let named = !undone.queue.instance.name.as_bytes().is_empty();
        let jobs = match outcome.done.len() {
            1 => "1 job is".to_owned(),
            jobs => format!("{jobs} jobs are"),
        };
        counter.output.text(&format!("{jobs} back in {}", undone.queue.address(named)))?;
        for (id, reason) in &outcome.refused {
            counter.output.text(&format!("refused {id}: {reason}"))?;
        }
        for note in &outcome.notes {
            counter.output.text(note)?;
        }
    }
    // What is not back stays in the trash.
    let left = (!whole).then_some(undone.token);
    let json = report::Json::of("undo", undone.queue.full_address(), outcome, 0, left);
    Ok((if whole { Exit::Good } else { Exit::Refused }, json))
}

#[derive(Serialize)]
struct ItemJson {
    token: String,
    time: String,
    server: String,
    queue: String,
    action: String,
    bytes: u64,
}

/// `qtop trash list` and `empty`; `restore` is [`undo`].
pub fn trash(places: &Places, command: &TrashCommand, output: &Output) -> Result<Exit, Failure> {
    let trash = Trash::new(places);
    match command {
        TrashCommand::List { json } => {
            let items = trash.list().map_err(|error| failed(&error))?;
            if *json {
                let items: Vec<ItemJson> = items
                    .into_iter()
                    .map(|item| ItemJson {
                        token: item.token,
                        time: item.header.time,
                        server: item.header.server,
                        queue: item.header.address,
                        action: item.header.action,
                        bytes: item.bytes,
                    })
                    .collect();
                output.json(&items)?;
                return Ok(Exit::Good);
            }
            let mut table = Table::new(&[
                ("TOKEN", Side::Left),
                ("TIME", Side::Left),
                ("SERVER", Side::Left),
                ("QUEUE", Side::Left),
                ("ACTION", Side::Left),
                ("SIZE", Side::Right),
            ]);
            for item in items {
                let header = item.header;
                let size = text::size(item.bytes);
                table.row([item.token, header.time, header.server, header.address, header.action, size]);
            }
            output.text(&table.print())?;
            trash.warning().into_iter().for_each(|warning| output.note(&warning));
        }
        TrashCommand::Empty { tokens, yes } if !tokens.is_empty() => {
            if !yes {
                ask::yes(&[], &format!("Delete {} copies for good?", tokens.len()))?;
            }
            for token in tokens {
                // Opened first, so that a word that is no token is told as such.
                trash.find(token).and_then(|item| trash.discard(&item)).map_err(|error| failed(&error))?;
            }
            output.text(&format!("{} copies deleted", tokens.len()))?;
        }
        TrashCommand::Empty { yes, .. } => {
            if !yes {
                let used = trash.used().map_err(|error| failed(&error))?;
                ask::yes(&[], &format!("Delete all copies ({}) for good?", text::size(used)))?;
            }
            let count = trash.empty().map_err(|error| failed(&error))?;
            output.text(&format!("{count} copies deleted"))?;
        }
        TrashCommand::Restore(_) => {
            return Err(Failure::new(Exit::Usage, "restoring needs a server (a bug)"));
        }
    }
    Ok(Exit::Good)
}

/// `qtop audit`.
pub fn audit(places: &Places, args: &AuditArgs, output: &Output) -> Result<Exit, Failure> {
    let (entries, odd) = Audit::new(places).last(args.limit).map_err(|error| failed(&error))?;
    if odd > 0 {
        output.note(&format!("{odd} lines of the audit file cannot be read"));
    }
    if args.json {
        output.json(&entries)?;
        return Ok(Exit::Good);
    }
    let mut table = Table::new(&[
        ("TIME", Side::Left),
        ("PHASE", Side::Left),
        ("OPERATOR", Side::Left),
        ("SERVER", Side::Left),
        ("QUEUE", Side::Left),
        ("ACTION", Side::Left),
        ("COUNT", Side::Right),
        ("DONE", Side::Right),
        ("REFUSED", Side::Right),
        ("UNKNOWN", Side::Right),
        ("IDS", Side::Left),
    ]);
    for entry in entries {
        let number = |pick: fn(&crate::engine::change::audit::Counts) -> u64| {
            entry.outcome.as_ref().map(|counts| pick(counts).to_string()).unwrap_or_default()
        };
        let (done, refused, unknown) =
            (number(|counts| counts.done), number(|counts| counts.refused), number(|counts| counts.unknown));
        let operator = format!("{}@{}", entry.operator, entry.host);
        table.row([
            entry.time,
            entry.phase,
            operator,
            entry.server,
            entry.queue,
            entry.action,
            entry.count.to_string(),
            done,
            refused,
            unknown,
            entry.ids.join(" "),
        ]);
    }
    output.text(&table.print())?;
    Ok(Exit::Good)
}

/// Goes on with the oldest interrupted change of this server.
pub async fn go_on(counter: &mut Counter<'_>, yes: bool, json: bool) -> Result<Exit, Failure> {
    let runs = interrupted(&counter.places, &counter.systems).map_err(|error| failed(&error))?;
    let Some(run) = runs.into_iter().find(|run| run.plan.server == counter.server) else {
        counter.output.text("no change was interrupted")?;
        return Ok(Exit::Good);
    };
    let plan = run.plan.clone();
    if !yes {
        let lines = counter.describe(&plan, &[format!("{} were dealt with before", run.before)])?;
        ask::yes(&lines, "Go on with it?")?;
    }
    let finished = counter.carry_out(plan.clone(), Some(run)).await?;
    report::print(counter, &plan, &finished, json)
}
