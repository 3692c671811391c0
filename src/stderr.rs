//! The log's way out: stderr, which may lead to somebody who has stopped reading.
//!
//! A write to a full pipe waits, and with it whoever has something to log. So nothing here waits
//! for long: a line that nobody takes is dropped and counted.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

/// A reader that is merely slow is waited for so long; one that was not there then is not waited
/// for at all until it reads again.
const PATIENCE: Duration = Duration::from_millis(200);

/// The most of a line, in bytes: what a pipe takes whole or not at all (`PIPE_BUF`).
const LONGEST: usize = 4096;

/// Writes lines that somebody is there to take. Each write must be a whole line.
#[derive(Debug)]
pub struct Patient {
    way: Way,
    /// What stands before a warning of its own.
    prefix: &'static str,
    /// The end of a line of which the beginning was taken.
    rest: Vec<u8>,
    unheard: u64,
}

/// How to write without waiting.
#[derive(Debug)]
enum Way {
    /// What was opened anew, so that not to wait is nobody else's affair.
    Own(File),
    Socket(OwnedFd),
    /// Files; and what cannot be opened anew, such as another user's terminal.
    Shared(File),
}

impl Way {
    fn to(target: BorrowedFd<'_>) -> io::Result<Way> {
        let shared = File::from(target.try_clone_to_owned()?);
        let kind = shared.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Way::Socket(shared.into()));
        }
        if kind.is_fifo() || kind.is_char_device() {
            let name = format!("/proc/self/fd/{}", shared.as_raw_fd());
            let own = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open(name);
            if let Ok(own) = own {
                return Ok(Way::Own(own));
            }
        }
        Ok(Way::Shared(shared))
    }

    fn is_ready(&self, patience: Duration) -> bool {
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: patience.subsec_nanos().into(),
        };
        let target = match self {
            Way::Own(file) | Way::Shared(file) => file.as_fd(),
            Way::Socket(socket) => socket.as_fd(),
        };
        // A signal may interrupt it: then it is not ready yet.
        let mut target = [PollFd::from_borrowed_fd(target, PollFlags::OUT)];
        poll(&mut target, Some(&patience)).is_ok_and(|ready| ready > 0)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Way::Own(file) => (&*file).write(bytes),
            Way::Socket(socket) => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                SockRef::from(socket).send_with_flags(bytes, flags)
            }
            Way::Shared(file) if self.is_ready(Duration::ZERO) => (&*file).write(bytes),
            Way::Shared(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what is taken until the deadline; says how much that is.
    fn write_until(&self, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            match self.try_write(&bytes[done..]) {
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.is_ready(left);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl Patient {
    /// Writes to where `target` leads.
    ///
    /// # Errors
    /// The system's, when that cannot be found out.
    pub fn new(target: impl AsFd, prefix: &'static str) -> io::Result<Patient> {
        Ok(Patient {
            way: Way::to(target.as_fd())?,
            prefix,
            rest: Vec::new(),
            unheard: 0,
        })
    }

    fn say(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        let rest = mem::take(&mut self.rest);
        let done = self.way.write_until(&rest, deadline)?;
        if done < rest.len() {
            self.rest = rest[done..].to_vec();
            self.unheard += 1;
            return Ok(());
        }
        let mut text = Vec::with_capacity(line.len());
        if self.unheard > 0 {
            let (prefix, count) = (self.prefix, self.unheard);
            writeln!(
                text,
                "{prefix}{count} lines are missing here: the log was not read"
            )?;
        }
        text.extend_from_slice(line);
        cut(&mut text);
        match self.way.write_until(&text, deadline)? {
            0 => self.unheard += 1,
            done => {
                self.rest = text[done..].to_vec();
                self.unheard = 0;
            }
        }
        Ok(())
    }
}

/// Makes a text short enough.
fn cut(text: &mut Vec<u8>) {
    if text.len() > LONGEST {
        let mut end = LONGEST - 4;
        while end > 0 && text[end] & 0xc0 == 0x80 {
            end -= 1; // not half a character
        }
        text.truncate(end);
        text.extend_from_slice(b"...\n");
    }
}

impl Write for Patient {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let patience = match self.unheard {
            0 => PATIENCE,
            _ => Duration::ZERO,
        };
        self.say(line, Instant::now() + patience)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn line() -> Vec<u8> {
        [&[b'x'; 1023][..], b"\n"].concat()
    }

    /// Says more than `reader` is sent without reading; then it reads, and one more line is said.
    fn ignored(mut reader: impl Read, writer: impl AsFd) {
        let mut out = Patient::new(&writer, "<4>").unwrap();
        let line = line();
        for _ in 0..2000 {
            out.write_all(&line).unwrap();
        }
        let unheard = out.unheard;
        assert!(unheard > 0);
        let mut said = vec![0; (2000 - unheard as usize) * line.len() - out.rest.len()];
        reader.read_exact(&mut said).unwrap();
        out.write_all(b"again\n").unwrap();
        drop((out, writer));
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        let said = String::from_utf8([said, rest].concat()).unwrap();
        let missing =
            format!("x\n<4>{unheard} lines are missing here: the log was not read\nagain\n");
        assert!(said.ends_with(&missing), "{}", &said[said.len() - 200..]);
    }

    #[test]
    fn a_reader_that_is_not_there_is_not_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        ignored(reader, writer);
        let (reader, writer) = UnixStream::pair().unwrap();
        ignored(reader, writer);
    }

    #[test]
    fn what_cannot_be_opened_anew_is_asked_first() {
        let (mut reader, writer) = io::pipe().unwrap();
        let shared = Way::Shared(File::from(OwnedFd::from(writer)));
        let line = line();
        while shared.try_write(&line).is_ok() {}
        let full = shared.try_write(&line).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        reader.read_exact(&mut vec![0; 1 << 14]).unwrap();
        assert_eq!(shared.try_write(&line).unwrap(), line.len());
    }

    #[test]
    fn a_line_is_no_longer_than_what_a_pipe_takes_at_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = Patient::new(&writer, "").unwrap();
        out.write_all("é".repeat(LONGEST).as_bytes()).unwrap();
        drop((out, writer));
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert!(said.len() <= LONGEST && said.len() > LONGEST - 4);
        assert!(said.ends_with("é...\n"), "{said}");
    }

    #[test]
    fn what_nobody_will_ever_read_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut out = Patient::new(&writer, "").unwrap();
        assert!(out.write_all(b"x\n").is_err());
    }
}
