//! When a message was sent, in the two forms in which events carry it.

use crate::provider::Fields;
use jiff::{Timestamp, tz::TimeZone};

/// A moment, as fields of an event.
#[derive(Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    /// The second that `time` belongs to: to find the local time takes a look into the zone's rules.
    second: u64,
    time: String,
    fields: Fields,
}

impl Clock {
    /// A clock that gives local times of `zone`. Call [`set`](Self::set) before use.
    pub(super) fn new(zone: TimeZone) -> Clock {
        Clock {
            zone,
            second: u64::MAX,
            time: String::new(),
            fields: Fields::new(),
        }
    }

    /// Takes `millis`, those since the epoch, as the moment.
    pub(super) fn set(&mut self, millis: u64) {
        let second = millis / 1000;
        if second != self.second {
            self.second = second;
            self.time = self.local_time(second);
        }
        self.fields.clear();
        self.fields
            .add("timestamp", &self.time)
            .add("raw_timestamp", millis);
    }

    /// The moment: the local time as `HH:MM:SS`, and milliseconds since the epoch.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    fn local_time(&self, second: u64) -> String {
        let Ok(Ok(instant)) = i64::try_from(second).map(Timestamp::from_second) else {
            return "00:00:00".into(); // a clock some thousand years ahead
        };
        let time = self.zone.to_datetime(instant).time();
        format!(
            "{:02}:{:02}:{:02}",
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;

    fn at(zone: TimeZone, millis: u64) -> Fields {
        let mut clock = Clock::new(zone);
        clock.set(millis);
        clock.fields().clone()
    }

    fn moment(time: &str, millis: u64) -> Fields {
        Fields::new()
            .field("timestamp", time)
            .field("raw_timestamp", millis)
    }

    #[test]
    fn the_protocols_example() {
        let millis = 1_732_348_805_123;
        assert_eq!(at(TimeZone::UTC, millis), moment("08:00:05", millis));
        let zone = TimeZone::fixed(Offset::constant(1));
        assert_eq!(at(zone, millis), moment("09:00:05", millis));
    }

    #[test]
    fn clocks_that_are_wrong_are_no_reason_to_fail() {
        for millis in [0, u64::MAX] {
            assert_eq!(at(TimeZone::UTC, millis), moment("00:00:00", millis));
        }
        let mut clock = Clock::new(TimeZone::UTC);
        for (millis, time) in [
            (59_999, "00:00:59"),
            (60_000, "00:01:00"),
            (1_000, "00:00:01"),
        ] {
            clock.set(millis);
            assert_eq!(clock.fields(), &moment(time, millis));
        }
    }
}
