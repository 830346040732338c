//! The records.

use flare::kafka;
use serde::{Deserialize, Serialize};

/// As JSON, 200 bytes.
#[kafka(topic = "set-by-the-benchmark", start = "earliest", end = "latest")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) user_id: u64,
    pub(crate) kind: String,
    pub(crate) amount_cents: i64,
    pub(crate) paid_at: i64,
    pub(crate) city: String,
    pub(crate) note: String,
}

const CITIES: [&str; 5] = ["Shanghai", "Hangzhou", "Chengdu", "Berlin", "Rotterdam"];

impl Event {
    pub(crate) fn of(number: u64) -> Self {
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        Self {
            id: number,
            user_id: spread % 1_000_000,
            kind: if spread.is_multiple_of(3) { "refund" } else { "order" }.to_owned(),
            amount_cents: (spread % 10_000).cast_signed(),
            paid_at: 1_767_225_600_000 + number.cast_signed(),
            city: CITIES[(spread % 5) as usize].to_owned(),
            note: String::new(),
        }
    }

    /// The record as JSON, its note as long as it takes.
    pub(crate) fn to_json(number: u64) -> serde_json::Result<Vec<u8>> {
        const BYTES: usize = 200;
        let mut event = Self::of(number);
        let short = serde_json::to_vec(&event)?.len();
        event.note = "-".repeat(BYTES.saturating_sub(short));
        serde_json::to_vec(&event)
    }

    /// True for nine of ten.
    pub(crate) fn is_kept(&self) -> bool {
        self.amount_cents >= 1_000
    }
}
