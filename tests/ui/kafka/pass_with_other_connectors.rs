use flare::__private::{Connected, ConnectorDeclaration, LookupDeclaration, LookupRow, inventory};
use flare::{FromRow, async_lookup, jdbc, kafka};

fn connected<T: Connected + LookupRow<Key = u64> + FromRow>() {}

#[kafka(topic = "users")]
#[jdbc(name = "users-table", datasource = "dw", table = "users")]
#[async_lookup(datasource = "dw", sql = "SELECT id, name FROM users WHERE id = :id")]
#[derive(Clone, FromRow, serde::Serialize)]
struct User {
    #[key]
    id: u64,
    #[column(name = "user_name")]
    name: Option<String>,
}

fn main() {
    connected::<User>();
    assert_eq!(inventory::iter::<ConnectorDeclaration>().count(), 2);
    assert_eq!(inventory::iter::<LookupDeclaration>().count(), 1);
}
