//! The reference of log lines in docs/log.md, beside the sources: every line that the program can log
//! stands in a row there, and every row is a line of the program.

use std::fs;
use std::path::Path;

/// What stands for something that varies there, and is written in capitals.
const VARYING: &[&str] = &[
    "ADDRESS",
    "FILE",
    "HOST",
    "ID",
    "METHOD",
    "N",
    "NAME",
    "PORT",
    "REASON",
    "SIDE",
    "USER",
    "VERSION",
    "WHAT",
    "chat_room",
];

/// How a line of the log begins in the sources, up to the quotation mark.
const CALLS: &[&str] = &[
    "log::error!(",
    "log::warn!(",
    "log::info!(",
    ".warn_unless_quiet(format_args!(",
    ".step(format_args!(",
    ".info(format_args!(",
    ".warn(format_args!(",
    ".bad_request(format_args!(",
    ".log(format_args!(",
    "let what = format!(",
    "let text = format!(",
    "warnings.push(",
    "warnings.push(format!(",
];

/// How a reason for a disconnect begins, in its own file.
const REASONS: &[&str] = &["f.write_str(", "write!(f,"];

/// The one reason that is never logged, since the end of the program is.
const OF_THE_END: &str = "shutting down";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All sources, without their comments and tests, each expression on one line: file and text.
fn sources() -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            let lines = text.lines().map(str::trim_start);
            let code: String = lines.filter(|line| !line.starts_with("//")).collect();
            // A literal goes on behind a backslash at the end of the line.
            let code = code.replace("( \"", "(\"").replace("\\\"", "'");
            let code = code.replace(" \\", " ").replace("(f, \"", "(f,\"");
            found.push((path.display().to_string(), code));
        }
    }
    found
}

/// The literals that follow one of these beginnings.
fn literals<'a>(code: &'a str, beginnings: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for beginning in beginnings {
        for (at, _) in code.match_indices(beginning) {
            if let Some(rest) = code[at + beginning.len()..].strip_prefix('"') {
                found.extend(rest.split('"').next());
            }
        }
    }
    found
}

/// What varies becomes `*`: what stands in braces, numbers, and words in capitals if they may.
fn pattern(text: &str, capitals: &[&str]) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for c in text.replace('…', "{}").chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                out.push('*');
            }
            _ if depth > 0 => {}
            c if c.is_ascii_digit() => out.push('*'),
            '"' => out.push('\''),
            c => out.push(c),
        }
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = String::new();
    for part in out.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        match capitals.contains(&word) {
            true => words += &part.replacen(word, "*", 1),
            false => words += part,
        }
    }
    while words.contains("**") {
        words = words.replace("**", "*");
    }
    words
}

/// Whether two patterns can mean the same line.
fn can_be_the_same(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    // Whether what is left of both, from here on, can be the same; from their ends backwards.
    let mut can = vec![vec![false; other.len() + 1]; one.len() + 1];
    can[one.len()][other.len()] = true;
    for i in (0..=one.len()).rev() {
        for j in (0..=other.len()).rev() {
            let (a, b) = (one.get(i), other.get(j));
            can[i][j] |= a == Some(&'*') && (can[i + 1][j] || b.is_some() && can[i][j + 1]);
            can[i][j] |= b == Some(&'*') && (can[i][j + 1] || a.is_some() && can[i + 1][j]);
            can[i][j] |= a.is_some() && a == b && can[i + 1][j + 1];
        }
    }
    can[0][0]
}

/// The lines that the tables of a text name.
fn named_in(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(String::from));
    named.collect()
}

/// The lines that docs/log.md names.
fn rows() -> Vec<String> {
    let reference = fs::read_to_string(root().join("docs/log.md")).expect("docs/log.md");
    named_in(&reference)
}

