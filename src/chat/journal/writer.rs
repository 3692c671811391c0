//! The thread that writes the journal: each line as it comes, and all of it anew where that is due. It
//! alone waits for the disk.

use super::file::Place;
use super::line;
use super::queue::{Event, Events};
use super::source::Source;
use crossbeam_channel::{RecvTimeoutError, Sender};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lines are written together up to this size, in bytes.
const BATCH: usize = 64 << 10;

/// A journal of fewer lines is not written anew, however many of them are history.
const SHORT: u64 = 1024;

/// After this time it is tried again to write a journal that could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// Writes one journal.
pub struct Writer {
    place: Place,
    source: Arc<dyn Source>,
    events: Events,
    /// The journal, if what stands in it is true.
    journal: Option<File>,
    /// When to try again where there is none.
    retry_at: Instant,
    /// That there is none was logged.
    is_logged: bool,
    /// Of the instance that the journal belongs to.
    generation: u64,
    /// Of the last line.
    number: u64,
    /// Lines to be written.
    buffer: Vec<u8>,
    /// Who waits for the end.
    ending: Option<Sender<()>>,
}

impl Writer {
    /// One for this place; what `source` has is written first.
    pub fn new(place: Place, source: Arc<dyn Source>, events: Events) -> Writer {
        Writer {
            place,
            source,
            events,
            journal: None,
            retry_at: Instant::now(),
            is_logged: false,
            generation: 0,
            number: 0,
            buffer: Vec::new(),
            ending: None,
        }
    }

    /// Writes until the end is said, or nobody is left to say anything.
    pub fn run(mut self) {
        self.rewrite();
        loop {
            if let Some(done) = self.ending.take() {
                drop(self); // and with it the lock
                let _ = done.send(()); // who waited may have gone
                return;
            }
            match self.next() {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => self.rewrite(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let is_all = self.events.receiver.is_empty() || self.ending.is_some();
            if is_all || self.buffer.len() >= BATCH {
                self.settle();
            }
        }
    }

    fn next(&self) -> Result<Event, RecvTimeoutError> {
        match self.journal {
            Some(_) => {
                let event = self.events.receiver.recv();
                event.map_err(|_| RecvTimeoutError::Disconnected)
            }
            None => self.events.receiver.recv_deadline(self.retry_at),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Line(generation, body) => {
                self.events.taken(&body);
                // One of an instance that is gone has no place here any more.
                if generation == self.generation {
                    self.add(&body);
                }
            }
            Event::Instance => {}
            Event::End(done) => self.ending = Some(done),
        }
    }

    fn add(&mut self, body: &[u8]) {
        self.number += 1;
        line::finish(self.number, body, &mut self.buffer);
    }

    /// Writes what there is, and all of it anew where that is due.
    fn settle(&mut self) {
        let written = match &mut self.journal {
            Some(journal) => journal.write_all(&self.buffer),
            None => Ok(()),
        };
        self.buffer.clear();
        let is_other = self.source.instance().0 != self.generation;
        if let Err(error) = written {
            self.give_up(&error);
        } else if self.events.has_overflowed() && self.journal.is_some() {
            self.is_logged = true; // by whoever found no room
            self.give_up(&too_slow());
        } else if self.journal.is_some()
            && (is_other || self.number > SHORT.max(2 * self.source.count() as u64))
        {
            self.rewrite();
        }
    }

    /// Nothing of the journal is true any more.
    fn give_up(&mut self, error: &io::Error) {
        self.place.discard(self.journal.take().as_ref());
        self.retry_at = Instant::now() + RETRY;
        if !self.is_logged {
            self.is_logged = true;
            log::warn!(
                "{} cannot be written: {error}: sessions are lost with the next end of the \
                 adapter, until it can; tried again every {} s",
                self.place.name(),
                RETRY.as_secs()
            );
        }
    }

    /// Writes all of it anew.
    fn rewrite(&mut self) {
        match self.write_new() {
            Ok(journal) => {
                self.journal = Some(journal);
                if self.is_logged {
                    self.is_logged = false;
                    log::info!(
                        "{} is written again: {} sessions",
                        self.place.name(),
                        self.source.count()
                    );
                }
            }
            Err(error) => self.give_up(&error),
        }
        self.buffer = Vec::new();
    }

    fn write_new(&mut self) -> io::Result<File> {
        'anew: loop {
            // Where lines were dropped, those before them do not count either.
            if self.events.has_overflowed() {
                while let Ok(event) = self.events.receiver.try_recv() {
                    self.take(event);
                }
                self.events.reset();
            }
            let mut file = self.place.create()?;
            let (generation, instance) = self.source.instance();
            self.generation = generation;
            self.number = 0;
            self.buffer.clear();
            let mut position = 0;
            if let Some(instance) = instance {
                self.add(&line::instance(&instance));
                position = usize::MAX;
            }
            while position > 0 {
                let source = Arc::clone(&self.source);
                let mut put = |body: &[u8]| self.add(body);
                match source.slice(generation, position, &mut put) {
                    Some(next) => position = next,
                    None => continue 'anew,
                }
                // Who opens and closes sessions meanwhile must not find the queue full.
                while self.buffer.len() < BATCH
                    && let Ok(event) = self.events.receiver.try_recv()
                {
                    self.take(event);
                }
                file.write_all(&self.buffer)?;
                self.buffer.clear();
            }
            if self.events.has_overflowed() {
                return Err(too_slow());
            }
            // That it has changed meanwhile may have been said, and passed over, above.
            if self.source.instance().0 != generation {
                continue;
            }
            self.place.replace(&file)?;
            return Ok(file);
        }
    }
}

fn too_slow() -> io::Error {
    io::Error::other("the disk is too slow")
}
