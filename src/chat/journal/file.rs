//! The journal's file: who may have it, how it is opened, and how a new one takes its place. It does
//! not know what stands in it.

use crate::ari::escape::Escaped;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Others may write it.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The owner alone may read and write it.
const PRIVATE: u32 = 0o600;

/// The place of a journal, which nobody else uses while this value lives.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// Of `FILE.lock`, which is never renamed or removed.
    lock: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // A child that was forked a moment ago, and has not become another program yet, has the lock
        // as well. Where this fails the lock goes with the last of the two.
        let _ = self.lock.unlock();
    }
}

impl Place {
    /// Takes the lock, which ends with the process at the latest.
    ///
    /// # Errors
    /// What is wrong, beginning with the file's name.
    pub fn lock(path: &Path) -> Result<Place, String> {
        let lock = beside(path, ".lock");
        let file = open(OpenOptions::new().write(true).create(true), &lock);
        let file = file.map_err(|error| told(&lock, &error))?;
        check(&lock, &file)?;
        match file.try_lock() {
            Ok(()) => Ok(Place {
                path: path.to_owned(),
                lock: file,
            }),
            Err(TryLockError::WouldBlock) => {
                Err(format!("{}: another adapter uses it", Escaped::of(path)))
            }
            Err(TryLockError::Error(error)) => Err(told(&lock, &error)),
        }
    }

    /// The journal itself, if there is none yet.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(&self) -> io::Result<File> {
        open(OpenOptions::new().append(true).create_new(true), &self.path)
    }

    /// The journal that is there, to be read and then written on.
    ///
    /// # Errors
    /// Those of [`open_journal`].
    pub fn open(&self) -> Result<Option<File>, String> {
        open_checked(OpenOptions::new().read(true).append(true), &self.path)
    }

    /// An empty file beside it, which is to [take its place](Self::replace). What an earlier run has
    /// left of one goes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create_new(&self) -> io::Result<File> {
        let new = self.path_of_new();
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => open(OpenOptions::new().append(true).create_new(true), &new),
        }
    }

    /// Removes that one.
    pub fn remove_new(&self) {
        let _ = fs::remove_file(self.path_of_new()); // the next one removes it, too
    }

    /// Puts that one in the place of the journal.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn replace(&self) -> io::Result<()> {
        fs::rename(self.path_of_new(), &self.path)
    }

    /// The directory, which has to be synchronized after that.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn directory(&self) -> io::Result<File> {
        File::open(directory(&self.path))
    }

    /// Takes away what stands in the journal, so that a later run uses nothing of it; as far as the
    /// file system lets that be done.
    pub fn discard(&self, journal: Option<&File>) {
        // A full disk lets a file be cut that it does not let be removed, or the other way round.
        let _ = journal.map(|journal| journal.set_len(0));
        let _ = fs::remove_file(&self.path);
    }

    /// Moves a journal that is damaged aside; says where to.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = beside(&self.path, ".damaged");
        fs::rename(&self.path, &aside).map(|()| aside)
    }

    /// Its name for the log.
    pub fn name(&self) -> String {
        Escaped::of(&self.path).to_string()
    }

    fn path_of_new(&self) -> PathBuf {
        beside(&self.path, ".new")
    }
}

/// The journal at that path, to be read from its beginning, if there is one. Takes no lock.
///
/// # Errors
/// What is wrong, beginning with a file's name: it cannot be read, is not a file, somebody else's, or
/// others may write it; or there is no directory for it.
pub fn open_journal(path: &Path) -> Result<Option<File>, String> {
    open_checked(OpenOptions::new().read(true), path)
}

fn open_checked(options: &mut OpenOptions, path: &Path) -> Result<Option<File>, String> {
    match open(options, path) {
        Ok(file) => check(path, &file).map(|()| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let there = fs::metadata(directory(path));
            there.map(|_| None).map_err(|error| told(path, &error))
        }
        Err(error) => Err(told(path, &error)),
    }
}

/// Where a file is.
fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens without waiting for anybody, were it a pipe.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let options = options.mode(PRIVATE).custom_flags(libc::O_NONBLOCK);
    options.open(path)
}

/// Who can write a journal can speak for anybody.
fn check(path: &Path, file: &File) -> Result<(), String> {
    let metadata = file.metadata().map_err(|error| told(path, &error))?;
    let wrong = if !metadata.is_file() {
        "is no regular file"
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        "can be written by others (chmod 600 it)"
    } else {
        return Ok(());
    };
    Err(format!("{} {wrong}", Escaped::of(path)))
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", Escaped::of(path))
}
