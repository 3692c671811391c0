//! A directory for one test's files, gone when the test is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The directory.
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tls-{}-{count}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("a directory for this test");
        Self { directory }
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a file of this name is, or would be.
    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.directory.join(name);
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    /// Writes a file that only its owner may read, whole at once: a reader finds what was there before, or this.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        let fresh = format!("{path}.new");
        fs::write(&fresh, content).expect("a new file");
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).expect("its mode");
        fs::rename(&fresh, &path).expect("a new name");
        path
    }

    /// Changes the mode of a file.
    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.path(name), mode).expect("a mode");
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What cannot be removed is in cargo's own directory for such things.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
