//! The thread that writes the journal: each line as it comes, and all of it anew where that is due. It
//! alone waits for the disk.
//!
//! While it is written anew, lines go to the old file and to the new one, until the new one is on the
//! disk and takes its place: at every moment the file holds what there is.

use super::file::Place;
use super::line;
use super::load::Loaded;
use super::queue::{Event, Events, Queue};
use super::source::Source;
use crossbeam_channel::{RecvTimeoutError, Sender};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Lines are written together up to this size, in bytes.
const BATCH: usize = 64 << 10;

/// A journal of fewer lines is not written anew, however many of them are history.
const SHORT: u64 = 4 << 10;

/// After this time it is tried again to write what could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// Writes one journal.
pub struct Writer {
    place: Place,
    source: Arc<dyn Source>,
    queue: Queue,
    events: Events,
    /// The journal, if all that stands in it is true.
    current: Option<Journal>,
    /// The one that is to take its place.
    new: Option<Journal>,
    /// The number of that one.
    round: u64,
    /// It is to be written anew, however short it is.
    is_wanted: bool,
    /// Not to be written anew before this time.
    retry_at: Instant,
    logged: Logged,
    /// Puts what was written on the disk.
    sync: fn(&File) -> io::Result<()>,
    /// Who waits for the end.
    ending: Option<Sender<()>>,
}

/// The worst that was logged and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Logged {
    Nothing,
    /// There is a journal, which cannot be written anew.
    NotAnew,
    /// There is none.
    Broken,
}

impl Writer {
    /// One for this place. It goes on with `found`, the whole journal of an earlier run and what was
    /// read of it, if there is one.
    pub fn new(
        place: Place,
        found: Option<(File, Loaded)>,
        source: Arc<dyn Source>,
        (queue, events): (Queue, Events),
    ) -> Writer {
        let mut writer = Writer {
            place,
            source,
            queue,
            events,
            current: None,
            new: None,
            round: 0,
            is_wanted: true,
            retry_at: Instant::now(),
            logged: Logged::Nothing,
            sync: File::sync_all,
            ending: None,
        };
        match found {
            Some((file, loaded)) => match file.set_len(loaded.bytes) {
                Ok(()) => writer.current = Some(Journal::new(file, loaded.lines)),
                Err(error) => writer.broken(&error),
            },
            // What cannot be created is tried again, as a journal that is to take a place.
            None => {
                if let Ok(file) = writer.place.create() {
                    writer.snapshot(file);
                    writer.current = writer.new.take();
                }
            }
        }
        writer
    }

    /// Writes until the end is said.
    pub fn run(mut self) {
        loop {
            let is_due = self.is_due();
            if is_due && Instant::now() >= self.retry_at {
                self.begin_new();
            }
            if let Some(done) = self.ending.take() {
                self.end();
                drop(self); // and with it the lock
                let _ = done.send(()); // who waited may have gone
                return;
            }
            let receiver = &self.events.receiver;
            let event = match is_due && self.new.is_none() {
                true => receiver.recv_deadline(self.retry_at),
                false => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let journals = self.current.iter().chain(&self.new);
            let is_full = journals.map(|it| it.buffer.len()).max() >= Some(BATCH);
            if is_full || self.events.receiver.is_empty() {
                self.flush();
            }
        }
    }

    /// Whether the journal is to be written anew: it is wanted, more than half of it is history, or
    /// there is none.
    fn is_due(&self) -> bool {
        let is_long = |journal: &Journal| {
            journal.number > SHORT && journal.number > 2 * self.source.count() as u64
        };
        self.new.is_none() && (self.is_wanted || self.current.as_ref().is_none_or(is_long))
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Lines(key, bodies) => {
                self.events.taken(bodies.len());
                // Those of an instance that was dropped have no place here any more.
                if let Some(name) = self.source.name(key) {
                    for journal in self.current.iter_mut().chain(&mut self.new) {
                        journal.put(key, &name, &bodies);
                    }
                }
            }
            Event::Dropped(key, name) => {
                self.events.taken(name.len());
                for journal in self.current.iter_mut().chain(&mut self.new) {
                    journal.put(key, &name, line::DROPPED);
                }
                self.is_wanted = true;
            }
            Event::Synced(round, result) if round == self.round => self.replace(result),
            Event::Synced(..) => {} // given up meanwhile
            Event::End(done) => self.ending = Some(done),
        }
    }

