use flare::FromRow;

#[derive(FromRow)]
struct User<'a> {
    name: &'a str,
}

fn main() {}
