//! Who talks at present: what their updates begin with, in one piece.
//!
//! For some senders the session need not be found in the table, nor the beginning of an update be
//! put together from its parts: the result is kept here. With 16 senders and 4096 messages
//! outstanding a quarter of the throughput comes from that. With more senders than there is room
//! for it is worth nothing, and costs little.

/// How many senders there is room for; a power of two.
const SLOTS: usize = 256;

/// What is longer, id and all, is not kept, in bytes.
const LONGEST: usize = 1024;

/// So many in a row must have asked in vain before a slot that is in use changes hands: in a
/// crowd that takes up little time, and where few talk nobody loses a slot.
const PATIENCE: u8 = 8;

/// The beginnings of some senders' updates under one subscription, each with the time in front, by
/// the sender's id as it stands on the wire.
#[derive(Debug, Default)]
pub struct Talkers {
    /// None, or [`SLOTS`].
    slots: Vec<Slot>,
    /// The number of the subscription.
    subscription: Option<u64>,
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
    /// How often it was asked for in vain since the holder was found.
    vain: u8,
}

impl Talkers {
    /// From now on updates go to the subscription of that number, `None` if it is not just one,
    /// and carry that time.
    pub fn begin(&mut self, subscription: Option<u64>, time: &[u8]) {
        if subscription != self.subscription || time.len() != self.time.len() {
            self.clear();
        }
        self.subscription = subscription;
        self.time.clear();
        self.time.extend_from_slice(time);
        self.moment += 1;
    }

    /// The beginning of the updates of the sender with that id, if it is kept.
    #[inline]
    pub fn beginning(&mut self, id: &[u8]) -> Option<&[u8]> {
        let slot = self.slots.get_mut(place(id))?;
        let (held, beginning) = slot.bytes.split_at_mut_checked(slot.id)?;
        if !is_same(held, id) || held.is_empty() {
            return None;
        }
        slot.vain = 0;
        if slot.moment != self.moment {
            slot.moment = self.moment;
            beginning[..self.time.len()].copy_from_slice(&self.time);
        }
        Some(beginning)
    }

    /// Keeps the beginning of a sender's updates, if there is room: the time, and `parts` one
    /// behind the other.
    pub fn keep(&mut self, id: &[u8], parts: [&[u8]; 3]) {
        let size = parts.iter().map(|part| part.len()).sum::<usize>();
        if id.len() + self.time.len() + size > LONGEST {
            return;
        }
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let slot = &mut self.slots[place(id)];
        if slot.id > 0 && slot.vain < PATIENCE {
            slot.vain += 1;
            return;
        }
        slot.bytes.clear();
        slot.bytes.extend_from_slice(id);
        slot.bytes.extend_from_slice(&self.time);
        parts
            .iter()
            .for_each(|part| slot.bytes.extend_from_slice(part));
        (slot.id, slot.moment, slot.vain) = (id.len(), self.moment, 0);
    }

    /// Forgets a sender: what is kept is true no more.
    pub fn forget(&mut self, id: &[u8]) {
        if let Some(slot) = self.slots.get_mut(place(id))
            && slot.bytes.get(..slot.id) == Some(id)
        {
            slot.id = 0;
        }
    }

