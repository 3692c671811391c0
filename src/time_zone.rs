//! The time zone of the messages, which is the one that the C library would take: that of `TZ`, or
//! else the host's. What a local time is needed for is not known here.

use crate::ari::escape::Escaped;
use crate::chat::LocalTime;
use crate::server::file::{self, When};
use jiff::tz::TimeZone;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The zone of the host, if `TZ` says nothing.
const LOCAL: &str = "/etc/localtime";

/// Where zones have their files, if `TZDIR` says nothing.
const DIRECTORY: &str = "/usr/share/zoneinfo";

/// When daylight saving time begins and ends, if a rule does not say so: as in the United States.
const MISSING_RULES: [&str; 3] = ["", ",M3.2.0,M11.1.0", ",M11.1.0"];

/// Reads `TZ` and the file of the zone. If there is none to be had, that is logged, and it is UTC.
pub fn local() -> LocalTime {
    let variable = env::var_os("TZ");
    let name = variable.clone().unwrap_or(LOCAL.into());
    // A host may well have no zone of its own.
    let is_absent = name == LOCAL && fs::symlink_metadata(LOCAL).is_err();
    find(&name, env::var_os("TZDIR")).unwrap_or_else(|| {
        let name = Escaped::of(&name);
        match variable {
            _ if is_absent => {}
            Some(_) => log::warn!("TZ is {name}, which is no time zone: messages carry UTC"),
            None => log::warn!("{name} is no file of a time zone: messages carry UTC"),
        }
        TimeZone::UTC.into()
    })
}

/// The zone of that name: it has a file, or the name is a rule as POSIX has them.
fn find(name: &OsStr, directory: Option<OsString>) -> Option<LocalTime> {
    let name = name.as_bytes();
    let name = name.strip_prefix(b":").unwrap_or(name);
    if matches!(name, b"" | b"UTC" | b"GMT") {
        return Some(TimeZone::UTC.into()); // though there may be no files at all
    }
    let name = OsStr::from_bytes(name);
    let directory = directory.filter(|directory| !directory.is_empty());
    let directory = directory.unwrap_or(DIRECTORY.into());
    // An absolute name stands for itself.
    let of_file = of_file(&Path::new(&directory).join(name));
    of_file.or_else(|| {
        let name = name.to_str()?.trim_end_matches(',');
        let mut rules = MISSING_RULES.iter().map(|rest| [name, *rest].concat());
        rules.find_map(|rule| Some(TimeZone::posix(&rule).ok()?.into()))
    })
}

fn of_file(file: &Path) -> Option<LocalTime> {
    let content = file::read("the time zone", file, When::Start).ok()?.bytes;
    Some(LocalTime {
        zone: TimeZone::tzif("", &content).ok()?,
        leap_seconds: leap_seconds(&content)?,
    })
}

