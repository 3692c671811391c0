//! A line from a Proxy → a typed request that borrows from it (sections 2, 3, 5, 6, 7, 8).
//!
//! Structure is checked here, strings are decoded where they are used. Client passwords are
//! stepped over and not kept.

use super::Side;
use super::text::{BadText, Part, Text};
use std::borrow::Cow;
use std::fmt;

/// The methods a Proxy may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the protocol names them")]
pub enum Method {
    Mpi,
    Dpi,
    Close,
    Nus,
    Nua,
    Nns,
    Nsc,
    Gis,
    Gsc,
    Git,
    Gui,
    Num,
    Nnt,
    Ntc,
    Mda,
    Msa,
    Mdc,
    Sub,
    Usb,
}

impl Method {
    const ALL: [Method; 19] = {
        use Method::*;
        [
            Mpi, Dpi, Close, Nus, Nua, Nns, Nsc, Gis, Gsc, Git, Gui, Num, Nnt, Ntc, Mda, Msa, Mdc,
            Sub, Usb,
        ]
    };

    /// The method of that name, if it is one a Proxy may call.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Method> {
        // Messages are nearly all there is.
        if name == b"NUM" {
            return Some(Method::Num);
        }
        Self::ALL
            .into_iter()
            .find(|method| method.name().as_bytes() == name)
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Mpi => "MPI",
            Method::Dpi => "DPI",
            Method::Close => "CLOSE",
            Method::Nus => "NUS",
            Method::Nua => "NUA",
            Method::Nns => "NNS",
            Method::Nsc => "NSC",
            Method::Gis => "GIS",
            Method::Gsc => "GSC",
            Method::Git => "GIT",
            Method::Gui => "GUI",
            Method::Num => "NUM",
            Method::Nnt => "NNT",
            Method::Ntc => "NTC",
            Method::Mda => "MDA",
            Method::Msa => "MSA",
            Method::Mdc => "MDC",
            Method::Sub => "SUB",
            Method::Usb => "USB",
        }
    }

    /// Which Proxy calls it; `None` for `CLOSE`, which both do.
    #[must_use]
    pub fn side(self) -> Option<Side> {
        match self {
            Method::Close => None,
            Method::Dpi | Method::Sub | Method::Usb => Some(Side::Data),
            _ => Some(Side::Metadata),
        }
    }

    /// Whether the arguments hold what must never be logged.
    #[must_use]
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
    #[must_use]
    pub fn of(line: &'a [u8]) -> Option<Head<'a>> {
        let mut tokens = Args::of(line);
        let id = tokens.next_token()?;
        let method = tokens.method()?;
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

/// The `|`-separated tokens after the method.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Args<'a> {
    fn of(rest: &'a [u8]) -> Args<'a> {
        Args { rest: Some(rest) }
    }

    /// The next token, which is of three letters nearly always.
    fn method(&mut self) -> Option<&'a [u8]> {
        match self.rest? {
            [a, b, c, b'|', rest @ ..] if [a, b, c].into_iter().all(|&byte| byte != b'|') => {
                let method = &self.rest?[..3];
                self.rest = Some(rest);
                Some(method)
            }
            _ => self.next_token(),
        }
    }

    #[inline]
    fn next_token(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        Some(match find_bar(rest) {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                &rest[..at]
            }
            None => {
                self.rest = None;
                rest
            }
        })
    }

    /// The next pair, which must be an `S`.
    #[inline]
    fn string(&mut self, argument: &'static str) -> Result<Text<'a>, Malformed> {
        if let Some([b'S', b'|', value @ ..]) = self.rest {
            if let [b'#', b'|', rest @ ..] = value {
                self.rest = Some(rest);
                return Ok(Text(b"#"));
            }
            self.rest = Some(value);
            return Ok(Text(self.next_token().unwrap_or_default()));
        }
        let kind = self.next_token();
        match (kind, kind.and_then(|_| self.next_token())) {
            (None, _) => Err(Malformed::new(argument, Fault::Missing)),
            (Some(b"S"), Some(value)) => Ok(Text(value)),
            (Some(b"S"), None) => Err(Malformed::new(argument, Fault::NoValue)),
            (Some(other), _) => Err(Malformed::new(argument, Fault::not_s(other))),
        }
    }

    /// The next pair of whatever type; `None` at the end. `V` stands without a value.
    fn pair(&mut self) -> Result<Option<(&'a [u8], Text<'a>)>, Malformed> {
        match self.next_token() {
            None => Ok(None),
            Some(b"V") => Ok(Some((b"V", Text(b"#")))),
            Some(kind) => match self.next_token() {
                Some(value) => Ok(Some((kind, Text(value)))),
                None => Err(Malformed::new("a further argument", Fault::NoValue)),
            },
        }
    }

    /// Checks arguments that nobody looks at: they must still be pairs, and strings strings.
    fn check(mut self) -> Result<(), Malformed> {
        while let Some((kind, value)) = self.pair()? {
            if kind == b"S" {
                value
                    .decode()
                    .map_err(|e| Malformed::new("a further argument", Fault::Text(e)))?;
            }
        }
        Ok(())
    }
}

/// A user's message (`NUM`), which nearly every line is, taken apart in one go.
#[derive(Clone, Copy, Debug)]
pub struct QuickMessage<'a> {
    /// The request id.
    pub id: &'a [u8],
    /// The sender's session.
    pub session: Text<'a>,
    /// What was sent.
    pub message: Text<'a>,
    /// What of it follows the prefix.
    pub rest: Part<'a>,
}

