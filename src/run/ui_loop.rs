//! The one UI loop. Generic over the terminal and the tasks, so that tests run this loop and not a copy.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use ratatui::Frame;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::look::Look;
use super::tasks::Told;
use crate::app::effect::Effect;
use crate::app::message::{Clock, Geometry, Input, Message};
use crate::app::state::State;
use crate::app::update::update;
use crate::term::{Console, Event, Signal};
use crate::theme::Theme;

/// Events handled before a frame is drawn; a pasted page must not delay the picture for ever.
const BATCH: usize = 256;

/// Why the loop ended.
#[derive(Debug)]
pub enum Ended {
    /// A person asked for it.
    Quit,
    /// A person wants jobs to go on without the screens.
    Detached,
    /// A signal asked for it.
    Signal(Signal),
    /// The terminal is gone.
    Gone,
    /// The terminal cannot be used any more.
    Failed(io::Error),
}

/// The tasks as the loop sees them.
pub trait Tasks {
    /// The next thing they tell. Can be dropped without losing one.
    fn next(&mut self) -> impl Future<Output = Told>;
    /// Hands on a wish. What is answered at once comes back.
    fn carry_out(&mut self, effect: Effect) -> Option<Message>;
}

/// How often frames are drawn at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePace {
    /// Shortest time between two frames.
    pub gap: Duration,
}

impl FramePace {
    /// Thirty a second here, four over SSH (U10).
    pub fn of(over_ssh: bool) -> Self {
        Self { gap: if over_ssh { Duration::from_millis(250) } else { Duration::from_millis(33) } }
    }
}

/// Runs until a person, a signal or the terminal ends it. `view` draws; `clock` tells the time.
pub async fn run_loop(
    state: &mut State,
    console: &mut impl Console,
    tasks: &mut impl Tasks,
    look: &mut Look,
    pace: FramePace,
    view: impl Fn(&State, &Theme, &mut Frame<'_>) -> Geometry,
    clock: impl Fn() -> Clock,
) -> Ended {
    let mut desk = Desk { state, console, tasks, look, dirty: true };
    if let Ok((columns, rows)) = desk.console.size() {
        desk.state.size = (columns, rows);
    }
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_frame = Instant::now();
    loop {
        let drawable = desk.dirty && desk.console.is_ready();
        // Whatever is there is taken in before the picture is drawn: the newest state is the one to show.
        let happened = tokio::select! {
            biased;
            event = desk.console.next() => Happened::Event(event),
            told = desk.tasks.next() => Happened::Told(told),
            _ = second.tick() => Happened::Second,
            () = sleep_until(next_frame.into()), if drawable => Happened::FrameDue,
        };
        let now = clock();
        let mut ended = desk.message(Message::Clock(now)).await;
        if !matches!(happened, Happened::FrameDue | Happened::Second) {
            ended = ended.or(desk.take(happened).await);
            for _ in 0..BATCH {
                if ended.is_some() {
                    break;
                }
                let more = if let Some(event) = at_once(desk.console.next()).await {
                    Happened::Event(event)
                } else if let Some(told) = at_once(desk.tasks.next()).await {
                    Happened::Told(told)
                } else {
                    break;
                };
                ended = desk.take(more).await;
            }
        } else {
            desk.dirty = true;
        }
        if let Some(ended) = ended {
            return ended;
        }
        if desk.dirty && desk.console.is_ready() && Instant::now() >= next_frame {
            next_frame = Instant::now() + pace.gap;
            if let Err(error) = desk.draw(&view).await {
                return Ended::Failed(error);
            }
        }
    }
}

/// The future's output if it is there already. Asks with the waker of this task: the stream of terminal events keeps
/// the first waker it sees, and with an empty one a key would only be noticed by chance.
async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

enum Happened {
    Event(Event),
    Told(Told),
    Second,
    FrameDue,
}

struct Desk<'a, C, T> {
    state: &'a mut State,
    console: &'a mut C,
    tasks: &'a mut T,
    look: &'a mut Look,
    /// Something may look different than on the last frame.
    dirty: bool,
}