    /// Writes what there is.
    fn flush(&mut self) {
        if self.events.has_overflowed() && (self.current.is_some() || self.new.is_some()) {
            self.logged = Logged::Broken; // by whoever found no room
            self.give_up_new();
            return self.broken(&io::ErrorKind::QuotaExceeded.into());
        }
        let mut written = self.current.as_mut().map(Journal::flush);
        // The room that a new file takes is better used here.
        if matches!(written, Some(Err(_))) && self.new.is_some() {
            self.give_up_new();
            written = self.current.as_mut().map(Journal::flush);
        }
        if let Some(Err(error)) = written {
            self.broken(&error);
        }
        if let Some(Err(error)) = self.new.as_mut().map(Journal::flush) {
            self.not_anew(&error);
        }
    }

    /// What stands in the journal is not true any more.
    fn broken(&mut self, error: &io::Error) {
        let journal = self.current.take();
        self.place.discard(journal.as_ref().map(|it| &it.file));
        self.retry_at = Instant::now() + RETRY;
        self.log(Logged::Broken, error);
    }

    /// It cannot be written anew.
    fn not_anew(&mut self, error: &io::Error) {
        self.give_up_new();
        match self.current {
            Some(_) => self.log(Logged::NotAnew, error),
            None => self.broken(error),
        }
    }

    fn give_up_new(&mut self) {
        if let Some(new) = self.new.take() {
            // Whoever still waits for the disk keeps it open.
            let _ = new.file.set_len(0);
        }
        self.is_wanted = true; // still
        self.place.remove_new();
        self.retry_at = Instant::now() + RETRY;
    }

    fn log(&mut self, what: Logged, error: &io::Error) {
        if what <= self.logged {
            return;
        }
        self.logged = what;
        let (name, seconds) = (self.place.name(), RETRY.as_secs());
        match what {
            Logged::Broken => log::warn!(
                "{name} cannot be written: {error}: sessions are lost with the next end of the \
                 adapter, until it can; tried again every {seconds} s"
            ),
            _ => log::warn!(
                "{name} cannot be written anew: {error}: it is complete and grows; tried again \
                 every {seconds} s"
            ),
        }
    }

    /// Begins to write all of it anew, and has it put on the disk.
    fn begin_new(&mut self) {
        if let Err(error) = self.write_new().and_then(|()| self.sync_new()) {
            self.not_anew(&error);
        }
    }

    fn write_new(&mut self) -> io::Result<()> {
        // Where lines were dropped, those before them do not count either.
        if self.events.has_overflowed() {
            if self.current.is_some() {
                self.flush();
                return Ok(());
            }
            while let Ok(event) = self.events.receiver.try_recv() {
                self.take(event);
            }
            self.events.reset();
        }
        let file = self.place.create_new()?;
        self.snapshot(file);
        Ok(())
    }

    /// Writes all there is to this file, the new one. If that ends early, there is none any more.
    fn snapshot(&mut self, file: File) {
        self.round += 1;
        self.new = Some(Journal::new(file, 0));
        self.is_wanted = false;
        for (key, name) in self.source.instances() {
            let mut position = usize::MAX;
            while position > 0 {
                let mut bodies = Vec::new();
                // That one was dropped meanwhile is said behind.
                position = self.source.slice(key, position, &mut bodies).unwrap_or(0);
                let Some(new) = &mut self.new else {
                    return;
                };
                new.put(key, &name, &bodies);
                // Who opens and closes sessions meanwhile must not find the queue full.
                for _ in 0..self.events.receiver.len() {
                    if let Ok(event) = self.events.receiver.try_recv() {
                        self.take(event);
                    }
                }
                self.flush();
            }
        }
    }

    /// Has the new file put on the disk, by a thread that may wait for it.
    fn sync_new(&self) -> io::Result<()> {
        match &self.new {
            Some(new) => self.sync(new.file.try_clone()?, self.round),
            None => Ok(()),
        }
    }

