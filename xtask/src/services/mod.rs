//! The servers that tests and benchmarks talk to, one file each.
//!
//! A new service is a file with a [`Service`] and a line in [`ALL`].

mod address;
pub(crate) mod kafka;
mod lifecycle;
mod mariadb;
mod postgres;
pub(crate) mod process;
mod site;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;

use crate::interrupt;
use crate::packages::Package;
use crate::services::lifecycle::{Arrival, Available, external, start, stop, stop_locked};
use crate::services::site::{Record, Site};

/// Every service there is.
const ALL: &[&dyn Service] = &[&kafka::Kafka, &mariadb::MariaDb, &postgres::Postgres];

/// What is always true of a service.
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    /// The variable that holds the service's address for tests.
    pub(crate) address_variable: &'static str,
    pub(crate) port_variable: &'static str,
    pub(crate) usual_port: u16,
    pub(crate) packages: &'static [Package],
    /// What asks a process of it to end.
    pub(crate) stop_signal: Signal,
}

/// One process of a service.
pub(crate) struct Launch {
    /// Names the log; different for each process of a service.
    pub(crate) role: &'static str,
    pub(crate) command: Command,
}

/// A server that can be installed, started and stopped here.
pub(crate) trait Service: Sync {
    fn facts(&self) -> &'static Facts;

    /// The address that clients use, as the address variable wants it.
    fn address(&self, port: u16) -> String;

    /// The service's folder, by default the one with its name.
    fn home(&self, services: &Path) -> Result<PathBuf> {
        Ok(services.join(self.facts().name))
    }

    /// All ports that it listens on.
    fn ports(&self, port: u16) -> Result<Vec<u16>> {
        Ok(vec![port])
    }

    /// Makes everything ready for a start; the home is there. Runs before every start.
    fn prepare(&self, site: &Site) -> Result<()>;

    /// The processes to start, in this order.
    fn launches(&self, site: &Site) -> Result<Vec<Launch>>;

    /// Whether this very server answers; an error says why not yet.
    fn check_ready(&self, site: &Site) -> Result<()>;

