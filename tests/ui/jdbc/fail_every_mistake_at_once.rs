use flare::jdbc;

#[jdbc(
    datasource = "",
    table = "a.b.c",
    mode = "update",
    flush = 5,
    batch = "many",
    on_error = true,
    url = "x"
)]
#[derive(serde::Serialize)]
struct Order {
    #[column(name = "amount")]
    id: u64,
    #[key = 1]
    amount: i64,
    #[key]
    #[key]
    number: u64,
}

fn main() {}
