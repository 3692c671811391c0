//! Writes the man page and the completions for bash, zsh and fish into a directory, made from the one table of options
//! that the command line is parsed by. Each file has its own module; what they share is here.
//!
//! `cargo run --example shell-help -- target/shell-help`

mod bash;
mod fish;
mod man;
mod zsh;

use chat_adapter::cli::{OPTIONS, Opt};
use log::LevelFilter;
use std::path::Path;
use std::{env, fs, io, process};

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: shell-help DIRECTORY");
        process::exit(2);
    };
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    for (name, text) in [
        ("chat-adapter.1", man::page(OPTIONS)),
        ("chat-adapter.bash", bash::completion(OPTIONS)),
        ("_chat-adapter", zsh::completion(OPTIONS)),
        ("chat-adapter.fish", fish::completion(OPTIONS)),
    ] {
        let file = directory.join(name);
        fs::write(&file, text)?;
        println!("{}", file.display());
    }
    Ok(())
}

/// What can stand for the value of an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It takes none.
    None,
    /// The name of a file.
    File,
    /// The name of a host.
    Host,
    /// A level of the log.
    Level,
    /// Something that cannot be guessed.
    Other,
}

impl Value {
    fn of(option: &Opt) -> Value {
        match option.value {
            "" => Value::None,
            "FILE" => Value::File,
            "HOST" => Value::Host,
            "LEVEL" => Value::Level,
            _ => Value::Other,
        }
    }
}

/// The levels that the log can be set to.
fn levels() -> String {
    let levels = LevelFilter::iter().map(|level| level.as_str().to_lowercase());
    levels.collect::<Vec<_>>().join(" ")
}

/// What an option does, in one line.
fn help(option: &Opt) -> String {
    option.help.replace('\n', " ")
}

/// The same without its default, for a narrow column.
fn short_help(option: &Opt) -> String {
    let help = help(option);
    help.split(" [default").next().unwrap_or(&help).to_owned()
}

/// The long names of all options with this kind of value, each with its dashes.
fn long_names(options: &[Opt], value: Value) -> Vec<String> {
    let chosen = options.iter().filter(|option| Value::of(option) == value);
    chosen.map(|option| format!("--{}", option.long)).collect()
}

/// All names of all options, each with its dashes.
fn all_names(options: &[Opt]) -> Vec<String> {
    let short = options
        .iter()
        .filter_map(|option| Some(format!("-{}", option.short?)));
    let long = options.iter().map(|option| format!("--{}", option.long));
    long.chain(short).collect()
}
