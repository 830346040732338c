use flare::__private::{ConnectorDeclaration, inventory};
use flare::jdbc;

#[jdbc(datasource = "dw", table = "dw.order_wide", batch = 500, flush = "1s", retry(times = 3))]
#[derive(serde::Serialize)]
struct Order {
    #[key]
    id: u64,
    #[serde(serialize_with = "text")]
    tags: Vec<String>,
    #[serde(skip)]
    parts: Vec<u64>,
}

#[jdbc(datasource = "dw", table = "log", mode = "insert", batch = 0)]
#[derive(serde::Serialize)]
struct Line {
    text: Option<String>,
}

fn text<S: serde::Serializer>(tags: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&tags.join(","))
}

fn main() {
    let _ = (Order { id: 1, tags: vec![], parts: vec![] }.parts, Line { text: None });
    assert_eq!(inventory::iter::<ConnectorDeclaration>().count(), 2);
}
