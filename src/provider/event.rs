//! The fields of an event, written straight into what leaves.

use crate::ari::text::{Encoding, Text, is_plain};
use std::borrow::Cow;
use std::io::Write as _;

/// Data connections always use this one (section 2).
const ENCODING: Encoding = Encoding::Smart;

/// An event that is being written: fields with their values, in any order.
///
/// What an event says of a field stays true until another event says otherwise, in the mode `Merge`.
#[derive(Debug)]
pub struct Event<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> Event<'b> {
    pub(super) fn new(out: &'b mut Vec<u8>) -> Event<'b> {
        Event { out }
    }

    /// Appends a field: a text, a number, or null (`None`).
    #[inline(always)]
    pub fn field(&mut self, name: &str, value: impl Value) -> &mut Self {
        put_field(name, value, self.out);
        self
    }

    /// Appends fields that were encoded before.
    pub fn fields(&mut self, encoded: &Fields) -> &mut Self {
        self.out.extend_from_slice(&encoded.0);
        self
    }
}

/// Fields that are encoded once and sent often.
///
/// ```
/// # use chat_adapter::provider::Fields;
/// let sender = Fields::new().field("IP", "192.0.2.7").field("nick", None::<&str>);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fields(Vec<u8>);

/// What a cleared `Fields` keeps of its memory, in bytes.
const KEPT: usize = 64 << 10;

impl Fields {
    /// No fields yet.
    #[must_use]
    pub fn new() -> Fields {
        Fields::default()
    }

    /// The same with one more: a text, a number, or null (`None`).
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Value) -> Fields {
        put_field(name, value, &mut self.0);
        self
    }

    /// The same in as little memory as they need: for fields that are kept for long.
    #[must_use]
    pub fn shrunk(mut self) -> Fields {
        self.0.shrink_to_fit();
        self
    }

    /// The fields as they stand on the wire: `|S|<name>|S|<value>` for each.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Takes all fields away, and keeps the memory for others, up to 64 KiB.
    pub fn clear(&mut self) {
        self.0.clear();
        self.0.shrink_to(KEPT);
    }

    /// Appends a field in place.
    pub fn add(&mut self, name: &str, value: impl Value) -> &mut Fields {
        put_field(name, value, &mut self.0);
        self
    }

    /// Appends fields that were encoded before.
    pub fn add_all(&mut self, encoded: &Fields) -> &mut Fields {
        self.0.extend_from_slice(&encoded.0);
        self
    }
}

#[inline(always)]
fn put_field(name: &str, value: impl Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"|S|");
    match is_plain(name.as_bytes()) && !matches!(name, "" | "#" | "$") {
        true => out.extend_from_slice(name.as_bytes()),
        false => ENCODING.put(Some(name), out),
    }
    out.extend_from_slice(b"|S|");
    value.put(out);
}

/// What the value of a field can be: `&str`, `String`, `Cow<str>`, [`Text`], an integer of any size, a
/// reference to one of these, or an `Option` of one, whose `None` is null.
///
/// On the wire everything is text, and how a number with a fraction is written is for the adapter to
/// say: `format!("{price:.2}")`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a field",
    label = "not written as it stands",
    note = "see `chat_adapter::provider::Value` for what to write instead"
)]
pub trait Value: sealed::Sealed {}

impl<T: sealed::Sealed> Value for T {}

mod sealed {
    /// Appends a value as a data connection has it.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be the value of a field",
        label = "not written as it stands",
        note = "see `chat_adapter::provider::Value` for what to write instead"
    )]
    pub trait Sealed {
        fn put(self, out: &mut Vec<u8>);
    }
}

macro_rules! texts {
    ($($text:ty)*) => {$(
        impl sealed::Sealed for $text {
            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                ENCODING.put(Some(&self), out);
            }
        }
    )*};
}

texts!(&str &&str &String String Cow<'_, str> &Cow<'_, str>);

impl sealed::Sealed for Text<'_> {
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        Text::put(self, ENCODING, out);
    }
}

impl<V: sealed::Sealed> sealed::Sealed for Option<V> {
    fn put(self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.put(out),
            None => ENCODING.put(None, out),
        }
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl sealed::Sealed for $integer {
            fn put(self, out: &mut Vec<u8>) {
                let _ = write!(out, "{self}"); // a Vec takes everything
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);
integers!(&i8 & i16 & i32 & i64 & i128 & isize & u8 & u16 & u32 & u64 & u128 & usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_protocol_has_them() {
        let encoded = Fields::new()
            .field("f|g", "50%")
            .field("none", None::<&str>);
        let text = Text::new(b"a+b%7C").unwrap();
        let mut out = Vec::new();
        Event::new(&mut out)
            .field("text", text)
            .fields(&encoded)
            .field("less", -5)
            .field("most", u64::MAX)
            .field("empty", Some(&String::new()));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "|S|text|S|a b%7C|S|f%7Cg|S|50%25|S|none|S|#|S|less|S|-5\
             |S|most|S|18446744073709551615|S|empty|S|$"
        );
        let mut fields = encoded.clone().shrunk();
        assert_eq!(fields, encoded);
        fields.clear();
        fields.add("n", 1_u8).add("m", "x");
        assert_eq!(fields, Fields::new().field("n", 1).field("m", "x"));
        fields.add_all(&encoded).add("long", "x".repeat(KEPT));
        let begins = "|S|n|S|1|S|m|S|x|S|f%7Cg|S|50%25|S|none|S|#|S|long|S|xx";
        assert!(fields.as_wire().starts_with(begins.as_bytes()));
        fields.clear();
        assert!(fields.0.capacity() <= KEPT, "{}", fields.0.capacity());
    }
}
