//! The life of one service: made available, awaited, stopped.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::services::site::{self, Record, Site};
use crate::services::{Facts, Service, address, process};
use crate::{command, interrupt, packages};

const START_PATIENCE: Duration = Duration::from_secs(90);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// How a service came to be there.
pub(crate) enum Arrival {
    /// It took this long.
    Started(Duration),
    /// It ran before.
    Found,
    /// The user runs it.
    External,
}

/// A service that can be used now.
pub(crate) struct Available {
    pub(crate) service: &'static dyn Service,
    address: String,
    pub(crate) arrival: Arrival,
}

impl Available {
    /// The variable that tells tests where it is.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        (self.service.facts().address_variable, self.address.clone())
    }
}

/// Makes a service available: the user's, the one that runs, or a new one.
pub(crate) fn start(service: &'static dyn Service, folder: &Path) -> Result<Available> {
    let _lock = site::lock(folder, service.facts().name)?;
    let mut site = Site::find(service, folder)?;
    let wanted = site.port;
    let running = Record::load(&site.home).filter(|record| record.is_whole(&site.home));
    if let Some(record) = &running {
        site.port = record.port;
    }
    let (arrival, address) = if let Some(address) = external(service, site.port, running.is_some()) {
        (Arrival::External, address)
    } else {
        let address = service.address(site.port);
        if running.is_some() {
            // The command that started it may have been interrupted before the end.
            await_ready(service, &site)?;
            (Arrival::Found, address)
        } else {
            (launch(service, &site, folder)?, address)
        }
    };
    eprintln!("{}", describe_arrival(service, &arrival, site.port, wanted));
    Ok(Available { service, address, arrival })
}

fn describe_arrival(service: &dyn Service, arrival: &Arrival, port: u16, wanted: u16) -> String {
    let Facts { name, address_variable, port_variable, .. } = service.facts();
    match arrival {
        Arrival::External => {
            format!("{name}: nothing started, {address_variable} says where it is")
        }
        Arrival::Started(time) => {
            format!("{name}: ready at port {port} after {:.1} s", time.as_secs_f64())
        }
        Arrival::Found if port == wanted => format!("{name}: already running at port {port}"),
        Arrival::Found => format!(
            "{name}: already running at port {port}; stop it first to have it at port {wanted} \
             ({port_variable})"
        ),
    }
}

/// The address of a server that the user runs.
///
/// A shell that took over the lines of `up` has our own address in the variable; that is none,
/// unless another program listens there.
pub(crate) fn external(service: &dyn Service, own_port: u16, own_runs: bool) -> Option<String> {
    let Facts { address_variable, port_variable, .. } = service.facts();
    let address = address::setting(address_variable)?;
    let is_taken = || !own_runs && address::check_free(own_port, port_variable).is_err();
    (address != service.address(own_port) || is_taken()).then_some(address)
}

fn launch(service: &dyn Service, site: &Site, folder: &Path) -> Result<Arrival> {
    let begin = Instant::now();
    if !cfg!(target_os = "linux") {
        bail!(
            "servers can be started on Linux only; run one yourself and set {}",
            service.facts().address_variable
        );
    }
    packages::ensure(service.facts().packages, folder)?;
    stop_locked(service, &site.home)?;
    for port in service.ports(site.port)? {
        address::check_free(port, service.facts().port_variable)?;
    }
    fs::create_dir_all(&site.home).with_context(|| format!("cannot create {}", site.home.display()))?;
    service.prepare(site)?;
    spawn_all(service, site).and_then(|()| await_ready(service, site)).inspect_err(|_| {
        // The error at hand says more than one about stopping would.
        let _ = stop_locked(service, &site.home);
    })?;
    Ok(Arrival::Started(begin.elapsed()))
}

fn spawn_all(service: &dyn Service, site: &Site) -> Result<()> {
    let mut record = Record { port: site.port, pids: Vec::new() };
    for launch in service.launches(site)? {
        let log = site.log(launch.role);
        if log.exists() {
            fs::rename(&log, log.with_added_extension("old")).context("cannot keep the old log")?;
        }
        let pid = process::spawn_detached(&launch.command, &log)?;
        record.pids.push(pid);
        // Recorded one by one, so that an interrupt leaves no process behind unknown.
        record.save(&site.home).inspect_err(|_| process::kill(pid))?;
    }
    Ok(())
}

fn await_ready(service: &dyn Service, site: &Site) -> Result<()> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if !Record::load(&site.home).is_some_and(|record| record.is_whole(&site.home)) {
            bail!(
                "it ended while starting; if its data is damaged, \
                 run `cargo xtask services wipe {}`{}",
                service.facts().name,
                log_ends(service, site)
            );
        }
        match service.check_ready(site) {
            Ok(()) => return service.provision(site),
            Err(error) if Instant::now() > deadline => {
                let seconds = START_PATIENCE.as_secs();
                bail!("it is not ready after {seconds} s: {error:#}{}", log_ends(service, site));
            }
            Err(_) if interrupt::seen() => bail!("interrupted while it started"),
            Err(_) => sleep(POLL),
        }
    }
}

/// The last lines of every log, for an error.
fn log_ends(service: &dyn Service, site: &Site) -> String {
    let logs = service.launches(site).unwrap_or_default();
    logs.iter().fold(String::new(), |text, launch| {
        let log = site.log(launch.role);
        let content = fs::read(&log).unwrap_or_default();
        let end = command::last_lines(&String::from_utf8_lossy(&content));
        format!("{text}\nthe end of {}:\n{end}", log.display())
    })
}

/// Stops a service and says whether it ran.
pub(crate) fn stop(service: &dyn Service, folder: &Path) -> Result<()> {
    let name = service.facts().name;
    let _lock = site::lock(folder, name)?;
    if stop_locked(service, &service.home(folder)?)? {
        eprintln!("{name}: stopped");
    } else {
        eprintln!("{name}: not running");
    }
    Ok(())
}

/// Stops what runs of a service, last started first, and says whether there was anything.
pub(crate) fn stop_locked(service: &dyn Service, home: &Path) -> Result<bool> {
    let pids = Record::load(home).map_or_else(Vec::new, |record| record.alive(home));
    for pid in pids.iter().rev() {
        process::stop(*pid, service.facts().stop_signal, STOP_PATIENCE);
    }
    Record::remove(home)?;
    Ok(!pids.is_empty())
}