    /// Forgets all senders.
    pub fn clear(&mut self) {
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

/// The slot that an id would be in.
#[inline]
fn place(id: &[u8]) -> usize {
    // Ids differ at their ends. Those that do not share a slot, which is merely slower.
    let ends = match (id.first_chunk::<8>(), id.last_chunk::<8>()) {
        (Some(&first), Some(&last)) => {
            u64::from_le_bytes(first).rotate_left(29) ^ u64::from_le_bytes(last)
        }
        _ => id.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    };
    // 2^64 by the golden ratio, which spreads what differs over the upper bits.
    let spread = ends.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> (u64::BITS - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn talkers() -> Talkers {
        let mut talkers = Talkers::default();
        talkers.begin(Some(1), b"100");
        talkers
    }

    fn parts(said: &str) -> [&[u8]; 3] {
        [said.as_bytes(), b"", b""]
    }

    #[test]
    fn a_beginning_is_kept_with_the_time_of_the_moment() {
        let mut talkers = talkers();
        assert_eq!(talkers.beginning(b"S1"), None);
        talkers.keep(b"S1", [b"|one|", b"rest", b"!"]);
        assert_eq!(talkers.beginning(b"S1"), Some(&b"100|one|rest!"[..]));
        talkers.begin(Some(1), b"101");
        assert_eq!(talkers.beginning(b"S1"), Some(&b"101|one|rest!"[..]));
        // A clock that goes from one length to another.
        talkers.begin(Some(1), b"9");
        assert_eq!(talkers.beginning(b"S1"), None);
        talkers.keep(b"S1", parts("|one|"));
        assert_eq!(talkers.beginning(b"S1"), Some(&b"9|one|"[..]));
    }

    #[test]
    fn another_subscription_begins_with_nothing() {
        for other in [Some(2), None] {
            let mut talkers = talkers();
            talkers.keep(b"S1", parts("a"));
            talkers.begin(other, b"100");
            assert_eq!(talkers.beginning(b"S1"), None);
            talkers.begin(Some(1), b"100");
            assert_eq!(talkers.beginning(b"S1"), None);
        }
    }

    #[test]
    fn who_is_forgotten_is_not_found_and_others_are() {
        let mut talkers = talkers();
        let (one, other) = (b"S1T0", rivals_of(b"S1T0", 1).remove(0));
        talkers.keep(one, parts("a"));
        talkers.forget(&other);
        assert_eq!(talkers.beginning(one), Some(&b"100a"[..]));
        talkers.forget(one);
        assert_eq!(talkers.beginning(one), None);
        talkers.keep(&other, parts("b"));
        assert_eq!(talkers.beginning(&other), Some(&b"100b"[..]));
        talkers.clear();
        assert_eq!(talkers.beginning(&other), None);
    }

    #[test]
    fn what_is_long_and_who_has_no_id_are_not_kept() {
        let mut talkers = talkers();
        for (length, is_kept) in [(LONGEST, true), (LONGEST + 1, false)] {
            let said = "x".repeat(length - "S1".len() - "100".len());
            talkers.keep(b"S1", parts(&said));
            assert_eq!(talkers.beginning(b"S1").is_some(), is_kept);
            talkers.forget(b"S1");
        }
        talkers.keep(b"", parts("x"));
        assert_eq!(talkers.beginning(b""), None);
    }

    #[test]
    fn a_slot_changes_hands_when_its_holder_is_silent() {
        let mut talkers = talkers();
        let rivals = rivals_of(b"S1T0", 2);
        talkers.keep(b"S1T0", parts("one"));
        let ask = |talkers: &mut Talkers, id: &[u8]| match talkers.beginning(id).is_some() {
            true => true,
            false => {
                talkers.keep(id, parts("other"));
                false
            }
        };
        // In turns with its holder, nobody gets it.
        for _ in 0..3 * PATIENCE {
            assert!(!ask(&mut talkers, &rivals[0]));
            assert!(ask(&mut talkers, b"S1T0"));
        }
        for turn in 0..PATIENCE {
            assert!(!ask(&mut talkers, &rivals[usize::from(turn % 2)]));
        }
        assert!(!ask(&mut talkers, &rivals[0]));
        assert!(ask(&mut talkers, &rivals[0]));
        assert!(talkers.beginning(b"S1T0").is_none());
        // The new holder has as much time.
        assert!(!ask(&mut talkers, &rivals[1]));
        assert!(ask(&mut talkers, &rivals[0]));
    }

    /// Other ids that share its slot.
    fn rivals_of(id: &[u8], count: usize) -> Vec<Vec<u8>> {
        let ids = (0..).map(|number| format!("S2T{number}").into_bytes());
        ids.filter(|other| place(other) == place(id))
            .take(count)
            .collect()
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
            steps in proptest::collection::vec((0..9u8, "[ab]{0,2}|[ab]{16,20}"), 0..200),
        ) {
            let mut talkers = talkers();
            let (mut time, mut subscription) = (100, 1);
            // How often something has become true of a sender.
            let mut changes = std::collections::HashMap::<String, u32>::new();
            for (kind, id) in steps {
                let said = format!("|{id}|{subscription}|{}", changes.get(&id).unwrap_or(&0));
                match kind {
                    0 => {
                        time += 1;
                        talkers.begin(Some(subscription), time.to_string().as_bytes());
                    }
                    1 => {
                        subscription += 1;
                        talkers.begin(Some(subscription), time.to_string().as_bytes());
                    }
                    2 => {
                        talkers.forget(id.as_bytes());
                        *changes.entry(id).or_default() += 1;
                    }
                    3..6 => talkers.keep(id.as_bytes(), parts(&said)),
                    _ => if let Some(found) = talkers.beginning(id.as_bytes()) {
                        prop_assert_eq!(found, format!("{time}{said}").into_bytes());
                    }
                }
            }
        }
    }
}
