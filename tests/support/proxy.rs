//! A proxy between qtop and Redis that delays, stalls, cuts, counts and records.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::resp::Commands;

/// One command that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Number of the connection, from 1 in the order they were opened.
    pub connection: u64,
    /// The command's name in upper case.
    pub name: String,
    /// All its words, the name as it was sent included.
    pub words: Vec<Vec<u8>>,
    /// When the proxy had read it whole.
    pub at: Instant,
}

impl Sent {
    /// The words as text with blanks between them, for messages and simple searches.
    pub fn text(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        words.join(" ")
    }
}

/// What went through since the start or the last [`Proxy::clear`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Round trips: bytes from the client after bytes to the client, per connection, summed.
    pub turns: u64,
    /// The same by connection.
    pub turns_by_connection: BTreeMap<u64, u64>,
    /// Commands.
    pub commands: u64,
    /// Bytes from the client.
    pub bytes_to_server: u64,
    /// Bytes to the client.
    pub bytes_to_client: u64,
    /// Connections ever opened, also before the last clear.
    pub connections: u64,
    /// How long each finished turn took, from its first byte to the last byte of its answer, as the proxy saw it.
    pub turn_times: Vec<TurnTime>,
}

/// Duration of one round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnTime {
    /// Number of the connection.
    pub connection: u64,
    /// When its first byte came from the client.
    pub began: Instant,
    /// Until the last byte of the answer went to the client.
    pub took: Duration,
}

#[derive(Default)]
struct Shared {
    delay_micros: AtomicU64,
    stalled: AtomicBool,
    refusing: AtomicBool,
    ended: AtomicBool,
    server_port: AtomicU16,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    traffic: Traffic,
    sent: Vec<Sent>,
    /// Connections whose last bytes went to the client; the next bytes from it begin a turn.
    answered: BTreeMap<u64, bool>,
    /// The turn each connection is in, with the time of its last answered byte.
    turns: BTreeMap<u64, (Instant, Option<Instant>)>,
    /// Commands that may still pass before everything is cut.
    left_before_cut: Option<u64>,
    open: BTreeMap<u64, Vec<TcpStream>>,
    /// The command whose answer is to be lost, and how many of that name still get theirs.
    losing: Option<(String, u64)>,
    /// Connections whose next answer is lost, and they with it.
    doomed: Vec<u64>,
    /// What commands are refused with instead of reaching the server.
    refusal: Option<String>,
    /// A command that is on its way longer than others, and how much longer.
    late: Option<(String, Duration)>,
}

impl Record {
    /// How much longer is on its way what a connection has sent after the first `before` commands.
    fn late(&self, connection: u64, before: usize) -> Duration {
        let Some((name, span)) = &self.late else { return Duration::ZERO };
        let new = self.sent.get(before..).unwrap_or_default();
        let slow = new.iter().any(|sent| sent.connection == connection && sent.name == *name);
        if slow { *span } else { Duration::ZERO }
    }
}

/// Commands that also a server answers that refuses all others.
const ALWAYS: [&str; 5] = ["AUTH", "CLIENT", "HELLO", "INFO", "SELECT"];

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, connection: u64) {
        for stream in self.record().open.remove(&connection).unwrap_or_default() {
            // Fails only if the peer closed first.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Listens on a port of its own and passes everything to a server. Ends when dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// In front of the server on this port of 127.0.0.1.
    pub fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared::default());
        shared.server_port.store(server_port, Ordering::SeqCst);
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &of_thread));
        Self { port, shared }
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Holds every byte back for this long, each way; the throughput stays.
    pub fn delay(&self, each_way: Duration) {
        self.shared.delay_micros.store(each_way.as_micros() as u64, Ordering::SeqCst);
    }

    /// Holds back a command of this name (upper case), and what its connection sends after it; others overtake it.
    pub fn hold_up(&self, name: &str, span: Duration) {
        self.shared.record().late = Some((name.to_owned(), span));
    }

    /// Connects whoever comes from now on with the server on this port; open connections stay where they are.
    pub fn redirect(&self, server_port: u16) {
        self.shared.server_port.store(server_port, Ordering::SeqCst);
    }

    /// Passes nothing any more while sockets stay open, as when packets are dropped; `false` lets go what was held.
    pub fn blackhole(&self, on: bool) {
        self.shared.stalled.store(on, Ordering::SeqCst);
    }

    /// Closes all connections and each new one at once, as if nothing listened; `false` ends that.
    pub fn refuse(&self, on: bool) {
        self.shared.refusing.store(on, Ordering::SeqCst);
        if on {
            self.cut();
        }
    }

    /// Closes all connections now.
    pub fn cut(&self) {
        let open: Vec<u64> = self.shared.record().open.keys().copied().collect();
        open.into_iter().for_each(|connection| self.shared.close(connection));
    }

    /// Lets exactly `commands` more commands pass, then closes the connection that sent the next one before it reaches
    /// the server. New connections work again.
    pub fn cut_after(&self, commands: u64) {
        self.shared.record().left_before_cut = Some(commands);
    }

    /// True once [`Proxy::cut_after`] has closed a connection.
    pub fn has_cut(&self) -> bool {
        self.shared.record().left_before_cut.is_none()
    }

    /// Lets a command of this name (upper case) reach the server, `skip` such commands from now, but not its answer: the
    /// connection is closed once the server has answered. New connections work as ever.
    pub fn lose_answer(&self, name: &str, skip: u64) {
        self.shared.record().losing = Some((name.to_owned(), skip));
    }

    /// Answers every command with this error from now on (`OOM command not allowed …`), as a server in trouble does;
    /// only what a new connection asks for goes through. `None` ends that.
    pub fn refuse_with(&self, error: Option<&str>) {
        self.shared.record().refusal = error.map(str::to_owned);
    }

    /// True once the answer has been lost.
    pub fn has_lost(&self) -> bool {
        self.shared.record().losing.is_none()
    }

    /// Counters so far.
    pub fn traffic(&self) -> Traffic {
        self.shared.record().traffic.clone()
    }

    /// Commands so far, in the order they came.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.record().sent.clone()
    }

    /// Number of connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.record().open.len()
    }

    /// Forgets counters and commands.
    pub fn clear(&self) {
        let mut record = self.shared.record();
        record.sent.clear();
        record.turns.clear();
        record.traffic = Traffic { connections: record.traffic.connections, ..Traffic::default() };
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the accepting thread.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        if shared.refusing.load(Ordering::SeqCst) {
            continue;
        }
        let server_port = shared.server_port.load(Ordering::SeqCst);
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)) else { continue };
        // A proxy that collects small writes would add a delay nobody asked for.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let connection = {
            let mut record = shared.record();
            record.traffic.connections += 1;
            let connection = record.traffic.connections;
            let both = [client.try_clone(), server.try_clone()];
            record.open.insert(connection, both.into_iter().flatten().collect());
            record.answered.insert(connection, true);
            connection
        };
        pump(connection, &client, &server, true, shared);
        pump(connection, &server, &client, false, shared);
    }
}

