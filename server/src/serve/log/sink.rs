// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log's bounded queue, and the thread that empties it: whoever stalls at the other end, those who log go on.
//!
//! Lines come whole and leave in their order. Those that find no room are counted, in a metric and in a line at the
//! place where they are missing. What can not be written (a full disk, a pipe without reader) is tried again.

use super::destination::{Destination, whole_lines};
use super::line::begin;
use crate::config::schema::Format;
use crate::serve::clock::unix_time;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::fmt::{self, Display};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// Bytes that wait at most, beside those that are being written.
pub const CAPACITY: usize = 1 << 20;
/// What can not be written is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);
/// At the end: how long nothing may be taken,
const PATIENCE: Duration = Duration::from_secs(1);
/// and how long it may last altogether.
const LAST: Duration = Duration::from_secs(5);

/// How a log says that lines are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// By a line of its own format.
    Log(Format),
    /// By a comment, as in SSLKEYLOGFILE. What was written is wiped.
    KeyLog,
}

/// A log that several threads write to.
#[derive(Debug)]
pub struct Sink {
    queue: Mutex<Queue>,
    /// Wakes the writer: something came into an empty queue, or there is news for it.
    wake: OwnedFd,
    lost: AtomicU64,
    /// Hears of the writer's end.
    ended: Mutex<Option<Receiver<()>>>,
}

#[derive(Debug)]
struct Queue {
    lines: Vec<u8>,
    /// Lines that found no room after those that are here.
    left_out: u64,
    redirected: Option<(Destination, Style)>,
    closing: bool,
}

impl Queue {
    /// Nothing waits, and nothing is to be told.
    const fn is_quiet(&self) -> bool {
        self.lines.is_empty() && self.left_out == 0
    }
}

impl Sink {
    /// A log to `destination`. Lines wait until [`Sink::start`].
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn new(destination: Destination, style: Style) -> Result<Arc<Self>, Errno> {
        let queue = Queue {
            lines: Vec::with_capacity(CAPACITY),
            left_out: 0,
            redirected: Some((destination, style)),
            closing: false,
        };
        Ok(Arc::new(Self {
            queue: Mutex::new(queue),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            lost: AtomicU64::new(0),
            ended: Mutex::new(None),
        }))
    }

    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let Some((destination, style)) = lock(&self.queue).redirected.take() else { return Ok(()) };
        let (end, ended) = channel();
        let writer = Writer {
            sink: Arc::clone(self),
            destination,
            style,
            batch: Vec::with_capacity(CAPACITY),
            written: 0,
            trouble: None,
            end,
        };
        std::thread::Builder::new().name("ttls-log".into()).spawn(move || writer.run())?;
        *lock(&self.ended) = Some(ended);
        Ok(())
    }

    /// Adds lines, each of which ends with a line feed. Waits for nobody, and allocates nothing.
    pub fn append(&self, lines: &[u8]) {
        let mut queue = lock(&self.queue);
        let was_empty = queue.is_quiet();
        // After a gap nothing is added until its place is told: lines stay in their order.
        let room = if queue.left_out == 0 { CAPACITY.saturating_sub(queue.lines.len()) } else { 0 };
        let taken = whole_lines(lines, room);
        queue.lines.extend_from_slice(taken);
        if let Some(missing) = lines.get(taken.len()..).filter(|missing| !missing.is_empty()) {
            let missing = missing.iter().filter(|&&byte| byte == b'\n').count() as u64;
            queue.left_out += missing;
            self.lost.fetch_add(missing, Relaxed);
        }
        drop(queue);
        if was_empty {
            self.wake();
        }
    }

    /// From here on lines go to `destination`, those that wait included: an old one that has stalled loses nothing.
    pub fn redirect(&self, destination: Destination, style: Style) {
        // Closed once the lock is free: a file of a network that is gone could take its time.
        let _unused = lock(&self.queue).redirected.replace((destination, style));
        self.wake();
    }

    /// Bytes of lines that wait.
    pub fn waiting(&self) -> usize {
        lock(&self.queue).lines.len()
    }

    /// Number of lines that were lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Writes what waits, as far as it is taken, and ends.
    pub fn close(&self) {
        let Some(ended) = lock(&self.ended).take() else { return };
        lock(&self.queue).closing = true;
        self.wake();
        // A little longer than the writer's own patience: a file of a network that is gone may hold it for ever.
        let _ = ended.recv_timeout(LAST + PATIENCE);
    }

    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under a lock leaves it half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    sink: Arc<Sink>,
    destination: Destination,
    style: Style,
    batch: Vec<u8>,
    /// Bytes of the batch that are written.
    written: usize,
    /// Why the destination took nothing, last time.
    trouble: Option<Errno>,
    /// Dropped at the end.
    #[allow(dead_code)]
    end: Sender<()>,
}

