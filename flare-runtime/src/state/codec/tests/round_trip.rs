//! What is written is read again, by postcard and by names alike.

use super::*;

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let bytes = bytes_of(value);
    let decoder = decoder::<T, T>();
    assert!(decoder.is_positional());
    decoder.verify(&bytes).expect("the same value");
    assert_eq!(&decoder.decode(&bytes).expect("decodes"), value);
    let planned = decoder.decode_planned(&bytes);
    assert_eq!(&planned.expect("decodes by its plan"), value);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_what_was_written(value in everything()) {
        check(&value);
    }

    #[test]
    fn reads_parts_on_their_own(
        numbers in any::<(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128)>(),
        texts in any::<(char, String, Vec<u8>, Option<String>)>(),
        event in events(),
        tree in trees(),
        result in any::<Result<(), [u16; 3]>>(),
    ) {
        check(&numbers.0);
        check(&numbers.4);
        check(&numbers.9);
        check(&numbers);
        check(&texts);
        check(&event);
        check(&tree);
        check(&result);
    }

    #[test]
    fn appends_to_what_is_there(value in any::<(u64, String)>(), before in any::<Vec<u8>>()) {
        let mut bytes = before.clone();
        encode(&value, &mut bytes).expect("encodes");
        prop_assert_eq!(&bytes[before.len()..], &postcard::to_allocvec(&value).expect("encodes")[..]);
    }
}

#[test]
fn reads_floats_bit_by_bit() {
    for float in [f64::NAN, -0.0, f64::MIN_POSITIVE] {
        let read = decoder::<f64, f64>().decode(&bytes_of(&float)).expect("decodes");
        assert_eq!(read.to_bits(), float.to_bits());
    }
    check(&1.5f32);
}

#[test]
fn refuses_to_write_what_it_could_not_read() {
    #[derive(Serialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }
    let mut bytes = vec![7];
    let error = encode(&Sparse { name: None }, &mut bytes).expect_err("left out");
    assert!(error.to_string().contains("field `name` is left out by `skip_serializing_if`"), "{error}");
    let error = encode(&vec![(); 5000], &mut bytes).expect_err("too many");
    assert!(error.to_string().contains("without content"), "{error}");
    let error = encode(&chain(1000), &mut bytes).expect_err("too deep");
    assert!(error.to_string().contains("nested more than"), "{error}");
    assert_eq!(bytes, [7]);
}

fn chain(depth: usize) -> Tree {
    let leaf = Tree { value: 0, children: Vec::new() };
    (1..depth).fold(leaf, |child, _| Tree { value: 0, children: vec![child] })
}

#[test]
fn reads_the_deepest_value_that_it_writes() {
    let mut nested = Event::Opened;
    for _ in 0..128 {
        nested = Event::Nested(Box::new(nested));
    }
    check(&nested);
    check(&chain(64));
    let mut bytes = Vec::new();
    encode(&Event::Nested(Box::new(nested)), &mut bytes).expect_err("one more");
    encode(&chain(65), &mut bytes).expect_err("one more");
}

#[test]
fn finds_values_that_are_read_as_others() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Gap {
        First(u8),
        #[serde(skip)]
        #[expect(dead_code, reason = "serde counts it only where it writes")]
        Hidden,
        Second(u8),
        Third(u8),
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Lost {
        kept: u8,
        #[serde(skip_deserializing)]
        lost: u8,
    }
    let gap = decoder::<Gap, Gap>();
    gap.verify(&bytes_of(&Gap::First(5))).expect("before the gap");
    assert_eq!(gap.decode(&bytes_of(&Gap::Second(5))), Ok(Gap::Third(5)));
    let error = gap.verify(&bytes_of(&Gap::Second(5))).expect_err("another value");
    assert!(error.to_string().contains("read as another value"), "{error}");
    decoder::<Lost, Lost>().verify(&bytes_of(&Lost { kept: 1, lost: 2 })).expect_err("a byte too many");
}
