// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel module's C half and its Rust half agree: every enumeration by names and values, every structure by the
//! names, offsets and sizes of its fields. A C compiler says what the headers mean.

// The border itself, as the module compiles it.
#[allow(missing_docs, unreachable_pub)]
#[path = "../kmod/src/abi.rs"]
mod abi;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

/// What the headers have of the kernel's, for a program of user space.
const PRELUDE: &str = "\
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64; typedef int32_t s32;
#define __noreturn
";

fn headers() -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../kmod/c");
    ["uapi.h", "core.h"].map(|name| std::fs::read_to_string(format!("{root}/{name}")).unwrap()).concat()
}

/// The bodies of all definitions of this kind in the headers, by name.
fn definitions<'h>(headers: &'h str, kind: &str) -> BTreeMap<&'h str, &'h str> {
    let start = format!("\n{kind} ");
    let starts = headers.match_indices(&start).map(|(at, _)| &headers[at + start.len()..]);
    let bodies = starts.filter_map(|rest| {
        let (name, rest) = rest.split_once(" {\n")?;
        Some((name, rest.split_once("};")?.0))
    });
    bodies.filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).collect()
}

/// How an enumeration's name looks in C.
fn in_c(prefix: &str, name: &str) -> String {
    let mut text = prefix.to_owned();
    for (index, character) in name.char_indices() {
        if index > 0 && character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_uppercase());
    }
    text
}

/// Compiles a program that prints the values of these expressions, and runs it.
fn values(expressions: &[String]) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("border.c"), folder.path().join("border"));
    let mut text = PRELUDE.to_owned() + "#include \"core.h\"\nint main(void) {\n";
    for expression in expressions {
        writeln!(text, "printf(\"%zu\\n\", (size_t)({expression}));").unwrap();
    }
    std::fs::write(&source, text + "}\n").unwrap();
    let mut compiler = Command::new("cc");
    compiler.arg("-I").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../kmod/c"));
    let made = compiler.arg("-o").arg(&program).arg(&source).output().expect("a C compiler");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let output = Command::new(&program).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn enumerations_have_the_same_names_and_values() {
    let headers = headers();
    let definitions = definitions(&headers, "enum");
    let (mut names, mut ours) = (Vec::new(), Vec::new());
    for (twin, prefix, numbers) in abi::NUMBERS {
        let body = definitions.get(twin).unwrap_or_else(|| panic!("C has no enum {twin}"));
        let theirs = body.lines().filter(|line| line.starts_with("\tTTLS_")).count();
        assert_eq!(theirs, numbers.len(), "enum {twin}: C has names that Rust lacks");
        for (name, value) in *numbers {
            names.push(in_c(prefix, name));
            ours.push(usize::try_from(*value).unwrap());
        }
    }
    names.extend(["TTLS_SECRET", "TTLS_BATCH"].map(str::to_owned));
    ours.extend([abi::SECRET, abi::BATCH]);
    let theirs = values(&names);
    for ((name, theirs), ours) in names.iter().zip(&theirs).zip(&ours) {
        assert_eq!(theirs, ours, "{name}");
    }
    assert_eq!(theirs.len(), ours.len());
}

#[test]
fn structures_have_the_same_fields() {
    let headers = headers();
    let definitions = definitions(&headers, "struct");
    let (mut expressions, mut ours) = (Vec::new(), Vec::new());
    for (twin, size, fields) in abi::LAYOUTS {
        let body = definitions.get(twin).unwrap_or_else(|| panic!("C has no struct {twin}"));
        let code: String = body.split("/*").map(|part| part.rsplit("*/").next().unwrap()).collect();
        let theirs = code.matches([',', ';']).count();
        assert_eq!(theirs, fields.len(), "struct {twin}: C has fields that Rust lacks");
        expressions.push(format!("sizeof(struct {twin})"));
        ours.push(*size);
        for (field, offset, size) in *fields {
            expressions.push(format!("offsetof(struct {twin}, {field})"));
            expressions.push(format!("sizeof(((struct {twin} *)0)->{field})"));
            ours.extend([*offset, *size]);
        }
    }
    let theirs = values(&expressions);
    for ((expression, theirs), ours) in expressions.iter().zip(&theirs).zip(&ours) {
        assert_eq!(theirs, ours, "{expression}");
    }
    assert_eq!(theirs.len(), ours.len());
    // Rust's side of the border is complete: only what it never sees is missing.
    let missing: Vec<_> =
        definitions.keys().filter(|name| abi::LAYOUTS.iter().all(|(twin, ..)| twin != *name)).collect();
    assert_eq!(
        missing,
        [&"ttls_allowance"],
        "ttls::allowance::Allowance is compared as a field, by its size"
    );
}