/// The lines that the program can log, and where, as patterns.
fn lines() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, code) in sources() {
        let own = literals(&code, CALLS);
        if file.ends_with("server/disconnect.rs") {
            let reasons = literals(&code, REASONS).into_iter();
            // What follows such a piece may be another; one that begins otherwise continues one.
            let reasons = reasons.filter(|text| text.starts_with(char::is_alphabetic));
            let logged = reasons.filter(|text| *text != OF_THE_END);
            let patterns = logged.map(|text| pattern(text, &[]) + "*");
            found.extend(patterns.map(|text| (file.clone(), text)));
        }
        let patterns = own.into_iter().map(|text| pattern(text, &[]));
        // One that only passes on a text says nothing of its own.
        let own = patterns.filter(|text| text.chars().filter(|c| c.is_alphabetic()).count() > 3);
        found.extend(own.map(|text| (file.clone(), text)));
    }
    found
}

#[test]
fn every_line_of_the_program_stands_in_the_reference() {
    let rows: Vec<_> = rows().iter().map(|row| pattern(row, VARYING)).collect();
    let lines = lines();
    assert!(lines.len() > 50, "{lines:#?}");
    let missing = lines.iter().filter(|(_, line)| {
        let mut candidates = rows.iter();
        !candidates.any(|row| can_be_the_same(line, row))
    });
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_row_of_the_reference_is_in_the_program() {
    let code: String = sources().into_iter().map(|(_, code)| code).collect();
    let code = pattern(&code.replace(['{', '}'], "*"), &[]);
    let lines = lines();
    for row in rows() {
        let row = pattern(&row, VARYING);
        // Some are put together from pieces.
        let piece = row.split('*').max_by_key(|piece| piece.len());
        let piece = piece.unwrap_or_default().trim();
        let is_piece = piece.len() > 4 && code.contains(piece);
        let is_line = lines.iter().any(|(_, line)| can_be_the_same(line, &row));
        assert!(is_piece || is_line, "{row}: {piece:?}");
    }
}

/// Words of lines that are put together from pieces: what somebody would search for.
const WORDS: &[&str] = &[
    "Try 'chat-adapter --help'.",
    "turned away",
    "of servers that are away",
    "no server yet, or another adapter is connected already",
    "what repeats is summed up once a minute",
    "certificate is self-signed",
    "demands a client certificate and got none",
    "another adapter uses it",
    "is no journal of sessions",
];

#[test]
fn the_words_of_common_lines_are_found_in_the_reference() {
    let reference = fs::read_to_string(root().join("docs/log.md")).expect("docs/log.md");
    let code: String = sources().into_iter().map(|(_, code)| code).collect();
    for words in WORDS {
        assert!(code.contains(words), "not in the program: {words}");
        assert!(reference.contains(words), "{words}");
    }
    // What the system and the standard library say.
    assert!(reference.contains("Address already in use"));
    assert!(reference.contains("panicked at"));
}

#[test]
fn the_commonest_lines_in_the_readme_are_of_the_reference() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let (_, section) = readme.split_once("\n## What the log says\n").expect("it");
    let section = section.split("\n## ").next().unwrap_or_default();
    let commonest = named_in(section);
    assert_eq!(commonest.len(), 8, "{commonest:?}");
    for line in commonest {
        let wanted = pattern(&line, VARYING);
        let mut known = rows().into_iter().map(|row| pattern(&row, VARYING));
        assert!(known.any(|row| can_be_the_same(&wanted, &row)), "{line}");
    }
}

#[test]
fn the_comparison_tells_lines_apart() {
    assert!(can_be_the_same("serving for * s", "serving for * s"));
    assert!(can_be_the_same("lost while *: *", "lost while reading: *"));
    assert!(can_be_the_same("", "*"));
    assert!(!can_be_the_same("lost while *: *", "lost: the Proxy"));
    assert!(!can_be_the_same("connected to *", "connecting"));
    assert_eq!(
        pattern("at N bytes {x} in 10 s, RUST_LOG", &["N"]),
        "at * bytes * in * s, RUST_LOG"
    );
}
