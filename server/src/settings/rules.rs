// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom the operator lets in, refuses or rations, by source, server name and fingerprint.

use crate::config::Error;
use crate::config::schema::{self, Action};
use crate::config::source::Written;
use crate::config::values::{Fingerprint, Prefix};
use std::collections::HashSet;
use std::net::IpAddr;
use ttls::admission::Request;
use ttls::fingerprint::Ja4;

/// What a rule does with whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Lets them in, whatever `limits.handshake_rate` says.
    Allow,
    /// Refuses them.
    Deny,
    /// Lets in so many full handshakes of all of them together.
    Quota {
        /// For each second.
        rate: u32,
        /// At once after a pause.
        burst: u32,
    },
}

/// One `[[rule]]`. It is about clients that fit each kind of condition that it has.
#[derive(Debug)]
pub struct Rule {
    /// What it does.
    pub verdict: Verdict,
    /// By length in bits: the prefixes of that length, shifted down to it. One look-up for each length, however many there are.
    prefixes: Vec<(Prefix, HashSet<u128>)>,
    names: HashSet<String>,
    fingerprints: HashSet<Ja4>,
}

/// The rules, in their order: the first that is about a client decides.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rule {
    fn of(written: &Written, rule: &schema::Rule) -> Result<Self, Error> {
        let verdict = match (rule.action.get_ref(), rule.rate, rule.burst) {
            (Action::Allow, None, None) => Verdict::Allow,
            (Action::Deny, None, None) => Verdict::Deny,
            (Action::Quota, Some(rate @ 1..), burst) => {
                Verdict::Quota { rate, burst: burst.filter(|burst| *burst > 0).unwrap_or(rate) }
            }
            (Action::Quota, _, _) => {
                let message = "a quota needs a `rate` of full handshakes for each second; to refuse them all, write \"deny\"";
                return Err(written.error(&rule.action, message));
            }
            _ => {
                return Err(written.error(&rule.action, "only a quota has a `rate` and a `burst`"));
            }
        };
        let mut prefixes: Vec<(Prefix, HashSet<u128>)> = Vec::new();
        for prefix in &rule.prefixes {
            match prefixes.iter_mut().find(|(kind, _)| kind.is_like(prefix)) {
                Some((_, known)) => drop(known.insert(prefix.bits())),
                None => prefixes.push((*prefix, HashSet::from([prefix.bits()]))),
            }
        }
        Ok(Self {
            verdict,
            prefixes,
            names: rule.server_names.iter().map(|name| name.0.clone()).collect(),
            fingerprints: rule.fingerprints.iter().map(|Fingerprint(ja4)| *ja4).collect(),
        })
    }

    fn is_about_source(&self, source: IpAddr) -> bool {
        self.prefixes.is_empty()
            || self
                .prefixes
                .iter()
                .any(|(kind, known)| kind.bits_of(source).is_some_and(|bits| known.contains(&bits)))
    }

    /// Whether it looks at the source alone.
    fn is_about_sources_only(&self) -> bool {
        self.names.is_empty() && self.fingerprints.is_empty()
    }

    /// A resumed client's fingerprint is another than that of its first connection: nobody is judged by it.
    fn is_about(&self, source: IpAddr, request: &Request<'_>) -> bool {
        let is_named = || {
            request.server_name.is_some_and(|name| {
                let parent = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
                self.names.contains(name) || parent.is_some_and(|parent| self.names.contains(&parent))
            })
        };
        let is_known =
            || !request.resumed && request.fingerprint.is_some_and(|ja4| self.fingerprints.contains(&ja4));
        self.is_about_source(source)
            && (self.names.is_empty() || is_named())
            && (self.fingerprints.is_empty() || is_known())
    }
}

