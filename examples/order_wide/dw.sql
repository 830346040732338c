-- The wide table of the example; run once when the pool is first used.
CREATE TABLE IF NOT EXISTS order_wide (
    id BIGINT PRIMARY KEY,
    user_name VARCHAR(100) NOT NULL,
    user_level INT NOT NULL,
    amount_cents BIGINT NOT NULL,
    paid_at DATETIME(3) NOT NULL
);
