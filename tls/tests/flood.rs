// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy of admission in a simulated flood: a server with a known capacity, an attack of many times that, and
//! clients with patience. The policy's code is the real one, time and costs are the simulation's, so every run is the same.

use std::collections::{HashMap, HashSet, VecDeque};
use ttls::admission::{
    Cell, Class, Delay, Demand, Heaviest, Interval, Level, Line, Link, ROWS, Rank, Set, Share, Shed, Source,
    Standing,
};

/// Microseconds of CPU time: taking a connection in with its hello, looking whether a client is still there, a full
/// handshake, and one with a ticket.
const INTAKE: u32 = 8;
const LOOK: u32 = 1;
const FULL: u32 = 40;
const RESUMED: u32 = 25;
/// Connections that the kernel keeps until they are taken in.
const BACKLOG: usize = 128;
/// Milliseconds after which a client gives up.
const PATIENCE: u64 = 3000;
const SLOTS: usize = 20_000;
const LIGHT: u32 = 8 * FULL;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Kind {
    Attack,
    New,
    Ticket,
    Standing,
}

#[derive(Clone, Copy)]
struct Client {
    kind: Kind,
    source: u64,
    began: u64,
    /// When it gives up.
    leaves: u64,
}

#[derive(Default, Debug)]
struct Tally {
    began: usize,
    served: usize,
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

/// A flood of `times` the capacity from `sources` addresses, whose clients stay for `attackers_stay` milliseconds.
struct Flood {
    times: u32,
    sources: u64,
    attackers_stay: u64,
}

struct Outcome {
    tallies: HashMap<Kind, Tally>,
    computed: usize,
    wanted: usize,
    /// Milliseconds from the attack's end until the line was calm again.
    recovered: u64,
}

fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

fn hash(source: u64) -> u64 {
    let x = source.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 27
}

fn named(source: u64) -> u32 {
    u32::try_from(source).unwrap()
}

fn simulate(flood: &Flood) -> Outcome {
    const START: u64 = 200_000;
    const ATTACK: std::ops::Range<u64> = START + 1_000..START + 11_000;
    const END: u64 = START + 15_000;
    let mut rng = 0x1234_5678_9abc_def1;
    let mut demand = Demand::new(vec![Cell::EMPTY; ROWS * 16_384]);
    let mut standing = Standing::new(vec![Set::EMPTY; 4096], 3_600_000);
    let mut heaviest = Heaviest::new([Source::default(); 512]);
    let mut banned_now = HashSet::new();
    let mut line = Line::new(vec![Link::OUTSIDE; SLOTS]);
    let mut delay = Delay::new(5, 100);
    let mut clients: Vec<Option<Client>> = vec![None; SLOTS];
    let mut free: Vec<u32> = (0..u32::try_from(SLOTS).unwrap()).collect();
    let mut backlog: VecDeque<Client> = VecDeque::new();
    // Who is not let in tries again after a second, and after three.
    let mut again: VecDeque<(u64, Client)> = VecDeque::new();
    let mut later: VecDeque<(u64, Client)> = VecDeque::new();
    let mut tallies: HashMap<Kind, Tally> = HashMap::new();
    let (mut computed, mut wanted, mut recovered) = (0, 0, 0);
    let mut shed = Shed::default();
    let mut interval = Interval::default();
    // A capacity of 20 full handshakes a millisecond.
    let capacity = u64::from(1000 / (INTAKE + FULL));
    // Regulars were here in two different minutes.
    for regular in 0..2000 {
        for source in [20_000_000, 30_000_000] {
            standing.used(hash(source + regular), named(source + regular), 1000);
            standing.used(hash(source + regular), named(source + regular), 100_000);
        }
    }
    for now in START..END {
        let mut arrivals = Vec::new();
        let mut begin = |kind, source, stay| {
            tallies.entry(kind).or_default().began +=
                usize::from(kind == Kind::Attack || ATTACK.contains(&now));
            arrivals.push((now, Client { kind, source, began: now, leaves: now + stay }));
        };
        if ATTACK.contains(&now) {
            for _ in 0..capacity * u64::from(flood.times) {
                begin(Kind::Attack, 1_000_000 + random(&mut rng, flood.sources), flood.attackers_stay);
            }
        }
        begin(Kind::New, 10_000_000 + now, PATIENCE);
        begin(Kind::Ticket, 20_000_000 + now % 2000, PATIENCE);
        begin(Kind::Standing, 30_000_000 + now % 2000, PATIENCE);
        while again.front().is_some_and(|&(at, _)| at <= now) {
            arrivals.extend(again.pop_front().map(|(_, client)| (now, client)));
        }
        for at in (1..arrivals.len()).rev() {
            let other = usize::try_from(random(&mut rng, at as u64 + 1)).unwrap();
            arrivals.swap(at, other);
        }
        for (_, client) in arrivals {
            let known = standing.is_good(hash(client.source), named(client.source), now);
            let banned = banned_now.contains(&named(client.source));
            let let_in = known || !banned && random(&mut rng, 1 << 32) <= u64::from(shed.share().threshold());
            if let_in && backlog.len() < BACKLOG {
                backlog.push_back(client);
            } else if now == client.began {
                again.push_back((now + 1000, client));
            } else if now < client.began + 3000 {
                later.push_back((client.began + 3000, client));
            }
        }
        while later.front().is_some_and(|&(at, _)| at <= now) {
            again.extend(later.pop_front());
        }
        // Half of the millisecond at most for who comes, the rest for handshakes.
        let mut budget = 1000_u32;
        while budget > 500 {
            let Some(client) = backlog.pop_front() else {
                interval.drained = true;
                break;
            };
            budget -= INTAKE;
            interval.taken += 1;
            let Some(id) = free.pop() else { continue };
            let spent = demand.charge(hash(client.source), INTAKE, now);
            if Rank::new(Class::New, spent, LIGHT).is_heavy() {
                let (hash, key) = (hash(client.source), named(client.source));
                heaviest.note(Source { hash, key, demand: spent });
            }
            let class = match client.kind {
                Kind::Ticket => Class::Ticket,
                _ if standing.is_good(hash(client.source), named(client.source), now) => Class::Standing,
                _ => Class::New,
            };
            clients[id as usize] = Some(client);
            line.enter(id, Rank::new(class, spent, LIGHT), now);
        }
        while let Some(due) = line.overdue(now.saturating_sub(2000)) {
            clients[due.id as usize] = None;
            free.push(due.id);
        }
        let overloaded = delay.level() == Level::Overloaded;
        while budget >= FULL {
            let Some(due) = line.next(overloaded) else { break };
            let Some(client) = clients[due.id as usize].take() else { continue };
            free.push(due.id);
            budget -= LOOK;
            if client.leaves <= now {
                continue;
            }
            let cost = if client.kind == Kind::Ticket { RESUMED } else { FULL };
            budget = budget.saturating_sub(cost);
            demand.charge(hash(client.source), cost, now);
            if client.kind != Kind::Attack {
                standing.used(hash(client.source), named(client.source), now);
            }
            interval.computed += 1;
            computed += 1;
            wanted += usize::from(client.leaves > now + 1);
            if ATTACK.contains(&client.began) {
                let tally = tallies.entry(client.kind).or_default();
                tally.served += 1;
                tally.waits.push(now - client.began);
            }
        }
        let waited = line.oldest().map_or(0, |since| now - since);
        let level = delay.observe(waited, now);
        if now % 100 == 0 {
            heaviest.refresh(Rank::heavy(LIGHT), |hash| demand.of(hash, now));
            banned_now = heaviest.iter().map(|heavy| heavy.key).collect();
            interval.behind = level != Level::Calm;
            shed.observe(&interval);
            interval = Interval::default();
        }
        if (level != Level::Calm || shed.share() != Share::ALL) && now >= ATTACK.end {
            recovered = now + 1 - ATTACK.end;
        }
    }
    Outcome { tallies, computed, wanted, recovered }
}

fn report(name: &str, outcome: &mut Outcome) {
    println!(
        "{name}: {} of {} computed were wanted, calm after {} ms",
        outcome.wanted, outcome.computed, outcome.recovered
    );
    let mut kinds: Vec<Kind> = outcome.tallies.keys().copied().collect();
    kinds.sort();
    for kind in kinds {
        let tally = outcome.tallies.get_mut(&kind).unwrap();
        let share = tally.share();
        println!(
            "  {kind:?}: {:.4} served, p50 {} ms, p99 {} ms",
            share,
            tally.percentile(50),
            tally.percentile(99)
        );
    }
}

#[test]
fn users_stay_served() {
    let floods = [
        ("1 x, many addresses", Flood { times: 1, sources: 1 << 30, attackers_stay: PATIENCE }),
        ("3 x, many addresses", Flood { times: 3, sources: 1 << 30, attackers_stay: PATIENCE }),
        ("10 x, many addresses", Flood { times: 10, sources: 1 << 30, attackers_stay: PATIENCE }),
        ("50 x, many addresses", Flood { times: 50, sources: 1 << 30, attackers_stay: PATIENCE }),
        ("10 x, 256 addresses", Flood { times: 10, sources: 256, attackers_stay: PATIENCE }),
        ("10 x, 100,000 addresses", Flood { times: 10, sources: 100_000, attackers_stay: PATIENCE }),
        ("3 x, who leave after 200 ms", Flood { times: 3, sources: 1 << 30, attackers_stay: 200 }),
    ];
    for (name, flood) in floods {
        let mut outcome = simulate(&flood);
        report(name, &mut outcome);
        let share = |kind| outcome.tallies[&kind].share();
        assert!(
            share(Kind::Ticket) >= 0.998 && share(Kind::Standing) >= 0.998,
            "{name}: who is known is served"
        );
        // Nothing tells strangers from attackers but what their addresses have cost.
        let fair = if flood.sources < 1000 { 1.0 } else { 1.0 / (f64::from(flood.times) + 0.05) };
        assert!(share(Kind::New) >= 0.8 * fair, "{name}: strangers get {:.4} of {fair:.4}", share(Kind::New));
        assert!(outcome.wanted * 100 >= outcome.computed * 99, "{name}: computed for clients that had left");
        assert!(outcome.recovered <= 4000, "{name}: calm only after {} ms", outcome.recovered);
    }
}
