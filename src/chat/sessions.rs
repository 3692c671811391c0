//! Who is who: a session's id → what its messages are labelled with, in few bytes.
//!
//! A server may hold a million sessions, and most never send a word. A session is a small record in
//! a dense array, one string and an entry of an index; what many have in common, the user agent, is
//! kept once, encoded as it goes out.

use super::label::label;
use crate::provider::Fields;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

/// Below this many sessions no memory is given back.
const SHRINK_FLOOR: usize = 1024;

/// The open sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Dense: a record that leaves is replaced by the last one.
    records: Vec<Record>,
    /// Positions in `records`, by the hash of the id.
    index: HashTable<u32>,
    nicks: Nicks,
    /// The length of all names.
    names_length: usize,
    hasher: DefaultHashBuilder,
}

/// A session that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session<'a> {
    pub(super) id: &'a str,
    pub(super) ip: &'a str,
    /// Empty: there is none.
    pub(super) user: &'a str,
    pub(super) nick: &'a Fields,
}

#[derive(Debug)]
struct Record {
    /// The id, behind it the address, and the user if there is one.
    names: Box<str>,
    /// In bytes; a line is shorter than 4 GiB.
    id_length: u32,
    ip_length: u32,
    nick: Arc<Fields>,
}

impl Record {
    fn id(&self) -> &str {
        &self.names[..self.id_length as usize]
    }

    fn session(&self) -> Session<'_> {
        let (id, rest) = self.names.split_at(self.id_length as usize);
        let (ip, user) = rest.split_at(self.ip_length as usize);
        let nick = &self.nick;
        Session { id, ip, user, nick }
    }
}

impl Sessions {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// How much memory they take, in bytes, the allocator's share and that of nicks aside.
    pub(super) fn memory(&self) -> usize {
        let records = self.records.capacity() * size_of::<Record>();
        records + self.index.allocation_size() + self.names_length
    }

    /// Remembers a session; one that is known already is labelled anew. Its nick is the user agent, or
    /// else the user. What is empty is as good as missing.
    pub(super) fn open(
        &mut self,
        id: &str,
        user: Option<&str>,
        ip: Option<&str>,
        agent: Option<&str>,
    ) -> Session<'_> {
        let cut = [user, ip, agent].map(|text| text.filter(|text| !text.is_empty()).map(label));
        let [user, ip, agent] = cut.each_ref().map(Option::as_deref);
        let ip = ip.unwrap_or("unknown");
        let nick = agent.or(user).unwrap_or("unknown");
        let user = user.unwrap_or("");
        let record = Record {
            names: [id, ip, user].concat().into(),
            id_length: id.len() as u32,
            ip_length: ip.len() as u32,
            nick: self.nicks.share(nick),
        };
        self.names_length += record.names.len();
        let hash = self.hasher.hash_one(id);
        if let Some(at) = self.find(hash, id) {
            let old = std::mem::replace(&mut self.records[at], record);
            self.names_length -= old.names.len();
            self.nicks.release(old.nick);
            return self.records[at].session();
        }
        let at = self.records.len() as u32; // 2^32 records are out of reach
        self.records.push(record);
        let (records, hasher) = (&self.records, &self.hasher);
        let rehash = |&at: &u32| hasher.hash_one(records[at as usize].id());
        self.index.insert_unique(hash, at, rehash);
        self.records[at as usize].session()
    }

    /// Forgets a session; says whether it was known.
    pub(super) fn close(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id);
        let is_it = |&at: &u32| self.records[at as usize].id() == id;
        let Ok(entry) = self.index.find_entry(hash, is_it) else {
            return false;
        };
        let (at, _) = entry.remove();
        let last = self.records.len() - 1;
        if at as usize != last {
            let hash = self.hasher.hash_one(self.records[last].id());
            if let Some(moved) = self.index.find_mut(hash, |&at| at as usize == last) {
                *moved = at;
            }
        }
        let record = self.records.swap_remove(at as usize);
        self.names_length -= record.names.len();
        self.nicks.release(record.nick);
        self.give_back();
        true
    }

    /// What a session's messages are labelled with, if it is known: its IP address and its nick.
    pub(super) fn get(&self, id: &str) -> Option<(&str, &Fields)> {
        let at = self.find(self.hasher.hash_one(id), id)?;
        let record = &self.records[at];
        Some((record.session().ip, &record.nick))
    }

    /// Those at these positions, which [`len`](Self::len) bounds. To close
    /// one moves the last into its place.
    pub(super) fn range(&self, positions: Range<usize>) -> impl Iterator<Item = Session<'_>> {
        self.records[positions].iter().map(Record::session)
    }

    fn find(&self, hash: u64, id: &str) -> Option<usize> {
        let is_it = |&at: &u32| self.records[at as usize].id() == id;
        self.index.find(hash, is_it).map(|&at| at as usize)
    }

    /// After a rush most memory is given back, in steps that keep the cost of a close constant
    /// on average.
    fn give_back(&mut self) {
        let len = self.records.len();
        if self.records.capacity() > SHRINK_FLOOR && len < self.records.capacity() / 4 {
            self.records.shrink_to(len * 2);
            let (records, hasher) = (&self.records, &self.hasher);
            let rehash = |&at: &u32| hasher.hash_one(records[at as usize].id());
            self.index.shrink_to(len * 2, rehash);
        }
    }
}

