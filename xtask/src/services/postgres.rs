//! PostgreSQL: one server from the system's package, run by user `postgres` where we are root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, geteuid};

use crate::command;
use crate::packages::{Package, program};
use crate::services::site::Site;
use crate::services::{Facts, Launch, Service, process};

/// Whom root runs the server as, since it refuses to run as root.
const SYSTEM_USER: &str = "postgres";
/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

const FACTS: Facts = Facts {
    name: "postgres",
    address_variable: "FLARE_TEST_POSTGRES",
    port_variable: "FLARE_POSTGRES_PORT",
    usual_port: 25432,
    packages: &[Package {
        name: "postgresql",
        brings: "the PostgreSQL server and psql",
        is_there: || program("psql").is_some() && server_program("initdb", None).is_some(),
    }],
    // TERM would wait until every client has gone.
    stop_signal: Signal::INT,
};

/// The server with a superuser, a database and a password that are all `flare`.
pub(crate) struct Postgres;

impl Service for Postgres {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn address(&self, port: u16) -> String {
        format!("postgres://flare:flare@127.0.0.1:{port}/flare")
    }

    /// Below the temporary folder where another user could not enter the usual one.
    fn home(&self, services: &Path) -> Result<PathBuf> {
        if !geteuid().is_root() || is_passable(services) {
            return Ok(services.join(FACTS.name));
        }
        let folder = std::env::temp_dir();
        if !is_passable(&folder) {
            bail!(
                "user {SYSTEM_USER} cannot enter {} nor {}; set TMPDIR to a folder that all users can enter",
                services.display(),
                folder.display()
            );
        }
        let key = hash(services.as_os_str().as_encoded_bytes());
        Ok(folder.join(format!("flare-postgres-{key:016x}")))
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        open_home(&site.home)?;
        let password = site.write("password", "flare\n")?;
        allow(&password, 0o644)?;
        site.fill_once(&site.data(), |folder| {
            hand_over(folder)?;
            let mut initdb = as_system_user(&needed_program("initdb", None)?);
            initdb
                .current_dir(&site.home)
                .arg("-D")
                .arg(folder)
                .args(["-U", "flare", "--auth=scram-sha-256", "--pwfile"])
                .arg(password)
                .args(["-E", "UTF8", "--locale=C"]);
            command::output(&mut initdb)?;
            Ok(())
        })?;
        remove_stale_lock(&site.data())
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>> {
        let data = site.data();
        let version = fs::read_to_string(data.join("PG_VERSION")).ok();
        let version = version.as_deref().map(str::trim);
        let mut server = as_system_user(&needed_program("postgres", version)?);
        server
            .current_dir(&site.home)
            .arg("-D")
            .arg(data)
            .args(["-h", "127.0.0.1", "-p", &site.port.to_string()])
            // No socket in the file system: the length of its path is limited.
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=300"]);
        Ok(vec![Launch { role: "server", command: server }])
    }

    /// Asks as a test would, and also which server it is that answers.
    fn check_ready(&self, site: &Site) -> Result<()> {
        let folder = query(site, "SHOW data_directory")?;
        if Path::new(&folder) != site.data() {
            bail!("the server at port {} has its data elsewhere", site.port);
        }
        Ok(())
    }

    fn provision(&self, site: &Site) -> Result<()> {
        let found = query(site, "SELECT 1 FROM pg_database WHERE datname = 'flare'")?;
        if found.is_empty() {
            query(site, "CREATE DATABASE flare")?;
        }
        Ok(())
    }
}

/// Runs one statement in the database that every server has.
fn query(site: &Site, statement: &str) -> Result<String> {
    let mut psql = Command::new("psql");
    psql.env("PGPASSWORD", "flare")
        .env("PGCONNECT_TIMEOUT", "2")
        .args(["-X", "-A", "-t", "-w", "-h", "127.0.0.1", "-U", "flare"])
        .args(["-p", &site.port.to_string(), "-d", "postgres"])
        .args(["-c", statement]);
    Ok(command::output(&mut psql)?.trim().to_owned())
}

fn as_system_user(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={SYSTEM_USER}"))
        .arg(format!("--regid={SYSTEM_USER}"))
        .args(["--clear-groups", "--"])
        .arg(program);
    command
}

/// Removes the lock of a server that was killed.
///
/// The server does so itself, but refuses to while the killed process is not yet reaped.
/// Every process of a server works in its data folder; while one does, the lock is valid.
fn remove_stale_lock(data: &Path) -> Result<()> {
    let lock = data.join("postmaster.pid");
    if !lock.exists() || process::is_in_use(data, Duration::from_secs(5)) {
        return Ok(());
    }
    fs::remove_file(&lock).with_context(|| format!("cannot remove {}", lock.display()))
}

/// Lets the server's user enter our home, whatever the umask is.
fn open_home(home: &Path) -> Result<()> {
    let metadata =
        fs::symlink_metadata(home).with_context(|| format!("cannot look at {}", home.display()))?;
    // In a temporary folder anybody could have made it before us.
    if metadata.uid() != geteuid().as_raw() {
        bail!("{} belongs to another user; remove it", home.display());
    }
    allow(home, 0o755)
}

fn allow(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("cannot change who may read {}", path.display()))
}

