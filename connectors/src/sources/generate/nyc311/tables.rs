//! The complaints, boroughs and agencies of the requests. The weights are rough.

/// Code and name.
pub(super) const AGENCIES: &[(&str, &str)] = &[
    ("NYPD", "New York City Police Department"),
    ("HPD", "Department of Housing Preservation and Development"),
    ("DSNY", "Department of Sanitation"),
    ("DOT", "Department of Transportation"),
    ("DEP", "Department of Environmental Protection"),
    ("DOB", "Department of Buildings"),
    ("DPR", "Department of Parks and Recreation"),
    ("DOHMH", "Department of Health and Mental Hygiene"),
    ("DHS", "Department of Homeless Services"),
    ("TLC", "Taxi and Limousine Commission"),
    ("DCWP", "Department of Consumer and Worker Protection"),
];
const NYPD: usize = 0;
const HPD: usize = 1;
const DSNY: usize = 2;
const DOT: usize = 3;
const DEP: usize = 4;
const DOB: usize = 5;
const DPR: usize = 6;
const DOHMH: usize = 7;
const DHS: usize = 8;
const TLC: usize = 9;
const DCWP: usize = 10;

#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) name: &'static str,
    pub(super) agency: usize,
    pub(super) weight: u64,
    /// Whether it is about a rented home, which other boroughs have more of.
    pub(super) rental: bool,
    /// The descriptors, usual ones first.
    pub(super) descriptors: &'static [&'static str],
    pub(super) location_type: &'static str,
    /// Quantiles of the time until a request is closed, in minutes.
    pub(super) closes_minutes: &'static [u64],
    pub(super) resolutions: &'static [&'static str],
}

/// Log-normal, with medians of about an hour, three days and three weeks.
const HOURS: &[u64] = &[2, 14, 24, 38, 60, 95, 150, 270, 4_300];
const DAYS: &[u64] = &[60, 900, 1_700, 2_800, 4_300, 6_700, 11_000, 20_000, 160_000];
const WEEKS: &[u64] = &[1_400, 8_000, 14_000, 21_000, 30_000, 44_000, 65_000, 110_000, 700_000];

const PATROL: &[&str] = &[
    "Officers came by and saw nothing that broke the rules.",
    "Officers came by and settled the matter on the spot.",
    "Officers came by, but those responsible had gone.",
    "Officers issued a summons.",
];
const INSPECTION: &[&str] = &[
    "An inspector found the condition as described and ordered a repair.",
    "An inspector came, but nobody opened the door.",
    "An inspector found that the condition had been put right.",
    "The request repeats an earlier one and was closed with it.",
];
const WORKS: &[&str] = &[
    "A crew made the repair.",
    "A crew found nothing to repair.",
    "The work was added to the schedule of the district.",
    "The place lies outside of what the agency looks after.",
];

const HOME: &str = "RESIDENTIAL BUILDING";
const STREET: &str = "Street/Sidewalk";

const fn patrol(
    name: &'static str,
    weight: u64,
    descriptors: &'static [&'static str],
    location_type: &'static str,
) -> Complaint {
    Complaint {
        name,
        agency: NYPD,
        weight,
        rental: false,
        descriptors,
        location_type,
        closes_minutes: HOURS,
        resolutions: PATROL,
    }
}

const fn rental(name: &'static str, weight: u64, descriptors: &'static [&'static str]) -> Complaint {
    Complaint {
        name,
        agency: HPD,
        weight,
        rental: true,
        descriptors,
        location_type: HOME,
        closes_minutes: DAYS,
        resolutions: INSPECTION,
    }
}

const fn works(
    name: &'static str,
    agency: usize,
    weight: u64,
    closes_minutes: &'static [u64],
    descriptors: &'static [&'static str],
) -> Complaint {
    Complaint {
        name,
        agency,
        weight,
        rental: false,
        descriptors,
        location_type: STREET,
        closes_minutes,
        resolutions: WORKS,
    }
}

