//! The figures the adapter must reach, and which of those that were measured it reaches.

use crate::table::{Table, short};

/// On which side of the bound a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// That or more.
    AtLeast(f64),
    /// That or less.
    AtMost(f64),
}

/// The figures measured so far that have a bound.
#[derive(Default)]
pub(crate) struct Goals(Vec<(String, Bound, f64)>);

impl Goals {
    /// Notes a figure.
    pub(crate) fn note(&mut self, figure: &str, bound: Bound, measured: f64) {
        self.0.push((figure.to_owned(), bound, measured));
    }

    /// Prints all of them.
    pub(crate) fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("### Against what it must reach\n");
        let mut table = Table::new(&["figure", "bound", "measured", "reached"]);
        for (figure, bound, got) in &self.0 {
            let (wanted, reached) = match bound {
                Bound::AtLeast(least) => (format!("≥ {least}"), got >= least),
                Bound::AtMost(most) => (format!("≤ {most}"), got <= most),
            };
            table.row([
                figure.clone(),
                wanted,
                short(*got),
                if reached { "yes" } else { "**no**" }.to_owned(),
            ]);
        }
        println!("{table}");
    }
}