impl<C: Console, T: Tasks> Desk<'_, C, T> {
    async fn take(&mut self, happened: Happened) -> Option<Ended> {
        match happened {
            Happened::Event(Event::Input(input)) => {
                self.dirty = true;
                self.message(Message::Input(input)).await
            }
            Happened::Event(Event::Written) | Happened::Second | Happened::FrameDue => None,
            Happened::Event(Event::Continued) => {
                self.dirty = true;
                self.console.repaint().err().map(Ended::Failed)
            }
            Happened::Event(Event::Ended(signal)) => Some(Ended::Signal(signal)),
            Happened::Event(Event::Gone) => Some(Ended::Gone),
            Happened::Told(Told::Message(message)) => {
                self.dirty = true;
                self.message(message).await
            }
            Happened::Told(Told::Look(look)) => {
                self.dirty = true;
                *self.look = *look;
                None
            }
        }
    }

    /// Lets the state change, and does what it asks for; that may lead to further changes.
    async fn message(&mut self, message: Message) -> Option<Ended> {
        let mut messages = vec![message];
        while let Some(message) = messages.pop() {
            for effect in update(self.state, message) {
                match self.effect(effect).await {
                    Ok(answer) => messages.extend(answer),
                    Err(ended) => return Some(ended),
                }
            }
        }
        None
    }

    async fn effect(&mut self, effect: Effect) -> Result<Option<Message>, Ended> {
        let notice = |text: String, bad| Some(Message::Notice { text, bad });
        match effect {
            Effect::Quit => return Err(Ended::Quit),
            Effect::Detach => return Err(Ended::Detached),
            Effect::Repaint => self.console.repaint().map_err(Ended::Failed)?,
            Effect::Mouse(on) => self.console.mouse(on).map_err(Ended::Failed)?,
            Effect::Copy(text) => {
                self.console.copy(&text).map_err(Ended::Failed)?;
                let first = crate::domain::text::first_line(&text, 60);
                return Ok(notice(format!("sent to the clipboard: {first}"), false));
            }
            Effect::Theme(name) => {
                let answer = match self.look.choose(&name) {
                    Ok(()) => (format!("theme {name}"), false),
                    Err(problem) => (problem.lines().next().unwrap_or_default().to_owned(), true),
                };
                return Ok(notice(answer.0, answer.1));
            }
            Effect::Suspend => {
                self.console.suspend().await.map_err(Ended::Failed)?;
                return Ok(self.resized());
            }
            Effect::StepBack => {
                self.console.step_back().await.map_err(Ended::Failed)?;
                return Ok(self.resized());
            }
            Effect::Open { ending, text } => {
                let shown = self.console.show(ending, &text).await.map_err(Ended::Failed)?;
                // The size is read again with the next frame.
                return Ok(match shown {
                    Ok(()) => self.resized(),
                    Err(error) => notice(error.to_string(), true),
                });
            }
            Effect::Edit { ending, bytes } => {
                let edited = self.console.edit(ending, &bytes).await.map_err(Ended::Failed)?;
                let edited = edited.map(Into::into).map_err(|error| error.to_string());
                if let Some(message) = self.resized() {
                    update(self.state, message);
                }
                return Ok(Some(Message::Edited(edited)));
            }
            effect @ (Effect::Fetch { .. }
            | Effect::Change(_)
            | Effect::Unlock(_)
            | Effect::Export { .. }
            | Effect::Abandon(_)
            | Effect::Refresh
            | Effect::Pace(_)
            | Effect::SwitchServer(_)
            | Effect::Runner(_)) => return Ok(self.tasks.carry_out(effect)),
        }
        Ok(None)
    }

    /// The terminal may have another size after somebody else had it.
    fn resized(&self) -> Option<Message> {
        let (columns, rows) = self.console.size().ok()?;
        Some(Message::Input(Input::Resize(columns, rows)))
    }

    async fn draw(&mut self, view: &impl Fn(&State, &Theme, &mut Frame<'_>) -> Geometry) -> io::Result<()> {
        self.dirty = false;
        let (state, theme) = (&*self.state, self.look.theme());
        let mut geometry = Geometry::default();
        let mut size = state.size;
        self.console.draw(|frame| {
            size = (frame.area().width, frame.area().height);
            geometry = view(state, theme, frame);
        })?;
        if size != self.state.size {
            self.state.size = size;
        }
        if geometry != self.state.geometry {
            // What fits on the screen is known only now; a cursor out of sight comes back with the next frame.
            self.dirty = geometry.list_rows != self.state.geometry.list_rows;
            let ended = self.message(Message::Drawn(geometry)).await;
            debug_assert!(ended.is_none(), "drawing asks for nothing that ends qtop");
        }
        Ok(())
    }
}