/// Gives a folder to the user that the server runs as.
fn hand_over(folder: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let id = |kind: &str| -> Result<u32> {
        let number = command::output(Command::new("id").args([kind, SYSTEM_USER]))?;
        number.trim().parse().context("`id` gave no number")
    };
    let (user, group) = (id("-u")?, id("-g")?);
    chown(folder, Some(user), Some(group))
        .with_context(|| format!("cannot give {} to {SYSTEM_USER}", folder.display()))
}

/// Whether any user may go through the folder and its parents, as far as they exist.
fn is_passable(folder: &Path) -> bool {
    folder.ancestors().filter_map(|part| fs::metadata(part).ok()).all(|metadata| metadata.mode() & 0o001 != 0)
}

/// FNV-1a, which stays the same from one build to the next.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn needed_program(name: &str, version: Option<&str>) -> Result<PathBuf> {
    server_program(name, version).with_context(|| match version {
        Some(version) => format!(
            "the data is from PostgreSQL {version}, which is not installed; \
             install it or run `cargo xtask services wipe postgres`"
        ),
        None => format!("`{name}` is not there; install PostgreSQL's server"),
    })
}

/// Finds a program of the given version, or of the newest one.
fn server_program(name: &str, version: Option<&str>) -> Option<PathBuf> {
    let installed = fs::read_dir(VERSIONS).map_or_else(
        |_| Vec::new(),
        |entries| {
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|version| Path::new(VERSIONS).join(version).join("bin").join(name).is_file())
                .collect()
        },
    );
    match pick_version(&installed, version) {
        Some(picked) => Some(Path::new(VERSIONS).join(picked).join("bin").join(name)),
        // Elsewhere than in Debian there is one version, in `PATH`.
        None if installed.is_empty() => program(name),
        None => None,
    }
}

fn pick_version<'a>(installed: &'a [String], wanted: Option<&str>) -> Option<&'a String> {
    installed
        .iter()
        .filter(|version| wanted.is_none_or(|wanted| wanted == version.as_str()))
        .max_by_key(|version| version.parse::<u32>().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_newest_version_or_that_of_the_data() {
        let installed = ["9", "17", "15"].map(str::to_owned);
        let pick = |wanted| pick_version(&installed, wanted).map(String::as_str);
        assert_eq!(pick(None), Some("17"));
        assert_eq!(pick(Some("15")), Some("15"));
        assert_eq!(pick(Some("14")), None);
    }

    #[test]
    fn a_closed_parent_is_not_passable() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| {
            allow(folder.path(), mode).expect("ours");
        };
        let inner = folder.path().join("target/services");
        fs::create_dir_all(&inner).expect("ours");
        mode(0o700);
        assert!(!is_passable(&inner));
        mode(0o711);
        assert!(is_passable(&inner));
        assert!(is_passable(&inner.join("not yet there")));
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
