//! Ports and addresses: which the user asked for, and how they are told to a shell.

use std::env;
use std::net::TcpListener;

use anyhow::{Context, Result, bail};

/// The port for a service: from its variable, or the usual one.
pub(crate) fn port(variable: &str, usual: u16) -> Result<u16> {
    choose_port(variable, setting(variable).as_deref(), usual)
}

/// An environment variable; an empty one counts as not set.
pub(crate) fn setting(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Refuses a port that some program listens on.
pub(crate) fn check_free(port: u16, variable: &str) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!("port {port} cannot be used; stop the program that listens there or set {variable}")
        }),
    }
}

/// A line that sets a variable in any POSIX shell.
pub(crate) fn export(variable: &str, value: &str) -> String {
    format!("export {variable}={}", quote(value))
}

fn choose_port(variable: &str, value: Option<&str>, usual: u16) -> Result<u16> {
    let Some(value) = value else {
        return Ok(usual);
    };
    match value.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("{variable} is `{value}`, which is no port; set it to a number up to 65535"),
    }
}

fn quote(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:@,=+-".contains(letter);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_usual_port_or_the_one_asked_for() {
        let port = |value| choose_port("FLARE_KAFKA_PORT", value, 29092);
        assert_eq!(port(None).expect("usual"), 29092);
        assert_eq!(port(Some("1234")).expect("asked for"), 1234);
        for wrong in ["0", "70000", "kafka", "-1"] {
            let error = port(Some(wrong)).expect_err(wrong).to_string();
            assert!(error.contains("FLARE_KAFKA_PORT"), "{error}");
        }
    }

    #[test]
    fn a_port_in_use_names_the_variable() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let error = check_free(port, "FLARE_KAFKA_PORT").expect_err("in use");
        assert!(format!("{error:#}").contains("set FLARE_KAFKA_PORT"));
        drop(listener);
        check_free(port, "FLARE_KAFKA_PORT").expect("free again");
    }

    #[test]
    fn quotes_what_a_shell_would_read() {
        let line = |value| export("A", value);
        assert_eq!(line("127.0.0.1:29092"), "export A=127.0.0.1:29092");
        assert_eq!(line("mysql://u:p@h/d?a&b"), "export A='mysql://u:p@h/d?a&b'");
        assert_eq!(line("it's"), r"export A='it'\''s'");
    }
}
