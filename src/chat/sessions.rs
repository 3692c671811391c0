//! Who is who: a session's id → what its messages are labelled with, in few bytes.
//!
//! A server may hold a million sessions, and most never send a word. A session is one cache line
//! in a dense array plus an entry of an index; what many have in common, the user agent, is kept
//! once, encoded as it goes out.

use crate::provider::Fields;
use arrayvec::ArrayString;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// What of a session's id and address fits into its record, in bytes.
const INLINE: usize = 48;

/// Below this many sessions no memory is given back.
const SHRINK_FLOOR: usize = 1024;

/// What the messages of a session are labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender<'a> {
    /// Its IP address.
    pub(super) ip: &'a str,
    /// The field `nick`.
    pub(super) nick: &'a Fields,
}

/// The open sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Dense: a record that leaves is replaced by the last one.
    records: Vec<Record>,
    /// Positions in `records`, by the hash of the id.
    index: HashTable<u32>,
    nicks: Nicks,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Record {
    names: Names,
    nick: Arc<Fields>,
}

/// Id and address, one behind the other.
#[derive(Debug)]
enum Names {
    Inline { text: ArrayString<INLINE>, id: u8 },
    Boxed { text: Box<str>, id: u32 },
}

impl Record {
    fn new(id: &str, ip: &str, nick: Arc<Fields>) -> Record {
        let mut text = ArrayString::new();
        let fits = text.try_push_str(id).and_then(|()| text.try_push_str(ip));
        let names = match fits {
            Ok(()) => Names::Inline {
                text,
                id: id.len() as u8, // at most INLINE
            },
            Err(_) => Names::Boxed {
                text: [id, ip].concat().into(),
                id: id.len() as u32, // a line is shorter than 4 GiB
            },
        };
        Record { names, nick }
    }

    /// Id and address.
    fn names(&self) -> (&str, &str) {
        match &self.names {
            Names::Inline { text, id } => text.split_at(usize::from(*id)),
            Names::Boxed { text, id } => text.split_at(*id as usize),
        }
    }
}

impl Sessions {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Remembers a session; one that is known already is labelled anew.
    pub(super) fn open(&mut self, id: &str, ip: &str, nick: &str) {
        let nick = self.nicks.share(nick, &self.hasher);
        let record = Record::new(id, ip, nick);
        let hash = self.hasher.hash_one(id);
        if let Some(at) = self.find(hash, id) {
            let old = std::mem::replace(&mut self.records[at], record);
            return self.nicks.release(old.nick, &self.hasher);
        }
        let at = self.records.len() as u32; // 2^32 records of 64 bytes are out of reach
        self.records.push(record);
        let (records, hasher) = (&self.records, &self.hasher);
        let rehash = |&at: &u32| hasher.hash_one(records[at as usize].names().0);
        self.index.insert_unique(hash, at, rehash);
    }

    /// Forgets a session; says whether it was known.
    pub(super) fn close(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id);
        let is_it = |&at: &u32| self.records[at as usize].names().0 == id;
        let Ok(entry) = self.index.find_entry(hash, is_it) else {
            return false;
        };
        let (at, _) = entry.remove();
        let last = self.records.len() - 1;
        if at as usize != last {
            let hash = self.hasher.hash_one(self.records[last].names().0);
            if let Some(moved) = self.index.find_mut(hash, |&at| at as usize == last) {
                *moved = at;
            }
        }
        let record = self.records.swap_remove(at as usize);
        self.nicks.release(record.nick, &self.hasher);
        self.give_back();
        true
    }

    /// What a session's messages are labelled with, if it is known.
    pub(super) fn get(&self, id: &str) -> Option<Sender<'_>> {
        let at = self.find(self.hasher.hash_one(id), id)?;
        let record = &self.records[at];
        Some(Sender {
            ip: record.names().1,
            nick: &record.nick,
        })
    }

    fn find(&self, hash: u64, id: &str) -> Option<usize> {
        let is_it = |&at: &u32| self.records[at as usize].names().0 == id;
        self.index.find(hash, is_it).map(|&at| at as usize)
    }

    /// After a rush most memory is given back, in steps that keep the cost of a close constant
    /// on average.
    fn give_back(&mut self) {
        let len = self.records.len();
        if self.records.capacity() > SHRINK_FLOOR && len < self.records.capacity() / 4 {
            self.records.shrink_to(len * 2);
            let (records, hasher) = (&self.records, &self.hasher);
            let rehash = |&at: &u32| hasher.hash_one(records[at as usize].names().0);
            self.index.shrink_to(len * 2, rehash);
        }
    }
}