/// One direction: a thread that reads and records, and one that writes when the time has come.
fn pump(connection: u64, from: &TcpStream, to: &TcpStream, from_client: bool, shared: &Arc<Shared>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return shared.close(connection) };
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    let reading = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        let mut commands = Commands::default();
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            if from_client && let Some(refused) = refused(connection, bytes, &reading) {
                if from.write_all(refused.as_bytes()).is_err() {
                    break;
                }
                continue;
            }
            let before = reading.record().sent.len();
            let passing = if from_client { note_sent(connection, bytes, &mut commands, &reading) } else { count };
            let delay = Duration::from_micros(reading.delay_micros.load(Ordering::SeqCst));
            let late = if from_client { reading.record().late(connection, before) } else { Duration::ZERO };
            let due = Instant::now() + delay + late;
            if send.send((due, bytes[..passing].to_vec())).is_err() || passing < count {
                break;
            }
        }
    });
    let writing = Arc::clone(shared);
    thread::spawn(move || {
        for (due, bytes) in receive {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            while writing.stalled.load(Ordering::SeqCst) && !writing.ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(2));
            }
            if !from_client {
                let mut record = writing.record();
                if record.doomed.contains(&connection) {
                    break;
                }
                record.answered.insert(connection, true);
                record.traffic.bytes_to_client += bytes.len() as u64;
                if let Some((_, answered)) = record.turns.get_mut(&connection) {
                    *answered = Some(Instant::now());
                }
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        writing.close(connection);
    });
}

/// The errors for what a client sent, if the proxy refuses for the server; nothing of it reaches that then.
fn refused(connection: u64, bytes: &[u8], shared: &Shared) -> Option<String> {
    let mut commands = Commands::default();
    let found = commands.push(bytes);
    let name = |words: &[Vec<u8>]| words.first().map(|word| String::from_utf8_lossy(word).to_uppercase());
    let names: Vec<_> = found.iter().filter_map(|(words, _)| name(words)).collect();
    if names.is_empty() || names.iter().any(|name| ALWAYS.contains(&name.as_str())) {
        return None;
    }
    // Answers come in the order of the questions: those before must have theirs.
    let start = Instant::now();
    loop {
        let mut record = shared.record();
        let error = record.refusal.clone()?;
        if record.answered.get(&connection) == Some(&true) || start.elapsed() > Duration::from_secs(1) {
            record.traffic.commands += names.len() as u64;
            let at = Instant::now();
            record.sent.extend(found.into_iter().zip(&names).map(|((words, _), name)| Sent {
                connection,
                name: name.clone(),
                words,
                at,
            }));
            return Some(format!("-{error}\r\n").repeat(names.len()));
        }
        drop(record);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Records what a client sent and says how many of the bytes may pass.
fn note_sent(connection: u64, bytes: &[u8], commands: &mut Commands, shared: &Shared) -> usize {
    let carried = commands.pending();
    let found = commands.push(bytes);
    let mut record = shared.record();
    record.traffic.bytes_to_server += bytes.len() as u64;
    if record.answered.insert(connection, false) == Some(true) {
        record.traffic.turns += 1;
        *record.traffic.turns_by_connection.entry(connection).or_default() += 1;
        let last = record.turns.insert(connection, (Instant::now(), None));
        if let Some((began, Some(answered))) = last {
            record.traffic.turn_times.push(TurnTime { connection, began, took: answered - began });
        }
    }
    let mut end = 0_usize;
    for (words, length) in found {
        match &mut record.left_before_cut {
            Some(0) => {
                record.left_before_cut = None;
                return end.saturating_sub(carried);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        end += length;
        record.traffic.commands += 1;
        let name = words.first().map(|word| String::from_utf8_lossy(word).to_uppercase()).unwrap_or_default();
        match &mut record.losing {
            Some((wanted, 0)) if *wanted == name => {
                record.losing = None;
                record.doomed.push(connection);
            }
            Some((wanted, skip)) if *wanted == name => *skip -= 1,
            _ => {}
        }
        record.sent.push(Sent { connection, name, words, at: Instant::now() });
    }
    bytes.len()
}
