// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection after another, on blocking sockets: `cargo run --example echo -- 127.0.0.1:8443`, then
//! `curl -k https://127.0.0.1:8443/` shows the request that curl made.

mod site;

use site::{Connection, Site, Urandom};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8443".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let (site, mut random) = (Site::new()?, Urandom::new()?);
    for stream in listener.incoming() {
        if let Err(error) = serve(&site, &mut random, stream?) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn serve(site: &Site, random: &mut Urandom, mut stream: TcpStream) -> std::io::Result<()> {
    // Who is silent keeps the next one waiting.
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut connection = Connection::new();
    let mut bytes = [0; 4096];
    while !connection.over {
        let count = stream.read(&mut bytes)?;
        let mut work = connection.receive(site, random, &bytes[..count]);
        while let Some(job) = work {
            work = connection.resume(site, random, &job.run());
        }
        stream.write_all(connection.take_output())?;
    }
    Ok(())
}
