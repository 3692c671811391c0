//! When a message was sent, in the forms in which updates carry it.
//!
//! The local time costs a look into the time zone's rules, so it is kept for as long as the
//! second lasts; a batch of messages shares one stamp.

use super::update;
use crate::ari::reply::put_decimal;
use jiff::{Timestamp, tz::TimeZone};
use std::time::SystemTime;

/// The present moment, formatted.
#[derive(Debug)]
pub struct Stamp {
    zone: TimeZone,
    second: u64,
    time: [u8; 8],
    millis: Vec<u8>,
    closing: Vec<u8>,
}

impl Stamp {
    /// A stamp that gives local times of `zone`. Call [`set`](Self::set) before use.
    #[must_use]
    pub fn new(zone: TimeZone) -> Stamp {
        Stamp {
            zone,
            second: u64::MAX,
            time: *b"00:00:00",
            millis: Vec::with_capacity(20),
            closing: Vec::with_capacity(64),
        }
    }

    /// Takes `millis`, those since the epoch, as the present.
    pub fn set(&mut self, millis: u64) {
        self.millis.clear();
        put_decimal(i64::try_from(millis).unwrap_or(i64::MAX), &mut self.millis);
        let second = millis / 1000;
        if second != self.second {
            self.second = second;
            self.time = self.local_time(second);
        }
        self.closing.clear();
        update::put_closing(&self.time, &self.millis, &mut self.closing);
    }

    /// How an update of this moment ends.
    #[must_use]
    pub fn closing(&self) -> &[u8] {
        &self.closing
    }

    fn local_time(&self, second: u64) -> [u8; 8] {
        let instant = i64::try_from(second).map(Timestamp::from_second);
        let Ok(Ok(instant)) = instant else {
            return *b"00:00:00"; // a clock some thousand years ahead
        };
        let local = self.zone.to_datetime(instant);
        let mut time = *b"00:00:00";
        for (place, value) in [(0, local.hour()), (3, local.minute()), (6, local.second())] {
            time[place] += value as u8 / 10; // 0 to 59
            time[place + 1] += value as u8 % 10;
        }
        time
    }

    /// Milliseconds since the epoch, in decimal.
    #[must_use]
    pub fn millis(&self) -> &[u8] {
        &self.millis
    }
}

/// Milliseconds since the epoch by the system's clock; 0 when it stands before that.
#[must_use]
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_millis() as u64) // 580 million years fit
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;

    fn at(zone: TimeZone, millis: u64) -> (String, String) {
        let mut stamp = Stamp::new(zone);
        stamp.set(millis);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&stamp.time), text(stamp.millis()))
    }

    #[test]
    fn the_protocols_example() {
        assert_eq!(
            at(TimeZone::UTC, 1_732_348_805_123),
            ("08:00:05".into(), "1732348805123".into())
        );
        assert_eq!(
            at(TimeZone::fixed(Offset::constant(1)), 1_732_348_805_123).0,
            "09:00:05"
        );
    }

    #[test]
    fn clocks_that_stand_wrong_are_no_reason_to_fail() {
        assert_eq!(at(TimeZone::UTC, 0), ("00:00:00".into(), "0".into()));
        assert_eq!(at(TimeZone::UTC, u64::MAX).0, "00:00:00");
        let mut stamp = Stamp::new(TimeZone::UTC);
        for (millis, time) in [
            (59_999, "00:00:59"),
            (60_000, "00:01:00"),
            (1_000, "00:00:01"),
        ] {
            stamp.set(millis);
            assert_eq!(&stamp.time, time.as_bytes());
        }
    }
}
