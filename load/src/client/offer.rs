// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is prepared once for all connections: a key pair, and the ClientHello but for what is fresh.

use super::fault::Fault;
use super::hello::Template;
use super::keys::KeyPair;
use super::profile::Profile;
use super::session::Session;
use std::time::Instant;

/// What is prepared once for all connections.
pub(crate) struct Offer {
    pub(super) profile: Profile,
    pub(super) key: KeyPair,
    pub(super) full: Template,
    /// The session every connection resumes, once there is one.
    pub(super) resumed: Option<(Template, Session)>,
}

impl Offer {
    pub(crate) fn new(profile: Profile) -> Result<Self, Fault> {
        let key = KeyPair::generate(profile.group)?;
        Ok(Self { full: Template::new(&profile, &key.share, None)?, key, profile, resumed: None })
    }

    /// From now on connections resume `session`.
    pub(crate) fn resume(&mut self, session: Session) -> Result<(), Fault> {
        let template = Template::new(&self.profile, &self.key.share, Some(&session))?;
        self.resumed = Some((template, session));
        Ok(())
    }

    /// Whether there is a session that connections resume.
    pub(crate) const fn resumes(&self) -> bool {
        self.resumed.is_some()
    }

    /// The ClientHello with these random bytes, as a message without a record around it, in `out`.
    pub(crate) fn hello(&self, fresh: &[u8; 64], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (template, session) = self.template(Instant::now());
        template.fill(&self.profile, fresh, session, out)
    }

    pub(super) fn template(&self, now: Instant) -> (&Template, Option<(&Session, Instant)>) {
        match &self.resumed {
            Some((template, session)) => (template, Some((session, now))),
            None => (&self.full, None),
        }
    }
}
