// SPDX-License-Identifier: MIT OR Apache-2.0
//! JA4 against the worked example of its specification, and its invariants.
#![allow(missing_docs)]

use ttls::fingerprint::Ja4;
use ttls::wire::ClientHello;

/// A ClientHello body with these suites and extensions.
fn hello(suites: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(u16::try_from(suites.len() * 2).unwrap().to_be_bytes());
    suites.iter().for_each(|suite| body.extend(suite.to_be_bytes()));
    body.extend([1, 0]);
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        list.extend(*content);
    }
    body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
    body.extend(list);
    body
}

/// The example of the JA4 technical details: Chrome.
fn chrome() -> (Vec<u16>, Vec<(u16, &'static [u8])>) {
    let suites = vec![
        0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x009c, 0x009d, 0x002f, 0x0035,
    ];
    let extensions: Vec<(u16, &[u8])> = vec![
        (0xaaaa, &[]),
        (0x001b, &[2, 0, 2]),
        (0x0000, b"\0\x0e\0\0\x0bone.example"),
        (0x0033, b"\0\0"),
        (0x0010, b"\0\x0c\x02h2\x08http/1.1"),
        (0x4469, &[]),
        (0x0017, &[]),
        (0x002d, &[1, 1]),
        (0x000d, b"\0\x10\x04\x03\x08\x04\x04\x01\x05\x03\x08\x05\x05\x01\x08\x06\x06\x01"),
        (0x0005, &[1, 0, 0, 0, 0]),
        (0x0023, &[]),
        (0x0012, &[]),
        (0x002b, b"\x06\xba\xba\x03\x04\x03\x03"),
        (0xff01, &[0]),
        (0x000b, &[1, 0]),
        (0x000a, b"\0\x08\xda\xda\x00\x1d\x00\x17\x00\x18"),
        (0x0015, &[0; 5]),
    ];
    (suites, extensions)
}

fn ja4(suites: &[u16], extensions: &[(u16, &[u8])]) -> String {
    let fingerprint = Ja4::of(&ClientHello::parse(&hello(suites, extensions)).unwrap());
    assert_eq!(Ja4::from_text(fingerprint.as_str()), Some(fingerprint));
    fingerprint.to_string()
}

#[test]
fn the_worked_example() {
    let (suites, extensions) = chrome();
    assert_eq!(ja4(&suites, &extensions), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

#[test]
fn order_of_suites_and_extensions_does_not_matter() {
    let (mut suites, mut extensions) = chrome();
    let before = ja4(&suites, &extensions);
    suites.reverse();
    extensions.reverse();
    assert_eq!(ja4(&suites, &extensions), before);
    suites.remove(0);
    assert_ne!(ja4(&suites, &extensions), before);
}

#[test]
fn a_bare_tls12_hello() {
    assert_eq!(ja4(&[0xc02f], &[])[..10], *"t12i010000");
    assert_eq!(ja4(&[0xc02f], &[])[23..], *"_000000000000");
}

#[test]
fn what_is_none_is_not_read_as_one() {
    let good = "t13d1516h2_8daaf6152771_02713d6af862";
    assert!(Ja4::from_text(good).is_some());
    for at in 0..=good.len() {
        let (before, after) = good.split_at(at);
        assert_eq!(Ja4::from_text(before).is_some(), at == good.len());
        assert_eq!(Ja4::from_text(&format!("{before}0{after}")), None);
        let changed = after.strip_prefix(|_: char| true).map(|after| format!("{before}G{after}"));
        let changed = changed.and_then(|text| Ja4::from_text(&text));
        assert_eq!(changed.is_some(), at < 10, "a letter at {at}");
    }
}
