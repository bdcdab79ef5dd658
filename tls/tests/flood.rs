// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy of admission in simulated floods: a server whose work costs a known time, floods of many times what it can compute,
//! and clients with patience, some of which come again as soon as they are served. The policy's code is the real one, time
//! and costs are the simulation's, so every run is the same.

use std::collections::{HashMap, HashSet, VecDeque};
use ttls::admission::{
    Cell, Class, Delay, Demand, Heaviest, Interval, Level, Line, Link, Pace, ROWS, Rank, Seen, Set, Shed,
    Source, Standing,
};

/// Microseconds of CPU time for taking a connection in with its hello, and for looking whether a client is still there.
const INTAKE: u64 = 8;
const LOOK: u64 = 1;
/// Connections that the kernel keeps until they are taken in, and as many in overload.
const BACKLOG: usize = 4096;
const SHORT_BACKLOG: usize = 512;
/// Milliseconds after which a client of the policy's is dropped.
const PATIENCE: u64 = 2000;
/// Milliseconds after which users give up.
const USERS_STAY: u64 = 3000;
/// Connections that may be half-open.
const SLOTS: usize = 8192;
/// Most handshakes in one sweep in overload, or while established connections have something to do; and otherwise.
const SMALL_BATCH: u32 = 8;
const BATCH: u32 = 64;
/// Microseconds by which SYNs are told apart.
const TICK: u64 = 50;
/// Milliseconds at which the flood begins.
const START: u64 = 200_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Kind {
    Attack,
    New,
    Ticket,
    Standing,
    /// Of a fixed number of clients that come again once they are served.
    Loop,
}

/// What happens; times in milliseconds.
#[derive(Clone, Copy)]
struct Script {
    /// Microseconds of a full handshake.
    full: u64,
    /// Handshakes that cost together what one does.
    lanes: u32,
    /// Attackers come at so many times the capacity,
    times: f64,
    /// from so many addresses,
    sources: u64,
    /// and leave after so long.
    stay: u64,
    /// Clients that come again as soon as they are served,
    looping: u64,
    /// from so many addresses.
    loop_sources: u64,
    /// Users of each kind for each second.
    users: u64,
    /// How long all of it lasts.
    lasts: u64,
}

const QUIET: Script = Script {
    full: 40,
    lanes: 1,
    times: 0.0,
    sources: 1 << 30,
    stay: USERS_STAY,
    looping: 0,
    loop_sources: 1 << 20,
    users: 0,
    lasts: 6000,
};

#[derive(Clone, Copy)]
struct Client {
    kind: Kind,
    source: u64,
    /// Microseconds.
    began: u64,
    leaves: u64,
    tries: u32,
}

#[derive(Default, Debug)]
struct Tally {
    began: usize,
    served: usize,
    /// Closed by the server.
    dropped: usize,
    /// Milliseconds.
    waits: Vec<u64>,
}

impl Tally {
    fn share(&self) -> f64 {
        self.served as f64 / self.began.max(1) as f64
    }

    fn percentile(&mut self, percent: usize) -> u64 {
        self.waits.sort_unstable();
        self.waits.get(self.waits.len() * percent / 100).copied().unwrap_or(0)
    }
}

