//! The log's bounded queue, and the thread that writes it out.
//!
//! A write to a pipe that is not read blocks. Only the thread named `log` writes, so only it can be
//! blocked; what does not fit into the queue is dropped and counted, and so is what cannot be
//! written. This file knows whole lines, not what is in them.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

/// The most lines that wait to be written.
const QUEUED: usize = 256;

/// The most of a line, in bytes.
const LONGEST: usize = 4096;

/// How long a full queue holds up a thread that logs: a reader that is merely slow loses nothing.
const SLOW_READER: Duration = Duration::from_millis(200);

/// How soon a write is tried again where stderr is in non-blocking mode.
const RETRY: Duration = Duration::from_millis(10);

/// What the queue carries.
enum Entry {
    Line {
        text: Vec<u8>,
        /// Lines dropped before this one.
        missing: u64,
    },
    /// Everything before this has been written when the sender is dropped.
    Marker(Sender<()>),
}

/// Takes lines for the log. Each `write` must be one whole line.
pub struct LogWriter {
    queue: Sender<Entry>,
    /// Lines dropped since the last one that was queued.
    missing: u64,
}

/// Waits for the log to be written out.
#[derive(Clone, Debug)]
pub struct LogFlush(Sender<Entry>);

impl LogWriter {
    /// Starts the thread that writes to `out`. It ends with the last sender. `prefix` stands before
    /// a line about missing lines.
    ///
    /// # Errors
    /// The system's, when there is no thread to be had.
    pub fn start(out: impl Write + Send + 'static, prefix: &'static str) -> io::Result<LogWriter> {
        let (queue, entries) = bounded(QUEUED);
        let output = Output {
            out,
            prefix,
            missing: 0,
            error: None,
            is_torn: false,
        };
        thread::Builder::new()
            .name("log".into())
            .spawn(move || output.run(&entries))?;
        Ok(LogWriter { queue, missing: 0 })
    }

    /// What waits for the lines of this writer.
    pub fn flusher(&self) -> LogFlush {
        LogFlush(self.queue.clone())
    }

    fn entry(&self, line: &[u8]) -> Entry {
        let missing = self.missing;
        let mut text = line.to_vec();
        if line.len() > LONGEST {
            let mut end = LONGEST - 4;
            while end > 0 && line[end] & 0xc0 == 0x80 {
                end -= 1; // not half a character
            }
            text.truncate(end);
            text.extend_from_slice(b"...\n");
        }
        Entry::Line { text, missing }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Once a wait was in vain, nobody waits again before there is room.
        let is_unread = self.missing > 0 && self.queue.is_full();
        let is_queued = !is_unread && {
            let entry = self.entry(line);
            self.queue.send_timeout(entry, SLOW_READER).is_ok()
        };
        self.missing = if is_queued { 0 } else { self.missing + 1 };
        Ok(line.len())
    }

    /// Does nothing, since it comes after every line: see [`LogFlush`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogFlush {
    /// Blocks until what was queued before has been written, or until the time is over.
    pub fn wait(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let (marker, written) = bounded(0);
        let sent = self.0.send_deadline(Entry::Marker(marker), deadline);
        if sent.is_ok() {
            // An error either way: the marker is gone, or the time is over.
            let _ = written.recv_deadline(deadline);
        }
    }
}

/// What the thread writes to.
struct Output<W> {
    out: W,
    prefix: &'static str,
    /// Lines that were lost since the last one that was written.
    missing: u64,
    /// Why the last of them could not be written; `None`: they were dropped from the queue.
    error: Option<io::Error>,
    /// Whether only the beginning of a line was written.
    is_torn: bool,
}

impl<W: Write> Output<W> {
    fn run(mut self, entries: &Receiver<Entry>) {
        for entry in entries {
            match entry {
                Entry::Line { text, missing } => {
                    self.missing += missing;
                    // Nobody is left to be told of an error; the next line may succeed.
                    if let Err(error) = self.write_line(&text) {
                        self.missing += 1;
                        self.error = Some(error);
                    }
                }
                Entry::Marker(marker) => drop(marker),
            }
        }
    }

