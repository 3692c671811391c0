//! A line from a Proxy → a typed request that borrows from it (sections 2, 3, 5, 6, 7, 8).
//!
//! Structure and strings are checked here, in one place: what comes out can be served without a
//! further look at its form. Nothing here knows what a request is answered.

use super::Side;
use super::args::{Args, Malformed, Value};
use super::parameters::Parameters;
use super::text::Text;
use std::borrow::Cow;
use std::fmt;

/// The methods a Proxy may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `NUM`: a client sent a message.
    Num,
    /// `MPI`: the init of a Proxy Metadata Adapter.
    Mpi,
    /// `DPI`: the init of a Proxy Data Adapter.
    Dpi,
    /// `CLOSE`: the Proxy is about to drop the connection.
    Close,
    /// `NUS`: may this user log in?
    Nus,
    /// `NUA`: the same over client TLS.
    Nua,
    /// `NNS`: a session opened.
    Nns,
    /// `NSC`: a session closed.
    Nsc,
    /// `GIS`: which items is this group?
    Gis,
    /// `GSC`: which fields is this schema?
    Gsc,
    /// `GIT`: properties of items.
    Git,
    /// `GUI`: properties of items for a user.
    Gui,
    /// `NNT`: subscriptions opened.
    Nnt,
    /// `NTC`: subscriptions closed.
    Ntc,
    /// `MDA`: access to a mobile device.
    Mda,
    /// `MSA`: activation of push notifications.
    Msa,
    /// `MDC`: the token of a mobile device changed.
    Mdc,
    /// `SUB`: start sending events.
    Sub,
    /// `USB`: stop sending events.
    Usb,
}

const METADATA: Option<Side> = Some(Side::Metadata);
const DATA: Option<Side> = Some(Side::Data);

impl Method {
    /// What the protocol says of each: its name, which Proxy calls it (`None`: both do), and the errors
    /// that it may be answered beside `E` (sections 3, 6 and 7). In the order of the declaration;
    /// messages first, since nearly all requests are messages.
    const ALL: &[(Method, &str, Option<Side>, &str); 19] = &[
        (Method::Num, "NUM", METADATA, "EN EC"),
        (Method::Mpi, "MPI", METADATA, "EM"),
        (Method::Dpi, "DPI", DATA, "ED"),
        (Method::Close, "CLOSE", None, ""),
        (Method::Nus, "NUS", METADATA, "EA ER EC"),
        (Method::Nua, "NUA", METADATA, "EA ER EC"),
        (Method::Nns, "NNS", METADATA, "EN EC EX"),
        (Method::Nsc, "NSC", METADATA, "EN"),
        (Method::Gis, "GIS", METADATA, "EI"),
        (Method::Gsc, "GSC", METADATA, "EI ES"),
        (Method::Git, "GIT", METADATA, ""),
        (Method::Gui, "GUI", METADATA, ""),
        (Method::Nnt, "NNT", METADATA, "EN EC"),
        (Method::Ntc, "NTC", METADATA, "EN"),
        (Method::Mda, "MDA", METADATA, "EN EC"),
        (Method::Msa, "MSA", METADATA, "EN EC"),
        (Method::Mdc, "MDC", METADATA, "EN EC"),
        (Method::Sub, "SUB", DATA, "EU EF"),
        (Method::Usb, "USB", DATA, "EU EF"),
    ];

    /// The method of that name, if it is one a Proxy may call.
    pub fn named(name: &[u8]) -> Option<Method> {
        if name == b"NUM" {
            return Some(Method::Num);
        }
        let found = Self::ALL.iter().find(|row| row.1.as_bytes() == name);
        found.map(|row| row.0)
    }

    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Which Proxy calls it; `None` for `CLOSE`, which both do.
    pub fn side(self) -> Option<Side> {
        Self::ALL[self as usize].2
    }

