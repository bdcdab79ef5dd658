// SPDX-License-Identifier: MIT OR Apache-2.0
//! The traces of RFC 8448: the simple handshake (§3) and the resumed one (§4), secret by secret.
#![allow(missing_docs)]

use ttls::key_schedule::{EarlySecret, HandshakeSecret, finished, protection, resumption_psk};
use ttls::suite::Suite;
use ttls::wire::ClientHello;
use ttls_crypto::hash::Algorithm::Sha256;
use ttls_crypto::hash::{Digest, Hash};
use ttls_crypto::job::{KeyExchange, Output, PeerShare, Seed, Work};

const SUITE: Suite = Suite::Aes128GcmSha256;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The transcript hash of these messages.
fn transcript(messages: &[&str]) -> Digest {
    let mut hash = Hash::new(Sha256);
    messages.iter().for_each(|message| hash.update(&hex(message)));
    hash.finish()
}

fn assert_secret(secret: &Digest, expected: &str) {
    assert_eq!(secret.as_bytes(), hex(expected));
}

fn assert_keys(secret: &Digest, key: &str, iv: &str) {
    let keys = protection(SUITE, secret).unwrap().keys();
    assert_eq!(keys.key.expose()[..16], hex(key));
    assert_eq!(keys.iv[..], hex(iv));
}

/// The server's half of the trace's key exchange, as a job: its share and the secret.
fn respond(client_share: &str, private: &str, server_share: &str) -> Vec<u8> {
    let peer = PeerShare::X25519(hex(client_share).try_into().unwrap());
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&hex(private));
    let done = Work::KeyExchange(KeyExchange::Respond { peer, seed: Seed::new(seed) }).run().unwrap();
    let Output::Exchanged { share, shared } = done else { panic!() };
    assert_eq!(share.as_bytes(), hex(server_share));
    shared.expose().to_vec()
}

mod simple {
    pub(crate) const CLIENT_HELLO: &str = "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001";
    pub(crate) const SERVER_HELLO: &str = "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";
    pub(crate) const ENCRYPTED_EXTENSIONS: &str =
        "080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000";
    pub(crate) const CERTIFICATE: &str = "0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a06035504031303727361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a0603550403130372736130819f300d06092a864886f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d3901a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a301830090603551d1304023000300b0603551d0f0404030205a0300d06092a864886f70d01010b05000381810085aad2a0e5b9276b908c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf36b7fd6c55b80f21a03015156726096fd335e5e67f2dbf102702e608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de10000";
    pub(crate) const CERTIFICATE_VERIFY: &str = "0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c141a078653fa6bef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c181e818e95b8c3fb0bf3278409d3be152a3da5043e063dda65cdf5aea20d53dfacd42f74f3";
    pub(crate) const SERVER_FINISHED: &str =
        "140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718";
    pub(crate) const CLIENT_FINISHED: &str =
        "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61";
}

mod resumed {
    /// The ClientHello up to its binders.
    pub(crate) const COVERED: &str = "010001fc03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001cd0000000b0009000006736572766572ff01000100000a00140012001d00170018001901000101010201030104003300260024001d0020e4ffb68ac05f8d96c99da26698346c6be16482badddafe051a66b4f18d668f0b002a0000002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c0002400100150057000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000002900dd00b800b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d357fad6aacb";
    pub(crate) const BINDERS: &str = "0021203add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d";
    pub(crate) const SERVER_HELLO: &str = "0200005c03033ccfd2dec890222763472ae8136777c9d7358777bb66e91ea5122495f559ea2d00130100003400290002000000330024001d0020121761ee42c333e1b9e77b60dd57c2053cd94512ab47f115e86eff50942cea31002b00020304";
    pub(crate) const ENCRYPTED_EXTENSIONS: &str =
        "080000280026000a00140012001d00170018001901000101010201030104001c0002400100000000002a0000";
    pub(crate) const SERVER_FINISHED: &str =
        "1400002048d3e0e1b3d907c6acff145e16090388c77b05c050b634ab1a88bbd0dd1a34b2";
    pub(crate) const END_OF_EARLY_DATA: &str = "05000000";
    pub(crate) const CLIENT_FINISHED: &str =
        "140000207230a9c952c25cd6138fc5e6628308c41c5335dd81b9f96bcea50fd32bda416d";
}

