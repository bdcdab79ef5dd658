// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client programs: run with a time limit, their output kept.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// No client program of these tests needs longer, however busy the machine is.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// It exited with status 0.
    pub success: bool,
    /// Standard output; bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Standard error; the same.
    pub stderr: String,
}

impl Output {
    /// Both outputs in one text, for assertions.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Panics with everything the program said unless it succeeded and said `needle`.
    #[track_caller]
    pub fn must_say(&self, needle: &str) -> &Self {
        assert!(
            self.success && self.all().contains(needle),
            "expected success and {needle:?}, got:\n{self:#?}"
        );
        self
    }
}

/// Runs `command` to its end, with `input` on its standard input, within [`LIMIT`].
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut running = Running::start(command);
    running.send(input);
    running.finish()
}

/// A program that runs while the test talks to it.
pub struct Running {
    child: Child,
    stdout: Option<thread::JoinHandle<Vec<u8>>>,
    stderr: Option<thread::JoinHandle<Vec<u8>>>,
    name: String,
}

impl Running {
    /// Starts `command` with all three standard streams piped.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{name}: {e}; ci/install installs what the tests call"));
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        Self { child, stdout: Some(stdout), stderr: Some(stderr), name }
    }

    /// Writes to the program's standard input; a program that has gone does not read it.
    pub fn send(&mut self, input: &[u8]) {
        if let Some(stdin) = &mut self.child.stdin {
            let _ = stdin.write_all(input).and_then(|()| stdin.flush());
        }
    }

    /// Closes the program's standard input and waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        drop(self.child.stdin.take());
        self.end()
    }

    /// Waits for the program's end with its standard input open.
    #[track_caller]
    pub fn end(mut self) -> Output {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let said = self.collected().all();
                panic!("{} did not end within {LIMIT:?}\n{said}", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        };
        Output { success: status.success(), ..self.collected() }
    }

    fn collected(&mut self) -> Output {
        let text = |thread: Option<thread::JoinHandle<Vec<u8>>>| {
            String::from_utf8_lossy(&thread.expect("once").join().expect("reader")).into_owned()
        };
        Output { success: false, stdout: text(self.stdout.take()), stderr: text(self.stderr.take()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all);
        all
    })
}
