//! What is to be said of TLS: files and a name.

use crate::ari::escape::Escaped;
use std::path::PathBuf;

/// Whom to trust, and what to show. Its documentation names the options of `chat-adapter`, as the texts of
/// errors do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Trust as servers exactly what is in these files; the platform's store when there are none.
    pub ca: Vec<PathBuf>,
    /// The name that the server's certificate must carry, when it is not the host's.
    pub name: Option<String>,
    /// A certificate: the file of its chain, and the file of its key. It is shown to servers that ask
    /// for one, and to all clients.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Accept as clients exactly those that these files vouch for; when there are none, no client is
    /// asked who it is.
    pub client_ca: Vec<PathBuf>,
}

impl Settings {
    /// The settings in a few words, such as `TLS (trusting proxies.pem, no client certificate)`: those
    /// for an adapter that `calls`, or that `listens`, or both.
    pub(in crate::server) fn in_words(&self, calls: bool, listens: bool) -> String {
        let mut words = Vec::new();
        if calls {
            words.push(match self.ca.is_empty() {
                true => "trusting the platform's store".to_owned(),
                false => format!("trusting {}", names(&self.ca)),
            });
            let name = self.name.as_ref();
            words.extend(name.map(|name| format!("server's name {}", Escaped::of(name))));
        }
        let whose = if calls {
            "client certificate"
        } else {
            "certificate"
        };
        words.push(match &self.identity {
            Some((file, _)) => format!("{whose} {}", Escaped::of(file)),
            None => format!("no {whose}"),
        });
        if listens {
            words.push(match self.client_ca.is_empty() {
                true => "clients not verified".to_owned(),
                false => format!("clients trusted by {}", names(&self.client_ca)),
            });
        }
        format!("TLS ({})", words.join(", "))
    }
}

/// Names of files, for the log.
pub(in crate::server) fn names(files: &[PathBuf]) -> String {
    let names = files.iter().map(|file| Escaped::of(file).to_string());
    names.collect::<Vec<_>>().join(", ")
}
