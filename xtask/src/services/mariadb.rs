//! MariaDB: one server from the system's package.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, geteuid};

use crate::command;
use crate::packages::{Package, program};
use crate::services::site::Site;
use crate::services::{Facts, Launch, Service};

/// Runs at every start, before the server answers anyone.
const INIT: &str = "\
CREATE DATABASE IF NOT EXISTS flare CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'flare'@'localhost' IDENTIFIED BY 'flare';
CREATE USER IF NOT EXISTS 'flare'@'127.0.0.1' IDENTIFIED BY 'flare';
GRANT ALL PRIVILEGES ON *.* TO 'flare'@'localhost' WITH GRANT OPTION;
GRANT ALL PRIVILEGES ON *.* TO 'flare'@'127.0.0.1' WITH GRANT OPTION;
";

const FACTS: Facts = Facts {
    name: "mariadb",
    address_variable: "FLARE_TEST_MYSQL",
    port_variable: "FLARE_MARIADB_PORT",
    usual_port: 23306,
    packages: &[
        Package {
            name: "mariadb-server",
            brings: "mariadbd",
            is_there: || program("mariadbd").is_some() && program("mariadb-install-db").is_some(),
        },
        Package { name: "mariadb-client", brings: "mariadb", is_there: || program("mariadb").is_some() },
    ],
    stop_signal: Signal::TERM,
};

/// The server with a database, a user and a password that are all `flare`.
pub(crate) struct MariaDb;

impl Service for MariaDb {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn address(&self, port: u16) -> String {
        format!("mysql://flare:flare@127.0.0.1:{port}/flare")
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        site.write("init.sql", INIT)?;
        site.fill_once(&site.data(), |folder| {
            let mut install = server_program("mariadb-install-db", folder)?;
            install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
            command::output(&mut install)?;
            Ok(())
        })
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>> {
        let mut server = server_program("mariadbd", &site.data())?;
        server
            // Relative to the data, because the length of a socket's path is limited.
            .arg("--socket=server.sock")
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--port={}", site.port))
            .arg(format!("--init-file={}", site.home.join("init.sql").display()))
            .arg("--character-set-server=utf8mb4")
            .arg("--innodb-buffer-pool-size=128M")
            .arg("--max-connections=300");
        Ok(vec![Launch { role: "server", command: server }])
    }

    /// Asks as a test would, and also which server it is that answers.
    fn check_ready(&self, site: &Site) -> Result<()> {
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--host=127.0.0.1", "--user=flare"])
            .arg(format!("--port={}", site.port))
            .args(["--password=flare", "--connect-timeout=2", "--batch"])
            .args(["--skip-column-names", "--execute=SELECT @@datadir", "flare"]);
        let answer = command::output(&mut client)?;
        let folder = Path::new(answer.trim());
        if folder != site.data() {
            bail!("the server at port {} has its data elsewhere", site.port);
        }
        Ok(())
    }
}

/// A program of the server that reads no settings of the system.
fn server_program(name: &str, data: &Path) -> Result<Command> {
    let path = program(name).with_context(|| format!("`{name}` is not there"))?;
    let mut server = Command::new(path);
    server.arg("--no-defaults");
    if geteuid().is_root() {
        server.arg("--user=root");
    }
    server.arg(format!("--datadir={}", data.display()));
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_may_come_from_both_local_names() {
        for host in ["localhost", "127.0.0.1"] {
            let user = format!("'flare'@'{host}'");
            assert!(INIT.contains(&format!("CREATE USER IF NOT EXISTS {user}")));
            assert!(INIT.contains(&format!("GRANT ALL PRIVILEGES ON *.* TO {user}")));
        }
    }

    #[test]
    fn each_statement_has_a_line_of_its_own() {
        // The server reads an init file line by line.
        assert!(INIT.lines().all(|line| line.ends_with(';')));
    }
}
