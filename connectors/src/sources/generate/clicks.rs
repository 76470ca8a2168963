//! Page views of a shop: few users and pages have most of them, sessions end after half an hour, some fields are
//! missing.

use super::calendar::{self, MINUTE_MS};
use super::flaw::Flaw;
use super::random::{self, Random, Weighted};

const USERS: u64 = 100_000;
const PAGES: u64 = 1_000;
/// Pages that are no product; they come first, because they are the most visited.
const OTHER_PAGES: &[&str] = &["/", "/search", "/cart", "/checkout", "/login", "/help"];
/// Steps between events are below this, in milliseconds: 4.5 ms on average, about 220 events a second.
const STEP_MS: u64 = 10;
const SESSION_GAP_MS: i64 = 30 * MINUTE_MS;

/// Countries by their number of users, most first.
const COUNTRIES: &[&str] = &[
    "US", "DE", "GB", "FR", "IN", "BR", "JP", "CA", "IT", "ES", "NL", "PL", "MX", "AU", "TR", "SE", "CH", "AT", "BE",
    "KR", "ID", "AR", "PT", "CZ", "DK", "NO", "FI", "IE", "GR", "RO", "HU", "ZA", "NG", "EG", "UA", "VN", "TH", "MY",
    "CL", "NZ",
];

/// Quantiles of the response time, in milliseconds.
const ANSWER_MS: &[u64] = &[4, 16, 23, 29, 35, 41, 48, 56, 65, 75, 87, 102, 122, 151, 200, 310, 9_000];

#[derive(Debug)]
pub(super) struct Clicks {
    now_ms: i64,
    users: Weighted,
    pages: Weighted,
    countries: Weighted,
    sessions: Vec<Session>,
}

/// The present session of a user.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: u64,
    last_ms: i64,
}

impl Clicks {
    pub(super) fn new(start_ms: i64) -> Self {
        Self {
            now_ms: start_ms,
            users: zipf(USERS, 30),
            pages: zipf(PAGES, 3),
            countries: zipf(COUNTRIES.len() as u64, 2),
            sessions: vec![Session { id: 0, last_ms: i64::MIN }; USERS as usize],
        }
    }

    pub(super) fn write(&mut self, random: &mut Random, late_ms: i64, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        self.now_ms += random.below(STEP_MS) as i64;
        // Popular users are spread over all numbers: 7,919 is prime.
        let user = self.users.pick(random) as u64 * 7_919 % USERS;
        let session = self.session(user, random);
        let page = self.pages.pick(random);
        let (answer_ms, missing) = (random.quantile(ANSWER_MS), random.below(100));

        out.extend_from_slice(b"{\"ts\":\"");
        calendar::write_time(out, self.now_ms - late_ms);
        out.extend_from_slice(b"Z\",\"user_id\":");
        calendar::number(out, user);
        out.extend_from_slice(b",\"session\":\"");
        hex(out, session);
        out.extend_from_slice(b"\",\"page\":\"");
        write_page(out, page);
        if missing >= 2 {
            out.extend_from_slice(b"\",\"country\":\"");
            out.extend_from_slice(COUNTRIES[self.countries.at(random::mix(user))].as_bytes());
        }
        out.push(b'"');
        match Flaw::number(flaw) {
            Some(text) => {
                out.extend_from_slice(b",\"ms\":");
                out.extend_from_slice(text);
            }
            None if missing == 50 => {}
            None => {
                out.extend_from_slice(b",\"ms\":");
                calendar::number(out, answer_ms);
            }
        }
        out.push(b'}');
    }

    /// The user's session; a new one after a break and now and then.
    fn session(&mut self, user: u64, random: &mut Random) -> u64 {
        let session = &mut self.sessions[user as usize];
        let new = self.now_ms.saturating_sub(session.last_ms) > SESSION_GAP_MS || random.one_in(64);
        if new {
            session.id = random::mix(random.next() ^ user);
        }
        session.last_ms = self.now_ms;
        session.id
    }
}

/// Weights inversely proportional to the rank, from the rank `flat` on.
fn zipf(n: u64, flat: u64) -> Weighted {
    Weighted::new((0..n).map(|rank| (1 << 32) / (rank + flat)))
}

fn write_page(out: &mut Vec<u8>, page: usize) {
    match OTHER_PAGES.get(page) {
        Some(page) => out.extend_from_slice(page.as_bytes()),
        None => {
            out.extend_from_slice(b"/p/");
            calendar::number(out, page as u64);
        }
    }
}

/// Twelve hexadecimal digits.
fn hex(out: &mut Vec<u8>, number: u64) {
    for shift in (0..48).step_by(4).rev() {
        out.push(b"0123456789abcdef"[(number >> shift) as usize & 15]);
    }
}