    /// The errors that it may be answered beside `E`, as they stand on the wire.
    pub fn errors(self) -> impl Iterator<Item = &'static str> {
        Self::ALL[self as usize].3.split(' ')
    }

    /// Whether it opens a connection (section 3).
    pub fn is_init(self) -> bool {
        matches!(self, Method::Mpi | Method::Dpi)
    }

    /// Whether the arguments hold what must never be logged.
    pub fn is_secret(self) -> bool {
        matches!(self, Method::Nus | Method::Nua)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A line taken apart as far as its method.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The request id: opaque, to be copied into the reply.
    pub id: &'a [u8],
    /// The method's name as it came, known or not.
    pub method: &'a [u8],
    /// The rest of the line.
    pub args: Args<'a>,
}

impl<'a> Head<'a> {
    /// Splits a line; `None` when it has no method.
    pub fn of(line: &'a [u8]) -> Option<Head<'a>> {
        let mut tokens = Args { rest: Some(line) };
        let id = tokens.token()?;
        let method = tokens.token()?;
        if tokens.rest == Some(b"") {
            tokens.rest = None; // `<id>|MPI|`: no arguments
        }
        Some(Head {
            id,
            method,
            args: tokens,
        })
    }
}

/// A request whose arguments are as they must be.
///
/// An item, group, schema or session id that is null is the empty string here.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// `NUS`, `NUA`: may this user log in? Only `NUA` has a principal.
    NotifyUser {
        /// The user's name.
        user: Value<'a>,
        /// The password.
        password: Value<'a>,
        /// The subject of the client's certificate.
        principal: Option<Value<'a>>,
        /// Those of the HTTP request.
        headers: Parameters<'a>,
    },
    /// `NNS`: a session opened.
    NotifyNewSession {
        /// The user's name.
        user: Value<'a>,
        /// The id of the session.
        session: Cow<'a, str>,
        /// What is known of the client.
        context: Parameters<'a>,
    },
    /// `NSC`: a session closed.
    NotifySessionClose {
        /// The id of the session.
        session: Cow<'a, str>,
    },
    /// `GIS`: which items is this group?
    GetItems {
        /// The user's name.
        user: Value<'a>,
        /// The group as the client named it.
        group: Cow<'a, str>,
        /// The id of the session.
        session: Cow<'a, str>,
    },
    /// `GSC`: which fields is this schema?
    GetSchema {
        /// The user's name.
        user: Value<'a>,
        /// The group as the client named it.
        group: Cow<'a, str>,
        /// The schema as the client named it.
        schema: Cow<'a, str>,
        /// The id of the session.
        session: Cow<'a, str>,
    },
    /// `GIT`: properties of items.
    GetItemData(Items<'a>),
    /// `GUI`: properties of items for a user.
    GetUserItemData {
        /// The user's name.
        user: Value<'a>,
        /// The items.
        items: Items<'a>,
    },
    /// `NUM`: a client sent a message.
    NotifyUserMessage {
        /// The user's name.
        user: Value<'a>,
        /// The id of the session.
        session: Cow<'a, str>,
        /// What was sent.
        message: Text<'a>,
    },
    /// `NNT`, `NTC`, `MDA`, `MSA`, `MDC`: notifications that ask for no more than `V`.
    Notification,
    /// `SUB`: start sending events.
    Subscribe {
        /// The item.
        item: Cow<'a, str>,
    },
    /// `USB`: stop sending events.
    Unsubscribe {
        /// The item.
        item: Cow<'a, str>,
    },
}

impl<'a> Request<'a> {
    /// Reads the arguments of `method`.
    ///
    /// # Errors
    /// [`Malformed`] when an argument is missing or of the wrong type, when the tokens do not
    /// pair up, or when a string does not decode, be it one that nobody looks at.
    pub fn parse(method: Method, mut args: Args<'a>) -> Result<Request<'a>, Malformed> {
        let args = &mut args;
        let request = match method {
            Method::Num => Request::NotifyUserMessage {
                user: args.decoded(USER)?,
                session: args.name(SESSION)?,
                message: args.text("the message")?,
            },
            Method::Nus | Method::Nua => {
                return Ok(Request::NotifyUser {
                    user: args.decoded(USER)?,
                    password: args.decoded("the password")?,
                    principal: match method {
                        Method::Nua => Some(args.decoded("the principal")?),
                        _ => None,
                    },
                    headers: {
                        // A name alone at the end is no reason to refuse somebody.
                        args.check_rest()?;
                        Parameters::unchecked(*args)
                    },
                });
            }
            Method::Nns => {
                let user = args.decoded(USER)?;
                // Nothing could be said of it later.
                let session = args.decoded(SESSION)?;
                let session = session.ok_or(Malformed::null(SESSION))?;
                let context = Parameters::of_request(*args)?;
                return Ok(Request::NotifyNewSession {
                    user,
                    session,
                    context,
                });
            }
            Method::Git => return Ok(Request::GetItemData(Items::parse(*args)?)),
            Method::Gui => {
                let user = args.decoded(USER)?;
                let items = Items::parse(*args)?;
                return Ok(Request::GetUserItemData { user, items });
            }
            Method::Nsc => Request::NotifySessionClose {
                session: args.name(SESSION)?,
            },
            Method::Gis => Request::GetItems {
                user: args.decoded(USER)?,
                group: args.list(GROUP, "group")?,
                session: args.name(SESSION)?,
            },
            Method::Gsc => Request::GetSchema {
                user: args.decoded(USER)?,
                group: args.name(GROUP)?,
                schema: args.list("the schema", "schema")?,
                session: args.name(SESSION)?,
            },
            Method::Nnt => {
                args.decoded(USER)?;
                args.decoded(SESSION)?;
                Request::Notification
            }
            Method::Ntc => {
                args.decoded(SESSION)?;
                Request::Notification
            }
            Method::Mda | Method::Msa | Method::Mdc => Request::Notification,
            // These are no requests: they open and close the connection.
            Method::Mpi | Method::Dpi | Method::Close => Request::Notification,
            Method::Sub => Request::Subscribe {
                item: args.name(ITEM)?,
            },
            Method::Usb => Request::Unsubscribe {
                item: args.name(ITEM)?,
            },
        };
        if args.has_more() {
            args.check_rest()?;
        }
        Ok(request)
    }
}

const USER: &str = "the user";
const SESSION: &str = "the session id";
const GROUP: &str = "the group";
const ITEM: &str = "the item";

/// The items of a request; there may be none.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a>(Args<'a>);

impl<'a> Items<'a> {
    fn parse(args: Args<'a>) -> Result<Items<'a>, Malformed> {
        let mut left = args;
        while left.has_more() {
            left.decoded("an item")?;
        }
        Ok(Items(args))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Self::Item> {
        // They were all read once, so this is `None` at the end only.
        self.0.name("an item").ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request<'_>, Malformed> {
        let head = Head::of(line.as_bytes()).unwrap();
        Request::parse(Method::named(head.method).unwrap(), head.args)
    }

    fn fault(line: &str) -> String {
        match parse(line) {
            Err(error) => error.to_string(),
            Ok(request) => panic!("{line}: {request:?}"),
        }
    }

    #[test]
    fn every_method_is_found_by_its_name() {
        for &(method, name, ..) in Method::ALL {
            assert_eq!(Method::named(name.as_bytes()), Some(method));
            assert_eq!(method.name(), name);
        }
        for other in ["", "num", "NUM ", "KEEPALIVE", "RAC", "EOS"] {
            assert_eq!(Method::named(other.as_bytes()), None);
        }
    }

    #[test]
    fn a_line_without_method_has_no_head() {
        assert!(Head::of(b"KEEPALIVE").is_none());
        let head = Head::of(b"|").unwrap();
        assert_eq!((head.id, head.method), (&b""[..], &b""[..]));
    }

    #[test]
    fn an_init_without_parameters_may_end_in_a_bar() {
        for line in ["1|MPI", "1|MPI|", "1|DPI"] {
            let args = Head::of(line.as_bytes()).unwrap().args;
            let parameters = Parameters::of_init(args).unwrap();
            assert_eq!(parameters.iter().count(), 0);
        }
    }

    #[test]
    fn a_message_borrows_its_parts() {
        let Ok(Request::NotifyUserMessage {
            user,
            session,
            message,
        }) = parse("3|NUM|S|#|S|S1T2|S|CHAT%7Chi|X|later")
        else {
            panic!()
        };
        assert_eq!(user, None);
        assert!(matches!(session, Cow::Borrowed("S1T2")));
        assert_eq!(message, Text::new(b"CHAT%7Chi").unwrap());
    }

    #[test]
    fn every_argument_is_where_the_protocol_has_it() {
        let Ok(Request::GetSchema {
            user,
            group,
            schema,
            session,
        }) = parse("1|GSC|S|u|S|g+1|S|#|S|s")
        else {
            panic!()
        };
        assert_eq!(user.as_deref(), Some("u"));
        assert_eq!((&*group, &*schema, &*session), ("g 1", "", "s"));
        let Ok(Request::NotifyUser {
            user,
            password,
            principal,
            headers,
        }) = parse("1|NUA|S|$|S|#|S|CN=me|S|host|S|x")
        else {
            panic!()
        };
        assert_eq!(user.as_deref(), Some(""));
        assert_eq!((password, principal), (None, Some(Some("CN=me".into()))));
        assert_eq!(headers.get("host").as_deref(), Some("x"));
        let Ok(Request::NotifyUser { principal, .. }) = parse("1|NUS|S|u|S|p") else {
            panic!()
        };
        assert_eq!(principal, None);
    }

    #[test]
    fn there_may_be_no_item_at_all() {
        for (line, count) in [
            ("1|GIT", 0),
            ("1|GIT|", 0),
            ("1|GIT|S|", 1),
            ("1|GIT|S|a|S|#", 2),
        ] {
            let Ok(Request::GetItemData(items)) = parse(line) else {
                panic!("{line}")
            };
            assert_eq!(items.count(), count, "{line}");
        }
        let Ok(Request::GetUserItemData { items, .. }) = parse("1|GUI|S|u") else {
            panic!()
        };
        assert_eq!(items.count(), 0);
    }

    #[test]
    fn long_tokens_are_split_where_short_ones_are() {
        let long = "x".repeat(200);
        for at in [0, 1, 7, 8, 9, 39, 40, 41, 199] {
            let line = format!("1|SUB|S|{}", &long[..at]);
            let Ok(Request::Subscribe { item }) = parse(&line) else {
                panic!()
            };
            assert_eq!(item.len(), at);
            let line = format!("1|NUM|S|{0}|S|{0}|S|{0}", &long[..at]);
            assert!(parse(&line).is_ok(), "{at}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("1|SUB", "the item is missing"),
            ("1|SUB|", "the item is missing"),
            ("1|SUB|S", "the item has a type but no value"),
            ("1|SUB|I|7", "the item must be of type S, not I"),
            (
                "1|SUB|\u{1b}[2J|7",
                "the item must be of type S, not \\u{1b}[2J",
            ),
            ("1|NUM|S|#|S|S1", "the message is missing"),
            (
                "1|NUM|S|%|S|S1|S|x",
                "the user: bad percent escape at byte 0",
            ),
            ("1|NUS|S|u|S|%C3", "the password: not UTF-8 after byte 0"),
            (
                "1|NUS|S|u|S|p|S|h|S|%x",
                "a further argument: bad percent escape at byte 0",
            ),
            (
                "1|NSC|S|s|S|%x",
                "a further argument: bad percent escape at byte 0",
            ),
            ("1|NUA|S|u|S|p", "the principal is missing"),
            ("1|NTC|S|s|I", "a further argument has a type but no value"),
            ("1|NNS|S|u|S|#", "the session id is null"),
            ("1|GIS|S|u|S|%", "group: bad percent escape at byte 0"),
            ("1|GIS|S|u", "the group is missing"),
            ("1|GSC|S|u|S|%", "the group: bad percent escape at byte 0"),
            ("1|GSC|S|u|S|g|S|%", "schema: bad percent escape at byte 0"),
            ("1|GUI", "the user is missing"),
            ("1|GIT|S|a|I|3", "an item must be of type S, not I"),
            ("1|GUI|S|u|S|%2", "an item: bad percent escape at byte 0"),
        ];
        for (line, message) in cases {
            assert_eq!(fault(line), message, "{line}");
        }
    }
}