#[derive(Default)]
struct Outcome {
    tallies: HashMap<Kind, Tally>,
    computed: usize,
    wanted: usize,
    /// Milliseconds from the flood's end until the level was calm again and nobody refused.
    recovered: u64,
    /// Times that somebody was refused at the SYN.
    refused: usize,
    /// Handshakes computed in the time of the flood as a share of what fits into it.
    used: f64,
    /// Milliseconds of the flood for which the newest came first.
    overloaded: u64,
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn hash(source: u64) -> u64 {
    let x = source.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 27
}

fn named(source: u64) -> u32 {
    u32::try_from(source).unwrap()
}

/// The shell: what a worker of the server does, without sockets.
struct Shell {
    script: Script,
    rng: u64,
    /// Microseconds.
    now: u64,
    demand: Demand<Vec<Cell>>,
    standing: Standing<Vec<Set>>,
    heaviest: Heaviest<[Source; 256]>,
    line: Line<Vec<Link>>,
    delay: Delay,
    pace: Pace,
    shed: Shed,
    interval: Interval,
    interval_began: u64,
    entered: u32,
    called: u32,
    clients: Vec<Option<Client>>,
    free: Vec<u32>,
    backlog: VecDeque<Client>,
    /// Who is refused as heavy.
    heavy: HashSet<u32>,
    /// SYNs to come, by their [`TICK`], from `tick` on.
    coming: VecDeque<Vec<Client>>,
    tick: u64,
    outcome: Outcome,
}

impl Shell {
    fn new(script: Script) -> Self {
        let mut standing = Standing::new(vec![Set::EMPTY; 8192], 3_600_000);
        // Regulars were here in two different minutes.
        for source in (20_000_000..20_002_000).chain(30_000_000..30_002_000) {
            standing.used(hash(source), named(source), 1000);
            standing.used(hash(source), named(source), 100_000);
        }
        Self {
            script,
            rng: 0x1234_5678_9abc_def1,
            now: START * 1000,
            demand: Demand::new(vec![Cell::EMPTY; ROWS * 16_384]),
            standing,
            heaviest: Heaviest::new([Source::default(); 256]),
            line: Line::new(vec![Link::OUTSIDE; SLOTS]),
            delay: Delay::new(10, 100, PATIENCE),
            pace: Pace::default(),
            shed: Shed::default(),
            interval: Interval::default(),
            interval_began: START * 1000,
            entered: 0,
            called: 0,
            clients: vec![None; SLOTS],
            free: (0..u32::try_from(SLOTS).unwrap()).collect(),
            backlog: VecDeque::new(),
            heavy: HashSet::new(),
            coming: VecDeque::new(),
            tick: START * 1000 / TICK,
            outcome: Outcome::default(),
        }
    }

    const fn ms(&self) -> u64 {
        self.now / 1000
    }

    const fn end(&self) -> u64 {
        (START + self.script.lasts) * 1000
    }

    fn light(&self) -> u32 {
        (2 * self.pace.handshake().unwrap_or(0)).max(848)
    }

    fn comes(&mut self, at: u64, client: Client) {
        let after = usize::try_from((at / TICK).saturating_sub(self.tick)).unwrap();
        if self.coming.len() <= after {
            self.coming.resize_with(after + 1, Vec::new);
        }
        self.coming[after].push(client);
    }

    fn begin(&mut self, kind: Kind, source: u64, at: u64, stay: u64) {
        self.outcome.tallies.entry(kind).or_default().began += 1;
        self.comes(at, Client { kind, source, began: at, leaves: at + stay * 1000, tries: 0 });
    }

    /// Who begins within the millisecond from `at` on.
    fn begin_all(&mut self, at: u64, attackers: &mut f64) {
        let ms = at / 1000 - START;
        *attackers += self.script.times * 1000.0 / (INTAKE + self.script.full) as f64;
        while *attackers >= 1.0 {
            *attackers -= 1.0;
            let source = 100_000_000 + random(&mut self.rng) % self.script.sources;
            let after = random(&mut self.rng) % 1000;
            self.begin(Kind::Attack, source, at + after, self.script.stay);
        }
        // Users of the three kinds come one after the other: who comes with one that goes first is not the newest afterwards.
        for (kind, first, part) in
            [(Kind::New, 10_000_000, 0), (Kind::Ticket, 20_000_000, 333), (Kind::Standing, 30_000_000, 667)]
        {
            let users = ms * self.script.users + part;
            if users % 1000 < self.script.users {
                let number = if kind == Kind::New { users / 1000 } else { users / 1000 % 2000 };
                let after = random(&mut self.rng) % 1000;
                self.begin(kind, first + number, at + after, USERS_STAY);
            }
        }
    }

    fn loops(&mut self, number: u64) {
        let source = 40_000_000 + number % self.script.loop_sources;
        self.begin(Kind::Loop, source, self.now, 60_000);
    }

