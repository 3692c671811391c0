//! Tables that can be read as they are and pasted into Markdown as they are, and the forms numbers
//! take in them.

use std::fmt::{self, Display, Formatter};

use crate::stats::Pairs;

/// A table: the first column is aligned to the left, the others to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with those column heads.
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self {
            rows: vec![heads.iter().map(ToString::to_string).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
                .max(4)
        };
        let widths: Vec<_> = (0..self.rows[0].len()).map(width).collect();
        for (line, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(f, "| {cell:<width$} |")?
                } else {
                    write!(f, " {cell:>width$} |")?
                }
            }
            writeln!(f)?;
            if line == 0 {
                for (column, width) in widths.iter().enumerate() {
                    if column == 0 {
                        write!(f, "| {:-<width$} |", "")?
                    } else {
                        write!(f, " {:->1$} |", ":", *width)?
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// Three cells: ours, the other's, and the ratio with the least and the greatest of its values, if
/// there are several.
pub(crate) fn compared(pairs: &Pairs, form: impl Fn(f64) -> String) -> [String; 3] {
    let (middle, least, greatest) = pairs.ratio();
    let ratio = if middle.is_nan() {
        // Nothing over nothing.
        "–".to_owned()
    } else if least < greatest {
        format!("{middle:.2} ({least:.2}–{greatest:.2})")
    } else {
        format!("{middle:.2}")
    };
    [form(pairs.ours()), form(pairs.floor()), ratio]
}

/// A whole number with thousands set apart.
pub(crate) fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with three digits that matter, down to four places.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => whole(value),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.01.. => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.2} MiB", bytes / f64::from(1 << 20))
}
