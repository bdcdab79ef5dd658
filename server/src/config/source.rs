// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the file, merging flags over it, and saying where a value was written.

use super::flags::Flag;
use super::schema::Config;
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// What is wrong, and where: `ttls.toml:12: …` or `--flag value: …`. Several things that are wrong stand in lines of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error that has no place in the configuration.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Several things that are wrong, as one.
    pub fn several(errors: Vec<Self>) -> Self {
        let lines: Vec<_> = errors.into_iter().map(|error| error.0).collect();
        Self(lines.join("\n"))
    }

    /// One thing after another that is wrong.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace('\n', "; "))
    }
}

impl std::error::Error for Error {}

/// Where a configuration comes from. Reading it again is a reload.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Flags, which win over the file.
    pub flags: Vec<Flag>,
}

/// A configuration as it was written, with its positions.
#[derive(Debug)]
pub struct Written {
    /// The values.
    pub config: Config,
    file: Option<PathBuf>,
    text: String,
    flags: Vec<Flag>,
}

impl Source {
    /// Reads the file and merges the flags.
    ///
    /// # Errors
    /// The file can not be read, is not TOML, or has an unknown key or a wrong value.
    pub fn read(&self) -> Result<Written, Error> {
        let text = match &self.file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|e| Error(format!("{}: can not be read: {e}", path.display())))?,
        };
        self.parse(text)
    }

    pub(crate) fn parse(&self, text: String) -> Result<Written, Error> {
        let mut written =
            Written { config: Config::default(), file: self.file.clone(), text, flags: self.flags.clone() };
        // Each flag is parsed behind as many blanks as there are bytes before it, so that spans tell where it was written.
        let padded =
            |(i, flag): (usize, &Flag)| format!("{}{}", " ".repeat(written.flag_start(i)), flag.toml);
        let flags: Vec<String> = written.flags.iter().enumerate().map(padded).collect();
        let at = |e: toml::de::Error| written.at(&e.span().unwrap_or(0..0), e.message());
        let mut root = DeTable::parse(&written.text).map_err(at)?;
        for (flag, text) in written.flags.iter().zip(&flags) {
            let table = DeTable::parse(text).map_err(at)?;
            merge(root.get_mut(), table.into_inner(), &flag.key);
        }
        match Config::deserialize(Deserializer::from(root.clone())) {
            Ok(config) => written.config = config,
            // The first of them.
            Err(error) => {
                let all: Vec<_> = mistakes(root.get_ref()).into_iter().map(&at).collect();
                return Err(if all.is_empty() { at(error) } else { Error::several(all) });
            }
        }
        Ok(written)
    }
}

/// What is wrong with each key, looked at by itself, in the order of the file: reading the whole stops at the first.
fn mistakes(root: &DeTable<'_>) -> Vec<toml::de::Error> {
    let mut found: Vec<toml::de::Error> = Vec::new();
    for (name, value) in root {
        let parts = match value.get_ref() {
            DeValue::Table(table) => table
                .iter()
                .map(|(key, value)| DeValue::Table([(key.clone(), value.clone())].into_iter().collect()))
                .collect(),
            DeValue::Array(list) if list.iter().all(|item| item.get_ref().is_table()) => {
                list.iter().map(|item| DeValue::Array([item.clone()].into_iter().collect())).collect()
            }
            whole => vec![whole.clone()],
        };
        for part in parts {
            let alone: DeTable<'_> = [(name.clone(), Spanned::new(value.span(), part))].into_iter().collect();
            let read = Config::deserialize(Deserializer::from(Spanned::new(0..0, alone)));
            // A table that is not known is one mistake, however many keys it has.
            if let Err(error) = read
                && !found.iter().any(|other| other.span() == error.span())
            {
                found.push(error);
            }
        }
    }
    found.sort_by_key(|error| error.span().map(|span| span.start));
    found
}

/// What the reader of the file says, in an operator's words where its own mislead.
fn explained(message: &str) -> String {
    let Some(found) = message.strip_prefix("invalid type: ") else { return message.to_owned() };
    match (found.strip_suffix(", expected a sequence"), found.strip_prefix("string ")) {
        (Some(_), Some(text)) => {
            let text = text.strip_suffix(", expected a sequence").unwrap_or(text);
            format!("a list is expected, in brackets: write [{text}]")
        }
        (Some(found), None) => format!("a list is expected, in brackets, and not {found}"),
        (None, _) => message.to_owned(),
    }
}