impl<'a> QuickMessage<'a> {
    /// What [`Request::parse`] would find in a message that starts with `prefix`, as it stands on
    /// the wire and without a bar; or `None` when it takes that to tell.
    #[inline(always)]
    #[must_use]
    pub fn of(line: &'a [u8], prefix: &[u8]) -> Option<QuickMessage<'a>> {
        debug_assert!(!prefix.contains(&b'|'), "it is part of a token");
        let (id, rest) = line.split_at(find_bar(line)?);
        let rest = rest.strip_prefix(b"|NUM|S|")?;
        let rest = match rest {
            [b'#', b'|', rest @ ..] => rest,
            _ => {
                let (user, rest) = rest.split_at(find_bar(rest)?);
                Text(user).plain()?;
                &rest[1..]
            }
        };
        let rest = rest.strip_prefix(b"S|")?;
        let (session, rest) = rest.split_at(find_bar(rest)?);
        let message = rest.strip_prefix(b"|S|")?;
        // Whatever follows is for the general way, a token too few or too many included.
        let rest = Part::of(message.strip_prefix(prefix)?)?;
        Some(QuickMessage {
            id,
            session: Text(session),
            message: Text(message),
            rest,
        })
    }
}

/// Where the next bar stands.
///
/// Tokens are short, but for a message. Eight bytes at a time are faster there than a call into
/// a vector search, which is left with what is long.
#[inline]
fn find_bar(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::MAX / 255; // 0x0101…
    const HIGH: u64 = LOW << 7;
    const BARS: u64 = LOW * b'|' as u64;
    let mut at = 0;
    while let Some(&word) = bytes[at..].first_chunk::<8>() {
        // A byte that is a bar becomes zero; the lowest zero is what the subtraction finds.
        let word = u64::from_le_bytes(word) ^ BARS;
        let bars = word.wrapping_sub(LOW) & !word & HIGH;
        if bars != 0 {
            return Some(at + bars.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at == 40 {
            return memchr::memchr(b'|', &bytes[at..]).map(|found| at + found);
        }
    }
    let tail = bytes[at..].iter().position(|&byte| byte == b'|')?;
    Some(at + tail)
}

/// Why the arguments of a request cannot be understood; `Display` is the text to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    argument: &'static str,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    NoValue,
    Null,
    Type(String),
    Text(BadText),
}

impl Fault {
    fn not_s(found: &[u8]) -> Fault {
        let short = &found[..found.len().min(16)];
        Fault::Type(String::from_utf8_lossy(short).escape_debug().to_string())
    }
}

impl Malformed {
    fn new(argument: &'static str, fault: Fault) -> Malformed {
        Malformed { argument, fault }
    }

    /// The string named `argument` does not decode.
    #[must_use]
    pub fn text(argument: &'static str, error: BadText) -> Malformed {
        Malformed::new(argument, Fault::Text(error))
    }

    /// `argument` is null where it must not be.
    #[must_use]
    pub fn null(argument: &'static str) -> Malformed {
        Malformed::new(argument, Fault::Null)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Malformed { argument, fault } = self;
        match fault {
            Fault::Missing => write!(f, "{argument} is missing"),
            Fault::NoValue => write!(f, "{argument} has a type but no value"),
            Fault::Null => write!(f, "{argument} is null"),
            Fault::Type(found) => write!(f, "{argument} must be of type S, not {found}"),
            Fault::Text(error) => write!(f, "{argument}: {error}"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A request whose arguments have the right structure. Strings are not decoded yet.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// `MPI`, `DPI`: the Proxy's init (section 3).
    Init(Pairs<'a>),
    /// `CLOSE`: the Proxy is about to drop the connection (section 5).
    Close(Pairs<'a>),
    /// `NUS`, `NUA`: may this user log in?
    NotifyUser,
    /// `NNS`: a session opened.
    NotifyNewSession {
        /// The name of the user it belongs to.
        user: Text<'a>,
        /// Its id.
        session: Text<'a>,
        /// What is known of the client, by name.
        context: Pairs<'a>,
    },
    /// `NSC`: a session closed.
    NotifySessionClose {
        /// Its id.
        session: Text<'a>,
    },
    /// `GIS`: which items is this group?
    GetItems {
        /// The group as the client named it.
        group: Text<'a>,
    },
    /// `GSC`: which fields is this schema?
    GetSchema {
        /// The schema as the client named it.
        schema: Text<'a>,
    },
    /// `GIT`: properties of items.
    GetItemData(Strings<'a>),
    /// `GUI`: properties of items for a user.
    GetUserItemData(Strings<'a>),
    /// `NUM`: a client sent a message.
    NotifyUserMessage {
        /// The sender's session.
        session: Text<'a>,
        /// What was sent.
        message: Text<'a>,
    },
    /// `NNT`, `NTC`, `MDA`, `MSA`, `MDC`: notifications that ask for no more than an assent.
    Assent,
    /// `SUB`: start sending events.
    Subscribe {
        /// The item.
        item: Text<'a>,
    },
    /// `USB`: stop sending events.
    Unsubscribe {
        /// The item.
        item: Text<'a>,
    },
}

impl<'a> Request<'a> {
    /// Reads the arguments of `method`.
    ///
    /// # Errors
    /// [`Malformed`] when an argument is missing or of the wrong type, when the tokens do not
    /// pair up, or when a string in the part that is not looked at does not decode.
    pub fn parse(method: Method, mut args: Args<'a>) -> Result<Request<'a>, Malformed> {
        let args = &mut args;
        Ok(match method {
            Method::Mpi | Method::Dpi => Request::Init(Pairs(*args)),
            Method::Close => Request::Close(Pairs(*args)),
            Method::Nus | Method::Nua => {
                decodable(args.string("the user")?, "the user")?;
                decodable(args.string("the password")?, "the password")?;
                if method == Method::Nua {
                    decodable(args.string("the principal")?, "the principal")?;
                }
                args.check()?;
                Request::NotifyUser
            }
            Method::Nns => Request::NotifyNewSession {
                user: args.string("the user")?,
                session: args.string("the session id")?,
                context: Pairs(*args),
            },
            Method::Nsc => {
                let session = args.string("the session id")?;
                args.check()?;
                Request::NotifySessionClose { session }
            }
            Method::Gis => {
                decodable(args.string("the user")?, "the user")?;
                let group = args.string("the group")?;
                decodable(args.string("the session id")?, "the session id")?;
                args.check()?;
                Request::GetItems { group }
            }
            Method::Gsc => {
                decodable(args.string("the user")?, "the user")?;
                decodable(args.string("the group")?, "the group")?;
                let schema = args.string("the schema")?;
                decodable(args.string("the session id")?, "the session id")?;
                args.check()?;
                Request::GetSchema { schema }
            }
            Method::Git => Request::GetItemData(Strings::items(*args)?),
            Method::Gui => {
                decodable(args.string("the user")?, "the user")?;
                Request::GetUserItemData(Strings::items(*args)?)
            }
            Method::Num => {
                decodable(args.string("the user")?, "the user")?;
                let session = args.string("the session id")?;
                let message = args.string("the message")?;
                args.check()?;
                Request::NotifyUserMessage { session, message }
            }
            Method::Nnt => {
                decodable(args.string("the user")?, "the user")?;
                decodable(args.string("the session id")?, "the session id")?;
                args.check()?;
                Request::Assent
            }
            Method::Ntc => {
                decodable(args.string("the session id")?, "the session id")?;
                args.check()?;
                Request::Assent
            }
            Method::Mda | Method::Msa | Method::Mdc => {
                args.check()?;
                Request::Assent
            }
            Method::Sub | Method::Usb => {
                let item = args.string("the item")?;
                args.check()?;
                match method {
                    Method::Sub => Request::Subscribe { item },
                    _ => Request::Unsubscribe { item },
                }
            }
        })
    }
}

fn decodable(text: Text<'_>, argument: &'static str) -> Result<(), Malformed> {
    match text.0 {
        b"#" => Ok(()),
        _ => text
            .decode()
            .map(drop)
            .map_err(|e| Malformed::text(argument, e)),
    }
}

/// Names and values, two `S` pairs each: init parameters, a session's context.
///
/// A pair of another type, from a protocol to come, is passed over with its name.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a>(Args<'a>);

/// A decoded name with its decoded value.
pub type Pair<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entry().transpose()
    }
}

impl<'a> Pairs<'a> {
    fn entry(&mut self) -> Result<Option<Pair<'a>>, Malformed> {
        let decode = |text: Text<'a>, what| text.decode().map_err(|e| Malformed::text(what, e));
        loop {
            let Some((kind, name)) = self.0.pair()? else {
                return Ok(None);
            };
            if kind != b"S" {
                continue;
            }
            let name = decode(name, "a parameter's name")?;
            let Some((kind, value)) = self.0.pair()? else {
                let value = "a parameter's value";
                return Err(Malformed::new(value, Fault::Missing));
            };
            if kind == b"S" {
                return Ok(Some((name, decode(value, "a parameter's value")?)));
            }
        }
    }
}

/// A list of `S` pairs, one at least.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a>(Args<'a>);

impl<'a> Strings<'a> {
    fn items(args: Args<'a>) -> Result<Strings<'a>, Malformed> {
        if args.rest.is_none() {
            return Err(Malformed::new("the item", Fault::Missing));
        }
        let items = Strings(args);
        for item in items {
            decodable(item?, "an item")?;
        }
        Ok(items)
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = Result<Text<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.rest?;
        Some(self.0.string("an item"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        for method in Method::ALL {
            assert_eq!(Method::named(method.name().as_bytes()), Some(method));
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
            let Ok(Request::Init(mut params)) = parse(line) else {
                panic!("{line}")
            };
            assert!(params.next().is_none());
        }
    }

    #[test]
    fn pairs_are_decoded_and_other_types_passed_over() {
        let line = "1|MPI|I|3|S|a+b|S|%2B|S|n|I|7|V|S|c|S|#";
        let Ok(Request::Init(params)) = parse(line) else {
            panic!()
        };
        let params: Vec<_> = params.map(Result::unwrap).collect();
        assert_eq!(
            params,
            [
                (Some("a b".into()), Some("+".into())),
                (Some("c".into()), None)
            ]
        );
    }

    #[test]
    fn a_message_borrows_its_parts() {
        let Ok(Request::NotifyUserMessage { session, message }) =
            parse("3|NUM|S|#|S|S1T2|S|CHAT%7Chi|X|later")
        else {
            panic!()
        };
        assert_eq!(session, Text(b"S1T2"));
        assert_eq!(message, Text(b"CHAT%7Chi"));
    }

    #[test]
    fn the_next_bar_is_found_as_a_naive_search_finds_it() {
        // Neighbours of the bar in value, and bytes that carry into it.
        let alphabet = [b'|', b'{', b'}', 0x7c ^ 0x80, 0, 1, 0xff, b'a'];
        let mut state = 1_u64;
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let pick = (state >> 40) as usize;
                    if pick.is_multiple_of(37) {
                        b'|'
                    } else {
                        alphabet[1 + pick % 7]
                    }
                })
                .collect();
            let naive = bytes.iter().position(|&byte| byte == b'|');
            assert_eq!(find_bar(&bytes), naive, "{bytes:?}");
        }
    }

    #[test]
    fn long_tokens_are_split_where_short_ones_are() {
        let long = "x".repeat(200);
        for at in [0, 1, 7, 8, 9, 39, 40, 41, 199] {
            let line = format!("1|SUB|S|{}", &long[..at]);
            let Ok(Request::Subscribe { item }) = parse(&line) else {
                panic!()
            };
            assert_eq!(item.0.len(), at);
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
            ("1|NUA|S|u|S|p", "the principal is missing"),
            ("1|NTC|S|s|I", "a further argument has a type but no value"),
            ("1|GIT", "the item is missing"),
            ("1|GIT|S|a|I|3", "an item must be of type S, not I"),
            ("1|GUI|S|u|S|%2", "an item: bad percent escape at byte 0"),
        ];
        for (line, message) in cases {
            assert_eq!(fault(line), message, "{line}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_other_does(
            start in prop::sample::select(vec!["1c|NUM|S|u|S|S1|S|x", "1c|NUM|S|#|S|S1|S|x", ""]),
            end in prop::collection::vec(prop::sample::select(vec![
                "|", "S", "|S|", "NUM", "1c|NUM|S|", "#", "$", "%", "%7C", "+", "\r", "é", "\u{7f}",
            ]), 0..12),
            cut in 0..30usize,
            prefix in prop::sample::select(vec!["", "x", "%7C"]),
        ) {
            let line = [&start.as_bytes()[..start.len().min(cut)], end.concat().as_bytes()].concat();
            if let Some(quick) = QuickMessage::of(&line, prefix.as_bytes()) {
                let head = Head::of(&line).unwrap();
                let request = Request::parse(Method::named(head.method).unwrap(), head.args);
                let Ok(Request::NotifyUserMessage { session, message }) = request else {
                    panic!("{request:?}");
                };
                let found = (quick.id, quick.session, quick.message);
                prop_assert_eq!(found, (head.id, session, message));
                let rest = message.0.strip_prefix(prefix.as_bytes());
                prop_assert_eq!(rest, Some(quick.rest.bytes()));
            }
        }
    }

    #[test]
    fn ordinary_messages_go_the_quick_way() {
        for user in ["#", "$", "jane", "a.b@c"] {
            for (text, is_plain) in [("ö %25", false), ("hello", true), ("", false)] {
                let line = format!("10c|NUM|S|{user}|S|S8f3da29cfc463220T5454537|S|CHAT%7C{text}");
                let quick = QuickMessage::of(line.as_bytes(), b"CHAT%7C");
                assert_eq!(quick.is_some(), user != "$", "{line}");
                let Some(quick) = quick else { continue };
                assert_eq!(quick.rest.bytes(), text.as_bytes());
                assert_eq!(matches!(quick.rest, Part::Plain(_)), is_plain, "{line}");
            }
        }
        for line in [
            "1|NUM|S|u|S|S1|S|x|V",
            "1|NUM|S|%|S|S1|S|x",
            "1|NUS|S|u|S|S1|S|x",
            "1|NUM|S|u|S|S1|S|y",
        ] {
            assert!(QuickMessage::of(line.as_bytes(), b"x").is_none(), "{line}");
        }
    }
}
