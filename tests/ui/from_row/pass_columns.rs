use std::sync::Arc;

use flare::__private::{FromRow as _, Row};
use flare::FromRow;

#[derive(FromRow)]
struct User {
    #[key]
    id: Option<u64>,
    #[column(name = "user_name")]
    r#type: Option<String>,
    #[cfg(any())]
    absent: Nothing,
}

fn main() {
    let columns: Arc<[String]> = Arc::new([]);
    let error = User::from_row(&Row::new(columns, vec![]))
        .map(|user| (user.id, user.r#type))
        .expect_err("a column is missing");
    assert!(error.to_string().contains("column"), "{error}");
}