/// How many leap seconds a file of RFC 9636 that was read before has in all: zones below `right/`
/// count them.
fn leap_seconds(content: &[u8]) -> Option<i32> {
    let number = |at: usize| {
        let bytes = content.get(at..at + 4)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    };
    // Of a header, and by the length of a time: the number of leap seconds, and where their list
    // and the block end.
    let block = |header: usize, time: usize| {
        let count = |nth: usize| Some(number(header + 20 + 4 * nth)? as usize);
        let (flags, leaps) = (count(0)? + count(1)?, count(2)?);
        let types = count(3)? * (time + 1) + count(4)? * 6 + count(5)?;
        let end = header + 44 + types + leaps * (time + 4);
        Some((leaps, end, end + flags))
    };
    let (mut leaps, mut end, next) = block(0, 4)?;
    if content.get(4)? >= &b'2' {
        (leaps, end, _) = block(next, 8)?;
    }
    match leaps {
        0 => Some(0),
        _ => number(end - 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In 2024: a winter's day, two on which either the United States or Europe have summer time
    /// alone, and one on which both do.
    const SECONDS: [u64; 4] = [1_732_348_805, 1_710_936_000, 1_719_835_200, 1_730_289_600];

    fn times(name: &str, directory: Option<&str>) -> Option<String> {
        let local = find(name.as_ref(), directory.map(OsString::from))?;
        Some(SECONDS.map(|second| local.of(second)).join(" "))
    }

    #[test]
    fn rules_are_read_as_the_c_library_reads_them() {
        for (name, expected) in [
            // As `date` prints them.
            ("CET-1CEST", "09:00:05 14:00:00 14:00:00 14:00:00"),
            (":CET-1CEST,", "09:00:05 14:00:00 14:00:00 14:00:00"),
            ("CET-1CEST,M3.5.0", "09:00:05 13:00:00 14:00:00 14:00:00"),
            (
                "CET-1CEST,M3.5.0,M10.5.0/3",
                "09:00:05 13:00:00 14:00:00 13:00:00",
            ),
            ("CET-1CEST-3:15", "09:00:05 15:15:00 15:15:00 15:15:00"),
            ("<+0330>-3:30", "11:30:05 15:30:00 15:30:00 15:30:00"),
            ("EST5EDT4,J60,J300", "03:00:05 08:00:00 08:00:00 07:00:00"),
            ("EST5EDT,59,299", "03:00:05 08:00:00 08:00:00 07:00:00"),
            ("ABC+5:30:15", "02:29:50 06:29:45 06:29:45 06:29:45"),
            (
                "IST-1GMT0,M10.5.0,M3.5.0/1",
                "08:00:05 12:00:00 13:00:00 12:00:00",
            ),
            (
                "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
                "05:00:05 09:00:00 10:00:00 09:00:00",
            ),
            ("EST5EDT,0/0,J365/25", "04:00:05 08:00:00 08:00:00 08:00:00"),
            (
                "EST5EDT,M3.2.0/167,M11.1.0/-167",
                "03:00:05 08:00:00 08:00:00 07:00:00",
            ),
            ("AAA-24", "08:00:05 12:00:00 12:00:00 12:00:00"),
            ("<UTC+3>3", "05:00:05 09:00:00 09:00:00 09:00:00"),
            ("", "08:00:05 12:00:00 12:00:00 12:00:00"),
            (":", "08:00:05 12:00:00 12:00:00 12:00:00"),
            ("UTC", "08:00:05 12:00:00 12:00:00 12:00:00"),
        ] {
            assert_eq!(
                times(name, Some("/nowhere")).as_deref(),
                Some(expected),
                "{name}"
            );
        }
        for name in [
            "Foo/Bar",
            "europe/rome",
            "AB5",
            "A1B5",
            "AAA-25",
            "<A>3",
            "CET--1",
            "CET-1x",
        ] {
            assert_eq!(times(name, None), None, "{name}");
        }
    }

    #[test]
    fn names_are_those_of_files() {
        let rome = "09:00:05 13:00:00 14:00:00 13:00:00";
        let tokyo = "17:00:05 21:00:00 21:00:00 21:00:00";
        for (directory, name, expected) in [
            (None, "Europe/Rome", rome),
            (Some(""), ":Europe/Rome", rome),
            (None, "posix/Asia/Tokyo", tokyo),
            (
                None,
                "right/Asia/Tokyo",
                "16:59:38 20:59:33 20:59:33 20:59:33",
            ),
            (Some("/nowhere"), "/usr/share/zoneinfo/Asia/Tokyo", tokyo),
            (Some("/usr/share/zoneinfo/Asia"), "Tokyo", tokyo),
            // Not the rule of the same name, which has no daylight saving time.
            (None, "EST5EDT", "03:00:05 08:00:00 08:00:00 08:00:00"),
        ] {
            let file = name.trim_start_matches(':');
            let default = directory
                .filter(|directory| !directory.is_empty())
                .unwrap_or(DIRECTORY);
            // A host need not have all of them.
            if Path::new(default).join(file).exists() {
                assert_eq!(times(name, directory).as_deref(), Some(expected), "{name}");
            }
        }
        for file in ["/etc", "/etc/passwd", "/dev/zero", "/nowhere"] {
            assert_eq!(times(file, None), None, "{file}");
        }
    }

    /// A file of one zone an hour to the east, with so many leap seconds in each of its blocks.
    fn zone_file(version: u8, old: i32, new: i32) -> Vec<u8> {
        let mut content = Vec::new();
        for (leaps, time) in [(old, 4), (new, 8)] {
            content.extend([b"TZif", &[version][..], &[0; 15]].concat());
            for count in [1, 1, leaps, 0, 1, 4] {
                content.extend(i32::to_be_bytes(count));
            }
            content.extend([&3600_i32.to_be_bytes()[..], &[0, 0], b"XYZ\0"].concat());
            for n in 1..=leaps {
                let second = 100_000_000 * i64::from(n);
                content.extend(&second.to_be_bytes()[8 - time..]);
                content.extend(n.to_be_bytes());
            }
            content.extend([0, 0]);
        }
        content.extend(b"\nXYZ-1\n");
        content
    }

    #[test]
    fn leap_seconds_are_counted() {
        for (version, old, new, expected) in [
            (b'2', 0, 0, 0),
            (b'2', 0, 3, 3),
            (b'3', 2, 3, 3),
            (b'4', 2, 0, 0),
            (0, 2, 0, 2),
        ] {
            let content = zone_file(version, old, new);
            TimeZone::tzif("", &content).unwrap();
            assert_eq!(
                leap_seconds(&content),
                Some(expected),
                "{version} {old} {new}"
            );
        }
    }
}
