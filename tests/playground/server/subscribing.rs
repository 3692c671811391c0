//! What a client gets to see: a subscription is checked with the adapter step by step, exists from the moment its
//! client named it, and may be gone again before the last step is answered.

use super::desk::Awaited;
use super::{Server, Ticket};
use crate::DATA_ADAPTER;
use crate::ari::{self, Refusal, Side};
use crate::tlcp::{self, Refused, Request, code};

/// A subscription of a client.
pub(super) struct Subscription {
    /// Tells it from another one of the same number, before or after it.
    serial: u64,
    /// `None` while the adapter is still asked.
    pub(super) view: Option<View>,
}

/// What a subscription shows, once it stands.
pub(super) struct View {
    pub(super) fields: Vec<String>,
    pub(super) snapshot: Snapshot,
    /// The frequency, in the words of `CONF`.
    filtered: &'static str,
    pub(super) items: Vec<Glimpse>,
}

/// One item, as a subscription knows it.
#[derive(Default)]
pub(super) struct Glimpse {
    pub(super) item: String,
    /// The values told last.
    pub(super) last: Option<Vec<Option<String>>>,
    /// Whether the end of the snapshot was told, or need not be.
    pub(super) snapshot_ended: bool,
}

/// How much of the past is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Snapshot {
    None,
    Last(usize),
    All,
}

/// A subscription on its way.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    number: u64,
    serial: u64,
    /// The request that asked for it: `LS_reqId`, and whether it is to be acknowledged.
    request: (Option<String>, bool),
    group: String,
    schema: String,
    mode: char,
    snapshot: Snapshot,
    filtered: &'static str,
    items: Vec<String>,
    fields: Vec<String>,
    /// The length of the history of each item.
    histories: Vec<usize>,
}

impl Server {
    pub(super) fn add(&mut self, ticket: &Ticket, request: &Request) -> Result<(), Refused> {
        let malformed = |what: &str| request.refused(code::MALFORMED, what);
        request.need("LS_subId")?;
        let number = request.number("LS_subId")?.unwrap_or_default();
        let (group, schema) = (request.need("LS_group")?, request.need("LS_schema")?);
        if request.get("LS_data_adapter") != Some(DATA_ADAPTER) {
            let text = format!("{DATA_ADAPTER} is the only Data Adapter here");
            return Err(request.refused(code::DATA_ADAPTER, text));
        }
        let mode = match request.need("LS_mode")? {
            "DISTINCT" => 'D',
            "RAW" => 'R',
            "MERGE" => 'M',
            "COMMAND" => {
                let text = "the stand-in does not know COMMAND";
                return Err(request.refused(code::MODE, text));
            }
            _ => return Err(malformed("LS_mode is no mode")),
        };
        let snapshot = match request.get("LS_snapshot") {
            None | Some("false") => Snapshot::None,
            Some(_) if mode == 'R' => Snapshot::None,
            Some("true") => Snapshot::All,
            Some(length) => Snapshot::Last(
                length
                    .parse()
                    .map_err(|_| malformed("LS_snapshot is neither true, false nor a number"))?,
            ),
        };
        let filtered = match request.get("LS_requested_max_frequency") {
            Some("unfiltered") => "unfiltered",
            _ => "filtered",
        };
        let Some(session) = self.session(ticket) else {
            return Ok(());
        };
        if session.subscriptions.contains_key(&number) {
            return Err(malformed("LS_subId is in use"));
        }
        self.serials += 1;
        let serial = self.serials;
        let draft = Draft {
            number,
            serial,
            request: (
                request.get("LS_reqId").map(str::to_owned),
                request.unless_false("LS_ack"),
            ),
            group: group.to_owned(),
            schema: schema.to_owned(),
            mode,
            snapshot,
            filtered,
            items: Vec::new(),
            fields: Vec::new(),
            histories: Vec::new(),
        };
        let Some(session) = self.session(ticket) else {
            return Ok(());
        };
        let subscription = Subscription { serial, view: None };
        session.subscriptions.insert(number, subscription);
        let user = session.user.clone();
        let arguments = [user.as_deref(), Some(group), Some(ticket.session.as_str())];
        let awaited = Awaited::Group(ticket.clone(), Box::new(draft));
        self.ask(Side::Metadata, "GIS", &arguments, awaited);
        Ok(())
    }

