//! What a Remote Metadata Adapter implements: users, sessions, items, messages.

use super::connection::Connection;
use crate::ari::parameters::Parameters;
use crate::ari::reply::{ErrorKind, Mode, Names};
use crate::ari::text::Text;
use std::fmt;

/// Answers what a Proxy Metadata Adapter asks (section 6).
///
/// All methods of one provider are called by one thread, in the order of the requests. A method that
/// blocks holds up that connection, keepalives aside, and no other. Every method has the default of
/// the official kits: everybody may do everything, without limit, but for messages, which are
/// refused.
///
/// A provider of a server that is called lives on when its connection is lost, and serves the next
/// one. Whether the sessions that it knows are still alive is told by the parameter
/// `proxy.instance_id` of the next [`initialize`](Self::initialize): with the same id they are.
#[expect(unused_variables, reason = "the defaults look at nothing")]
pub trait MetadataProvider: Send {
    /// A connection was opened, and the Proxy sent its parameters: `proxy.instance_id`,
    /// `server.instance_id`, those of `adapters.xml` whose name has a `:` in it, and more (`MPI`).
    ///
    /// # Errors
    /// Any refuses the init. The Proxy may then take no connection for some time, or never again
    /// (its `connection_recovery_timeout_millis`).
    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        Ok(())
    }

    /// May this user log in? The headers are those of the client's HTTP request (`NUS`).
    ///
    /// # Errors
    /// [`Access`](MetadataError::Access), [`ResourceUnavailable`](MetadataError::ResourceUnavailable)
    /// and [`Credits`](MetadataError::Credits), of which only the last one reaches the client.
    fn notify_user(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        Ok(())
    }

    /// The same for a client that came by TLS (`NUA`): `client_principal` is the subject of its
    /// certificate, or `None` if it showed none. Asks [`notify_user`](Self::notify_user) by default.
    ///
    /// # Errors
    /// Those of `notify_user`.
    fn notify_user_with_principal(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        http_headers: &Parameters<'_>,
        client_principal: Option<&str>,
    ) -> Result<(), MetadataError> {
        self.notify_user(user, password, http_headers)
    }

    /// The bandwidth that a user who logged in may use, in kbit/s; 0.0: no limit, the default. Asked
    /// with `NUS` and `NUA`.
    fn get_allowed_max_bandwidth(&mut self, user: Option<&str>) -> f64 {
        0.0
    }

    /// A session was opened (`NNS`). The context has `REMOTE_IP`, `USER_AGENT` and more.
    ///
    /// # Errors
    /// [`Notification`](MetadataError::Notification), [`Credits`](MetadataError::Credits) and
    /// [`ConflictingSession`](MetadataError::ConflictingSession) refuse it.
    fn notify_new_session(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        client_context: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        Ok(())
    }

    /// For how long a new session may last, in seconds; 0 or less: no limit, the default. Asked with
    /// `NNS`.
    fn get_session_time_to_live(&mut self, user: Option<&str>, session_id: &str) -> i32 {
        0
    }

    /// A session was closed (`NSC`). It may be one that is not known, or not any more.
    ///
    /// # Errors
    /// [`Notification`](MetadataError::Notification), for the server's log.
    fn notify_session_close(&mut self, session_id: &str) -> Result<(), MetadataError> {
        Ok(())
    }

    /// Which items is this group? They are added to `items` (`GIS`). By default the group is a list
    /// of names with spaces between them.
    ///
    /// # Errors
    /// [`Items`](MetadataError::Items): there is no such group.
    fn get_items(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        group: &str,
        items: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        items.split(group);
        Ok(())
    }

    /// Which fields is this schema of that group? They are added to `fields` (`GSC`). By default
    /// the schema is a list of names with spaces between them.
    ///
    /// # Errors
    /// [`Items`](MetadataError::Items) and [`Schema`](MetadataError::Schema): there is no such
    /// group, or schema.
    fn get_schema(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        group: &str,
        schema: &str,
        fields: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        fields.split(schema);
        Ok(())
    }

    /// Whether anybody may subscribe to the item in this mode; `true` by default. Asked with `GIT`,
    /// whose answer a server may keep.
    fn mode_may_be_allowed(&mut self, item: &str, mode: Mode) -> bool {
        true
    }

    /// Whether this user may; `true` by default. Asked with `GUI`.
    fn is_mode_allowed(&mut self, user: Option<&str>, item: &str, mode: Mode) -> bool {
        true
    }

    /// How many events of the item the server keeps for those who subscribe later in the mode
    /// `Distinct`; 0 by default. Asked with `GIT`.
    fn get_distinct_snapshot_length(&mut self, item: &str) -> i32 {
        0
    }

    /// The lowest frequency at which the provider's events come, in updates a second; 0.0, the
    /// default: not known. Asked with `GIT`.
    fn get_min_source_frequency(&mut self, item: &str) -> f64 {
        0.0
    }

    /// How many events of the item the server may hold back for a slow client of this user; 0, the
    /// default: no limit. Asked with `GUI`.
    fn get_allowed_buffer_size(&mut self, user: Option<&str>, item: &str) -> i32 {
        0
    }

    /// The highest frequency at which this user may get the item, in updates a second; 0.0, the
    /// default: no limit. Asked with `GUI`.
    fn get_allowed_max_item_frequency(&mut self, user: Option<&str>, item: &str) -> f64 {
        0.0
    }

    /// A client sent a message (`NUM`). By default it is refused, with the code 0.
    ///
    /// # Errors
    /// [`Notification`](MetadataError::Notification) refuses it; [`Credits`](MetadataError::Credits)
    /// does so with a code and a text for the client.
    fn notify_user_message(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        message: Text<'_>,
    ) -> Result<(), MetadataError> {
        Err(MetadataError::Credits {
            code: 0,
            message: "Messages are not supported".into(),
            user_message: None,
        })
    }

    /// All requests that came in one read are answered. The replies leave when this returns, so what
    /// must leave before them is sent here: events that were staged, for example. Called after the
    /// read that brought the init, too.
    fn requests_served(&mut self) {}

    /// The connection is gone. The provider lives on. Not called for a connection whose init was
    /// refused.
    fn disconnected(&mut self) {}
}

