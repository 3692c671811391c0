//! Who is who: a session's id → what its messages are labelled with, in few bytes.
//!
//! A server may hold a million sessions, and most never send a word. A session is one cache line
//! in a dense array plus an entry of an index; what many have in common, the user agent, is kept
//! once. Strings are in the form in which they go out; what they mean is for others.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// What of a session's id and address fits into its record.
const INLINE: usize = 53;

/// Below this many sessions no memory is given back.
const SHRINK_FLOOR: usize = 1024;

/// The label of a sender's messages, encoded as it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// Its IP address.
    pub ip: &'a [u8],
    /// What follows it up to the message: its label, and the names of the fields.
    pub label: &'a [u8],
}

/// The open sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Dense: a record that leaves is replaced by the last one.
    records: Vec<Record>,
    /// Positions in `records`, by the hash of the id.
    index: HashTable<u32>,
    labels: Labels,
    hasher: DefaultHashBuilder,
    /// How many of the ids do not stand for themselves when they are encoded.
    odd: usize,
}

#[derive(Debug)]
struct Record {
    place: Place,
    label: Arc<Label>,
}

/// Id and address, one behind the other.
#[derive(Debug)]
enum Place {
    Inline {
        bytes: [u8; INLINE],
        id: u8,
        all: u8,
    },
    Boxed {
        bytes: Box<[u8]>,
        id: u32,
    },
}

impl Place {
    fn new(id: &[u8], ip: &[u8]) -> Place {
        let all = id.len() + ip.len();
        if all <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..id.len()].copy_from_slice(id);
            bytes[id.len()..all].copy_from_slice(ip);
            Place::Inline {
                bytes,
                id: id.len() as u8,
                all: all as u8,
            }
        } else {
            Place::Boxed {
                bytes: [id, ip].concat().into(),
                id: id.len() as u32, // a line is shorter than 4 GiB
            }
        }
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        match self {
            Place::Inline { bytes, id, all } => {
                bytes[..usize::from(*all)].split_at(usize::from(*id))
            }
            Place::Boxed { bytes, id } => bytes.split_at(*id as usize),
        }
    }
}

impl Record {
    fn id(&self) -> &[u8] {
        self.place.parts().0
    }
}

impl Sessions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Remembers a session; one that is known already is labelled anew.
    pub fn open(&mut self, id: &[u8], ip: &[u8], label: &[u8]) {
        let hash = self.hasher.hash_one(id);
        let place = Place::new(id, ip);
        let label = self.labels.share(label, &self.hasher);
        let record = Record { place, label };
        let (records, hasher) = (&mut self.records, &self.hasher);
        let known = self.index.find(hash, |&at| records[at as usize].id() == id);
        if let Some(&at) = known {
            let old = std::mem::replace(&mut records[at as usize], record);
            self.labels.release(old.label, &self.hasher);
            return;
        }
        self.odd += usize::from(is_odd(id));
        let at = records.len() as u32; // 2^32 records of 64 bytes are out of reach
        records.push(record);
        self.index
            .insert_unique(hash, at, |&at| hasher.hash_one(records[at as usize].id()));
    }

    /// Forgets a session; says whether it was known.
    pub fn close(&mut self, id: &[u8]) -> bool {
        let hash = self.hasher.hash_one(id);
        let records = &mut self.records;
        let Ok(entry) = self
            .index
            .find_entry(hash, |&at| records[at as usize].id() == id)
        else {
            return false;
        };
        let (at, _) = entry.remove();
        self.odd -= usize::from(is_odd(id));
        let last = records.len() - 1;
        if at as usize != last {
            let hash = self.hasher.hash_one(records[last].id());
            if let Some(moved) = self.index.find_mut(hash, |&at| at as usize == last) {
                *moved = at;
            }
        }
        let record = records.swap_remove(at as usize);
        self.labels.release(record.label, &self.hasher);
        self.give_back();
        true
    }

    /// Forgets them all; says how many they were.
    pub fn clear(&mut self) -> usize {
        let count = self.len();
        *self = Sessions::default();
        count
    }

    /// The label of a session's messages, if it is known.
    #[must_use]
    pub fn sender(&self, id: &[u8]) -> Option<Sender<'_>> {
        let hash = self.hasher.hash_one(id);
        let is_it = |&at: &u32| self.records[at as usize].id() == id;
        let record = &self.records[*self.index.find(hash, is_it)? as usize];
        Some(Sender {
            ip: record.place.parts().1,
            label: &record.label.0,
        })
    }

    /// The same for an id as it stands on the wire. `None` also when it takes decoding to tell.
    #[must_use]
    pub fn sender_encoded(&self, token: &[u8]) -> Option<Sender<'_>> {
        // What stands for itself is found without a look at what it is made of.
        (self.odd == 0).then(|| self.sender(token)).flatten()
    }

    /// After the rush most memory is given back, in steps that keep the cost of a close constant
    /// on average.
    fn give_back(&mut self) {
        let len = self.records.len();
        if self.records.capacity() > SHRINK_FLOOR && len < self.records.capacity() / 4 {
            self.records.shrink_to(len * 2);
            let (records, hasher) = (&self.records, &self.hasher);
            self.index
                .shrink_to(len * 2, |&at| hasher.hash_one(records[at as usize].id()));
        }
    }
}