/// Types of complaint with their weight in thousandths or so.
pub(super) const COMPLAINTS: &[Complaint] = &[
    patrol(
        "Illegal Parking",
        150,
        &["Blocked Hydrant", "Double Parked", "Blocked Sidewalk", "Blocked Bike Lane"],
        STREET,
    ),
    patrol("Noise - Residential", 125, &["Loud Music/Party", "Banging/Pounding", "Loud Television"], "House"),
    patrol("Blocked Driveway", 55, &["No Access", "Partial Access"], STREET),
    patrol("Noise - Street/Sidewalk", 52, &["Loud Music/Party", "Loud Talking"], STREET),
    patrol("Abandoned Vehicle", 28, &["With License Plate", "Without License Plate"], STREET),
    patrol("Noise - Commercial", 24, &["Loud Music/Party", "Loud Talking"], "Club/Bar/Restaurant"),
    patrol("Noise - Vehicle", 22, &["Car/Truck Music", "Engine Idling", "Car/Truck Horn"], STREET),
    rental("HEAT/HOT WATER", 95, &["ENTIRE BUILDING", "APARTMENT ONLY"]),
    rental("UNSANITARY CONDITION", 34, &["PESTS", "MOLD", "GARBAGE"]),
    rental("PLUMBING", 20, &["WATER SUPPLY", "RADIATOR", "STEAM PIPE/RISER"]),
    rental("PAINT/PLASTER", 18, &["WALL", "CEILING"]),
    rental("DOOR/WINDOW", 14, &["DOOR", "DOOR FRAME", "WINDOW FRAME"]),
    works("Street Condition", DOT, 32, DAYS, &["Pothole", "Cave-in", "Rough, Pitted or Cracked Roads"]),
    works("Traffic Signal Condition", DOT, 17, HOURS, &["Controller", "Veh Signal Lamp", "Ped Signal"]),
    works("Street Light Condition", DOT, 15, DAYS, &["Street Light Out", "Street Light Cycling"]),
    works("Water System", DEP, 24, DAYS, &["Hydrant Running Full", "Leak", "No Water"]),
    works("Noise", DEP, 16, WEEKS, &["Construction Before/After Hours", "Barking Dog", "Ice Cream Truck"]),
    works("Sewer", DEP, 13, DAYS, &["Catch Basin Clogged", "Sewer Backup"]),
    works("Dirty Condition", DSNY, 19, DAYS, &["Trash", "Lot Condition", "Illegal Postering"]),
    works("Missed Collection", DSNY, 18, DAYS, &["Trash", "Recycling - Paper", "Compost"]),
    works("Graffiti", DSNY, 7, WEEKS, &["Graffiti"]),
    works("Damaged Tree", DPR, 13, WEEKS, &["Branch or Limb Has Fallen Down", "Tree Leaning/Uprooted"]),
    works("Rodent", DOHMH, 18, WEEKS, &["Rat Sighting", "Condition Attracting Rodents", "Mouse Sighting"]),
    works("Homeless Person Assistance", DHS, 11, HOURS, &["Chronic", "N/A"]),
    works("General Construction/Plumbing", DOB, 10, WEEKS, &["Building Permit - None", "Unsafe Work"]),
    works("Elevator", DOB, 7, WEEKS, &["Elevator - Defective/Not Working", "Elevator - Single Device"]),
    works("Taxi Complaint", TLC, 5, WEEKS, &["Driver Complaint", "Insurance Information Requested"]),
    works("Consumer Complaint", DCWP, 5, WEEKS, &["Retail Store", "Non-Delivery Goods/Services"]),
];

#[derive(Debug)]
pub(super) struct Borough {
    pub(super) name: &'static str,
    pub(super) weight: u64,
    /// Weight among requests about rented homes.
    pub(super) rentals: u64,
    pub(super) first_zip: u64,
    pub(super) zips: u64,
    /// Number of community boards.
    pub(super) boards: u64,
    /// The cities, usual ones first.
    pub(super) cities: &'static [&'static str],
    /// Millionths of a degree north, from and to.
    pub(super) latitude: Option<(u64, u64)>,
    /// Millionths of a degree west, from and to.
    pub(super) longitude: Option<(u64, u64)>,
}

pub(super) const BOROUGHS: &[Borough] = &[
    Borough {
        name: "BROOKLYN",
        weight: 300,
        rentals: 290,
        first_zip: 11_201,
        zips: 39,
        boards: 18,
        cities: &["BROOKLYN"],
        latitude: Some((40_575_000, 40_736_000)),
        longitude: Some((73_862_000, 74_035_000)),
    },
    Borough {
        name: "QUEENS",
        weight: 235,
        rentals: 120,
        first_zip: 11_354,
        zips: 82,
        boards: 14,
        cities: &["JAMAICA", "FLUSHING", "ASTORIA", "RIDGEWOOD", "CORONA", "ELMHURST", "WOODSIDE"],
        latitude: Some((40_560_000, 40_795_000)),
        longitude: Some((73_705_000, 73_955_000)),
    },
    Borough {
        name: "BRONX",
        weight: 215,
        rentals: 370,
        first_zip: 10_451,
        zips: 25,
        boards: 12,
        cities: &["BRONX"],
        latitude: Some((40_795_000, 40_912_000)),
        longitude: Some((73_770_000, 73_930_000)),
    },
    Borough {
        name: "MANHATTAN",
        weight: 200,
        rentals: 210,
        first_zip: 10_001,
        zips: 40,
        boards: 12,
        cities: &["NEW YORK"],
        latitude: Some((40_703_000, 40_870_000)),
        longitude: Some((73_912_000, 74_015_000)),
    },
    Borough {
        name: "STATEN ISLAND",
        weight: 40,
        rentals: 10,
        first_zip: 10_301,
        zips: 14,
        boards: 3,
        cities: &["STATEN ISLAND"],
        latitude: Some((40_503_000, 40_646_000)),
        longitude: Some((74_056_000, 74_248_000)),
    },
    Borough {
        name: "Unspecified",
        weight: 10,
        rentals: 0,
        first_zip: 0,
        zips: 0,
        boards: 0,
        cities: &[],
        latitude: None,
        longitude: None,
    },
];
