// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where connections go, by server name.

use crate::hosts::Host;
use rustix::net::SocketAddrUnix;
use std::collections::HashMap;
use std::sync::Arc;
use ttls::config::ServerName;

/// Where connections go, ready to connect.
#[derive(Clone, Debug)]
pub enum Target {
    /// TCP: addresses to try in turn.
    Tcp(Arc<Host>),
    /// Unix socket.
    Unix(SocketAddrUnix, String),
    /// Page with the negotiated parameters.
    Demo,
    /// A body of so many bytes.
    Static(usize),
}

impl Target {
    /// As the configuration names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Tcp(host) => host.name(),
            Self::Unix(_, name) => name,
            Self::Demo => "demo:",
            Self::Static(_) => "static:",
        }
    }
}

/// Where the clients of some server names go.
#[derive(Debug)]
pub struct Route {
    /// Its place in [`Routes::iter`].
    pub number: usize,
    /// The names, exact or with a wildcard, as they are written; none of the route for everybody else.
    pub names: Vec<String>,
    /// Where they go.
    pub target: Target,
}

/// Routes by server name.
#[derive(Debug)]
pub struct Routes {
    /// For everybody else.
    pub default: Route,
    /// In the order of the configuration.
    pub others: Vec<Route>,
    /// Numbers of `others`.
    pub names: HashMap<Vec<u8>, usize>,
}

impl Routes {
    /// The route of a client that asked for `name` (lower case), or for none.
    pub fn find(&self, name: Option<&ServerName>) -> &Route {
        let number = name.filter(|_| !self.names.is_empty()).and_then(|name| {
            let exact = self.names.get(name.as_bytes());
            exact.or_else(|| self.names.get(name.wildcard()?.as_bytes()))
        });
        number.and_then(|&number| self.others.get(number)).unwrap_or(&self.default)
    }

    /// All of them, that for everybody else last.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.others.iter().chain([&self.default])
    }
}
