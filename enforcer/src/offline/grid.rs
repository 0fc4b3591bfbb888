//! Tables of verdicts for people: sources are rows, columns are numbered as the rows are.
//!
//! Pure. A table that no screen shows is folded: by namespace, else by cluster.

use super::ends::{End, Table, Verdict};
use crate::screen::{self, Ink, Tone};
use std::fmt::Write as _;

/// The most rows and columns that a table has before it is folded. With names of usual length that is 170 characters.
pub const MAX_ENDS: usize = 48;

/// The most characters of a name before its middle is left out.
const MAX_NAME: usize = 56;

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    /// The same for all that it stands for.
    One(Verdict),
    /// Some of this, some of that.
    Mixed,
}

/// All tables, a legend and a count.
pub fn matrix(ends: &[End], tables: &[Table], ink: Ink) -> String {
    let mut text = String::new();
    for table in tables {
        let _ = writeln!(text, "{}", self::table(ends, table, ink));
    }
    text + &count(tables)
}

/// One table.
pub fn table(ends: &[End], table: &Table, ink: Ink) -> String {
    match fold(ends) {
        None => {
            let cells = |row: &Vec<Verdict>| row.iter().map(|verdict| Cell::One(*verdict)).collect();
            let names = ends.iter().map(ToString::to_string).collect();
            grid(
                &table.probe.to_string(),
                names,
                table.rows.iter().map(cells).collect(),
                ink,
            )
        }
        Some(Fold { by, groups, places }) if groups.len() <= MAX_ENDS => {
            let cells = folded(table, &places, groups.len());
            let text = grid(&table.probe.to_string(), groups, cells, ink);
            format!(
                "{text}{} ends are too many for a table: folded by {by}, ~ where verdicts differ, a pod and itself aside. \
                 --ends FILE picks some, --format json has all.\n",
                ends.len()
            )
        }
        Some(Fold { by, groups, .. }) => format!(
            "{}: {} ends of {} {by}s are too many for a table. --ends FILE picks some, --format json has all.\n",
            table.probe,
            ends.len(),
            groups.len()
        ),
    }
}

/// How many of each verdict some tables have, in words, below a legend.
pub fn count(tables: &[Table]) -> String {
    let of = |wanted| {
        let verdicts = tables.iter().flat_map(|table| &table.rows).flatten();
        verdicts.filter(|verdict| **verdict == wanted).count()
    };
    let [allowed, refused] = [of(Verdict::Allowed), of(Verdict::Refused)];
    format!(". allowed   X refused   - no such traffic          {allowed} allowed, {refused} refused")
}

/// Ends that are shown as one.
struct Fold {
    by: &'static str,
    groups: Vec<String>,
    /// The group of each end.
    places: Vec<usize>,
}

/// `None`: all ends can be shown.
fn fold(ends: &[End]) -> Option<Fold> {
    if ends.len() <= MAX_ENDS {
        return None;
    }
    let namespace = |end: &End| match end {
        End::Pod(name) => format!("{}/{}", name.cluster, name.namespace),
        End::Address(_) => end.to_string(),
    };
    let cluster = |end: &End| match end {
        End::Pod(name) => name.cluster.to_string(),
        End::Address(_) => "ip".to_owned(),
    };
    let by_namespace = Fold::new("namespace", ends.iter().map(namespace));
    if by_namespace.groups.len() <= MAX_ENDS {
        return Some(by_namespace);
    }
    Some(Fold::new("cluster", ends.iter().map(cluster)))
}

impl Fold {
    /// Groups stand in the order of their first ends.
    fn new(by: &'static str, names: impl Iterator<Item = String>) -> Self {
        let mut known = std::collections::BTreeMap::new();
        let mut groups = Vec::new();
        let places = names.map(|name| {
            *known.entry(name).or_insert_with_key(|name| {
                groups.push(name.clone());
                groups.len() - 1
            })
        });
        let places = places.collect();
        Self { by, groups, places }
    }
}

/// What all verdicts between two groups come to. A pod and itself say nothing, unless there is nothing else.
fn folded(table: &Table, places: &[usize], groups: usize) -> Vec<Vec<Cell>> {
    let mut cells = vec![vec![None; groups]; groups];
    for themselves in [false, true] {
        for (from, (row, &source)) in table.rows.iter().zip(places).enumerate() {
            for (to, (verdict, &destination)) in row.iter().zip(places).enumerate() {
                let cell: &mut Option<Cell> = &mut cells[source][destination];
                match *cell {
                    _ if (from == to) != themselves => {}
                    None => *cell = Some(Cell::One(*verdict)),
                    Some(known) if themselves || known == Cell::One(*verdict) => {}
                    Some(_) => *cell = Some(Cell::Mixed),
                }
            }
        }
    }
    let cell = |cell: Option<Cell>| cell.unwrap_or(Cell::One(Verdict::Absent));
    cells
        .into_iter()
        .map(|row| row.into_iter().map(cell).collect())
        .collect()
}

fn grid(title: &str, names: Vec<String>, rows: Vec<Vec<Cell>>, ink: Ink) -> String {
    let names: Vec<String> = names.into_iter().map(|name| shortened(&name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let digits = names.len().to_string().len();
    let mut text = ink.paint(Tone::Strong, format!("{title:<0$}", digits + 2 + width));
    for column in 1..=names.len() {
        let _ = write!(text, " {}", ink.paint(Tone::Quiet, format!("{column:>digits$}")));
    }
    text.push('\n');
    for (number, (name, row)) in (1..).zip(names.iter().zip(&rows)) {
        let number = ink.paint(Tone::Quiet, format!("{number:>digits$}"));
        let _ = write!(text, "{number}  {name:<width$}");
        for cell in row {
            let (sign, tone) = match cell {
                Cell::One(Verdict::Refused) => ('X', Some(Tone::Bad)),
                Cell::One(Verdict::Absent) => ('-', Some(Tone::Quiet)),
                Cell::One(Verdict::Allowed) => ('.', None),
                Cell::Mixed => ('~', Some(Tone::Odd)),
            };
            let sign = format!("{sign:>digits$}");
            let sign = tone.map_or(sign.clone(), |tone| ink.paint(tone, sign));
            let _ = write!(text, " {sign}");
        }
        text.push('\n');
    }
    text
}

/// A name as it can be shown, without its middle if it is long.
fn shortened(name: &str) -> String {
    let mut name = name.to_owned();
    screen::make_plain(&mut name, |_| false);
    let length = name.chars().count();
    if length <= MAX_NAME {
        return name;
    }
    let half = (MAX_NAME - 1) / 2;
    let begin: String = name.chars().take(half).collect();
    let end: String = name.chars().skip(length - half).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests;
