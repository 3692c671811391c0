//! Names and values: the parameters of an init, the headers of a login, a session's context.
//!
//! They are checked when the request is parsed, and decoded when somebody asks for them.

use super::args::{Args, Malformed};
use super::text;
use std::borrow::Cow;

/// Names and values of a request, as they came (sections 3 and 6).
///
/// Their order is free, and a name may come twice: then the last one counts. A name that is null
/// is passed over, and so is a pair of another type than `S`, which a protocol to come may have.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a>(Args<'a>);

/// A decoded name with its decoded value.
type Pair<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

impl<'a> Parameters<'a> {
    /// Those of an init, all of which must be strings.
    ///
    /// # Errors
    /// [`Malformed`], when one is not, when a name has no value or a string does not decode.
    pub fn of_init(args: Args<'a>) -> Result<Parameters<'a>, Malformed> {
        let mut rest = args;
        while rest.has_more() {
            rest.decoded("a parameter's name")?;
            rest.decoded("a parameter's value")?;
        }
        Ok(Parameters(args))
    }

    /// Those at the end of a request.
    ///
    /// # Errors
    /// [`Malformed`], when a name has no value or a string does not decode.
    pub(super) fn of_request(args: Args<'a>) -> Result<Parameters<'a>, Malformed> {
        Pairs(args).try_for_each(|pair| pair.map(drop))?;
        Ok(Parameters(args))
    }

    /// What can be read of them: the rest is passed over.
    pub fn unchecked(args: Args<'a>) -> Parameters<'a> {
        Parameters(args)
    }

    /// The value of that name; `None` if it is null, or if there is no such name.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let found = self.iter().filter(|(found, _)| found == name).last();
        found.and_then(|(_, value)| value)
    }

    /// All of them, in the order in which they came; a value of `None` is null.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Option<Cow<'a, str>>)> + use<'a> {
        let pairs = Pairs(self.0).flatten();
        pairs.filter_map(|(name, value)| Some((name?, value)))
    }
}

/// What stands in pairs, one after the other.
struct Pairs<'a>(Args<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pair().transpose()
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Result<Option<Pair<'a>>, Malformed> {
        const NAME: &str = "a parameter's name";
        const VALUE: &str = "a parameter's value";
        let decode = |token, what| text::decode(token).map_err(|e| Malformed::text(what, e));
        while let Some((kind, name)) = self.0.pair()? {
            if kind != b"S" {
                continue;
            }
            let name = decode(name, NAME)?;
            match self.0.pair()? {
                None => return Err(Malformed::missing(VALUE)),
                Some((b"S", value)) => return Ok(Some((name, decode(value, VALUE)?))),
                Some(_) => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::request::Head;

    fn args(line: &str) -> Args<'_> {
        Head::of(line.as_bytes()).unwrap().args
    }

    #[test]
    fn pairs_are_decoded_and_other_types_passed_over() {
        let line = "1|NUS|I|3|S|a+b|S|%2B|S|n|I|7|V|S|#|S|x|S|c|S|#";
        let parameters = Parameters::of_request(args(line)).unwrap();
        let found: Vec<_> = parameters.iter().collect();
        assert_eq!(
            found,
            [("a b".into(), Some("+".into())), ("c".into(), None)]
        );
        assert_eq!(parameters.get("a b").as_deref(), Some("+"));
        assert_eq!(parameters.get("c"), None);
        assert_eq!(parameters.get("n"), None);
        assert!(Parameters::of_init(args(line)).is_err());
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let parameters = Parameters::of_init(args("1|NNS|S|a|S|1|S|b|S|2|S|a|S|3"));
        assert_eq!(parameters.unwrap().get("a").as_deref(), Some("3"));
    }

    #[test]
    fn what_cannot_be_read_is_named_or_passed_over() {
        for (line, what) in [
            ("1|MPI|S|a", "a parameter's value is missing"),
            ("1|MPI|S|a|S", "has a type but no value"),
            ("1|MPI|S|a|S|%", "a parameter's value: bad percent escape"),
        ] {
            for parse in [Parameters::of_init, Parameters::of_request] {
                let error = parse(args(line)).unwrap_err();
                assert!(error.to_string().contains(what), "{line}: {error}");
            }
            assert_eq!(Parameters::unchecked(args(line)).iter().count(), 0);
        }
        let error = Parameters::of_init(args("1|MPI|S|a|I|7")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a parameter's value must be of type S, not I"
        );
    }
}
