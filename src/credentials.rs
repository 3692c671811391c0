//! Where user and password come from: the command line, a file, the environment, the service
//! manager's credentials; in this order, each of the two by itself.

use crate::server::{Credentials, Secret};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the command line says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--user`.
    pub user: Option<String>,
    /// `--password`.
    pub password: Option<Secret>,
    /// `--password-file`.
    pub password_file: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Both of them, or neither.
    pub credentials: Option<Credentials>,
    /// What an operator should know about the way they were given.
    pub warnings: Vec<String>,
}

/// Why they cannot be had; one line that names the thing.
#[derive(Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// One of the two is missing.
    Usage(String),
    /// A file is no good.
    File(String),
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (CredentialsError::Usage(what) | CredentialsError::File(what)) = self;
        f.write_str(what)
    }
}

impl std::error::Error for CredentialsError {}

impl Sources {
    /// Looks everywhere. `env` is the environment.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn find(&self, env: impl Fn(&str) -> Option<OsString>) -> Result<Found, CredentialsError> {
        let mut warnings = Vec::new();
        let variable = |name: &str| match env(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.into_string().map(Some).map_err(|_| {
                CredentialsError::Usage(format!("the variable {name} holds what is not UTF-8"))
            }),
        };
        let directory = env("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty());
        let service = |name: &str| match &directory {
            Some(directory) => {
                let file = Path::new(directory).join(name);
                match file.try_exists() {
                    Ok(false) => Ok(None),
                    _ => read(&file).map(Some),
                }
            }
            None => Ok(None),
        };

        let user = match &self.user {
            Some(user) => Some(user.clone()),
            None => match variable("CHAT_ADAPTER_USER")? {
                Some(user) => Some(user),
                None => service("chat-adapter.user")?.map(|read| read.text),
            },
        };
        let password = if let Some(password) = &self.password {
            warnings.push(
                "the password stands on the command line, where every user of this host can read \
                 it; better are --password-file, the variable CHAT_ADAPTER_PASSWORD and, under \
                 systemd, the credential chat-adapter.password"
                    .into(),
            );
            Some(password.clone())
        } else if let Some(file) = &self.password_file {
            Some(secret(read(file)?, &mut warnings))
        } else if let Some(password) = variable("CHAT_ADAPTER_PASSWORD")? {
            Some(Secret::new(password))
        } else {
            service("chat-adapter.password")?.map(|read| secret(read, &mut warnings))
        };

        let credentials = match (user, password) {
            (Some(user), Some(password)) => Some(Credentials { user, password }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(CredentialsError::Usage(
                    "there is a user but no password: give --password-file or --password, \
                     CHAT_ADAPTER_PASSWORD or the credential chat-adapter.password"
                        .into(),
                ));
            }
            (None, Some(_)) => {
                return Err(CredentialsError::Usage(
                    "there is a password but no user: give --user, CHAT_ADAPTER_USER or the \
                     credential chat-adapter.user"
                        .into(),
                ));
            }
        };
        Ok(Found {
            credentials,
            warnings,
        })
    }
}

struct Read {
    text: String,
    /// The file, if everybody may read it.
    open_to_all: Option<PathBuf>,
}

fn secret(read: Read, warnings: &mut Vec<String>) -> Secret {
    if let Some(file) = read.open_to_all {
        let file = file.display();
        warnings.push(format!(
            "{file} holds the password and can be read by everybody; its mode should be 0600 or 0400"
        ));
    }
    Secret::new(read.text)
}

/// The most that is read of a file, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file's text without one line end at its end.
fn read(file: &Path) -> Result<Read, CredentialsError> {
    let problem = |what: String| CredentialsError::File(format!("{} {what}", file.display()));
    let unreadable = |error: io::Error| problem(format!("cannot be read: {error}"));
    let mut opened = File::open(file).map_err(unreadable)?;
    let mode = opened.metadata().map_err(unreadable)?.mode();
    let mut bytes = Vec::new();
    let mut limited = (&mut opened).take(LARGEST);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 == LARGEST {
        return Err(problem("is too large for what it should hold".into()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8".into()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(problem("is empty".into()));
    }
    Ok(Read {
        text,
        open_to_all: (mode & 0o004 != 0).then(|| file.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of its own, gone at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let id = std::process::id();
            let dir = std::env::temp_dir().join(format!("chat-adapter-{name}-{id}"));
            fs::create_dir_all(&dir).unwrap();
            Dir(dir)
        }

        fn file(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
            let file = self.0.join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            file
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn pair(found: &Found) -> Option<(&str, &str)> {
        let credentials = found.credentials.as_ref()?;
        Some((&credentials.user, credentials.password.reveal()))
    }

    #[test]
    fn each_source_outdoes_those_behind_it() {
        let dir = Dir::new("sources");
        dir.file("chat-adapter.user", b"service-user\n", 0o400);
        dir.file("chat-adapter.password", b" service password \r\n", 0o400);
        let file = dir.file("password", b"from file\n\n", 0o600);
        let mut sources = Sources::default();
        let directory = dir.0.clone().into_os_string();
        let service = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| directory.clone());
        let all = |name: &str| match name {
            "CHAT_ADAPTER_USER" => Some("env-user".into()),
            "CHAT_ADAPTER_PASSWORD" => Some("env password".into()),
            other => service(other),
        };
        assert_eq!(pair(&sources.find(|_| None).unwrap()), None);
        assert_eq!(
            pair(&sources.find(service).unwrap()),
            Some(("service-user", " service password "))
        );
        assert_eq!(
            pair(&sources.find(all).unwrap()),
            Some(("env-user", "env password"))
        );
        sources.password_file = Some(file);
        let found = sources.find(all).unwrap();
        assert_eq!(pair(&found), Some(("env-user", "from file\n")));
        assert!(found.warnings.is_empty());
        sources.user = Some("user1".into());
        sources.password = Some(Secret::new("pwd1".into()));
        let found = sources.find(all).unwrap();
        assert_eq!(pair(&found), Some(("user1", "pwd1")));
        assert!(found.warnings[0].contains("--password-file"));
    }

    #[test]
    fn files_that_are_no_good_are_named() {
        let dir = Dir::new("files");
        for (file, what) in [
            (dir.0.join("absent"), "cannot be read"),
            (dir.0.clone(), "cannot be read"),
            (dir.file("empty", b"", 0o600), "is empty"),
            (dir.file("newline", b"\n", 0o600), "is empty"),
            (dir.file("latin", b"caf\xe9", 0o600), "is not UTF-8"),
        ] {
            let sources = Sources {
                user: Some("u".into()),
                password: None,
                password_file: Some(file.clone()),
            };
            let Err(CredentialsError::File(text)) = sources.find(|_| None) else {
                panic!("{}", file.display())
            };
            assert!(text.starts_with(&*file.to_string_lossy()), "{text}");
            assert!(text.contains(what), "{text}");
        }
        let sources = Sources {
            user: Some("u".into()),
            password: None,
            password_file: Some(dir.file("open", b"p", 0o644)),
        };
        let found = sources.find(|_| None).unwrap();
        assert!(found.warnings[0].contains("everybody"));
        dir.file("chat-adapter.user", b"u", 0o644);
        dir.file("chat-adapter.password", b"p", 0o644);
        let directory = dir.0.clone().into_os_string();
        let service = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| directory.clone());
        let found = Sources::default().find(service).unwrap();
        let [warning] = &found.warnings[..] else {
            panic!("{:?}", found.warnings)
        };
        assert!(warning.contains("chat-adapter.password"), "{warning}");
    }

    #[test]
    fn one_without_the_other_is_a_mistake() {
        let only =
            |name: &'static str| move |asked: &str| (asked == name).then(|| OsString::from("x"));
        let sources = Sources::default();
        for (name, missing) in [
            ("CHAT_ADAPTER_USER", "no password"),
            ("CHAT_ADAPTER_PASSWORD", "no user"),
        ] {
            let Err(CredentialsError::Usage(text)) = sources.find(only(name)) else {
                panic!("{name}")
            };
            assert!(text.contains(missing), "{text}");
        }
    }
}