    fn sync(&self, file: File, number: u64) -> io::Result<()> {
        let (queue, sync) = (self.queue.clone(), self.sync);
        let run = move || queue.synced(number, sync(&file));
        let thread = thread::Builder::new().name("journal-sync".into());
        thread.spawn(run).map(drop)
    }

    /// The new file is on the disk, or cannot be: puts it in its place.
    fn replace(&mut self, synced: io::Result<()>) {
        self.flush();
        if self.new.is_none() {
            return;
        }
        if let Err(error) = synced.and_then(|()| self.place.replace()) {
            return self.not_anew(&error);
        }
        self.current = self.new.take();
        // Until that is done, a power cut may bring back what was there before.
        let _ = self.place.directory().and_then(|file| self.sync(file, 0));
        if self.logged != Logged::Nothing {
            self.logged = Logged::Nothing;
            let (name, count) = (self.place.name(), self.source.count());
            log::info!("{name} is written again: {count} sessions");
        }
    }

    /// Leaves a journal that is whole, if that can be done.
    fn end(&mut self) {
        self.flush();
        if self.current.is_none() {
            if self.new.is_none()
                && let Err(error) = self.write_new()
            {
                self.not_anew(&error);
            }
            if let Some(new) = &self.new {
                let synced = (self.sync)(&new.file);
                self.replace(synced);
            }
        }
        if self.new.is_some() {
            self.give_up_new();
        }
    }
}

/// A file that is written.
struct Journal {
    file: File,
    /// Of the last line.
    number: u64,
    /// The key of the instance to which it belongs.
    key: Option<u64>,
    /// So many bytes stand in the file.
    length: u64,
    /// Lines to be written.
    buffer: Vec<u8>,
}

impl Journal {
    /// The file, and how many lines stand in it.
    fn new(file: File, number: u64) -> Journal {
        Journal {
            number,
            key: None,
            length: file.metadata().map_or(0, |metadata| metadata.len()),
            file,
            buffer: Vec::new(),
        }
    }

    /// Adds lines of an instance.
    fn put(&mut self, key: u64, name: &str, bodies: &[u8]) {
        let Some(bodies) = bodies.strip_suffix(b"\n") else {
            return; // there are none
        };
        if self.key != Some(key) {
            self.key = Some(key);
            self.line(&line::instance(name));
        }
        for body in bodies.split(|&byte| byte == b'\n') {
            self.line(body);
        }
    }

