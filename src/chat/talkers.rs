//! Who talks at present: what their updates begin with, in one piece.
//!
//! Most sessions never send a word, and those that do send several. Finding a session among a
//! million and putting the beginning of an update together from its parts is a third of the work
//! for a message (a sixth of the throughput at 4096 outstanding); for some senders the result is
//! kept here.

/// How many senders there is room for; a power of two.
const SLOTS: usize = 128;

/// What is longer, id and all, is not kept, in bytes.
const LONGEST: usize = 1024;

/// The beginnings of some senders' updates, each with the time in front, by the sender's id as it
/// stands on the wire.
#[derive(Debug, Default)]
pub struct Talkers {
    /// None, or [`SLOTS`].
    slots: Vec<Slot>,
    /// The state of the sessions that all this is true of.
    generation: u64,
    /// The present moment in decimal, and its number.
    time: Vec<u8>,
    moment: u64,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// An id, then the beginning of its updates.
    bytes: Vec<u8>,
    /// The length of the id; zero if the slot is free.
    id: usize,
    /// The moment that stands in the beginning.
    moment: u64,
    /// Who wanted the slot last and did not get it.
    rival: u64,
}

impl Talkers {
    /// From now on updates carry that time.
    pub fn set_time(&mut self, time: &[u8]) {
        if time.len() != self.time.len() {
            self.clear();
        }
        self.time.clear();
        self.time.extend_from_slice(time);
        self.moment += 1;
    }

    /// The beginning of the updates of the sender with that id, if it is kept and the sessions
    /// are what they were when it was.
    #[inline]
    pub fn beginning(&mut self, id: &[u8], generation: u64) -> Option<&[u8]> {
        if generation != self.generation {
            return None;
        }
        let slot = self.slots.get_mut(place(mix(id)))?;
        let (held, beginning) = slot.bytes.split_at_mut_checked(slot.id)?;
        if !is_same(held, id) || held.is_empty() {
            return None;
        }
        slot.rival = 0;
        if slot.moment != self.moment {
            slot.moment = self.moment;
            beginning[..self.time.len()].copy_from_slice(&self.time);
        }
        Some(beginning)
    }

    /// Keeps the beginning of a sender's updates, if it is the sender's turn: `parts`, one behind
    /// the other, of which the first is the time that was set last.
    ///
    /// A slot that is in use goes to the second of two askers in a row, if its holder was not
    /// asked for in between. So it does not change hands all the time, neither in a crowd nor
    /// between two who share it.
    pub fn keep(&mut self, id: &[u8], generation: u64, parts: &[&[u8]]) {
        if generation != self.generation {
            self.clear();
            self.generation = generation;
        }
        let size = parts.iter().map(|part| part.len()).sum::<usize>();
        if id.len() + size > LONGEST {
            return;
        }
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let mixed = mix(id);
        let slot = &mut self.slots[place(mixed)];
        if slot.id > 0 && slot.rival != mixed {
            slot.rival = mixed;
            return;
        }
        slot.bytes.clear();
        slot.bytes.extend_from_slice(id);
        parts
            .iter()
            .for_each(|part| slot.bytes.extend_from_slice(part));
        (slot.id, slot.moment, slot.rival) = (id.len(), self.moment, 0);
    }

    fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.id = 0);
    }
}

/// Whether two ids are the same.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    const HALF: usize = 16;
    // Most are of one half to two, which takes two looks and no call.
    match (one.first_chunk::<HALF>(), one.last_chunk::<HALF>()) {
        (Some(first), Some(last)) if one.len() <= 2 * HALF => {
            one.len() == other.len()
                && Some(first) == other.first_chunk()
                && Some(last) == other.last_chunk()
        }
        _ => one == other,
    }
}

