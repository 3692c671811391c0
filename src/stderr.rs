//! The log's way out: stderr, which may lead to somebody who has stopped reading.
//!
//! A write to a full pipe waits, and with it whoever has something to log. So the system is asked
//! first, and a line that nobody takes is dropped and counted.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// A reader that is merely slow is waited for so long, in milliseconds; one that was not there
/// then is not waited for at all until it reads again.
const PATIENCE: i64 = 200;

/// The most that a pipe which takes anything takes at once (`PIPE_BUF`), in bytes.
const LONGEST: usize = 4096;

/// Writes lines that somebody is there to take. Each write must be a whole line.
#[derive(Debug)]
pub struct Patient<W> {
    out: W,
    /// What stands before a warning of its own.
    prefix: &'static str,
    unheard: u64,
}

impl<W: Write + AsFd> Patient<W> {
    /// Writes to `out`.
    pub fn new(out: W, prefix: &'static str) -> Patient<W> {
        Patient {
            out,
            prefix,
            unheard: 0,
        }
    }

    fn is_heard(&self) -> bool {
        let nanoseconds = match self.unheard {
            0 => PATIENCE * 1_000_000,
            _ => 0,
        };
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds,
        };
        let mut out = [PollFd::new(&self.out, PollFlags::OUT)];
        // Where the system does not tell, the write will.
        poll(&mut out, Some(&patience)).map_or(true, |ready| ready > 0)
    }
}

impl<W: Write + AsFd> Write for Patient<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.is_heard() {
            self.unheard += 1;
            return Ok(line.len());
        }
        let mut text = Vec::with_capacity(line.len());
        if self.unheard > 0 {
            let (prefix, count) = (self.prefix, self.unheard);
            writeln!(
                text,
                "{prefix}{count} lines are missing here: the log was not read"
            )?;
            self.unheard = 0;
        }
        text.extend_from_slice(line);
        if text.len() > LONGEST {
            let mut end = LONGEST - 4;
            while end > 0 && text[end] & 0xc0 == 0x80 {
                end -= 1; // not half a character
            }
            text.truncate(end);
            text.extend_from_slice(b"...\n");
        }
        self.out.write_all(&text)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_that_is_not_there_is_not_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = Patient::new(writer, "<4>");
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..200 {
            out.write_all(&line).unwrap();
        }
        let unheard = out.unheard;
        assert!(unheard > 0, "a pipe takes 64 KiB or so");
        let mut said = vec![0; (200 - unheard as usize) * line.len()];
        reader.read_exact(&mut said).unwrap();
        out.write_all(b"again\n").unwrap();
        drop(out);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let missing = format!("<4>{unheard} lines are missing here: the log was not read\nagain\n");
        assert_eq!(rest, missing);
    }

    #[test]
    fn a_line_is_no_longer_than_what_a_pipe_takes_at_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = Patient::new(writer, "");
        out.write_all("é".repeat(LONGEST).as_bytes()).unwrap();
        drop(out);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert!(said.len() <= LONGEST && said.len() > LONGEST - 4);
        assert!(said.ends_with("é...\n"), "{said}");
    }

    #[test]
    fn what_nobody_will_ever_read_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(Patient::new(writer, "").write_all(b"x\n").is_err());
    }
}
