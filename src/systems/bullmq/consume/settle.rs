//! Outcomes as the script that stores them takes them, and its answer.

use super::options::Options;
use super::{millis, shape, stored_options};
use crate::domain::ids::JobId;
use crate::link::{CommandError, Value};
use crate::systems::consume::{Claim, Keep, Outcome, Seat, Settled, Verdict};
use crate::systems::{ReadError, SystemError, reply};

/// Values of an outcome that others may have in common with it.
const REST: usize = 7;

/// Arguments of the script: the outcomes, what a claim needs, and behind it what outcomes have in common, each once. Most
/// of a batch have all of that in common.
pub(super) fn write(seat: &Seat, outcomes: &[Outcome<'_>], taking: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let begin = 2 + 3 * outcomes.len() + taking.len();
    let mut arguments = vec![outcomes.len().to_string().into_bytes()];
    let mut rests: Vec<[Vec<u8>; REST]> = Vec::new();
    for outcome in outcomes {
        let (value, rest) = parts(seat, outcome);
        let at = rests.iter().position(|known| *known == rest).unwrap_or_else(|| {
            rests.push(rest);
            rests.len() - 1
        });
        arguments.extend([outcome.claim.id.as_bytes().to_vec(), value, (begin + REST * at).to_string().into_bytes()]);
    }
    arguments.extend(taking.iter().cloned());
    arguments.extend(rests.into_iter().flatten());
    arguments
}

/// The value of an outcome, and the rest of it.
fn parts(seat: &Seat, outcome: &Outcome<'_>) -> (Vec<u8>, [Vec<u8>; REST]) {
    let Outcome { claim, verdict, next } = outcome;
    let none = || b"0".to_vec();
    let (kind, value, trace, first, second) = match verdict {
        Verdict::Done(result) => {
            let value = result.as_ref().map_or_else(|| b"null".to_vec(), |result| result.to_vec());
            let (count, age) = kept(seat, claim, true);
            ("completed", value, Vec::new(), count, age)
        }
        Verdict::Dead { message, stack, .. } => {
            let (count, age) = kept(seat, claim, false);
            ("failed", message.clone().into_bytes(), trace(message, stack), count, age)
        }
        Verdict::Retry { message, stack, delay, crashed } => {
            let crashed = u8::from(*crashed).to_string().into_bytes();
            ("retry", message.clone().into_bytes(), trace(message, stack), millis(*delay), crashed)
        }
        Verdict::Return => ("return", Vec::new(), Vec::new(), none(), none()),
        Verdict::Postpone(wait) => ("postpone", Vec::new(), Vec::new(), millis(*wait), none()),
    };
    let allowed = claim.attempts.unwrap_or(1).to_string().into_bytes();
    let next = u8::from(*next).to_string().into_bytes();
    (value, [claim.token.to_vec(), kind.as_bytes().to_vec(), trace, first, second, allowed, next])
}

/// Ended jobs to keep and seconds to keep them; -1 for no bound.
fn kept(seat: &Seat, claim: &Claim, done: bool) -> (Vec<u8>, Vec<u8>) {
    let options = Options::read(stored_options(claim));
    let (own, seats) = if done { (options.keep_done, seat.keep.done) } else { (options.keep_failed, seat.keep.failed) };
    let Keep { count, age } = own.or(seats).unwrap_or_default();
    let number = |number: Option<u64>| number.map_or_else(|| "-1".to_owned(), |number| number.to_string()).into_bytes();
    (number(count), number(age.map(|age| age.as_secs())))
}

/// A trace as the library keeps it: the message first, then the lines.
fn trace(message: &str, stack: &[String]) -> Vec<u8> {
    let mut text = message.to_owned();
    for line in stack {
        text.push('\n');
        text.push_str(line);
    }
    text.into_bytes()
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
        Some(1) => Ok(Settled::Stored(if outcome.next { claims.next().map(Box::new) } else { None })),
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
