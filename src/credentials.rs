//! Where user and password come from: the command line, a file, the environment, the service
//! manager's credentials; in this order, each of the two by itself. It does not know what a Proxy
//! does with them.

use crate::ari::escape::Escaped;
use crate::server::file::{self, Content, When};
use crate::server::{Credentials, Secret};
use crate::start_error::StartError;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What a file of the service manager is called in an error.
const CREDENTIAL: &str = "the credential";

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

/// What was found in the [`Sources`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// Both of them, or neither.
    pub credentials: Option<Credentials>,
    /// Where each of them comes from.
    pub origin: String,
    /// What an operator should know about the way they were given, each in one line.
    pub warnings: Vec<String>,
}

impl Sources {
    /// Asks each source in turn, until one has an answer. `env` reads a variable.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) fn find(
        &self,
        env: impl Fn(&str) -> Option<OsString>,
        when: When,
    ) -> Result<Lookup, StartError> {
        let mut warnings = Vec::new();
        let variable = |name: &str| {
            let value = env(name).filter(|value| !value.is_empty());
            let text = value.map(OsString::into_string).transpose();
            text.map_err(|_| {
                StartError::Usage(format!("the variable {name} holds what is not UTF-8"))
            })
        };
        // None if there is no such file.
        let service_file = |name: &str| {
            let directory = env("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty())?;
            let file = Path::new(&directory).join(name);
            match file::read(CREDENTIAL, &file, when) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                content => Some(text(CREDENTIAL, &file, content)),
            }
        };

        let user = if let Some(user) = &self.user {
            Some((user.clone(), "--user".to_owned()))
        } else if let Some(user) = variable("CHAT_ADAPTER_USER")? {
            Some((user, "CHAT_ADAPTER_USER".into()))
        } else {
            let user = service_file("chat-adapter.user").transpose()?;
            user.map(|(user, origin, _)| (user, origin))
        };
        let password = if let Some(password) = &self.password {
            warnings.push(
                "the password stands on the command line, where every user of this host can read \
                 it; better are --password-file, the variable CHAT_ADAPTER_PASSWORD and, under \
                 systemd, the credential chat-adapter.password"
                    .into(),
            );
            Some((password.clone(), "--password".to_owned()))
        } else if let Some(file) = &self.password_file {
            let option = "--password-file";
            let found = text(option, file, file::read(option, file, when))?;
            Some(secret(found, &mut warnings))
        } else if let Some(password) = variable("CHAT_ADAPTER_PASSWORD")? {
            Some((Secret::new(password), "CHAT_ADAPTER_PASSWORD".into()))
        } else {
            let password = service_file("chat-adapter.password").transpose()?;
            password.map(|found| secret(found, &mut warnings))
        };

        let usage = |what: &str| Err(StartError::Usage(what.into()));
        let (credentials, origin) = match (user, password) {
            (Some((user, user_origin)), Some((password, origin))) => (
                Some(Credentials { user, password }),
                format!("user of {user_origin}, password of {origin}"),
            ),
            (None, None) => (None, "none".into()),
            (Some(_), None) => {
                return usage(
                    "there is a user but no password: give --password-file or --password, \
                     CHAT_ADAPTER_PASSWORD or the credential chat-adapter.password",
                );
            }
            (None, Some(_)) => {
                return usage(
                    "there is a password but no user: give --user, CHAT_ADAPTER_USER or the \
                     credential chat-adapter.user",
                );
            }
        };
        Ok(Lookup {
            credentials,
            origin,
            warnings,
        })
    }
}

/// What a file holds, what that file is, and whether everybody can read it.
type Found = (String, String, bool);

fn secret((text, origin, is_public): Found, warnings: &mut Vec<String>) -> (Secret, String) {
    if is_public {
        warnings.push(format!(
            "{origin} holds the password and can be read by everybody; its mode should be 0600 or 0400"
        ));
    }
    (Secret::new(text), origin)
}

/// The text of a file without one line end at its end. An error begins with `what` the file is.
fn text(what: &str, file: &Path, content: io::Result<Content>) -> Result<Found, StartError> {
    let origin = format!("{what} {}", Escaped::of(file));
    let error = |problem: &str| StartError::Other(format!("{origin} {problem}"));
    let content = content.map_err(|cause| error(&format!("cannot be read: {cause}")))?;
    let text = String::from_utf8(content.bytes).map_err(|_| error("is not UTF-8"))?;
    let line = text.strip_suffix("\r\n").or(text.strip_suffix('\n'));
    let line = line.unwrap_or(&text);
    match line.is_empty() {
        true => Err(error("is empty")),
        false => Ok((line.to_owned(), origin, content.is_public)),
    }
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

    fn pair(found: &Lookup) -> Option<(&str, &str)> {
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
        assert_eq!(pair(&sources.find(|_| None, When::Start).unwrap()), None);
        assert_eq!(
            pair(&sources.find(service, When::Start).unwrap()),
            Some(("service-user", " service password "))
        );
        assert_eq!(
            pair(&sources.find(all, When::Start).unwrap()),
            Some(("env-user", "env password"))
        );
        sources.password_file = Some(file);
        let found = sources.find(all, When::Start).unwrap();
        assert_eq!(pair(&found), Some(("env-user", "from file\n")));
        assert!(found.warnings.is_empty());
        sources.user = Some("user1".into());
        sources.password = Some(Secret::new("pwd1".into()));
        let found = sources.find(all, When::Start).unwrap();
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
            let Err(StartError::Other(text)) = sources.find(|_| None, When::Start) else {
                panic!("{}", file.display())
            };
            let named = format!("--password-file {} ", file.display());
            assert!(text.starts_with(&named), "{text}");
            assert!(text.contains(what), "{text}");
        }
        let sources = Sources {
            user: Some("u".into()),
            password: None,
            password_file: Some(dir.file("open", b"p", 0o644)),
        };
        let found = sources.find(|_| None, When::Start).unwrap();
        assert!(found.warnings[0].contains("everybody"));
        dir.file("chat-adapter.user", b"u", 0o644);
        dir.file("chat-adapter.password", b"p", 0o644);
        let directory = dir.0.clone().into_os_string();
        let service = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| directory.clone());
        let found = Sources::default().find(service, When::Start).unwrap();
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
            let Err(StartError::Usage(text)) = sources.find(only(name), When::Start) else {
                panic!("{name}")
            };
            assert!(text.contains(missing), "{text}");
        }
    }
}
