//! The log: to stderr, one event a line.

use env_logger::{Builder, Env};
use log::LevelFilter;
use std::io::Write;

/// Starts logging. Without a `level` the variable `RUST_LOG` counts, and without that `info`.
pub fn start(level: Option<LevelFilter>) {
    let mut builder = match level {
        Some(level) => {
            let mut builder = Builder::new();
            builder.filter_level(level).parse_write_style("auto");
            builder
        }
        None => Builder::from_env(Env::default().default_filter_or("info")),
    };
    builder.format(|out, record| {
        let time = out.timestamp_millis();
        let level = record.level();
        let style = out.default_level_style(level);
        writeln!(out, "{time} {style}{level:<5}{style:#} {}", record.args())
    });
    builder.init();
}
