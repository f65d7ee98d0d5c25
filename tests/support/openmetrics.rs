//! A reader of the OpenMetrics text format 1.0 as its specification defines it, for counters and
//! gauges only. It panics at anything else.

use std::collections::{BTreeMap, BTreeSet};

/// The figures of one text, by metric family.
pub type Families = BTreeMap<String, Family>;

/// A metric family.
#[derive(Debug, Default)]
pub struct Family {
    /// `counter` or `gauge`.
    pub kind: String,
    /// The figures, by their labels.
    pub series: BTreeMap<Labels, f64>,
}

/// Names and values, unescaped.
pub type Labels = BTreeMap<String, String>;

/// Reads a text.
pub fn parse(text: &str) -> Families {
    let body = text.strip_suffix("# EOF\n").expect("it ends with the end of file mark");
    let mut families = Families::new();
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut current = String::new();
    for line in body.split_inclusive('\n') {
        let line = line.strip_suffix('\n').expect("every line ends");
        let Some(metadata) = line.strip_prefix("# ") else {
            sample(line, &current, families.get_mut(&current).expect("a family was begun"));
            continue;
        };
        let mut words = metadata.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{line}: a word is missing"));
        let (what, name, rest) = (word(), word(), word());
        if name != current {
            assert!(is_name(name, true), "{line}: not a name");
            assert!(!families.contains_key(name), "{name} is interleaved with others");
            families.insert(name.to_owned(), Family::default());
            name.clone_into(&mut current);
        }
        assert!(told.insert(format!("{what} {name}")), "{line}: told twice");
        let family = families.get_mut(name).expect("begun");
        assert!(family.series.is_empty(), "{line}: after its figures");
        match what {
            "HELP" => {
                let closed = format!("{rest}\"");
                assert!(!rest.is_empty() && quoted(&closed).1.is_empty(), "{line}: not escaped");
            }
            "TYPE" => {
                assert!(["counter", "gauge"].contains(&rest), "{line}");
                rest.clone_into(&mut family.kind);
            }
            "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}: not the end of the name"),
            _ => panic!("{line}: neither HELP, TYPE nor UNIT"),
        }
    }
    for (name, family) in &families {
        assert!(!family.kind.is_empty() && !family.series.is_empty(), "{name} has no type or no figures");
        assert!(!families.contains_key(&format!("{name}_total")), "{name}_total would be two things");
    }
    families
}

fn sample(line: &str, name: &str, family: &mut Family) {
    let suffix = if family.kind == "counter" { "_total" } else { "" };
    let rest = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(suffix));
    let rest = rest.unwrap_or_else(|| panic!("{line}: not of {name}"));
    let mut labels = Labels::new();
    let mut rest = rest;
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}: not a label"));
            assert!(is_name(label, false), "{line}: {label} is not a name");
            let (value, after) = quoted(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}: {label} twice");
            match after.as_bytes().first() {
                Some(b',') => rest = &after[1..],
                Some(b'}') => {
                    rest = &after[1..];
                    break;
                }
                _ => panic!("{line}: neither a comma nor the end of the labels"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}: no space before the figure"));
    assert!(value.bytes().all(|byte| b"+-.0123456789eE".contains(&byte)), "{line}: not a number, or more");
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}: not a number"));
    assert!(value.is_finite() && value >= 0.0, "{line}");
    assert!(family.series.insert(labels, value).is_none(), "{line}: the same figure twice");
}

/// The value up to its closing quote, unescaped, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next().expect("a quote closes").1 {
            '"' => return (value, characters.as_str()),
            '\\' => value.push(match characters.next().expect("an escape").1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                other => panic!("there is no escape \\{other}"),
            }),
            other => value.push(other),
        }
    }
}

fn is_name(name: &str, of_metric: bool) -> bool {
    let fits = |character: char| {
        character.is_ascii_alphanumeric() || character == '_' || of_metric && character == ':'
    };
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|first: char| first.is_ascii_digit())
}
