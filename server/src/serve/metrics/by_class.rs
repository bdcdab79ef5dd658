// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handshakes that were due for public-key work, by what spoke for them and how they ended.

use super::number::Number;
use crate::prometheus::Page;
use ttls::admission::Class;

/// How such a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is established.
    Completed,
    /// It failed by what one side did, or took too long.
    Failed,
    /// It was dropped in favour of others: it waited for too long, or made room.
    Dropped,
    /// The client went away.
    Left,
}

const CLASSES: [(Class, &str); 3] =
    [(Class::Ticket, "ticket"), (Class::Standing, "standing"), (Class::New, "new")];
const ENDS: [(Ended, &str); 4] = [
    (Ended::Completed, "completed"),
    (Ended::Failed, "failed"),
    (Ended::Dropped, "dropped"),
    (Ended::Left, "left"),
];

/// Counts of one worker.
#[derive(Debug, Default)]
pub struct ByClass([[Number; ENDS.len()]; CLASSES.len()]);

impl ByClass {
    /// Counts one.
    pub fn count(&self, class: Class, ended: Ended) {
        let row = CLASSES.iter().position(|entry| entry.0 == class).and_then(|row| self.0.get(row));
        let column = ENDS.iter().position(|entry| entry.0 == ended);
        if let Some(number) = row.zip(column).and_then(|(row, column)| row.get(column)) {
            number.add(1);
        }
    }

    /// The sums over all workers.
    pub(super) fn render<'a>(page: &mut Page, workers: impl Iterator<Item = &'a Self> + Clone) {
        let name = "ttls_handshakes_by_class_total";
        page.family(name, "counter", "Handshakes that were due for public-key work, by what spoke for them");
        for (row, (_, class)) in CLASSES.iter().enumerate() {
            for (column, (_, outcome)) in ENDS.iter().enumerate() {
                let numbers = workers.clone().filter_map(|worker| worker.0.get(row)?.get(column));
                page.sample(
                    name,
                    &[("class", class), ("outcome", outcome)],
                    numbers.map(Number::get).sum::<u64>(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place() {
        let workers = [ByClass::default(), ByClass::default()];
        for (class, _) in CLASSES {
            for (ended, _) in ENDS {
                workers.iter().for_each(|worker| worker.count(class, ended));
            }
        }
        workers[1].count(Class::Standing, Ended::Left);
        let mut page = Page::default();
        ByClass::render(&mut page, workers.iter());
        let text = page.into_text();
        assert_eq!(text.matches("} 2\n").count(), 11, "{text}");
        assert!(text.contains("{class=\"standing\",outcome=\"left\"} 3\n"), "{text}");
    }
}