/// Puts the value of `flag` into `table`; certificates are appended.
fn merge<'t>(table: &mut DeTable<'t>, flag: DeTable<'t>, key: &str) {
    for (name, value) in flag {
        match (table.get_mut(&name).map(Spanned::get_mut), value.get_ref()) {
            (Some(DeValue::Table(inner)), DeValue::Table(_)) => {
                if let DeValue::Table(more) = value.into_inner() {
                    merge(inner, more, key);
                }
            }
            (Some(DeValue::Array(list)), DeValue::Array(more)) if key == "certificate" => {
                for item in more {
                    list.push(item.clone());
                }
            }
            // With its place: it is the flag's.
            _ => drop(table.insert(name, value)),
        }
    }
}

impl Written {
    /// Offset at which flag `index` counts as written.
    fn flag_start(&self, index: usize) -> usize {
        self.text.len() + self.flags.iter().take(index).map(|flag| flag.toml.len() + 1).sum::<usize>() + 1
    }

    /// An error about what is written at `span`.
    pub fn at(&self, span: &Range<usize>, message: &str) -> Error {
        let mut flags = self.flags.iter().enumerate().rev();
        let flag = flags.find(|&(i, _)| self.flag_start(i) <= span.start);
        let message = explained(message.trim_end()).replace('\n', "; ");
        Error(match (flag, &self.file) {
            (Some((_, flag)), _) => format!("{}: {message}", flag.written),
            (None, Some(file)) => {
                let before = self.text.bytes().take(span.start);
                let line = before.filter(|&byte| byte == b'\n').count() + 1;
                format!("{}:{line}: {message}", file.display())
            }
            (None, None) => format!("command line: {message}"),
        })
    }

    /// An error about a value.
    pub fn error<T>(&self, value: &Spanned<T>, message: impl AsRef<str>) -> Error {
        self.at(&value.span(), message.as_ref())
    }

    /// An error about the value of a key, such as `limits.half_open`, whether it is written or a default.
    pub fn about(&self, key: &str, message: &str) -> Error {
        match self.span_of(key) {
            Some(span) => self.at(&span, message),
            None => self.missing(message),
        }
    }

