// SPDX-License-Identifier: MIT OR Apache-2.0
//! What will be served, as `ttls check` prints it.

use crate::certificates::Summary;
use crate::serve::Descriptors;
use crate::settings::Settings;
use crate::settings::routes::Route;
use std::fmt;
use ttls::config::{ClientCertificate, UnknownName};
use ttls_crypto::sign::KeyKind;

/// Prints listeners, certificates, routes and limits of settings.
pub struct Overview<'a>(pub &'a Settings);

impl fmt::Display for Overview<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0;
        for address in &settings.listen {
            row(f, "listen", format_args!("{address}"))?;
        }
        if let Some(address) = settings.metrics {
            row(f, "metrics", format_args!("http://{address}/metrics"))?;
        }
        for certificate in settings.store.summaries() {
            self.certificate(f, &certificate)?;
        }
        let asked = match settings.policy.client_certificate {
            ClientCertificate::None => "not asked for",
            ClientCertificate::Optional => "asked for",
            ClientCertificate::Required => "required",
        };
        row(f, "clients", format_args!("certificates {asked}"))?;
        for route in settings.routes.iter() {
            self.route(f, route)?;
        }
        let limits = &settings.limits;
        row(
            f,
            "limits",
            format_args!(
                "{} connections, {} of them in their handshake",
                limits.connections, limits.half_open
            ),
        )?;
        if limits.per_prefix > 0 {
            row(f, "", format_args!("{} connections from one source prefix", limits.per_prefix))?;
        }
        if limits.connection_rate > 0 {
            let rate = limits.connection_rate;
            row(f, "", format_args!("{rate} connections per second from one source prefix"))?;
        }
        if limits.handshake_rate > 0 {
            let rate = limits.handshake_rate;
            row(f, "", format_args!("{rate} full handshakes per second from one source prefix"))?;
        }
        let Descriptors { needed, allowed } = Descriptors::of(settings);
        match allowed {
            Some(allowed) => {
                row(f, "", format_args!("up to {needed} descriptors, of {allowed} that are allowed here"))
            }
            None => row(f, "", format_args!("up to {needed} descriptors")),
        }
    }
}

impl Overview<'_> {
    fn certificate(&self, f: &mut fmt::Formatter<'_>, certificate: &Summary<'_>) -> fmt::Result {
        let file = certificate.file.display().to_string();
        let file = if file.is_empty() { "made at the start".to_owned() } else { file };
        let kind = match certificate.kind {
            KeyKind::EcdsaP256 => "ECDSA P-256",
            KeyKind::Rsa => "RSA",
        };
        let until = match certificate.not_after {
            Some(time) => format!("until {time}"),
            None => "without an end that can be read".into(),
        };
        let stapled = if certificate.stapled { ", with an OCSP response" } else { "" };
        row(f, "certificate", format_args!("{file}: {kind}, {until}{stapled}"))?;
        if !certificate.names.is_empty() {
            row(f, "", format_args!("for {}", certificate.names.join(", ")))?;
        }
        match (certificate.default, self.0.policy.unknown_name) {
            (false, _) => Ok(()),
            (true, UnknownName::UseDefault) => row(f, "", format_args!("for clients without a known name")),
            (true, UnknownName::Refuse) => row(f, "", format_args!("for clients without a name")),
        }
    }

    fn route(&self, f: &mut fmt::Formatter<'_>, route: &Route) -> fmt::Result {
        let everybody = if self.0.routes.others.is_empty() { "everything" } else { "everything else" };
        let names = if route.names.is_empty() { everybody.to_owned() } else { route.names.join(", ") };
        row(f, "route", format_args!("{names} to {}", route.target.name()))
    }
}

/// One line; without a `title` it goes on from the one before.
fn row(f: &mut fmt::Formatter<'_>, title: &str, text: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{title:<12} {text}")
}
