// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many connections in one thread, on mio, without time-outs and limits: the public-key work of all that became ready together is computed together.
//! `cargo run --release --example batches -- 127.0.0.1:8443`, then `curl -k https://127.0.0.1:8443/`.

mod site;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use site::{Connection, Site, Urandom};
use std::collections::HashMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::job::{Failed, Work};

const LISTENER: Token = Token(0);

struct Client {
    stream: TcpStream,
    connection: Connection,
    /// What the socket had no room for.
    unsent: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8443".into());
    let mut listener = TcpListener::bind(address.parse()?)?;
    println!("listening on {}", listener.local_addr()?);
    let (site, mut random) = (Site::new()?, Urandom::new()?);
    let mut engine = Box::new(Engine::new(Cpu::detect(Choice::Best).unwrap_or(Cpu::Scalar)));
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(256));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut clients = HashMap::new();
    let mut last = LISTENER;
    loop {
        poll.poll(&mut events, None)?;
        let mut jobs = Vec::new();
        for event in &events {
            match event.token() {
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        last = Token(last.0 + 1);
                        let interest = Interest::READABLE | Interest::WRITABLE;
                        poll.registry().register(&mut stream, last, interest)?;
                        let client = Client { stream, connection: Connection::new(), unsent: Vec::new() };
                        clients.insert(last, client);
                    }
                }
                token => {
                    let client = clients.get_mut(&token);
                    jobs.extend(client.and_then(|client| Some((token, client.read(&site, &mut random)?))));
                }
            }
        }
        // A handshake has two jobs: a round computes the next one of each.
        while !jobs.is_empty() {
            let (tokens, work): (Vec<_>, Vec<_>) = jobs.drain(..).unzip();
            let mut items: Vec<_> = work.into_iter().map(Item::new).collect();
            engine.run(&mut items);
            for (token, item) in tokens.into_iter().zip(items) {
                let Some(client) = clients.get_mut(&token) else { continue };
                let result = item.result.unwrap_or(Err(Failed::Unsupported));
                let next = client.connection.resume(&site, &mut random, &result);
                let next = next.or_else(|| client.read(&site, &mut random));
                jobs.extend(next.map(|work| (token, work)));
            }
        }
        clients.retain(|_, client| client.send());
    }
}

impl Client {
    /// Reads all there is, or up to a job, after which it is to be called again: events come once.
    fn read<'s>(&mut self, site: &'s Site, random: &mut Urandom) -> Option<Work<'s>> {
        let mut bytes = [0; 4096];
        while !self.connection.over {
            match self.stream.read(&mut bytes) {
                Ok(count) => {
                    let work = self.connection.receive(site, random, &bytes[..count]);
                    if work.is_some() {
                        return work;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.connection.over = true,
            }
        }
        None
    }

    /// Sends what it can. False once there is nothing more to do for the client.
    fn send(&mut self) -> bool {
        self.unsent.extend_from_slice(self.connection.take_output());
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        !self.connection.over
    }
}