impl Writer {
    fn run(mut self) {
        let mut moved = Instant::now();
        let mut closing_since = None;
        loop {
            let closing = self.fetch();
            let unwritten = self.batch.get(self.written..).unwrap_or_default();
            if unwritten.is_empty() {
                if closing {
                    return;
                }
                self.wait(None);
                moved = Instant::now();
                continue;
            }
            match self.destination.write(unwritten) {
                Ok(count) => {
                    self.written += count;
                    moved = Instant::now();
                }
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.trouble = Some(error);
                    let mut wait = RETRY;
                    if closing {
                        let since = *closing_since.get_or_insert_with(Instant::now);
                        // From when it was clear that this is the end, however long it stood before.
                        let patience = PATIENCE.saturating_sub(moved.max(since).elapsed());
                        wait = patience.min(LAST.saturating_sub(since.elapsed()));
                        if error != Errno::AGAIN || wait.is_zero() {
                            return;
                        }
                    }
                    self.wait(Some(wait));
                }
            }
            if closing && closing_since.get_or_insert_with(Instant::now).elapsed() >= LAST {
                return;
            }
        }
    }

    /// Takes what has come, once the batch is written. Whether it is to end.
    fn fetch(&mut self) -> bool {
        // Closed once the lock is free: a file of a network that is gone could take its time, and workers wait for the lock.
        let _old;
        let mut queue = lock(&self.sink.queue);
        if let Some((destination, style)) = queue.redirected.take() {
            _old = std::mem::replace(&mut self.destination, destination);
            self.style = style;
            // A line that is cut goes there whole.
            let done = self.batch.get(..self.written).unwrap_or_default();
            self.written = whole_lines(done, done.len()).len();
        }
        if self.written == self.batch.len() {
            self.written = 0;
            if self.style == Style::KeyLog {
                self.batch.as_mut_slice().zeroize();
            }
            self.batch.clear();
            std::mem::swap(&mut self.batch, &mut queue.lines);
            let left_out = std::mem::take(&mut queue.left_out);
            if left_out > 0 {
                let reason = Reason(self.trouble.take());
                match self.style {
                    Style::Log(format) => {
                        let mut line = begin(&mut self.batch, format, unix_time(), "warn", "log");
                        line.number("left_out", left_out).display("reason", reason).end();
                    }
                    Style::KeyLog => {
                        let _ = writeln!(self.batch, "# {left_out} lines left out: {reason}");
                    }
                }
            }
        }
        queue.closing
    }

    /// Waits for news, and for room if the destination had none; at most so long.
    fn wait(&self, longest: Option<Duration>) {
        let longest = longest.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let wake = PollFd::new(&self.sink.wake, PollFlags::IN);
        let _ = match (&longest, self.trouble) {
            (Some(longest), Some(Errno::AGAIN)) => {
                poll(&mut [wake, self.destination.when_writable()], Some(longest))
            }
            (longest, _) => poll(&mut [wake], longest.as_ref()),
        };
        let _ = rustix::io::read(&self.sink.wake, &mut [0; 8]);
    }
}

