use flare::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Named {
    r#type: u32,
    name: Option<String>,
    #[cfg(any())]
    absent: Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Numbered(Named, Timestamp, (i64, bool));

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Key)]
enum Kind {
    Plain,
    Numbered(u8, Unit),
    Named { r#type: char },
}

fn main() {
    let named = Named { r#type: 7, name: Some("ann".to_owned()) };
    let numbered = Numbered(named.clone(), Timestamp::from_millis(5), (1, true));
    let parts = (7_u32, "ann".to_owned());
    assert_eq!(named.hash32(), parts.hash32());
    assert_eq!(numbered.hash32(), (parts, 5_i64, (1_i64, true)).hash32());
    assert_eq!((Unit.hash32(), Kind::Plain.hash32()), (0, 0));
    assert_eq!(Kind::Numbered(9, Unit).hash32(), (1, 9_u8, ()).hash32());
    assert_eq!(Kind::Named { r#type: 'a' }.hash32(), (2, 'a').hash32());
}
