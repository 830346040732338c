//! What the macros accept, and what they say about mistakes.

#[test]
fn macros_accept_and_explain() {
    let cases = trybuild::TestCases::new();
    for macro_name in
        ["flare_job", "kafka", "jdbc", "files", "generator", "async_lookup", "from_row", "key", "stream"]
    {
        cases.pass(format!("ui/{macro_name}/pass_*.rs"));
        cases.compile_fail(format!("ui/{macro_name}/fail_*.rs"));
    }
}
