//! Structs and enums as keys.

use flare::prelude::*;

use crate::support::{Collected, check};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Till {
    shop: u32,
    payment: Payment,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
enum Payment {
    Cash,
    Card(String, bool),
    Voucher { number: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Nothing;

#[test]
fn equal_fields_hash_as_the_tuple_of_them() {
    let visa = || "visa".to_owned();
    assert_eq!(Payment::Cash.hash32(), 0);
    assert_eq!(Payment::Card(visa(), true).hash32(), (1, visa(), true).hash32());
    assert_eq!(Payment::Voucher { number: 1 << 40 }.hash32(), (2, 1_u64 << 40).hash32());
    let till = Till { shop: u32::MAX, payment: Payment::Card(visa(), false) };
    assert_eq!(till.hash32(), (u32::MAX, (1, visa(), false)).hash32());
    assert_eq!(Nothing.hash32(), 0);
}

#[test]
fn records_of_an_equal_struct_meet() {
    let describe = |job: &mut Job, out: Collected<(Till, u64)>| {
        let payment = |n: u32| match n % 3 {
            0 => Payment::Cash,
            1 => Payment::Card("visa".to_owned(), true),
            _ => Payment::Voucher { number: 7 },
        };
        let keyed = job.values("orders", (0..120_u32).collect());
        let keyed = keyed.rebalance().key_by(move |n| Till { shop: n % 2, payment: payment(*n) });
        keyed
            .count_window(20, flare::keyed::Count, |till, count| (till.clone(), count))
            .for_each(out.collector());
        Ok(())
    };
    let (_, out) = check(describe, |runner| runner.set("job.parallelism", 3)).unwrap();
    let mut tills = out.sorted();
    assert!(tills.iter().all(|(_, count)| *count == 20), "{tills:?}");
    tills.dedup();
    assert_eq!(tills.len(), 6, "{tills:?}");
}