/// A number in which ids that differ differ, nearly always. Those that do not are merely slower.
#[inline]
fn mix(id: &[u8]) -> u64 {
    let ends = match (id.first_chunk::<8>(), id.last_chunk::<8>()) {
        (Some(&first), Some(&last)) => {
            u64::from_le_bytes(first).rotate_left(29) ^ u64::from_le_bytes(last)
        }
        _ => id.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    };
    // 2^64 by the golden ratio, which spreads what differs over the upper bits.
    ends.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn place(mixed: u64) -> usize {
    (mixed >> (u64::BITS - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn talkers() -> Talkers {
        let mut talkers = Talkers::default();
        talkers.set_time(b"100");
        talkers
    }

    #[test]
    fn a_beginning_is_kept_with_the_time_of_the_moment() {
        let mut talkers = talkers();
        assert_eq!(talkers.beginning(b"S1", 0), None);
        talkers.keep(b"S1", 0, &[b"100", b"|one|", b"rest"]);
        assert_eq!(talkers.beginning(b"S1", 0), Some(&b"100|one|rest"[..]));
        talkers.set_time(b"101");
        assert_eq!(talkers.beginning(b"S1", 0), Some(&b"101|one|rest"[..]));
        // A clock that goes from one length to another.
        talkers.set_time(b"9");
        assert_eq!(talkers.beginning(b"S1", 0), None);
        talkers.keep(b"S1", 0, &[b"9", b"|one|", b"rest"]);
        assert_eq!(talkers.beginning(b"S1", 0), Some(&b"9|one|rest"[..]));
    }

    #[test]
    fn when_sessions_change_everything_is_forgotten() {
        let mut talkers = talkers();
        talkers.keep(b"S1", 0, &[b"100", b"a"]);
        assert_eq!(talkers.beginning(b"S1", 1), None);
        talkers.keep(b"S2", 1, &[b"100", b"b"]);
        assert_eq!(talkers.beginning(b"S1", 1), None);
        assert_eq!(talkers.beginning(b"S2", 1), Some(&b"100b"[..]));
    }

    #[test]
    fn what_is_long_and_who_has_no_id_are_not_kept() {
        let mut talkers = talkers();
        talkers.keep(b"S1", 0, &[b"100", &[b'x'; LONGEST]]);
        talkers.keep(b"", 0, &[b"100", b"x"]);
        assert_eq!(talkers.beginning(b"S1", 0), None);
        assert_eq!(talkers.beginning(b"", 0), None);
    }

    #[test]
    fn a_slot_changes_hands_when_its_holder_is_silent() {
        let mut talkers = talkers();
        let (one, other) = (b"S1T0".to_vec(), rival_of(b"S1T0"));
        talkers.keep(&one, 0, &[b"100", b"one"]);
        // In turns with its holder, nobody gets it.
        for _ in 0..5 {
            talkers.keep(&other, 0, &[b"100", b"other"]);
            assert!(talkers.beginning(&one, 0).is_some());
            assert!(talkers.beginning(&other, 0).is_none());
        }
        talkers.keep(&other, 0, &[b"100", b"other"]);
        talkers.keep(&other, 0, &[b"100", b"other"]);
        assert_eq!(talkers.beginning(&other, 0), Some(&b"100other"[..]));
        assert!(talkers.beginning(&one, 0).is_none());
    }

    /// Another id with the same place.
    fn rival_of(id: &[u8]) -> Vec<u8> {
        let mut ids = (0..).map(|number| format!("S2T{number}").into_bytes());
        ids.find(|other| place(mix(other)) == place(mix(id)))
            .expect("there are enough numbers")
    }

    #[test]
    fn ids_are_compared_whole() {
        for length in 1..70 {
            let id = vec![b'a'; length];
            assert!(is_same(&id, &id.clone()));
            assert!(!is_same(&id, &id[1..]) && !is_same(&id[1..], &id));
            for at in 0..length {
                let mut other = id.clone();
                other[at] = b'b';
                assert!(!is_same(&id, &other), "{length} {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_true_now(
            steps in proptest::collection::vec((0..8u8, "[ab]{0,20}"), 0..200),
        ) {
            let mut talkers = talkers();
            let (mut time, mut generation) = (100, 0);
            for (kind, id) in steps {
                // What is true of a sender in one generation, it is not in the next.
                let said = format!("|{id}|{generation}");
                let now = time.to_string();
                match kind {
                    0 => {
                        time += 1;
                        talkers.set_time(time.to_string().as_bytes());
                    }
                    1 => generation += 1,
                    2..5 => talkers.keep(id.as_bytes(), generation, &[now.as_bytes(), said.as_bytes()]),
                    _ => if let Some(found) = talkers.beginning(id.as_bytes(), generation) {
                        prop_assert_eq!(found, [now.as_bytes(), said.as_bytes()].concat());
                    }
                }
            }
        }
    }
}