    pub(super) fn group(
        &mut self,
        ticket: Ticket,
        mut draft: Box<Draft>,
        result: Result<Vec<String>, Refusal>,
    ) {
        match understood(result, ari::strings) {
            Ok(items) if !items.is_empty() => draft.items = items,
            Ok(_) => return self.refuse(&ticket, &draft, code::GROUP, "a group without items"),
            Err((code, text)) => {
                return self.refuse(&ticket, &draft, code.unwrap_or(code::GROUP), &text);
            }
        }
        let Some(session) = self.session(&ticket) else {
            return;
        };
        let user = session.user.clone();
        let (group, schema) = (draft.group.clone(), draft.schema.clone());
        let id = ticket.session.clone();
        let arguments = [user.as_deref(), Some(&*group), Some(&*schema), Some(&*id)];
        let awaited = Awaited::Schema(ticket, draft);
        self.ask(Side::Metadata, "GSC", &arguments, awaited);
    }

    pub(super) fn schema(
        &mut self,
        ticket: Ticket,
        mut draft: Box<Draft>,
        result: Result<Vec<String>, Refusal>,
    ) {
        match understood(result, ari::strings) {
            Ok(fields) if !fields.is_empty() => draft.fields = fields,
            Ok(_) => return self.refuse(&ticket, &draft, code::SCHEMA, "a schema without fields"),
            Err((code, text)) => {
                return self.refuse(&ticket, &draft, code.unwrap_or(code::SCHEMA), &text);
            }
        }
        let items = draft.items.clone();
        let arguments: Vec<Option<&str>> = items.iter().map(|item| Some(item.as_str())).collect();
        let awaited = Awaited::ItemData(ticket, draft);
        self.ask(Side::Metadata, "GIT", &arguments, awaited);
    }

    pub(super) fn item_data(
        &mut self,
        ticket: Ticket,
        mut draft: Box<Draft>,
        result: Result<Vec<String>, Refusal>,
    ) {
        let properties = match self.allowed(&ticket, &draft, result) {
            Some(properties) => properties,
            None => return,
        };
        draft.histories = properties.iter().map(|item| item.number).collect();
        let Some(session) = self.session(&ticket) else {
            return;
        };
        let user = session.user.clone();
        let items = draft.items.clone();
        let mut arguments = vec![user.as_deref()];
        arguments.extend(items.iter().map(|item| Some(item.as_str())));
        let awaited = Awaited::UserItemData(ticket, draft);
        self.ask(Side::Metadata, "GUI", &arguments, awaited);
    }

    pub(super) fn user_item_data(
        &mut self,
        ticket: Ticket,
        draft: Draft,
        result: Result<Vec<String>, Refusal>,
    ) {
        if self.allowed(&ticket, &draft, result).is_none() {
            return;
        }
        let Some(subscription) = self.pending(&ticket, &draft) else {
            return;
        };
        let glimpse = |item: &String| Glimpse {
            item: item.clone(),
            // Of what is merged there is one value, and no end to be told.
            snapshot_ended: draft.snapshot == Snapshot::None || draft.mode == 'M',
            ..Glimpse::default()
        };
        subscription.view = Some(View {
            fields: draft.fields.clone(),
            snapshot: draft.snapshot,
            filtered: draft.filtered,
            items: draft.items.iter().map(glimpse).collect(),
        });
        if let (Some(id), true) = &draft.request {
            self.tell(ticket.client, &tlcp::line("REQOK", &[id]));
        }
        let number = draft.number.to_string();
        let count = |list: &[String]| list.len().to_string();
        let (items, fields) = (count(&draft.items), count(&draft.fields));
        let lines = [
            tlcp::line("SUBOK", &[&number, &items, &fields]),
            tlcp::line("CONF", &[&number, "unlimited", draft.filtered]),
        ];
        self.tell(ticket.client, &lines.concat());
        for (at, (item, history)) in draft.items.iter().zip(draft.histories).enumerate() {
            self.attach((ticket.client, draft.number, at), item, history);
        }
    }