/// §3, up to the PSK of its ticket, which §4 resumes.
fn simple_handshake() -> Digest {
    use simple::*;
    let hello = hex(CLIENT_HELLO);
    let hello = ClientHello::parse(&hello[4..]).unwrap();
    assert_eq!(hello.server_name, Some(&b"server"[..]));
    assert_eq!(hello.record_size_limit, Some(0x4001));
    let share = hello.key_share(0x001d).unwrap().unwrap();
    assert_eq!(share, hex("99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c"));

    let shared = respond(
        "99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c",
        "b1580eeadf6dd589b8ef4f2d5652578cc810e9980191ec8d058308cea216a21e",
        "c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f",
    );
    assert_eq!(shared, hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"));
    let secret = HandshakeSecret::new(Sha256, None, &shared).unwrap();
    let (client, server) = secret.traffic(&transcript(&[CLIENT_HELLO, SERVER_HELLO])).unwrap();
    assert_secret(&client, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21");
    assert_secret(&server, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
    assert_keys(&server, "3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30");
    assert_keys(&client, "dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f");

    let mut messages =
        vec![CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_VERIFY];
    let proof = finished(Sha256, &server, &transcript(&messages)).unwrap();
    assert_eq!(proof.as_bytes(), &hex(SERVER_FINISHED)[4..]);
    messages.push(SERVER_FINISHED);

    let master = secret.master().unwrap();
    let until_finished = transcript(&messages);
    let (client_app, server_app) = master.traffic(&until_finished).unwrap();
    assert_secret(&client_app, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
    assert_secret(&server_app, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
    assert_keys(&server_app, "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984");
    assert_keys(&client_app, "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9");
    let exporter = master.exporter(&until_finished).unwrap();
    assert_secret(&exporter, "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50");

    let proof = finished(Sha256, &client, &until_finished).unwrap();
    assert_eq!(proof.as_bytes(), &hex(CLIENT_FINISHED)[4..]);
    messages.push(CLIENT_FINISHED);
    let resumption = master.resumption(&transcript(&messages)).unwrap();
    assert_secret(&resumption, "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c");
    let psk = resumption_psk(Sha256, &resumption, &[0, 0]).unwrap();
    assert_secret(&psk, "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3");
    psk
}

#[test]
fn section_3_simple_handshake() {
    simple_handshake();
}

#[test]
fn section_4_resumed_handshake() {
    use resumed::*;
    let early = EarlySecret::new(Sha256, simple_handshake().as_bytes()).unwrap();
    let hello = hex(&format!("{COVERED}{BINDERS}"));
    let parsed = ClientHello::parse(&hello[4..]).unwrap();
    assert!(parsed.early_data);
    let offered = parsed.pre_shared_key.unwrap();
    assert_eq!(hello.len() - offered.uncovered, hex(COVERED).len());
    let binder = early.binder(Sha256, &transcript(&[COVERED])).unwrap();
    assert_eq!(binder.as_bytes(), &hex(BINDERS)[3..]);

    let shared = respond(
        "e4ffb68ac05f8d96c99da26698346c6be16482badddafe051a66b4f18d668f0b",
        "de5b4476e7b490b2652d338acbf2948066f255f9440e23b98fc69835298dc107",
        "121761ee42c333e1b9e77b60dd57c2053cd94512ab47f115e86eff50942cea31",
    );
    let secret = HandshakeSecret::new(Sha256, Some(&early), &shared).unwrap();
    let mut messages = vec![COVERED, BINDERS, SERVER_HELLO];
    let (client, server) = secret.traffic(&transcript(&messages)).unwrap();
    assert_secret(&client, "2faac08f851d35fea3604fcb4de82dc62c9b164a70974d0462e27f1ab278700f");
    assert_secret(&server, "fe927ae271312e8bf0275b581c54eef020450dc4ecffaa05a1a35d27518e7803");
    assert_keys(&server, "27c6bdc0a3dcea39a47326d79bc9e4ee", "9569ecdd4d0536705e9ef725");
    assert_keys(&client, "b1530806f4adfeac83f1413032bbfa82", "eb50c16be7654abf99dd06d9");

    messages.push(ENCRYPTED_EXTENSIONS);
    let proof = finished(Sha256, &server, &transcript(&messages)).unwrap();
    assert_eq!(proof.as_bytes(), &hex(SERVER_FINISHED)[4..]);
    messages.push(SERVER_FINISHED);
    let master = secret.master().unwrap();
    let (client_app, server_app) = master.traffic(&transcript(&messages)).unwrap();
    assert_secret(&client_app, "2abbf2b8e381d23dbebe1dd2a7d16a8bf484cb4950d23fb7fb7fa8547062d9a1");
    assert_secret(&server_app, "cc21f1bf8feb7dd5fa505bd9c4b468a9984d554a993dc49e6d285598fb672691");
    assert_keys(&server_app, "e857c690a34c5a9129d833619684f95e", "0685d6b561aab9ef1013faf9");

    messages.push(END_OF_EARLY_DATA);
    let proof = finished(Sha256, &client, &transcript(&messages)).unwrap();
    assert_eq!(proof.as_bytes(), &hex(CLIENT_FINISHED)[4..]);
    messages.push(CLIENT_FINISHED);
    let resumption = master.resumption(&transcript(&messages)).unwrap();
    assert_secret(&resumption, "5e95bdf1f89005ea2e9aa0ba85e728e3c19c5fe0c699e3f5bee59faebd0b5406");
}