    fn line(&mut self, body: &[u8]) {
        self.number += 1;
        line::finish(self.number, body, &mut self.buffer);
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.buffer) {
            // So that it may be tried again.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += self.buffer.len() as u64;
        match self.buffer.capacity() > 2 * BATCH {
            true => self.buffer = Vec::new(),
            false => self.buffer.clear(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{End, Entry, load, queue};
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::{env, fs, process};

    /// One instance whose sessions only grow.
    #[derive(Default)]
    struct Table(AtomicUsize);

    impl Source for Table {
        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }

        fn instances(&self) -> Vec<(u64, String)> {
            vec![(1, "one".into())]
        }

        fn name(&self, key: u64) -> Option<String> {
            (key == 1).then(|| "one".into())
        }

        fn slice(&self, _: u64, before: usize, bodies: &mut Vec<u8>) -> Option<usize> {
            let end = before.min(self.count());
            let start = end.saturating_sub(100);
            (start..end).for_each(|number| put(number, bodies));
            Some(start)
        }
    }

    fn put(number: usize, bodies: &mut Vec<u8>) {
        let id = format!("S{number}");
        line::put_opened(None, &id, Some("192.0.2.1"), Some(&[b'x'; 900]), bodies);
    }

    /// A journal of its own, gone when the test is.
    struct Scene {
        path: PathBuf,
        table: Arc<Table>,
        queue: Queue,
    }

    impl Scene {
        /// Begins with a journal of three sessions.
        fn new(name: &str) -> (Scene, Writer) {
            let directory = env::temp_dir().join(format!("chat-adapter-{}-{name}", process::id()));
            fs::create_dir_all(&directory).unwrap();
            let path = directory.join("sessions");
            let table = Arc::new(Table::default());
            let (queue, events) = queue();
            let scene = Scene { path, table, queue };
            let ends = (scene.queue.clone(), events);
            let place = Place::lock(&scene.path).unwrap();
            let source: Arc<dyn Source> = Arc::clone(&scene.table) as _;
            let mut writer = Writer::new(place, None, source, ends);
            scene.open(3);
            while let Ok(event) = writer.events.receiver.try_recv() {
                writer.take(event);
            }
            writer.flush();
            writer.is_wanted = true;
            (scene, writer)
        }

        fn open(&self, count: usize) {
            for _ in 0..count {
                let mut bodies = Vec::new();
                put(self.table.0.fetch_add(1, Ordering::SeqCst), &mut bodies);
                self.queue.lines(1, bodies);
            }
        }

        fn read(&self) -> usize {
            let Ok(mut file) = File::open(&self.path) else {
                return 0;
            };
            let mut ids = std::collections::HashSet::new();
            let loaded = load(&mut file, |entry| {
                if let Entry::Session(request) = entry {
                    ids.insert(format!("{request:?}"));
                }
            });
            assert_eq!(loaded.map(|loaded| loaded.end).ok(), Some(End::Whole));
            ids.len()
        }

        fn run(&self, writer: Writer) -> thread::JoinHandle<()> {
            thread::spawn(|| writer.run())
        }

        fn wait_for(&self, count: usize) {
            while self.read() != count {
                thread::yield_now();
            }
        }

        fn finish(&self) {
            let soon = Instant::now() + Duration::from_secs(20);
            assert!(self.queue.finish(soon));
        }

        fn has_new(&self) -> bool {
            Path::new(&format!("{}.new", self.path.display())).exists()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.path.parent().unwrap());
        }
    }

    #[test]
    fn while_the_disk_hangs_the_old_file_has_every_line() {
        let (scene, mut writer) = Scene::new("hangs");
        writer.sync = |_| {
            loop {
                thread::park();
            }
        };
        let thread = scene.run(writer);
        while !scene.has_new() {
            thread::yield_now();
        }
        scene.open(5);
        scene.wait_for(8);
        scene.open(1);
        scene.finish();
        thread.join().unwrap();
        assert_eq!((scene.read(), scene.has_new()), (9, false));
    }

    #[test]
    fn a_new_file_that_does_not_reach_the_disk_takes_nothing_away() {
        let (scene, mut writer) = Scene::new("fails");
        writer.sync = |_| Err(io::ErrorKind::StorageFull.into());
        scene.run(writer);
        scene.open(5);
        scene.wait_for(8);
        scene.finish();
        assert_eq!((scene.read(), scene.has_new()), (8, false));
    }

    #[test]
    fn a_new_file_takes_the_place_of_the_old_one_with_all_that_came_meanwhile() {
        let (scene, writer) = Scene::new("replaces");
        let file = || fs::metadata(&scene.path).unwrap().ino();
        let old = file();
        scene.run(writer);
        scene.open(500);
        while file() == old {
            // Never more than the queue holds, however long the disk takes.
            if scene.table.count() < 2_000 {
                scene.open(1);
            }
            thread::yield_now();
        }
        scene.finish();
        assert_eq!(scene.read(), scene.table.count());
    }

    #[test]
    fn what_found_no_room_is_written_at_the_end_at_the_latest() {
        let (scene, writer) = Scene::new("overflows");
        scene.open(12_000);
        assert!(writer.events.has_overflowed());
        scene.run(writer);
        scene.finish();
        assert_eq!(scene.read(), 12_003);
    }

    #[test]
    fn a_journal_that_cannot_be_written_is_written_at_the_end_at_the_latest() {
        let (scene, mut writer) = Scene::new("broken");
        // Not open for writing.
        writer.current.as_mut().unwrap().file = File::open(&scene.path).unwrap();
        writer.new = None;
        writer.is_wanted = false;
        scene.open(1);
        let thread = scene.run(writer);
        scene.wait_for(0);
        assert!(!scene.path.exists());
        scene.open(1);
        scene.finish();
        thread.join().unwrap();
        assert_eq!(scene.read(), 5);
    }
}