/// Why lines were left out.
struct Reason(Option<Errno>);

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None | Some(Errno::AGAIN) => f.write_str("its reader was too slow"),
            Some(error) => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};
    use std::fs;
    use std::io::{PipeReader, Read, pipe};

    const LINE: usize = 100;

    /// Line number `n`, of [`LINE`] bytes.
    fn line(n: usize) -> Vec<u8> {
        format!("{n:0width$}\n", width = LINE - 1).into_bytes()
    }

    fn sink(destination: Destination) -> Arc<Sink> {
        let sink = Sink::new(destination, Style::Log(Format::Logfmt)).unwrap();
        sink.start().unwrap();
        sink
    }

    fn to_pipe() -> (Arc<Sink>, PipeReader) {
        let (reader, writer) = pipe().unwrap();
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
        (sink(Destination::own(writer.into()).unwrap()), reader)
    }

    /// How many lines are there or counted where they are missing, and how many of them are missing: of whole lines, in order.
    fn tally(text: &[u8]) -> (usize, usize) {
        let (mut next, mut missing) = (0, 0);
        for line in std::str::from_utf8(whole_lines(text, text.len())).unwrap().lines() {
            if let Some((_, rest)) = line.split_once("level=warn event=log left_out=") {
                let left_out: usize = rest.split(' ').next().unwrap().parse().unwrap();
                next += left_out;
                missing += left_out;
            } else {
                assert_eq!((line.len() + 1, line.parse()), (LINE, Ok(next)), "{line}");
                next += 1;
            }
        }
        (next, missing)
    }

    /// All `count` lines are there or counted; how many are missing.
    fn complete(text: &[u8], count: usize) -> usize {
        assert!(text.ends_with(b"\n"), "the end is cut");
        let (there, missing) = tally(text);
        assert_eq!(there, count);
        missing
    }

    /// All that is read, until there is nothing left to lose when the sink is closed: this machine may be slow.
    fn drained(sink: Arc<Sink>, mut reader: PipeReader, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut piece = [0; 65536];
        while tally(&all).0 < count {
            let length = reader.read(&mut piece).unwrap();
            all.extend_from_slice(&piece[..length]);
        }
        sink.close();
        drop(sink);
        reader.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_what_it_misses_is_told() {
        let (sink, reader) = to_pipe();
        let count = 4 * CAPACITY / LINE;
        for n in 0..count {
            sink.append(&line(n));
        }
        let lost = sink.lost();
        let missing = complete(&drained(sink, reader, count), count);
        assert!(missing > 0 && missing as u64 == lost, "{missing} told, {lost} counted");
    }

    #[test]
    fn a_reader_that_reads_gets_all() {
        let (sink, reader) = to_pipe();
        for n in 0..5000 {
            sink.append(&line(n));
        }
        assert_eq!(complete(&drained(sink, reader, 5000), 5000), 0);
    }

    #[test]
    fn nobody_to_read_at_the_end_is_no_reason_to_stay() {
        let (sink, reader) = to_pipe();
        for n in 0..2000 {
            sink.append(&line(n));
        }
        let begun = Instant::now();
        sink.close();
        assert!(begun.elapsed() >= PATIENCE, "somebody may still read");
        drop(reader);
        // A broken pipe is not waited for, but not fatal either.
        let (sink, reader) = to_pipe();
        drop(reader);
        sink.append(&line(0));
        sink.close();
    }

    #[test]
    fn a_full_disk_is_tried_again_and_another_destination_gets_what_waits() {
        let dir = std::env::temp_dir().join(format!("ttls-sink-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("log");
        let full = Destination::file("/dev/full".as_ref(), Mode::empty()).unwrap();
        let sink = sink(full);
        let count = 3 * CAPACITY / LINE;
        for n in 0..count {
            sink.append(&line(n));
        }
        let file = Destination::file(&path, Mode::RUSR | Mode::WUSR).unwrap();
        sink.redirect(file, Style::Log(Format::Logfmt));
        sink.close();
        let text = fs::read(&path).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(complete(&text, count) > 0);
        assert!(String::from_utf8(text).unwrap().contains("reason=\"No space left on device"));
    }

    #[test]
    fn a_line_that_is_cut_goes_whole_to_the_next_destination() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let sink = sink(Destination::own(writer.into()).unwrap());
        // A socket takes what fits, which is not whole lines.
        let count = CAPACITY / LINE;
        for n in 0..count {
            sink.append(&line(n));
        }
        let mut first = vec![0];
        (&reader).read_exact(&mut first).unwrap();
        let (mut second, writer) = pipe().unwrap();
        sink.redirect(Destination::own(writer.into()).unwrap(), Style::Log(Format::Logfmt));
        (&reader).read_to_end(&mut first).unwrap();
        let mut all = whole_lines(&first, first.len()).to_vec();
        assert!(!all.is_empty());
        let mut piece = [0; 65536];
        while tally(&all).0 < count {
            let length = second.read(&mut piece).unwrap();
            all.extend_from_slice(&piece[..length]);
        }
        sink.close();
        assert_eq!(complete(&all, count), 0);
    }

    #[test]
    fn a_shared_pipe_keeps_its_flags() {
        let (reader, writer) = pipe().unwrap();
        let shared = Destination::shared(writer.try_clone().unwrap().into());
        let before = rustix::fs::fcntl_getfl(&writer).unwrap();
        let sink = sink(shared);
        let count = 3 * CAPACITY / LINE;
        for n in 0..count {
            sink.append(&line(n));
        }
        assert_eq!(rustix::fs::fcntl_getfl(&writer).unwrap(), before);
        drop(writer);
        assert!(complete(&drained(sink, reader, count), count) > 0);
    }
}