    /// What the adapter says about the items, if they may be had as the client wants them.
    fn allowed(
        &mut self,
        ticket: &Ticket,
        draft: &Draft,
        result: Result<Vec<String>, Refusal>,
    ) -> Option<Vec<ari::Properties>> {
        let properties = match understood(result, ari::properties) {
            Ok(properties) if properties.len() == draft.items.len() => properties,
            Ok(_) => {
                let text = "the adapter says nothing about some of the items";
                self.refuse(ticket, draft, code::ADAPTER_FAILED, text);
                return None;
            }
            Err((code, text)) => {
                self.refuse(ticket, draft, code.unwrap_or(code::ADAPTER_FAILED), &text);
                return None;
            }
        };
        // What adapters tell is not merged here; the status item is nothing else.
        let modes = |item: &str| if self.status.is(item) { "MR" } else { "DR" };
        let refused =
            draft.items.iter().zip(&properties).find(|(item, p)| {
                !p.modes.contains(draft.mode) || !modes(item).contains(draft.mode)
            });
        if let Some((item, _)) = refused {
            let text = format!("not in this mode: {item}");
            self.refuse(ticket, draft, code::MODE, &text);
            return None;
        }
        Some(properties)
    }

    /// Tells a client that it does not get what it asked for.
    pub(super) fn refuse(&mut self, ticket: &Ticket, draft: &Draft, code: i32, text: &str) {
        if self.pending(ticket, draft).is_none() {
            return;
        }
        if let Some(session) = self.session(ticket) {
            session.subscriptions.remove(&draft.number);
        }
        let refused = Refused {
            id: draft.request.0.clone(),
            code,
            text: text.to_owned(),
        };
        self.tell(ticket.client, &refused.line());
    }

    /// The subscription that a draft is to become, if it is wanted still.
    fn pending(&mut self, ticket: &Ticket, draft: &Draft) -> Option<&mut Subscription> {
        let subscriptions = &mut self.session(ticket)?.subscriptions;
        let subscription = subscriptions.get_mut(&draft.number)?;
        (subscription.serial == draft.serial).then_some(subscription)
    }

    pub(super) fn delete(&mut self, ticket: &Ticket, request: &Request) -> Result<(), Refused> {
        request.need("LS_subId")?;
        let number = request.number("LS_subId")?.unwrap_or_default();
        let session = self.session(ticket);
        let Some(gone) = session.and_then(|session| session.subscriptions.remove(&number)) else {
            return Err(request.refused(code::SUBSCRIPTION, "no such subscription"));
        };
        self.acknowledge(ticket.client, request);
        self.tell(ticket.client, &tlcp::line("UNSUB", &[&number.to_string()]));
        self.detach(ticket.client, number, &gone);
        Ok(())
    }

    /// Frequencies are not limited here, so that there is nothing to change.
    pub(super) fn reconfigure(
        &mut self,
        ticket: &Ticket,
        request: &Request,
    ) -> Result<(), Refused> {
        request.need("LS_subId")?;
        let number = request.number("LS_subId")?.unwrap_or_default();
        let subscription = self
            .session(ticket)
            .and_then(|s| s.subscriptions.get(&number));
        let Some(filtered) =
            subscription.map(|s| s.view.as_ref().map_or("filtered", |v| v.filtered))
        else {
            return Err(request.refused(code::SUBSCRIPTION, "no such subscription"));
        };
        self.acknowledge(ticket.client, request);
        let line = tlcp::line("CONF", &[&number.to_string(), "unlimited", filtered]);
        self.tell(ticket.client, &line);
        Ok(())
    }
}

/// An answer as it is meant, or the code (the client's own, if the adapter gave one) and the text of its refusal.
fn understood<T>(
    result: Result<Vec<String>, Refusal>,
    read: impl Fn(&[String]) -> Result<T, String>,
) -> Result<T, (Option<i32>, String)> {
    match result {
        Ok(arguments) => read(&arguments).map_err(|text| (Some(code::ADAPTER_FAILED), text)),
        Err(Refusal {
            for_client: Some((code, text)),
            ..
        }) => Err((Some(code), text)),
        Err(refusal) if matches!(refusal.kind, Some('I' | 'S')) => Err((None, refusal.message)),
        Err(refusal) => Err((Some(code::ADAPTER_FAILED), refusal.message)),
    }
}
