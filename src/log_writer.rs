//! The log's bounded queue, and the thread that writes it out.
//!
//! A write to a pipe that is not read blocks. Only the thread named `log` writes, so only it can be
//! blocked; what does not fit into the queue is dropped and counted. This file knows whole lines,
//! not what is in them.

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
    Line(Vec<u8>),
    /// Everything before this has been written when the sender is dropped.
    Marker(Sender<()>),
}

/// Takes lines for the log. Each `write` must be one whole line.
pub struct LogWriter {
    queue: Sender<Entry>,
    /// What stands before the line about missing lines.
    prefix: &'static str,
    /// Lines dropped since the last one that was queued.
    missing: u64,
}

/// Waits for the log to be written out.
#[derive(Clone, Debug)]
pub struct LogFlush(Sender<Entry>);

impl LogWriter {
    /// Starts the thread that writes to `out`. It ends with the last sender.
    ///
    /// # Errors
    /// The system's, when there is no thread to be had.
    pub fn start(out: impl Write + Send + 'static, prefix: &'static str) -> io::Result<LogWriter> {
        let (queue, entries) = bounded(QUEUED);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_entries(&entries, out))?;
        Ok(LogWriter {
            queue,
            prefix,
            missing: 0,
        })
    }

    /// What waits for the lines of this writer.
    pub fn flusher(&self) -> LogFlush {
        LogFlush(self.queue.clone())
    }

    fn entry(&self, line: &[u8]) -> io::Result<Entry> {
        let (prefix, missing) = (self.prefix, self.missing);
        let mut text = Vec::new();
        if missing > 0 {
            let what = "lines are missing here: the log was not read";
            writeln!(text, "{prefix}{missing} {what}")?;
        }
        if line.len() <= LONGEST {
            text.extend_from_slice(line);
        } else {
            let mut end = LONGEST - 4;
            while end > 0 && line[end] & 0xc0 == 0x80 {
                end -= 1; // not half a character
            }
            text.extend_from_slice(&line[..end]);
            text.extend_from_slice(b"...\n");
        }
        Ok(Entry::Line(text))
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Once a wait was in vain, nobody waits again before there is room.
        let is_unread = self.missing > 0 && self.queue.is_full();
        let is_queued = !is_unread && {
            let entry = self.entry(line)?;
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
        if self
            .0
            .send_deadline(Entry::Marker(marker), deadline)
            .is_ok()
        {
            // An error either way: the marker is gone, or the time is over.
            let _ = written.recv_deadline(deadline);
        }
    }
}

fn write_entries(entries: &Receiver<Entry>, mut out: impl Write) {
    for entry in entries {
        match entry {
            // Nobody is left to be told of an error; the next line may succeed.
            Entry::Line(line) => drop(write_line(&mut out, &line)),
            Entry::Marker(marker) => drop(marker),
        }
    }
}

/// Like `write_all`, but it knows how much was written when stderr is in non-blocking mode, which
/// any other process that shares it can choose.
fn write_line(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => line = &line[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