    /// Where a key's value is written.
    fn span_of(&self, key: &str) -> Option<Range<usize>> {
        if let Some(i) = self.flags.iter().rposition(|flag| flag.key == key) {
            let start = self.flag_start(i);
            return Some(start..start);
        }
        let root = DeTable::parse(&self.text).ok()?;
        let mut table = root.get_ref();
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            let value = table.get(part)?;
            match value.get_ref() {
                DeValue::Table(inner) if parts.peek().is_some() => table = inner,
                _ => return Some(value.span()),
            }
        }
        None
    }

    /// Whether a key is written, or left to its default.
    pub fn is_written(&self, key: &str) -> bool {
        self.span_of(key).is_some()
    }

    /// Where a value is written, to be put in front of a message.
    pub fn place<T>(&self, value: &Spanned<T>) -> String {
        self.error(value, "").0
    }

    /// An error about the configuration as a whole.
    pub fn missing(&self, message: &str) -> Error {
        match &self.file {
            Some(file) => Error(format!("{}: {message}", file.display())),
            None => Error(format!("command line: {message}")),
        }
    }

    /// The path that a value stands for: relative ones count from the file's folder, or from the
    /// working folder when the flag says so.
    pub fn path(&self, value: &Spanned<PathBuf>) -> PathBuf {
        match &self.file {
            Some(file) if value.span().start <= self.text.len() => {
                file.parent().unwrap_or(Path::new("")).join(value.get_ref())
            }
            _ => value.get_ref().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, flags: &[(&str, &str)]) -> Result<Written, String> {
        let flags = flags.iter().map(|(key, value)| Flag::new(key, value).unwrap()).collect();
        Source { file: Some("conf/t.toml".into()), flags }.parse(text.into()).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_win_and_certificates_add_up() {
        let text = "backend = \"a:1\"\n[[certificate]]\nchain = \"one\"\n[tls]\nalpn = [\"h2\"]\nversions = [\"1.2\"]";
        let flags = [("backend", "b:2"), ("certificate", "two,k"), ("tls.versions", "1.3")];
        let written = parse(text, &flags).unwrap();
        assert_eq!(written.config.backend.as_ref().unwrap().get_ref().to_string(), "b:2");
        let chains: Vec<_> =
            written.config.certificate.iter().map(|c| written.path(&c.get_ref().chain)).collect();
        assert_eq!(chains, [PathBuf::from("conf/one"), PathBuf::from("two")]);
        assert_eq!(written.config.tls.alpn.len(), 1);
        assert_eq!(written.place(written.config.backend.as_ref().unwrap()), "--backend b:2: ");
        assert_eq!(written.config.tls.versions.len(), 1);
        assert_eq!(written.config.tls.versions[0].0, ttls::suite::Version::Tls13);
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            ("\n\nlisten = 5", "conf/t.toml:3: a list is expected, in brackets, and not integer `5`"),
            ("liste = []", "conf/t.toml:1: unknown field `liste`, expected one of `listen`"),
            ("[tls]\n\nversion = []", "conf/t.toml:3: unknown field `version`"),
            ("[tls]\nversions = [\n\"1.3\",\n\"1.1\"]", "conf/t.toml:4: `1.1` is not a supported version"),
            ("[timeouts]\nidle = \"5 minutes\"", "conf/t.toml:2: `5 minutes` is not a duration"),
            ("[limits]\nconnections = -1", "conf/t.toml:2: invalid value"),
            ("[log]\nformat = \"xml\"", "conf/t.toml:2: unknown variant `xml`, expected `logfmt` or `json`"),
            ("listen = [", "conf/t.toml:1: "),
            ("user = 'a'\nuser = 'b'", "conf/t.toml:2: duplicate key"),
            ("[[certificate]]\nkey = 'x'", "conf/t.toml:1: missing field `chain`"),
        ];
        for (text, expected) in cases {
            let error = parse(text, &[]).unwrap_err();
            assert!(error.starts_with(expected), "{text:?} gave {error:?}");
        }
        let flags = [("tls.groups", "x25519"), ("backend", "nowhere"), ("workers", "2")];
        let error = parse("user = 'a'", &flags).unwrap_err();
        assert!(error.starts_with("--backend nowhere: `nowhere` is not a backend"), "{error}");
    }

    /// The names that the file's reader knows in a table, by what it says of one that it does not know; `None` of what is no table.
    fn fields(table: &str) -> Option<Vec<String>> {
        let error = Source::default().parse(format!("{table}\nnonsense = 1")).unwrap_err().to_string();
        let (_, expected) = error.split_once("unknown field `nonsense`, expected ")?;
        Some(expected.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    }

    /// Every key that may stand in a file, but for those of the lists of tables.
    fn keys() -> Vec<String> {
        let mut keys = Vec::new();
        for name in fields("").unwrap() {
            match fields(&format!("[{name}]")) {
                Some(inner) => keys.extend(inner.iter().map(|key| format!("{name}.{key}"))),
                None if ["certificate", "route", "rule"].contains(&name.as_str()) => {}
                None => keys.push(name),
            }
        }
        keys
    }

    #[test]
    fn flags_example_reference_and_man_page_have_every_key() {
        let mut keys = keys();
        assert!(keys.len() > 40, "{keys:?}");
        let in_file = |name: &str| fields(&format!("[[{name}]]")).unwrap();
        let inner: Vec<_> = [in_file("certificate"), in_file("route"), in_file("rule")].concat();
        let man = include_str!("../../../packaging/man/ttls.toml.5");
        let items = man.lines().filter_map(|line| line.strip_prefix(".It Sy "));
        let mut items: Vec<_> =
            items.flat_map(|line| line.split([' ', ','])).filter(|word| !word.is_empty()).collect();
        for key in keys.iter().map(String::as_str).chain(inner.iter().map(String::as_str)) {
            assert!(items.contains(&key), "ttls.toml(5) lacks {key}");
        }
        items.retain(|item| !keys.iter().chain(&inner).any(|key| key == item));
        assert!(items.is_empty(), "ttls.toml(5) has {items:?}, which are no keys");
        let (example, reference) =
            (include_str!("../../../docs/ttls.example.toml"), include_str!("../../../docs/configuration.md"));
        for key in keys.iter().chain(&inner) {
            let name = key.rsplit('.').next().unwrap();
            assert!(example.contains(&format!("{name} = ")), "the example lacks {key}");
            assert!(reference.contains(&format!("`{name}`")), "docs/configuration.md lacks {key}");
        }
        let mut flags: Vec<_> = crate::config::flags::KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
        flags.sort_unstable();
        keys.sort_unstable();
        assert_eq!(flags, keys);
    }

    #[test]
    fn the_example_has_the_defaults() {
        let config = parse(include_str!("../../../docs/ttls.example.toml"), &[]).unwrap().config;
        let default = Config::default();
        let same = |one: &dyn fmt::Debug, other: &dyn fmt::Debug| {
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
        };
        same(&config.tls.versions, &default.tls.versions);
        same(&config.tls.suites, &default.tls.suites);
        same(&config.tls.groups, &default.tls.groups);
        same(&config.tickets, &default.tickets);
        same(&config.client_certificates, &default.client_certificates);
        same(&config.timeouts, &default.timeouts);
        same(&config.limits, &default.limits);
        same(&config.overload, &default.overload);
        same(&config.log, &default.log);
        same(&config.metrics, &default.metrics);
        same(
            &(config.backlog, config.tcp_keepalive, config.tcp_fastopen),
            &(default.backlog, default.tcp_keepalive, default.tcp_fastopen),
        );
    }

    /// The reference's tables say `key` and its default, as it would be written in the file.
    #[test]
    fn the_reference_has_the_defaults() {
        let reference = include_str!("../../../docs/configuration.md");
        let known = keys();
        let (mut table, mut compared) = (String::new(), 0);
        for line in reference.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                let name = title.strip_prefix("`[").and_then(|rest| rest.strip_suffix("]`"));
                table = name.map(|name| format!("{name}.")).unwrap_or_default();
                continue;
            }
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let (Some(names), Some(values)) = (cells.next(), cells.next()) else { continue };
            // "`0` (none)": what stands in brackets is an explanation.
            let values = values.split(" (").next().unwrap();
            let codes = |cell: &str| -> Option<Vec<String>> {
                cell.split(", ")
                    .map(|code| Some(code.strip_prefix('`')?.strip_suffix('`')?.to_owned()))
                    .collect()
            };
            let (Some(names), Some(values)) = (codes(names), codes(values)) else {
                // A list is one value.
                if let (Some([name]), Some(value)) = (codes(names).as_deref(), values.strip_prefix('`')) {
                    compared += usize::from(is_default(
                        &known,
                        &format!("{table}{name}"),
                        value.trim_end_matches('`'),
                    ));
                }
                continue;
            };
            for (name, value) in names.iter().zip(&values) {
                compared += usize::from(is_default(&known, &format!("{table}{name}"), value));
            }
        }
        assert!(compared > 35, "only {compared} defaults were found");
    }

    /// Compares a default with the program's; `false` if it is none of a key.
    fn is_default(known: &[String], key: &str, value: &str) -> bool {
        // Its default depends on the environment.
        if key == "cpu" || !known.iter().any(|other| other == key) {
            return false;
        }
        let written =
            parse(&format!("{key} = {value}"), &[]).unwrap_or_else(|e| panic!("{key} = {value}: {e}"));
        assert_eq!(
            format!("{:?}", written.config),
            format!("{:?}", Config::default()),
            "the default of {key}"
        );
        true
    }

    #[test]
    fn every_flag_of_the_help_is_in_the_man_page() {
        let man = include_str!("../../../packaging/man/ttls.8");
        for name in ["config", "demo", "certificate", "keylog", "help", "version"] {
            assert!(man.contains(&format!("Fl -{name}")), "ttls(8) lacks --{name}");
        }
    }
}
