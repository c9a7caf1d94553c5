//! Outcomes as the script that stores them takes them, and its answer.

use std::borrow::Cow;
use std::sync::Arc;

use super::options::{Known, Options};
use super::{millis, shape, stored_options};
use crate::domain::ids::JobId;
use crate::link::{CommandError, Value};
use crate::systems::consume::{Claim, Keep, Outcome, Seat, Settled, Verdict};
use crate::systems::{ReadError, SystemError, reply};

/// Values of an outcome that others may have in common with it.
const REST: usize = 7;

/// An argument of the script: mostly what is there already.
type Argument<'a> = Cow<'a, [u8]>;

/// Arguments of the script: the outcomes, what a claim needs, and behind it what outcomes have in common, each once. Most
/// of a batch have all of that in common.
pub(super) fn write<'a>(seat: &Seat, outcomes: &'a [Outcome<'a>], taking: &'a [Vec<u8>]) -> Vec<Argument<'a>> {
    let begin = 2 + 3 * outcomes.len() + taking.len();
    let mut arguments = Vec::with_capacity(begin + REST);
    arguments.push(number(outcomes.len() as u64));
    let mut rests: Vec<[Argument<'_>; REST]> = Vec::new();
    let mut known = Known::default();
    for outcome in outcomes {
        let (value, rest) = parts(seat, outcome, &mut known);
        let at = rests.iter().position(|known| *known == rest).unwrap_or_else(|| {
            rests.push(rest);
            rests.len() - 1
        });
        arguments.extend([outcome.claim.id.as_bytes().into(), value, number((begin + REST * at) as u64)]);
    }
    arguments.extend(taking.iter().map(Cow::from));
    arguments.extend(rests.into_iter().flatten());
    arguments
}

/// The value of an outcome, and the rest of it.
fn parts<'a>(seat: &Seat, outcome: &'a Outcome<'a>, known: &mut Known<'a>) -> (Argument<'a>, [Argument<'a>; REST]) {
    let Outcome { claim, verdict, next } = outcome;
    let text = |text: &'static str| Cow::from(text.as_bytes());
    let flag = |flag: bool| text(if flag { "1" } else { "0" });
    let (kind, value, trace, first, second) = match verdict {
        Verdict::Done(result) => {
            let (count, age) = kept(seat, known.read(stored_options(claim)), true);
            ("completed", result.as_ref().map_or(text("null"), |result| Cow::from(&**result)), text(""), count, age)
        }
        Verdict::Dead { message, stack, .. } => {
            let (count, age) = kept(seat, known.read(stored_options(claim)), false);
            ("failed", message.as_bytes().into(), trace(message, stack), count, age)
        }
        Verdict::Retry { message, stack, delay, crashed } => {
            ("retry", message.as_bytes().into(), trace(message, stack), millis(*delay).into(), flag(*crashed))
        }
        Verdict::Return => ("return", text(""), text(""), flag(false), flag(false)),
        Verdict::Postpone(wait) => ("postpone", text(""), text(""), millis(*wait).into(), flag(false)),
    };
    let allowed = number(claim.attempts.unwrap_or(1).into());
    (value, [Cow::from(&*claim.token), text(kind), trace, first, second, allowed, flag(*next)])
}

/// Ended jobs to keep and seconds to keep them; -1 for no bound.
fn kept(seat: &Seat, options: &Options, done: bool) -> (Argument<'static>, Argument<'static>) {
    let (own, seats) = if done { (options.keep_done, seat.keep.done) } else { (options.keep_failed, seat.keep.failed) };
    let Keep { count, age } = own.or(seats).unwrap_or_default();
    let bound = |bound: Option<u64>| bound.map_or(Cow::from(b"-1".as_slice()), number);
    (bound(count), bound(age.map(|age| age.as_secs())))
}

fn number(number: u64) -> Argument<'static> {
    number.to_string().into_bytes().into()
}

/// A trace as the library keeps it: the message first, then the lines.
fn trace(message: &str, stack: &[String]) -> Argument<'static> {
    let mut text = message.to_owned();
    for line in stack {
        text.push('\n');
        text.push_str(line);
    }
    text.into_bytes().into()
}

/// One answer for each outcome; those stored get the jobs taken as far as these go.
pub(super) fn read(
    outcomes: &[Outcome<'_>],
    lines: &Value,
    claims: Vec<Claim>,
) -> Result<Vec<Result<Settled, SystemError>>, SystemError> {
    let lines =
        reply::list(lines).filter(|lines| lines.len() == outcomes.len()).ok_or_else(|| shape("other outcomes"))?;
    let mut claims = claims.into_iter();
    let answers = outcomes.iter().zip(lines).map(|(outcome, line)| match reply::int(line) {
        Some(1) => Ok(Settled::Stored(if outcome.next { claims.next().map(Arc::new) } else { None })),
        Some(code) => Ok(refused(code, &outcome.claim.id)),
        None => Err(ReadError::Command(error(&reply::text(line).unwrap_or_default())).into()),
    });
    Ok(answers.collect())
}

/// The words of an error as a script catches it; old servers put the place in the script before them.
fn error(words: &str) -> CommandError {
    let is_code = |word: &&str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let code = words.split(' ').find(is_code).unwrap_or("ERR");
    let detail = words.split_once(code).map_or(words, |(_, rest)| rest.trim_start());
    CommandError::Refused { code: code.to_owned(), detail: detail.to_owned() }
}

/// What a negative answer means.
fn refused(code: i64, id: &JobId) -> Settled {
    match code {
        -4 => Settled::Refused(format!("job {id} has unfinished children")),
        -9 => Settled::Refused(format!("cannot complete job {id} because at least one of its children failed")),
        -1 => Settled::Lost("the job was removed".to_owned()),
        -2 => Settled::Lost("its lock has run out".to_owned()),
        -3 => Settled::Lost("it is not active any more".to_owned()),
        _ => Settled::Lost("another worker has its lock".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_on_new_and_old_servers() {
        let code = |words: &str| error(words).code().to_owned();
        assert_eq!(code("WRONGTYPE Operation against a key"), "WRONGTYPE");
        assert_eq!(code("@user_script: 12: READONLY You can't write"), "READONLY");
        assert_eq!(code("user_script:7: attempt to index a nil value"), "ERR");
    }
}