    /// Creates what tests expect to find in a server that answers, where it is missing.
    fn provision(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// What `wipe` removes, by default the whole folder.
    fn wiped(&self, site: &Site) -> PathBuf {
        site.home.clone()
    }
}

/// The variables that tell tests where a service is.
pub(crate) type Addresses = Vec<(&'static str, String)>;

/// The names that commands take.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|service| service.facts().name).collect()
}

/// Starts services and prints `export` lines; those that could be started, even if others fail.
pub(crate) fn up(folder: &Path, names: &[String]) -> Result<()> {
    let mut lines = Vec::new();
    let result = each(names, |service| {
        let (variable, value) = start(service, folder)?.variable();
        lines.push(address::export(variable, &value));
        Ok(())
    });
    for line in lines {
        println!("{line}");
    }
    result
}

/// Stops services.
pub(crate) fn down(folder: &Path, names: &[String]) -> Result<()> {
    each(names, |service| stop(service, folder))
}

/// Kills services without a chance to clean up.
pub(crate) fn kill(folder: &Path, names: &[String]) -> Result<()> {
    if names.is_empty() {
        bail!("name what to kill: {}", self::names().join(", "));
    }
    each(names, |service| {
        let name = service.facts().name;
        let _lock = site::lock(folder, name)?;
        let home = service.home(folder)?;
        let pids = Record::load(&home).map_or_else(Vec::new, |record| record.alive(&home));
        if pids.is_empty() {
            bail!("it does not run; start it with `cargo xtask services up {name}`");
        }
        pids.iter().for_each(|pid| process::kill(*pid));
        eprintln!("{name}: killed");
        Record::remove(&home)
    })
}

/// Stops services and removes their data.
pub(crate) fn wipe(folder: &Path, names: &[String]) -> Result<()> {
    each(names, |service| {
        let name = service.facts().name;
        let _lock = site::lock(folder, name)?;
        let site = Site::find(service, folder)?;
        stop_locked(service, &site.home)?;
        site::remove_folder(&service.wiped(&site))?;
        eprintln!("{name}: data removed");
        Ok(())
    })
}

/// Prints one line for each service.
pub(crate) fn status(folder: &Path, names: &[String]) -> Result<()> {
    each(names, |service| {
        println!("{:<10} {}", service.facts().name, state(service, folder)?);
        Ok(())
    })
}

/// Runs `work` while services are there, and then stops those that were not there before.
///
/// # Errors
///
/// A service does not start, or `work` fails; the services are stopped all the same.
pub(crate) fn during<T>(
    folder: &Path,
    names: &[&str],
    work: impl FnOnce(Addresses) -> Result<T>,
) -> Result<T> {
    interrupt::watch()?;
    let mut available = Vec::new();
    let result = start_named(folder, names, &mut available).and_then(|()| {
        let addresses = available.iter().map(Available::variable).collect();
        work(addresses)
    });
    for used in available.iter().rev() {
        if !matches!(used.arrival, Arrival::Started(_)) {
            continue;
        }
        if let Err(error) = stop(used.service, folder) {
            eprintln!("warning: {}: {error:#}", used.service.facts().name);
        }
    }
    result
}

/// Does the same to several services and reports every failure.
fn each(names: &[String], mut action: impl FnMut(&'static dyn Service) -> Result<()>) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut failed = Vec::new();
    for service in select(&names)? {
        if let Err(error) = action(service) {
            eprintln!("{}: {error:#}", service.facts().name);
            failed.push(service.facts().name);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("see the message above about {}", failed.join(", ")) }
}

/// The services with these names, or all of them for no names.
fn select(names: &[&str]) -> Result<Vec<&'static dyn Service>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &&str| {
        ALL.iter()
            .copied()
            .find(|service| service.facts().name == *name)
            .ok_or_else(|| anyhow!("no service `{name}`; there are {}", self::names().join(", ")))
    };
    names.iter().map(find).collect()
}

fn start_named(folder: &Path, names: &[&str], available: &mut Vec<Available>) -> Result<()> {
    for service in select(names)? {
        let started = start(service, folder).with_context(|| service.facts().name)?;
        available.push(started);
    }
    Ok(())
}

fn state(service: &dyn Service, folder: &Path) -> Result<String> {
    let home = service.home(folder)?;
    let record = Record::load(&home);
    let pids = record.as_ref().map_or_else(Vec::new, |record| record.alive(&home));
    if let Some(record) = record.filter(|_| !pids.is_empty()) {
        return Ok(describe_running(&record, &pids, &home));
    }
    let port = Site::find(service, folder)?.port;
    Ok(match external(service, port, false) {
        Some(_) => format!("given by {}", service.facts().address_variable),
        None => "stopped".to_owned(),
    })
}

fn describe_running(record: &Record, pids: &[u32], home: &Path) -> String {
    let state = if pids.len() == record.pids.len() { "running" } else { "partly running" };
    let memory: u64 = pids.iter().filter_map(|pid| process::memory(*pid)).sum();
    let list: Vec<String> = pids.iter().map(u32::to_string).collect();
    format!("{state} at port {}, pid {}, {memory} MB, in {}", record.port, list.join(" "), home.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variables_and_ports_are_used_once() {
        let mut names = names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        let mut ports: Vec<u16> = ALL
            .iter()
            .flat_map(|service| service.ports(service.facts().usual_port).expect("in range"))
            .collect();
        let count = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), count);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = select(&["oracle"]).err().expect("unknown").to_string();
        assert!(error.contains("kafka, mariadb, postgres"), "{error}");
        assert_eq!(select(&[]).expect("all").len(), ALL.len());
    }

    #[test]
    fn addresses_have_the_form_that_clients_read() {
        let addresses: Vec<String> = ALL.iter().map(|service| service.address(1)).collect();
        assert_eq!(
            addresses,
            [
                "127.0.0.1:1",
                "mysql://flare:flare@127.0.0.1:1/flare",
                "postgres://flare:flare@127.0.0.1:1/flare"
            ]
        );
    }
}
