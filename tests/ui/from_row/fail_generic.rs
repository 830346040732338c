use flare::FromRow;

#[derive(FromRow)]
struct User<T> {
    id: T,
}

fn main() {}
