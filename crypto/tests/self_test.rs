// SPDX-License-Identifier: MIT OR Apache-2.0
//! The known answers are right on every path this CPU has.

use ttls_crypto::batch::Engine;
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::self_test;

#[test]
fn every_path_gives_the_known_answers() {
    for cpu in [Choice::Scalar, Choice::Avx2, Choice::Ifma, Choice::AvxIfma]
        .into_iter()
        .filter_map(|choice| Cpu::detect(choice).ok())
    {
        let mut engine = Box::new(Engine::new(cpu));
        assert_eq!(self_test::run(&mut engine), Ok(()), "{}", cpu.name());
    }
}