/// The fields `nick` in use, each once.
#[derive(Debug, Default)]
struct Nicks(HashSet<Arc<Fields>>);

impl Nicks {
    fn share(&mut self, nick: &str) -> Arc<Fields> {
        let fields = Fields::new().field("nick", nick);
        if let Some(known) = self.0.get(&fields) {
            return Arc::clone(known);
        }
        let new = Arc::new(fields.shrunk());
        self.0.insert(Arc::clone(&new));
        new
    }

    fn release(&mut self, nick: Arc<Fields>) {
        // The set's own and this one: nobody else has it.
        if Arc::strong_count(&nick) <= 2 {
            self.0.remove(&nick);
            if self.0.capacity() > SHRINK_FLOOR && self.0.len() < self.0.capacity() / 4 {
                self.0.shrink_to(self.0.len() * 2);
            }
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
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 32);
    }

    #[test]
    fn labels_of_any_length_come_back() {
        let mut sessions = Sessions::default();
        for length in [1, 25, 28, 29, 53, 54, 200, 300, 1000] {
            let id = format!("{length}").repeat(3);
            let ip = "1".repeat(length);
            sessions.open(&id, Some("anna"), Some(&ip), Some("label"));
            assert_eq!(sessions.get(&id), Some((&ip[..], &nick("label"))));
            let last = sessions.range(sessions.len() - 1..sessions.len()).next();
            let last = last.expect("a session");
            assert_eq!((last.id, last.ip, last.user), (&id[..], &ip[..], "anna"));
        }
        assert_eq!(sessions.nicks.0.len(), 1);
    }

    #[test]
    fn memory_is_given_back() {
        let mut sessions = Sessions::default();
        let id = |n: u32| format!("S{n:016x}T{n}");
        for n in 0..50_000 {
            let agent = format!("agent {}", n % 10_000);
            sessions.open(&id(n), None, Some("192.0.2.1"), Some(&agent));
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
        fn it_does_what_a_map_does(steps in proptest::collection::vec((0..3u8, 0..20u8, 1..5u8), 0..200)) {
            let mut sessions = Sessions::default();
            let mut twin = HashMap::new();
            for (step, id, label) in steps {
                let id = format!("S{id}").repeat(usize::from(id) + 1);
                let (ip, label) = ("1".repeat(label.into()), "n".repeat(label.into()));
                match step {
                    0 | 1 => {
                        sessions.open(&id, None, Some(&ip), Some(&label));
                        twin.insert(id, (ip, label));
                    }
                    _ => prop_assert_eq!(sessions.close(&id), twin.remove(&id).is_some()),
                }
                prop_assert_eq!(sessions.len(), twin.len());
                for (id, (ip, label)) in &twin {
                    prop_assert_eq!(sessions.get(id), Some((&ip[..], &nick(label))));
                }
            }
            let mut labels: Vec<_> = twin.values().map(|(_, label)| label).collect();
            labels.sort();
            labels.dedup();
            prop_assert_eq!(sessions.nicks.0.len(), labels.len());
        }
    }
}