/// Whether an id is written otherwise than it is, by some encoder, or means something else when it
/// is read as if it were encoded.
fn is_odd(id: &[u8]) -> bool {
    id.iter().any(|byte| matches!(byte, b'%' | b'+')) || matches!(id, b"" | b"#" | b"$")
}

/// A label, encoded; its own type so that a shared one is a single pointer in a record.
#[derive(Debug)]
struct Label(Box<[u8]>);

/// The labels in use, each once.
#[derive(Debug, Default)]
struct Labels(HashTable<Arc<Label>>);

impl Labels {
    fn share(&mut self, label: &[u8], hasher: &DefaultHashBuilder) -> Arc<Label> {
        let hash = hasher.hash_one(label);
        if let Some(known) = self.0.find(hash, |known| *known.0 == *label) {
            return Arc::clone(known);
        }
        let new = Arc::new(Label(label.into()));
        self.0
            .insert_unique(hash, Arc::clone(&new), |label| hasher.hash_one(&*label.0));
        new
    }

    fn release(&mut self, label: Arc<Label>, hasher: &DefaultHashBuilder) {
        // The table's own and this one: nobody else has it.
        if Arc::strong_count(&label) > 2 {
            return;
        }
        let hash = hasher.hash_one(&*label.0);
        if let Ok(entry) = self.0.find_entry(hash, |known| Arc::ptr_eq(known, &label)) {
            entry.remove();
        }
        let len = self.0.len();
        if self.0.capacity() > SHRINK_FLOOR && len < self.0.capacity() / 4 {
            self.0
                .shrink_to(len * 2, |label| hasher.hash_one(&*label.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }

    #[test]
    fn an_id_that_means_something_else_when_encoded_is_not_taken_for_itself() {
        let mut sessions = Sessions::default();
        sessions.open(b"S1", b"192.0.2.7", b"label");
        assert_eq!(sessions.sender_encoded(b"S1"), sessions.sender(b"S1"));
        for odd in [&b"a+b"[..], b"100%25", b"#", b"$", b""] {
            sessions.open(odd, b"192.0.2.7", b"label");
            sessions.open(odd, b"192.0.2.8", b"label");
            assert_eq!(sessions.sender_encoded(odd), None);
            assert!(sessions.sender(odd).is_some());
            assert!(sessions.close(odd) && !sessions.close(odd));
            assert!(sessions.sender_encoded(b"S1").is_some());
        }
    }

    #[test]
    fn labels_of_any_length_come_back() {
        let mut sessions = Sessions::default();
        for length in [0, 1, 25, 28, 29, 53, 54, 200, 300, 70_000] {
            let id = format!("{length}").repeat(3);
            let ip = "1".repeat(length);
            sessions.open(id.as_bytes(), ip.as_bytes(), b"label");
            let sender = sessions.sender(id.as_bytes()).unwrap();
            assert_eq!((sender.ip, sender.label), (ip.as_bytes(), &b"label"[..]));
        }
        assert_eq!(sessions.labels.0.len(), 1);
    }

    #[test]
    fn memory_is_given_back() {
        let mut sessions = Sessions::default();
        let id = |n: u32| format!("S{n:016x}T{n}");
        for n in 0..50_000 {
            let label = format!("agent {}", n % 10_000);
            sessions.open(id(n).as_bytes(), b"192.0.2.1", label.as_bytes());
        }
        assert_eq!(sessions.labels.0.len(), 10_000);
        for n in (0..50_000).map(|n| n * 7919 % 50_000) {
            assert!(sessions.close(id(n).as_bytes()));
            assert!(!sessions.close(id(n).as_bytes()));
        }
        assert!(sessions.is_empty() && sessions.labels.0.is_empty());
        assert!(sessions.records.capacity() <= SHRINK_FLOOR);
        assert!(sessions.index.capacity() <= 2 * SHRINK_FLOOR);
        assert!(sessions.labels.0.capacity() <= 2 * SHRINK_FLOOR);
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_does(steps in proptest::collection::vec((0..3u8, 0..20u8, 0..5u8), 0..200)) {
            let mut sessions = Sessions::default();
            let mut twin = HashMap::new();
            for (step, id, label) in steps {
                let id = format!("S{id}").repeat(usize::from(id) + 1).into_bytes();
                let (ip, label) = (vec![b'1'; usize::from(label)], vec![b'n'; usize::from(label)]);
                match step {
                    0 | 1 => {
                        sessions.open(&id, &ip, &label);
                        twin.insert(id, (ip, label));
                    }
                    _ => prop_assert_eq!(sessions.close(&id), twin.remove(&id).is_some()),
                }
                prop_assert_eq!(sessions.len(), twin.len());
                for (id, (ip, label)) in &twin {
                    let sender = sessions.sender(id).unwrap();
                    prop_assert_eq!((sender.ip, sender.label), (&ip[..], &label[..]));
                }
            }
            let mut labels: Vec<_> = twin.values().map(|(_, label)| label).collect();
            labels.sort();
            labels.dedup();
            prop_assert_eq!(sessions.labels.0.len(), labels.len());
            prop_assert_eq!(sessions.clear(), twin.len());
        }
    }
}