    /// A SYN arrives.
    fn arrive(&mut self, mut client: Client) {
        let key = named(client.source);
        let known = self.standing.is_good(hash(client.source), key, self.ms());
        let is_heavy = self.heavy.contains(&key);
        let share = if is_heavy { self.shed.heavy() } else { self.shed.others() };
        let answered = known || random(&mut self.rng) >> 32 <= u64::from(share.threshold());
        let short = self.delay.level() == Level::Overloaded;
        let room = self.backlog.len() < if short { SHORT_BACKLOG } else { BACKLOG };
        if answered && room {
            return self.backlog.push_back(client);
        }
        self.outcome.refused += usize::from(!answered);
        // TCP tries again after one second, two more, four more.
        let again = self.now + (1_000_000 << client.tries);
        client.tries += 1;
        if again < client.leaves {
            self.comes(again, client);
        }
    }

    /// Whose connection is over: one that loops begins again.
    fn over(&mut self, client: Client) {
        if client.kind == Kind::Loop {
            self.loops(client.source - 40_000_000);
        }
    }

    fn accept(&mut self, most: u32) {
        let begun = self.now;
        let mut count = 0;
        while count < most {
            let Some(client) = self.backlog.pop_front() else { break };
            count += 1;
            self.now += INTAKE;
            let now = self.ms();
            let (hash, key) = (hash(client.source), named(client.source));
            let demand = self.demand.charge(hash, 8, now);
            let light = self.light();
            if Rank::new(Class::New, demand, light).is_heavy() {
                self.heaviest.note(Source { hash, key, demand });
            }
            let class = match client.kind {
                Kind::Ticket => Class::Ticket,
                _ if self.standing.is_good(hash, key, now) => Class::Standing,
                _ => Class::New,
            };
            if self.free.is_empty()
                && let Some(due) = self.line.overdue(u64::MAX)
            {
                self.turn_away(due.id);
            }
            let Some(id) = self.free.pop() else { continue };
            self.clients[id as usize] = Some(client);
            self.line.enter(id, Rank::new(class, demand, light), now);
            self.entered += 1;
        }
        self.interval.taken += count;
        self.interval.intake += self.now - begun;
        self.interval.drained |= self.backlog.is_empty();
        self.pace.took_in(count, (self.now - begun) * 1000);
    }

    fn turn_away(&mut self, id: u32) {
        if let Some(client) = self.leave(id) {
            self.outcome.tallies.entry(client.kind).or_default().dropped += 1;
            self.over(client);
        }
    }

    fn leave(&mut self, id: u32) -> Option<Client> {
        let client = self.clients[id as usize].take();
        self.free.extend(client.map(|_| id));
        client
    }

    fn compute(&mut self, most: u32) {
        while let Some(due) = self.line.overdue(self.ms().saturating_sub(PATIENCE)) {
            self.turn_away(due.id);
        }
        let mut called = Vec::new();
        while called.len() < most as usize {
            let Some(due) = self.line.next(self.delay.level() == Level::Overloaded) else { break };
            let Some(client) = self.leave(due.id) else { continue };
            self.now += LOOK;
            if client.leaves <= self.now {
                self.over(client);
                continue;
            }
            self.called += 1;
            called.push(client);
        }
        let begun = self.now;
        let full = called.iter().filter(|client| client.kind != Kind::Ticket).count() as u64;
        let resumed = called.len() as u64 - full;
        self.now += full.div_ceil(self.script.lanes.into()) * self.script.full + resumed * 15;
        let (count, took) = (u32::try_from(called.len()).unwrap(), self.now - begun);
        self.interval.computed += count;
        self.pace.computed(count, took * 1000);
        let in_time = self.now < self.end();
        for client in called {
            let cost = u32::try_from(took / u64::from(count)).unwrap() + 25;
            let (hash, key, now) = (hash(client.source), named(client.source), self.ms());
            let demand = self.demand.charge(hash, cost, now);
            if demand >= Rank::heavy(self.light()) {
                self.heaviest.note(Source { hash, key, demand });
            }
            self.outcome.computed += usize::from(in_time);
            let tally = self.outcome.tallies.entry(client.kind).or_default();
            if client.leaves > self.now {
                self.outcome.wanted += usize::from(in_time);
                tally.served += 1;
                tally.waits.push((self.now - client.began) / 1000);
            }
            if !matches!(client.kind, Kind::Attack | Kind::Loop) {
                self.standing.used(hash, key, now);
            }
            self.over(client);
        }
    }

