#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]
//! A crate that allows no warning, with the derive above and the arguments from a macro.

use flare::{FromRow, async_lookup, files, generator, kafka};

macro_rules! source {
    ($topic:expr, $batch:literal) => {
        #[derive(serde::Serialize)]
        #[kafka(topic = $topic, batch = $batch, event_time = "type")]
        #[files(path = $topic, event_time = "type")]
        #[generator(with = make)]
        struct Order {
            #[key]
            r#type: u64,
        }
    };
}

source!("orders", 5);

fn make(n: u64) -> Order {
    Order { r#type: n }
}

#[derive(Clone, FromRow)]
#[async_lookup]
struct User {
    #[key]
    id: u64,
}

fn main() {
    let _ = User { id: make(1).r#type }.id;
}
