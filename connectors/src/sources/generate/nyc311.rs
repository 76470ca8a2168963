//! Service requests of a city in the form of NYC's open-data API: all values are strings, fields without a value are
//! left out, times are local and without a zone.

use super::calendar::{self, HOUR_MS, MINUTE_MS, SECOND_MS};
use super::flaw::Flaw;
use super::random::{Random, Weighted};

mod tables;

use tables::{AGENCIES, BOROUGHS, Borough, COMPLAINTS, Complaint};

const FIRST_KEY: u64 = 64_000_000;

/// Activity of each hour of the day; the sum is 153.
const HOURS: [u64; 24] = [4, 3, 2, 1, 1, 2, 3, 5, 8, 10, 10, 10, 9, 9, 9, 8, 8, 7, 7, 7, 8, 9, 8, 5];
const HOURS_SUM: u64 = 153;
/// About 9,000 requests a day.
const MEAN_GAP_MS: u64 = 9_600;
/// Quantiles of the exponential distribution, in thousandths of about its mean.
const GAP: &[u64] = &[0, 134, 288, 470, 693, 981, 1_386, 2_079, 8_000];

const CHANNELS: &[&str] = &["ONLINE", "ONLINE", "ONLINE", "PHONE", "PHONE", "PHONE", "MOBILE", "MOBILE", "UNKNOWN"];
const OPEN_STATUSES: &[&str] = &["In Progress", "In Progress", "In Progress", "Open", "Open", "Assigned", "Pending"];
const STREETS: &[&str] = &[
    "MAIN STREET",
    "BROADWAY",
    "PARK AVENUE",
    "OCEAN PARKWAY",
    "GRAND CONCOURSE",
    "ATLANTIC AVENUE",
    "VICTORY BOULEVARD",
    "NORTHERN BOULEVARD",
    "FLATBUSH AVENUE",
    "WEST 23 STREET",
    "EAST 96 STREET",
    "AMSTERDAM AVENUE",
    "BAY STREET",
    "LINDEN BOULEVARD",
    "JEROME AVENUE",
    "NOSTRAND AVENUE",
];

#[derive(Debug)]
pub(super) struct Nyc311 {
    now_ms: i64,
    key: u64,
    complaints: Weighted,
    /// Boroughs weighted by requests, and by requests about rented homes.
    boroughs: Weighted,
    rentals: Weighted,
}

/// One request, before it is written.
struct ServiceRequest {
    complaint: &'static Complaint,
    borough: &'static Borough,
    created_ms: i64,
    closed_ms: Option<i64>,
}

impl Nyc311 {
    pub(super) fn new(start_ms: i64) -> Self {
        Self {
            now_ms: start_ms,
            key: FIRST_KEY,
            complaints: Weighted::new(COMPLAINTS.iter().map(|complaint| complaint.weight)),
            boroughs: Weighted::new(BOROUGHS.iter().map(|borough| borough.weight)),
            rentals: Weighted::new(BOROUGHS.iter().map(|borough| borough.rentals)),
        }
    }

    pub(super) fn write(&mut self, random: &mut Random, late_ms: i64, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        self.advance(random);
        let request = self.request(random, late_ms);
        out.extend_from_slice(b"{\"unique_key\":\"");
        calendar::number(out, self.key);
        out.extend_from_slice(b"\",\"created_date\":\"");
        calendar::write_time(out, request.created_ms);
        if let Some(closed_ms) = request.closed_ms {
            out.extend_from_slice(b"\",\"closed_date\":\"");
            calendar::write_time(out, closed_ms);
        }
        out.push(b'"');
        request.write_subject(random, out);
        request.write_address(random, out);
        request.write_outcome(random, out);
        request.write_point(random, flaw, out);
        out.push(b'}');
    }

    /// Moves to the next request: a longer step at night.
    fn advance(&mut self, random: &mut Random) {
        let hour = calendar::hour(calendar::new_york_ms(self.now_ms));
        let mean_ms = MEAN_GAP_MS * HOURS_SUM / 24 / HOURS[hour];
        self.now_ms += (random.quantile(GAP) * mean_ms / 1_000) as i64;
        self.key += 1 + random.below(3);
    }

    fn request(&self, random: &mut Random, late_ms: i64) -> ServiceRequest {
        let complaint = &COMPLAINTS[self.complaints.pick(random)];
        let boroughs = if complaint.rental { &self.rentals } else { &self.boroughs };
        let borough = &BOROUGHS[boroughs.pick(random)];
        let created_utc_ms = self.now_ms - late_ms;
        let closed_utc_ms = complaint.closes(random).map(|after_ms| created_utc_ms + after_ms);
        ServiceRequest {
            complaint,
            borough,
            created_ms: whole_second(calendar::new_york_ms(created_utc_ms)),
            closed_ms: closed_utc_ms.map(|utc_ms| whole_second(calendar::new_york_ms(utc_ms))),
        }
    }
}

