//! Metadata requests → a [`MetadataProvider`] → replies (section 6).

use super::dispatch::{Call, Service};
use super::outbox::Outbox;
use crate::ari::Side;
use crate::ari::parameters::Parameters;
use crate::ari::reply::{ErrorKind, Names};
use crate::ari::request::Request;
use crate::provider::{Connection, MetadataError, MetadataProvider, UpdateQueue};

/// Serves metadata connections, one after the other, with one provider.
pub struct MetadataService<P> {
    provider: P,
}

impl<P: MetadataProvider> MetadataService<P> {
    /// Serves with that provider.
    pub fn new(provider: P) -> MetadataService<P> {
        MetadataService { provider }
    }

    /// Asks the provider, and appends the reply of success.
    fn ask(
        &mut self,
        call: &Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    ) -> Result<(), MetadataError> {
        let provider = &mut self.provider;
        match request {
            Request::NotifyUserMessage {
                user,
                session,
                message,
            } => {
                provider.notify_user_message(user.as_deref(), &session, message)?;
                call.reply(replies).void();
            }
            Request::NotifyUser {
                user,
                password,
                principal,
                headers,
            } => {
                let (user, password) = (user.as_deref(), password.as_deref());
                match principal {
                    None => provider.notify_user(user, password, &headers)?,
                    Some(principal) => provider.notify_user_with_principal(
                        user,
                        password,
                        &headers,
                        principal.as_deref(),
                    )?,
                }
                let bandwidth = provider.get_allowed_max_bandwidth(user);
                let reply = call.reply(replies).double(bandwidth);
                reply.boolean(false).end(); // no notifications of subscriptions
            }
            Request::NotifyNewSession {
                user,
                session,
                context,
            } => {
                let user = user.as_deref();
                provider.notify_new_session(user, &session, &context)?;
                match provider.get_session_time_to_live(user, &session) {
                    ..=0 => call.reply(replies).void(),
                    seconds => call.reply(replies).integer(seconds).end(),
                }
            }
            Request::NotifySessionClose { session } => {
                provider.notify_session_close(&session)?;
                call.reply(replies).void();
            }
            Request::GetItems {
                user,
                group,
                session,
            } => {
                let mut items = Names::new(call.reply(replies));
                provider.get_items(user.as_deref(), &session, &group, &mut items)?;
                items.end();
            }
            Request::GetSchema {
                user,
                group,
                schema,
                session,
            } => {
                let user = user.as_deref();
                let mut fields = Names::new(call.reply(replies));
                provider.get_schema(user, &session, &group, &schema, &mut fields)?;
                fields.end();
            }
            Request::GetItemData(items) => {
                let mut reply = call.reply(replies);
                for item in items {
                    reply = reply
                        .integer(provider.get_distinct_snapshot_length(&item))
                        .double(provider.get_min_source_frequency(&item))
                        .modes(|mode| provider.mode_may_be_allowed(&item, mode));
                }
                reply.end();
            }
            Request::GetUserItemData { user, items } => {
                let user = user.as_deref();
                let mut reply = call.reply(replies);
                for item in items {
                    reply = reply
                        .integer(provider.get_allowed_buffer_size(user, &item))
                        .double(provider.get_allowed_max_item_frequency(user, &item))
                        .modes(|mode| provider.is_mode_allowed(user, &item, mode));
                }
                reply.end();
            }
            Request::Notification => call.reply(replies).void(),
            // These are the other side's.
            Request::Subscribe { .. } | Request::Unsubscribe { .. } => {
                return Err(MetadataError::Other("not a metadata request".into()));
            }
        }
        Ok(())
    }
}

fn put_error(call: &Call<'_>, error: &MetadataError, replies: &mut Vec<u8>) {
    let (kind, text) = error.parts();
    let reply = call.error(kind, text, replies);
    let reply = match error {
        _ if !kind.is_allowed_for(call.method) => reply,
        MetadataError::Credits {
            code, user_message, ..
        } => reply.for_client(*code, user_message.as_deref()),
        MetadataError::ConflictingSession {
            code,
            user_message,
            session_id,
            ..
        } => {
            let reply = reply.for_client(*code, user_message.as_deref());
            reply.session(session_id)
        }
        _ => reply,
    };
    reply.end();
}

impl<P: MetadataProvider> Service for MetadataService<P> {
    fn side(&self) -> Side {
        Side::Metadata
    }

    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), (ErrorKind, String)> {
        let initialized = self.provider.initialize(connection, parameters);
        initialized.map_err(|error| (error.parts().0, error.to_string()))
    }

    fn serve(
        &mut self,
        _connection: &Connection,
        call: &Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    ) {
        let start = replies.len();
        if let Err(error) = self.ask(call, request, replies) {
            replies.truncate(start);
            put_error(call, &error, replies);
        }
    }

    fn served(&mut self, replies: Vec<u8>, outbox: &Outbox) {
        self.provider.requests_served();
        outbox.send_replies(replies);
    }

    fn disconnected(&mut self) {
        self.provider.disconnected();
    }
}
