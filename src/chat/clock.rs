//! When a message was sent, in the two forms in which events carry it.

use crate::provider::Fields;
use jiff::{Timestamp, tz::TimeZone};

/// How to tell the local time.
#[derive(Clone, Debug)]
pub struct LocalTime {
    /// The rules of the zone.
    pub zone: TimeZone,
    /// So many seconds of the system's clock are taken for leap seconds, which local time is without.
    pub leap_seconds: i32,
}

impl LocalTime {
    /// The time of the day, as `HH:MM:SS`, so many seconds after the epoch.
    pub fn of(&self, second: u64) -> String {
        let Ok(Ok(instant)) = i64::try_from(second).map(Timestamp::from_second) else {
            return "00:00:00".into(); // a clock some thousand years ahead
        };
        let east = self.zone.to_offset(instant).seconds() - self.leap_seconds;
        let time = (instant.as_second() + i64::from(east)).rem_euclid(24 * 3600);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

impl From<TimeZone> for LocalTime {
    fn from(zone: TimeZone) -> LocalTime {
        LocalTime {
            zone,
            leap_seconds: 0,
        }
    }
}

/// A moment, as fields of an event.
#[derive(Debug)]
pub(super) struct Clock {
    local: LocalTime,
    /// The second that `time` belongs to: to find the local time takes a look into the zone's rules.
    second: u64,
    time: String,
    fields: Fields,
}

impl Clock {
    /// A clock that gives local times. Call [`set`](Self::set) before use.
    pub(super) fn new(local: LocalTime) -> Clock {
        Clock {
            local,
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
            self.time = self.local.of(second);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;

    fn at(zone: impl Into<LocalTime>, millis: u64) -> Fields {
        let mut clock = Clock::new(zone.into());
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
        let leap_seconds = LocalTime {
            zone: TimeZone::fixed(Offset::constant(-9)),
            leap_seconds: 27,
        };
        assert_eq!(at(leap_seconds, millis), moment("22:59:38", millis));
    }

    #[test]
    fn clocks_that_are_wrong_are_no_reason_to_fail() {
        for millis in [0, u64::MAX] {
            assert_eq!(at(TimeZone::UTC, millis), moment("00:00:00", millis));
        }
        let mut clock = Clock::new(TimeZone::UTC.into());
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