    /// Writes a line, on a line of its own and after the number of those that are missing.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write_all(b"\n")?;
        }
        let (prefix, missing) = (self.prefix, self.missing);
        if missing > 0 {
            let why = match &self.error {
                Some(error) => format!("the log could not be written: {error}"),
                None => "the log was not read".into(),
            };
            let text = format!("{prefix}{missing} lines are missing here: {why}\n");
            self.write_all(text.as_bytes())?;
            (self.missing, self.error) = (0, None);
        }
        self.write_all(line)
    }

    /// Like that of `Write`, but it knows how much was written when stderr is in non-blocking mode,
    /// which any other process that shares it can choose, and whether that was a whole line.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    self.is_torn = !bytes.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::{Arc, Mutex};

    /// No test waits so long unless it fails.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn line() -> Vec<u8> {
        [&[b'x'; 1023][..], b"\n"].concat()
    }

    fn finish(out: LogWriter, mut reader: impl Read) -> String {
        drop(out);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_log_that_is_not_read_is_waited_for_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = LogWriter::start(writer, "<4>").unwrap();
        let line = line();
        let start = Instant::now();
        for _ in 0..2000 {
            out.write_all(&line).unwrap();
        }
        let missing = out.missing;
        assert!(missing > 1000, "{missing}");
        // A wait for each would be minutes.
        assert!(start.elapsed() < Duration::from_secs(20));
        out.flusher().wait(Duration::ZERO);
        // More than a pipe holds, so that some of it was in the queue, which then has room.
        let mut first = vec![0; 128 << 10];
        reader.read_exact(&mut first).unwrap();
        out.write_all(b"again\n").unwrap();
        let text = String::from_utf8(first).unwrap() + &finish(out, reader);
        let end = format!("x\n<4>{missing} lines are missing here: the log was not read\nagain\n");
        assert!(text.ends_with(&end), "{}", &text[text.len() - 200..]);
        assert_eq!(text.lines().count() as u64, 2000 - missing + 2);
    }

    #[test]
    fn a_slow_reader_loses_nothing() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = LogWriter::start(writer, "").unwrap();
        let reading = thread::spawn(move || {
            let (mut count, mut some) = (0, [0; 100]);
            loop {
                match reader.read(&mut some).unwrap() {
                    0 => return count,
                    read => count += read,
                }
            }
        });
        let line = line();
        for _ in 0..5000 {
            out.write_all(&line).unwrap();
        }
        drop(out);
        assert_eq!(reading.join().unwrap(), 5000 * line.len());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let (reader, writer) = io::pipe().unwrap();
        let mut out = LogWriter::start(writer, "").unwrap();
        out.write_all(format!("{}\n", "é".repeat(LONGEST)).as_bytes())
            .unwrap();
        let text = finish(out, reader);
        assert!(text.len() <= LONGEST && text.len() > LONGEST - 4);
        assert!(text.ends_with("é...\n"), "{text}");
    }

    /// Takes a byte at a time, after an error of each kind that passes.
    #[derive(Default)]
    struct Difficult {
        taken: Arc<Mutex<Vec<u8>>>,
        calls: usize,
    }

    impl Write for Difficult {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                1 => Err(ErrorKind::Interrupted.into()),
                2 => Err(ErrorKind::WouldBlock.into()),
                _ => {
                    self.taken.lock().unwrap().push(bytes[0]);
                    Ok(1)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_write_that_takes_a_part_is_continued() {
        let out = Difficult::default();
        let taken = Arc::clone(&out.taken);
        let mut out = LogWriter::start(out, "").unwrap();
        out.write_all(b"one\n").unwrap();
        out.write_all(b"two\n").unwrap();
        out.flusher().wait(DEADLINE);
        assert_eq!(*taken.lock().unwrap(), b"one\ntwo\n");
    }

    /// A device of which others take away the room, and give some back, in turn.
    struct Device {
        taken: Arc<Mutex<Vec<u8>>>,
        /// Bytes that it takes before it is full, each once.
        rooms: Vec<usize>,
    }

    impl Write for Device {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Some(room) = self.rooms.first_mut().filter(|room| **room > 0) else {
                self.rooms.remove(0);
                return Err(ErrorKind::StorageFull.into());
            };
            let count = bytes.len().min(*room);
            *room -= count;
            self.taken
                .lock()
                .unwrap()
                .extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_could_not_be_written_is_counted_on_a_line_of_its_own() {
        let note = |count| {
            let error = io::Error::from(ErrorKind::StorageFull);
            format!("<4>{count} lines are missing here: the log could not be written: {error}\n")
        };
        let end = "three\nfour\nfive\n";
        let note_and_t = note(1).len() + 2;
        for (rooms, expected) in [
            // Nothing of the second line, a part of it, all but its end.
            (vec![4], format!("one\n{}{end}", note(1))),
            (vec![6], format!("one\ntw\n{}{end}", note(1))),
            (vec![7], format!("one\ntwo\n{}{end}", note(1))),
            // The line about it is torn in its turn; then there is no room at all.
            (vec![6, 4, 0], format!("one\ntw\n<4>\n{}five\n", note(3))),
            // It is written, and the line behind it is not.
            (
                vec![6, note_and_t],
                format!("one\ntw\n{}t\n{}four\nfive\n", note(1), note(1)),
            ),
        ] {
            let taken = Arc::default();
            let device = Device {
                taken: Arc::clone(&taken),
                rooms: [rooms.clone(), vec![usize::MAX]].concat(),
            };
            let mut out = LogWriter::start(device, "<4>").unwrap();
            for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
                out.write_all(line.as_bytes()).unwrap();
            }
            out.flusher().wait(DEADLINE);
            let taken = taken.lock().unwrap();
            assert_eq!(String::from_utf8_lossy(&taken), expected, "{rooms:?}");
        }
    }

    #[test]
    fn a_log_that_will_never_be_read_holds_nobody_up() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut out = LogWriter::start(writer, "").unwrap();
        for _ in 0..3 * QUEUED {
            out.write_all(b"x\n").unwrap();
        }
        let start = Instant::now();
        out.flusher().wait(DEADLINE);
        assert!(start.elapsed() < DEADLINE);
        assert_eq!(out.missing, 0);
    }
}