impl Rules {
    /// The rules of a configuration.
    ///
    /// # Errors
    /// A rule that can not be meant.
    pub fn of(written: &Written) -> Result<Self, Error> {
        let rules = written.config.rule.iter().map(|rule| Rule::of(written, rule));
        let (good, bad): (Vec<_>, Vec<_>) = rules.partition(Result::is_ok);
        let bad: Vec<Error> = bad.into_iter().filter_map(Result::err).collect();
        if bad.is_empty() { Ok(Self(good.into_iter().flatten().collect())) } else { Err(Error::several(bad)) }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether one of them asks for fingerprints.
    pub fn ask_for_fingerprints(&self) -> bool {
        self.0.iter().any(|rule| !rule.fingerprints.is_empty())
    }

    /// The number of the rule that refuses a source whatever its client will say.
    pub fn refuses(&self, source: IpAddr) -> Option<usize> {
        let mut about = self.0.iter().enumerate().filter(|(_, rule)| rule.is_about_source(source));
        let (number, rule) = about.next()?;
        (rule.is_about_sources_only() && rule.verdict == Verdict::Deny).then_some(number)
    }

    /// The rule that decides about a client, and its number.
    pub fn about(&self, source: IpAddr, request: &Request<'_>) -> Option<(usize, Verdict)> {
        let mut rules = self.0.iter().enumerate();
        rules.find(|(_, rule)| rule.is_about(source, request)).map(|(number, rule)| (number, rule.verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Rules, String> {
        let written = crate::config::Source::default().parse(text.to_owned()).map_err(|e| e.to_string())?;
        Rules::of(&written).map_err(|error| error.to_string())
    }

    fn ja4(text: &str) -> Ja4 {
        text.parse::<Fingerprint>().unwrap().0
    }

    const BROWSER: &str = "t13d1516h2_8daaf6152771_02713d6af862";
    const TOOL: &str = "t13d1812h1_85036bcba153_b26ce05bbdd6";

    #[test]
    fn the_first_that_is_about_a_client_decides() {
        let rules = rules(&format!(
            "[[rule]]\naction = 'allow'\nprefixes = ['192.0.2.7', '2001:db8:1::/48']\n\
             [[rule]]\naction = 'deny'\nprefixes = ['192.0.2.0/24', '198.51.100.0/25', '2001:db8::/32']\n\
             [[rule]]\naction = 'quota'\nrate = 5\nfingerprints = ['{TOOL}']\nserver_names = ['a.test', '*.b.test']\n\
             [[rule]]\naction = 'deny'\nserver_names = ['*.b.test']"
        ))
        .unwrap();
        let about = |source: &str, server_name, fingerprint, resumed| {
            let request = Request { server_name, resumed, fingerprint: Some(ja4(fingerprint)) };
            rules.about(source.parse().unwrap(), &request)
        };
        let quota = Some((2, Verdict::Quota { rate: 5, burst: 5 }));
        for (source, name, fingerprint, resumed, expected) in [
            ("192.0.2.7", Some("x.b.test"), TOOL, false, Some((0, Verdict::Allow))),
            ("::ffff:192.0.2.7", None, TOOL, false, Some((0, Verdict::Allow))),
            ("192.0.2.8", None, BROWSER, true, Some((1, Verdict::Deny))),
            ("198.51.100.127", None, BROWSER, false, Some((1, Verdict::Deny))),
            ("198.51.100.128", None, BROWSER, false, None),
            ("2001:db8:1::9", None, BROWSER, false, Some((0, Verdict::Allow))),
            ("2001:db8:2::9", None, BROWSER, false, Some((1, Verdict::Deny))),
            ("203.0.113.1", Some("a.test"), TOOL, false, quota),
            ("203.0.113.1", Some("x.b.test"), TOOL, false, quota),
            ("203.0.113.1", Some("x.b.test"), TOOL, true, Some((3, Verdict::Deny))),
            ("203.0.113.1", Some("a.test"), TOOL, true, None),
            ("203.0.113.1", Some("a.test"), BROWSER, false, None),
            ("203.0.113.1", Some("y.x.b.test"), TOOL, false, None),
            ("203.0.113.1", Some("b.test"), TOOL, false, None),
            ("203.0.113.1", None, TOOL, false, None),
        ] {
            assert_eq!(about(source, name, fingerprint, resumed), expected, "{source} {name:?} {resumed}");
        }
        let refuses = |source: &str| rules.refuses(source.parse().unwrap());
        assert_eq!(refuses("192.0.2.7"), None);
        assert_eq!(refuses("192.0.2.8"), Some(1));
        assert_eq!(refuses("203.0.113.1"), None, "its name is to be heard first");
        assert!(rules.ask_for_fingerprints());
    }

    #[test]
    fn a_rule_without_conditions_is_about_everybody() {
        let all = rules("[[rule]]\naction = 'deny'").unwrap();
        let nobody = Request { server_name: None, resumed: true, fingerprint: None };
        assert_eq!(all.about("::1".parse().unwrap(), &nobody), Some((0, Verdict::Deny)));
        assert_eq!(all.refuses("192.0.2.1".parse().unwrap()), Some(0));
        let rules = rules("[[rule]]\naction = 'deny'\nprefixes = ['0.0.0.0/0']").unwrap();
        assert_eq!(rules.refuses("192.0.2.1".parse().unwrap()), Some(0));
        assert_eq!(rules.refuses("::1".parse().unwrap()), None, "the other family");
        assert!(!rules.ask_for_fingerprints());
        assert_eq!(Rules::default().refuses("::1".parse().unwrap()), None);
    }

    #[test]
    fn what_can_not_be_meant_is_an_error_with_its_place() {
        for (text, expected) in [
            ("action = 'quota'", "needs a `rate`"),
            ("action = 'quota'\nrate = 0", "needs a `rate`"),
            ("action = 'deny'\nrate = 1", "only a quota"),
            ("action = 'allow'\nburst = 1", "only a quota"),
            ("action = 'drop'", "unknown variant"),
            ("rate = 1", "missing field `action`"),
            ("action = 'deny'\nprefixes = ['192.0.2.0/33']", "is not a prefix"),
            (
                "action = 'deny'\nprefixes = ['192.0.2.1/24']",
                "has bits set beyond its length: write 192.0.2.0/24",
            ),
            ("action = 'deny'\nprefixes = ['example.com']", "is not a prefix"),
            ("action = 'deny'\nfingerprints = ['t13d']", "is not a JA4 fingerprint"),
            ("action = 'deny'\nserver_names = ['*']", "is not a server name"),
        ] {
            let error = rules(&format!("[[rule]]\n{text}")).unwrap_err();
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }
}