/// Why a Remote Metadata Adapter does not do what it was asked for.
///
/// Texts are for the server's log, unless said otherwise. A `code` is for the client, and is zero or
/// negative; one above zero is sent as 0. A kind that the method in question may not give is sent as
/// `E`, with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// `EM`: the adapter cannot serve. For [`initialize`](MetadataProvider::initialize).
    Provider(String),
    /// `EA`: this user may not log in.
    Access(String),
    /// `ER`: whether the user may log in cannot be found out now.
    ResourceUnavailable(String),
    /// `EC`: refused, with a code and a text for the client.
    Credits {
        /// For the client: zero or negative.
        code: i32,
        /// For the server's log.
        message: String,
        /// For the client, if there is something to say.
        user_message: Option<String>,
    },
    /// `EX`: refused until another session is closed, which the server does then.
    ConflictingSession {
        /// For the client: zero or negative.
        code: i32,
        /// For the server's log.
        message: String,
        /// For the client, if there is something to say.
        user_message: Option<String>,
        /// The other session.
        session_id: String,
    },
    /// `EI`: there are no such items.
    Items(String),
    /// `ES`: there is no such schema.
    Schema(String),
    /// `EN`: the notification, or the message, is refused.
    Notification(String),
    /// `E`: anything else.
    Other(String),
}

impl MetadataError {
    /// As the protocol classes it, and its text.
    pub(crate) fn parts(&self) -> (ErrorKind, &str) {
        match self {
            MetadataError::Provider(text) => (ErrorKind::Metadata, text),
            MetadataError::Access(text) => (ErrorKind::Access, text),
            MetadataError::ResourceUnavailable(text) => (ErrorKind::Resource, text),
            MetadataError::Credits { message, .. } => (ErrorKind::Credits, message),
            MetadataError::ConflictingSession { message, .. } => (ErrorKind::Conflict, message),
            MetadataError::Items(text) => (ErrorKind::Items, text),
            MetadataError::Schema(text) => (ErrorKind::Schema, text),
            MetadataError::Notification(text) => (ErrorKind::Notification, text),
            MetadataError::Other(text) => (ErrorKind::Generic, text),
        }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().1)
    }
}

impl std::error::Error for MetadataError {}
