//! The papers: README.md, CHANGELOG.md and docs/*.md. What they link to is there, what they show of
//! the log is what the program says, and no sentence stands in two of them.

use crate::setup::{SESSION, Setup};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How long README.md may be.
const README_LINES: usize = 220;

/// Shorter sentences may be the same by chance.
const SENTENCE_WORDS: usize = 6;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All of them, and their texts.
fn papers() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).expect("docs");
    let docs = docs.map(|entry| entry.expect("an entry").path());
    let docs = docs.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let all = docs.chain(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut all: Vec<_> = all.map(|path| (path.clone(), read(&path))).collect();
    all.sort();
    all
}

/// Its lines in prose and tables, or those of its blocks of this kind.
fn lines<'a>(text: &'a str, block: Option<&str>) -> Vec<&'a str> {
    let mut inside = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(kind), None) => inside = Some(kind),
            (Some(_), Some(_)) => inside = None,
            (None, _) if inside == block => found.push(line),
            (None, _) => {}
        }
    }
    found
}

/// The anchors of its headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = lines(text, None)
        .into_iter()
        .filter(|line| line.starts_with('#'));
    let words = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchors = words.map(|heading| heading.chars().filter(kept).collect::<String>());
    anchors.map(|anchor| anchor.replace(' ', "-")).collect()
}

/// What its links point to.
fn links(text: &str) -> Vec<String> {
    let prose = lines(text, None).join("\n");
    let ends = prose.split("](").skip(1);
    let targets = ends.filter_map(|rest| rest.split(')').next());
    targets.map(String::from).collect()
}

#[test]
fn every_relative_link_and_anchor_resolves() {
    let mut checked = 0;
    for (path, text) in papers() {
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.with_file_name("").join(file),
            };
            assert!(target.exists(), "{}: {link}", path.display());
            let is_there =
                anchor.is_empty() || anchors(&read(&target)).iter().any(|it| it == anchor);
            assert!(is_there, "{}: {link}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_readme_is_short() {
    let count = read(&root().join("README.md")).lines().count();
    assert!(count <= README_LINES, "{count} lines");
}

#[test]
fn the_changelog_has_this_version() {
    let heading = concat!("\n## [", env!("CARGO_PKG_VERSION"), "] - ");
    assert!(read(&root().join("CHANGELOG.md")).contains(heading));
}

#[test]
fn every_folder_of_tests_is_told_of() {
    let text = read(&root().join("docs/CONTRIBUTING.md"));
    let folders = fs::read_dir(root().join("tests")).expect("tests");
    let folders = folders.map(|entry| entry.expect("an entry").path());
    for folder in folders.filter(|path| path.is_dir()) {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let row = format!("\n| `{name}` |");
        assert!(text.contains(&row), "no row for tests/{name}");
    }
}

/// Where the Debian package puts a paper, what it links to must be as well.
#[test]
fn what_the_papers_link_to_is_in_the_package() {
    let manifest = read(&root().join("Cargo.toml"));
    let rows = manifest.lines().map(str::trim);
    let rows = rows.filter(|row| row.contains("\"usr/share/doc/chat-adapter/"));
    let sources = rows.filter_map(|row| row.strip_prefix("[\"")?.split('"').next());
    let sources: Vec<_> = sources.collect();
    assert!(sources.contains(&"docs/*.md"), "{sources:?}");
    for (path, text) in papers() {
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap_or_default();
            let target = path.with_file_name("").join(file).canonicalize();
            let target = target.unwrap_or_else(|error| panic!("{link}: {error}"));
            let target = target.strip_prefix(root()).expect(link).to_string_lossy();
            let is_paper = target.starts_with("docs/") && target.ends_with(".md");
            let is_there = |source: &&str| *source == target || source.starts_with(&*target);
            let is_there = is_paper || sources.iter().any(is_there);
            assert!(is_there, "{}: {link}", path.display());
        }
    }
}

#[test]
fn no_sentence_stands_in_two_places() {
    let front = root().join("src/lib.rs");
    let comments = read(&front);
    let comments = comments.lines().filter_map(|line| line.strip_prefix("//!"));
    let comments = comments.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let mut texts = papers();
    texts.push((front, comments.collect::<Vec<_>>().join("\n")));
    let mut seen: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for (path, text) in texts {
        let lines = lines(&text, None);
        let below = lines.iter().skip(1).chain([&""]);
        let lines = lines.iter().zip(below);
        // The head of a table says the same as others.
        let lines = lines.filter(|(_, below)| !below.starts_with("| ---"));
        let prose = lines.map(|(line, _)| match line {
            // A cell of a table, or an item of a list, is no part of the next.
            line if line.starts_with('|') => line.replace(" | ", ". ") + ". ",
            line => line.trim_start_matches(['-', ' ']).to_owned() + " ",
        });
        // A line of the log, or an option, may be quoted anywhere.
        let prose: String = prose.collect::<String>().split('`').step_by(2).collect();
        for sentence in prose.split(['.', ':', ';', '?']) {
            let words: Vec<_> = sentence.split_whitespace().collect();
            if words.len() >= SENTENCE_WORDS {
                let words = words.join(" ").to_lowercase();
                seen.entry(words).or_default().push(path.clone());
            }
        }
    }
    let twice: Vec<_> = seen.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}");
    assert!(seen.len() > 300, "{}", seen.len());
}

/// The block of this page that begins with a line which has these words.
fn sample(page: &str, words: &str) -> Vec<String> {
    let text = read(&root().join(page));
    let blocks = text.split("```text\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("\n```").next());
    let block = blocks.find(|block| {
        block
            .lines()
            .next()
            .is_some_and(|line| line.contains(words))
    });
    block.expect(words).lines().map(String::from).collect()
}

#[test]
fn what_the_log_says_when_all_is_well_is_what_the_readme_shows() {
    let setup = Setup::in_room();
    let (metadata, data) = (setup.server.metadata.port(), setup.server.data.port());
    setup.adapter.wait_for_log(&["metadata", "serving"]);
    for line in sample("README.md", "chat-adapter ") {
        let (_, event) = line.split_once("Z ").expect("a time");
        let event = event.replace("localhost", "127.0.0.1");
        let event = event.replace(":8003", &format!(":{metadata}"));
        let event = event.replace(":8001", &format!(":{data}"));
        setup.adapter.wait_for_log(&[&event]);
    }
}

#[test]
fn the_line_of_state_is_the_one_that_is_shown() {
    let mut setup = Setup::in_room();
    setup.metadata.say(SESSION, "one").expect("success");
    setup.adapter.signal("USR1");
    for line in sample("docs/log.md", "metadata serving") {
        // What is still on its way is counted, too.
        let parts: Vec<_> = line.split("0 bytes queued").collect();
        setup.adapter.wait_for_log(&parts);
    }
}
