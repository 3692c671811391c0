//! The two ends of a connection by TLS.

use rustls::pki_types::ServerName;

/// Which of the two ends this is.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// The one that calls, with the name that the server's certificate must carry.
    Client(ServerName<'static>),
    /// The one that is called.
    Server {
        /// Whether clients must show a certificate; otherwise they are asked for none.
        verifies: bool,
    },
}