/// The fields `nick` in use, each once.
#[derive(Debug, Default)]
struct Nicks(HashTable<Arc<Fields>>);

impl Nicks {
    fn share(&mut self, nick: &str, hasher: &DefaultHashBuilder) -> Arc<Fields> {
        let fields = Fields::new().field("nick", nick);
        let hash = hasher.hash_one(&fields);
        if let Some(known) = self.0.find(hash, |known| **known == fields) {
            return Arc::clone(known);
        }
        let new = Arc::new(fields.shrunk());
        self.0
            .insert_unique(hash, Arc::clone(&new), |known| hasher.hash_one(&**known));
        new
    }

    fn release(&mut self, nick: Arc<Fields>, hasher: &DefaultHashBuilder) {
        // The table's own and this one: nobody else has it.
        if Arc::strong_count(&nick) > 2 {
            return;
        }
        let hash = hasher.hash_one(&*nick);
        if let Ok(entry) = self.0.find_entry(hash, |known| Arc::ptr_eq(known, &nick)) {
            entry.remove();
        }
        let len = self.0.len();
        if self.0.capacity() > SHRINK_FLOOR && len < self.0.capacity() / 4 {
            self.0.shrink_to(len * 2, |known| hasher.hash_one(&**known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn nick(text: &str) -> Fields {
        Fields::new().field("nick", text)
    }

    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }

    #[test]
    fn labels_of_any_length_come_back() {
        let mut sessions = Sessions::default();
        for length in [0, 1, 25, 28, 29, 53, 54, 200, 300, 70_000] {
            let id = format!("{length}").repeat(3);
            let ip = "1".repeat(length);
            sessions.open(&id, &ip, "label");
            let sender = sessions.get(&id).unwrap();
            assert_eq!((sender.ip, sender.nick), (&ip[..], &nick("label")));
        }
        assert_eq!(sessions.nicks.0.len(), 1);
    }

    #[test]
    fn memory_is_given_back() {
        let mut sessions = Sessions::default();
        let id = |n: u32| format!("S{n:016x}T{n}");
        for n in 0..50_000 {
            sessions.open(&id(n), "192.0.2.1", &format!("agent {}", n % 10_000));
        }
        assert_eq!(sessions.nicks.0.len(), 10_000);
        for n in (0..50_000).map(|n| n * 7919 % 50_000) {
            assert!(sessions.close(&id(n)));
            assert!(!sessions.close(&id(n)));
        }
        assert!(sessions.len() == 0 && sessions.nicks.0.is_empty());
        assert!(sessions.records.capacity() <= SHRINK_FLOOR);
        assert!(sessions.index.capacity() <= 2 * SHRINK_FLOOR);
        assert!(sessions.nicks.0.capacity() <= 2 * SHRINK_FLOOR);
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_does(steps in proptest::collection::vec((0..3u8, 0..20u8, 0..5u8), 0..200)) {
            let mut sessions = Sessions::default();
            let mut twin = HashMap::new();
            for (step, id, label) in steps {
                let id = format!("S{id}").repeat(usize::from(id) + 1);
                let (ip, label) = ("1".repeat(label.into()), "n".repeat(label.into()));
                match step {
                    0 | 1 => {
                        sessions.open(&id, &ip, &label);
                        twin.insert(id, (ip, label));
                    }
                    _ => prop_assert_eq!(sessions.close(&id), twin.remove(&id).is_some()),
                }
                prop_assert_eq!(sessions.len(), twin.len());
                for (id, (ip, label)) in &twin {
                    let sender = sessions.get(id).unwrap();
                    prop_assert_eq!((sender.ip, sender.nick), (&ip[..], &nick(label)));
                }
            }
            let mut labels: Vec<_> = twin.values().map(|(_, label)| label).collect();
            labels.sort();
            labels.dedup();
            prop_assert_eq!(sessions.nicks.0.len(), labels.len());
        }
    }
}