    fn judge(&mut self) {
        let now = self.ms();
        let waiting = u32::try_from(self.line.len()).unwrap();
        let seen = Seen {
            waited: self.line.oldest().map_or(0, |since| now.saturating_sub(since)),
            work: u64::from(waiting) * u64::from(self.pace.handshake().unwrap_or(0)) / 1000,
            entered: self.entered,
            computed: self.called,
            refuses: self.shed.refuses(),
        };
        let level = self.delay.observe(&seen, now);
        let length = self.now - self.interval_began;
        if length >= 100_000 {
            let demand = &self.demand;
            let heavy = Rank::heavy(self.light());
            self.heaviest.refresh(heavy, |hash| demand.of(hash, now));
            self.heavy = self.heaviest.iter().map(|source| source.key).collect();
            let mut interval = std::mem::take(&mut self.interval);
            interval.length = length;
            interval.overloaded = level == Level::Overloaded;
            interval.heavy = !self.heavy.is_empty();
            interval.drained |= self.backlog.is_empty();
            self.shed.observe(&interval);
            self.interval_began = self.now;
            if level == Level::Overloaded && self.now < self.end() {
                self.outcome.overloaded += length / 1000;
            }
        }
    }

    fn run(mut self) -> Outcome {
        for number in 0..self.script.looping {
            self.loops(number);
        }
        let (mut made, mut attackers) = (self.now, 0.0);
        loop {
            while made <= self.now + 1000 && made < self.end() {
                self.begin_all(made, &mut attackers);
                made += 1000;
            }
            while self.tick * TICK <= self.now {
                self.tick += 1;
                for client in self.coming.pop_front().unwrap_or_default() {
                    if self.now < self.end() || client.kind != Kind::Loop {
                        self.arrive(client);
                    }
                }
            }
            let most = if self.delay.level() == Level::Overloaded { SMALL_BATCH } else { BATCH };
            let portion = self.pace.handshakes(self.script.lanes, most);
            self.accept(self.pace.intake(portion));
            self.compute(portion);
            self.judge();
            let ends = self.end();
            if self.now >= ends && (self.delay.level() != Level::Calm || self.shed.refuses()) {
                self.outcome.recovered = (self.now - ends) / 1000;
            }
            if self.line.is_empty() && self.backlog.is_empty() {
                let next = (self.tick * TICK).max(self.now + 1);
                self.interval.idle += next - self.now;
                self.now = next;
            }
            if self.now >= ends + 6_000_000 {
                break;
            }
        }
        let capacity = (self.script.lasts * 1000) as f64 / (INTAKE + LOOK + self.script.full) as f64;
        self.outcome.used = self.outcome.computed as f64 / capacity / f64::from(self.script.lanes);
        self.outcome
    }
}

fn simulate(name: &str, script: Script) -> Outcome {
    let mut outcome = Shell::new(script).run();
    println!(
        "{name}: {} of {} computed were wanted, {:.3} of the capacity used, {} refused at the SYN, newest first for {} ms, calm after {} ms",
        outcome.wanted,
        outcome.computed,
        outcome.used,
        outcome.refused,
        outcome.overloaded,
        outcome.recovered
    );
    let mut kinds: Vec<Kind> = outcome.tallies.keys().copied().collect();
    kinds.sort();
    for kind in kinds {
        let tally = outcome.tallies.get_mut(&kind).unwrap();
        let (p50, p99) = (tally.percentile(50), tally.percentile(99));
        println!(
            "  {kind:?}: {} began, {:.4} served, {} dropped, p50 {p50} ms, p99 {p99} ms",
            tally.began,
            tally.share(),
            tally.dropped
        );
    }
    outcome
}

/// Microseconds that a handshake may cost: ECDSA in lanes, RSA-2048, RSA-4096, and that without optimisation on a small machine.
const COSTS: [u64; 5] = [30, 300, 1500, 6300, 100_000];

/// Seconds shrink where much happens in one.
fn lasting(full: u64, times: f64) -> u64 {
    match full as f64 / (times + 1.0) {
        share if share < 6.6 => 3000,
        share if share < 66.0 => 6000,
        _ => 12_000,
    }
}

#[test]
fn users_stay_served() {
    let flood = Script { times: 10.0, users: 300, ..QUIET };
    let floods = [
        ("1 x, many addresses", Script { times: 1.0, ..flood }),
        ("1.5 x, many addresses", Script { times: 1.5, ..flood }),
        ("3 x, many addresses", Script { times: 3.0, ..flood }),
        ("10 x, many addresses", flood),
        ("50 x, many addresses", Script { times: 50.0, lasts: 1500, ..flood }),
        ("10 x, 200 addresses", Script { sources: 200, lasts: 10_000, ..flood }),
        ("10 x, 100,000 addresses", Script { sources: 100_000, lasts: 3000, ..flood }),
        ("3 x, who leave after 200 ms", Script { times: 3.0, stay: 200, ..flood }),
        ("RSA-4096, 10 x", Script { full: 6300, users: 10, lasts: 60_000, ..flood }),
        (
            "RSA-4096, 10 x, 200 addresses",
            Script { full: 6300, users: 10, sources: 200, lasts: 60_000, ..flood },
        ),
    ];
    for (name, script) in floods {
        let outcome = simulate(name, script);
        let share = |kind| outcome.tallies[&kind].share();
        assert!(
            share(Kind::Ticket) >= 0.998 && share(Kind::Standing) >= 0.998,
            "{name}: who is known is served"
        );
        // Nothing tells strangers from attackers but what their addresses have cost.
        let apart = script.sources < 1000;
        let fair = if apart { 1.0 } else { 1.0 / (script.times + 0.1) };
        assert!(share(Kind::New) >= 0.7 * fair, "{name}: strangers get {:.4} of {fair:.4}", share(Kind::New));
        assert!(outcome.wanted * 100 >= outcome.computed * 99, "{name}: computed for clients that had left");
        assert!(outcome.recovered <= 4000, "{name}: calm only after {} ms", outcome.recovered);
    }
}

/// Clients of a fixed number keep the server busy, and all have their turn.
#[test]
fn clients_in_turn_use_all_of_the_capacity() {
    for full in COSTS {
        // Two of 64 each at a time.
        for looping in [8, 32, 128].into_iter().filter(|looping| full > 100 || *looping > 8) {
            let script = Script { full, looping, lasts: lasting(full, 1.0), ..QUIET };
            // From one address, which is heavy after some of them, and in turn with others.
            for (from, loop_sources) in [("addresses of their own", 1 << 20), ("one address", 1)] {
                let name = format!("{looping} clients in turn, {full} us, {from}");
                let outcome = simulate(&name, Script { loop_sources, ..script });
                assert!(outcome.used >= 0.95, "{name}: {:.3} of the capacity used", outcome.used);
                assert_eq!(outcome.refused, 0, "{name}");
                let dropped = outcome.tallies[&Kind::Loop].dropped;
                let all_in_time = loop_sources == 1 && looping * full < PATIENCE * 1000 / 2;
                assert!(!all_in_time || dropped == 0, "{name}: {dropped} of {} dropped", outcome.computed);
            }
        }
    }
}

/// However strong a flood is, and whatever handshakes cost, what is left beside taking connections in goes for handshakes that are wanted.
#[test]
fn floods_leave_the_capacity_to_clients() {
    for full in COSTS {
        for times in [1.5, 3.0, 10.0, 50.0] {
            for stay in [USERS_STAY, 200] {
                let name = format!("{times} x, {full} us, leaving after {stay} ms");
                let script = Script { full, times, stay, lasts: lasting(full, times), ..QUIET };
                let outcome = simulate(&name, script);
                // An eighth of the time may go for taking in, or a quarter more connections than are computed; and the first half
                // second, until the share is found.
                assert!(outcome.used >= 0.85, "{name}: {:.3} of the capacity used", outcome.used);
                // Who leaves within the time of two handshakes leaves while they are computed.
                let wanted = if full * 2 >= stay * 1000 { 0.9 } else { 0.99 };
                let share = outcome.wanted as f64 / outcome.computed as f64;
                assert!(share >= wanted, "{name}: {share:.3} of the computed were wanted");
            }
        }
    }
}