impl Complaint {
    /// Time until the request is closed; none for the one in eight that stays open. A few are closed before they were
    /// created, as in the city's own data.
    fn closes(&self, random: &mut Random) -> Option<i64> {
        let after_ms = random.quantile(self.closes_minutes) as i64 * MINUTE_MS + random.below(60) as i64 * SECOND_MS;
        match random.below(1_000) {
            0..125 => None,
            125..127 => Some(-2 * HOUR_MS),
            _ => Some(after_ms),
        }
    }
}

impl ServiceRequest {
    fn write_subject(&self, random: &mut Random, out: &mut Vec<u8>) {
        let (agency, agency_name) = AGENCIES[self.complaint.agency];
        field(out, "agency", agency);
        field(out, "agency_name", agency_name);
        field(out, "complaint_type", self.complaint.name);
        // The first descriptors are the usual ones.
        let descriptors = self.complaint.descriptors;
        let most = 1 + random.below(descriptors.len() as u64);
        field(out, "descriptor", descriptors[random.below(most) as usize]);
        if !random.one_in(4) {
            field(out, "location_type", self.complaint.location_type);
        }
    }

    fn write_address(&self, random: &mut Random, out: &mut Vec<u8>) {
        let borough = self.borough;
        let (zip, board) = (few(random, borough.zips), few(random, borough.boards));
        let street = random.pick(STREETS);
        let house = 1 + few(random, 2_000);
        if borough.zips > 0 && !random.one_in(50) {
            numbered(out, "incident_zip", (borough.first_zip + zip, 5), "");
        }
        if !random.one_in(16) {
            out.extend_from_slice(b",\"incident_address\":\"");
            calendar::number(out, house);
            out.push(b' ');
            out.extend_from_slice(street.as_bytes());
            out.push(b'"');
            field(out, "street_name", street);
            field(out, "address_type", "ADDRESS");
        }
        if let Some(last) = borough.cities.len().checked_sub(1) {
            field(out, "city", borough.cities[few(random, last as u64 + 1) as usize]);
        }
        match borough.boards {
            0 => field(out, "community_board", "0 Unspecified"),
            _ => numbered(out, "community_board", (board + 1, 2), borough.name),
        }
        field(out, "borough", borough.name);
        field(out, "park_facility_name", "Unspecified");
        field(out, "park_borough", borough.name);
    }

    fn write_outcome(&self, random: &mut Random, out: &mut Vec<u8>) {
        if !random.one_in(50) {
            field(out, "open_data_channel_type", random.pick(CHANNELS));
        }
        match self.closed_ms {
            Some(closed_ms) => {
                field(out, "status", "Closed");
                field(out, "resolution_description", random.pick(self.complaint.resolutions));
                out.extend_from_slice(b",\"resolution_action_updated_date\":\"");
                calendar::write_time(out, closed_ms);
                out.push(b'"');
            }
            None => field(out, "status", random.pick(OPEN_STATUSES)),
        }
    }

    /// Writes the location; left out now and then, and always where the borough is not known.
    fn write_point(&self, random: &mut Random, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        let latitude = self.borough.latitude.map(|(low, high)| low + random.below(high - low));
        let longitude = self.borough.longitude.map(|(low, high)| low + random.below(high - low));
        let digits = random.below(100_000_000);
        let absent = random.one_in(25);
        if let Some(text) = Flaw::number(flaw) {
            out.extend_from_slice(b",\"latitude\":");
            out.extend_from_slice(text);
            return;
        }
        let (Some(latitude), Some(longitude), false) = (latitude, longitude, absent) else { return };
        out.extend_from_slice(b",\"latitude\":\"");
        degrees(out, latitude, digits);
        out.extend_from_slice(b"\",\"longitude\":\"-");
        degrees(out, longitude, digits);
        out.extend_from_slice(b"\",\"location\":{\"type\":\"Point\",\"coordinates\":[-");
        degrees(out, longitude, digits);
        out.push(b',');
        degrees(out, latitude, digits);
        out.extend_from_slice(b"]}");
    }
}

fn whole_second(ms: i64) -> i64 {
    ms - ms.rem_euclid(SECOND_MS)
}

/// A number below `n`, the smaller the likelier; 0 when `n` is.
fn few(random: &mut Random, n: u64) -> u64 {
    let most = random.below(n) + 1;
    random.below(most)
}

/// Appends `,"name":"text"`; the texts of this file need no escapes.
fn field(out: &mut Vec<u8>, name: &str, text: &str) {
    for part in [",\"", name, "\":\"", text, "\""] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends `,"name":"number text"`, the number in its width.
fn numbered(out: &mut Vec<u8>, name: &str, (number, width): (u64, u32), text: &str) {
    for part in [",\"", name, "\":\""] {
        out.extend_from_slice(part.as_bytes());
    }
    calendar::digits(out, number, width);
    if !text.is_empty() {
        out.push(b' ');
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

/// Appends millionths of a degree with eight more digits.
fn degrees(out: &mut Vec<u8>, millionths: u64, digits: u64) {
    calendar::number(out, millionths / 1_000_000);
    out.push(b'.');
    calendar::digits(out, millionths % 1_000_000, 6);
    calendar::digits(out, digits, 8);
}
