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

    /// All of `errors` as one; none is no error.
    ///
    /// # Errors
    /// There are some.
    pub fn all(errors: Vec<Self>) -> Result<(), Self> {
        let lines: Vec<_> = errors.into_iter().map(|error| error.0).collect();
        if lines.is_empty() { Ok(()) } else { Err(Self(lines.join("\n"))) }
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

    fn parse(&self, text: String) -> Result<Written, Error> {
        let mut written =
            Written { config: Config::default(), file: self.file.clone(), text, flags: self.flags.clone() };
        // Each flag is parsed behind as many blanks as there are bytes before it, so that spans tell where it was written.
        let flags: Vec<String> = (0..written.flags.len())
            .map(|i| {
                let mut padded = " ".repeat(written.flag_start(i));
                padded.push_str(&written.flags[i].toml);
                padded
            })
            .collect();
        let at = |e: toml::de::Error| written.at(&e.span().unwrap_or(0..0), e.message());
        let mut root = DeTable::parse(&written.text).map_err(at)?;
        for (flag, text) in written.flags.iter().zip(&flags) {
            let table = DeTable::parse(text).map_err(at)?;
            merge(root.get_mut(), table.into_inner(), &flag.key);
        }
        let config = Config::deserialize(Deserializer::from(root)).map_err(at)?;
        written.config = config;
        Ok(written)
    }
}

/// Puts the value of `flag` into `table`; certificates are appended.
fn merge<'t>(table: &mut DeTable<'t>, flag: DeTable<'t>, key: &str) {
    for (name, value) in flag {
        if let Some(present) = table.get_mut(&name) {
            match (present.get_mut(), value.into_inner()) {
                (DeValue::Table(inner), DeValue::Table(more)) => merge(inner, more, key),
                (DeValue::Array(list), DeValue::Array(more)) if key == "certificate" => {
                    for item in more {
                        list.push(item);
                    }
                }
                (place, value) => *place = value,
            }
        } else {
            table.insert(name, value);
        }
    }
}

impl Written {
    /// Offset at which flag `index` counts as written.
    fn flag_start(&self, index: usize) -> usize {
        self.text.len() + self.flags[..index].iter().map(|flag| flag.toml.len() + 1).sum::<usize>() + 1
    }

    /// An error about what is written at `span`.
    pub fn at(&self, span: &Range<usize>, message: &str) -> Error {
        let flag = (0..self.flags.len()).rev().find(|&i| self.flag_start(i) <= span.start);
        let message = message.trim_end().replace('\n', "; ");
        Error(match (flag, &self.file) {
            (Some(i), _) => format!("{}: {message}", self.flags[i].written),
            (None, Some(file)) => {
                let line = self.text.as_bytes()[..span.start.min(self.text.len())]
                    .iter()
                    .filter(|&&byte| byte == b'\n')
                    .count()
                    + 1;
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
        if let Some(i) = (0..self.flags.len()).rev().find(|&i| self.flags[i].key == key) {
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
        assert_eq!(written.config.tls.versions.len(), 1);
        assert_eq!(written.config.tls.versions[0].0, ttls::suite::Version::Tls13);
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            ("\n\nlisten = 5", "conf/t.toml:3: invalid type"),
            ("liste = []", "conf/t.toml:1: unknown field `liste`, expected one of `listen`"),
            ("[tls]\n\nversion = []", "conf/t.toml:3: unknown field `version`"),
            ("[tls]\nversions = [\n\"1.3\",\n\"1.1\"]", "conf/t.toml:2: `1.1` is not a supported version"),
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

    #[test]
    fn the_example_has_every_key_with_its_default() {
        let example = include_str!("../../../docs/ttls.example.toml");
        let config = parse(example, &[]).unwrap().config;
        let default = Config::default();
        assert_eq!(format!("{:?}", config.tls.suites), format!("{:?}", default.tls.suites));
        assert_eq!(format!("{:?}", config.tls.groups), format!("{:?}", default.tls.groups));
        assert_eq!(format!("{:?}", config.timeouts), format!("{:?}", default.timeouts));
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", default.limits));
        assert_eq!(format!("{:?}", config.log), format!("{:?}", default.log));
        let reference = include_str!("../../../docs/configuration.md");
        for (key, _) in crate::config::flags::KEYS {
            let name = key.rsplit('.').next().unwrap();
            assert!(example.contains(&format!("{name} = ")), "the example lacks {key}");
            assert!(reference.contains(&format!("`{name}`")), "docs/configuration.md lacks {key}");
        }
    }

    #[test]
    fn every_flag_is_a_key_of_the_file() {
        let error =
            |key: &str| Source::default().parse(format!("{key} = {{ no = 1 }}")).unwrap_err().to_string();
        for (key, _) in crate::config::flags::KEYS {
            // A table fits no key: an error about the value, not about an unknown key.
            assert!(!error(key).contains(": unknown field"), "{key}: {}", error(key));
        }
        assert!(error("tls.nonsense").contains("unknown field `nonsense`"));
    }
}
