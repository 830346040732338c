//! Server processes: started apart from this command, found again, signalled and awaited.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(20);

/// Starts a command in a session of its own, which outlives this command and its terminal.
pub(crate) fn spawn_detached(command: &Command, log: &Path) -> Result<u32> {
    let output = File::create(log).with_context(|| format!("cannot create the log {}", log.display()))?;
    let errors = output.try_clone().context("cannot share the log")?;
    // `setsid` replaces itself by the server, so the server keeps the process id.
    let mut detached = Command::new("setsid");
    detached
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => detached.env(name, value),
            None => detached.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        detached.current_dir(folder);
    }
    let child = detached.spawn().context("cannot run `setsid`; install package util-linux")?;
    Ok(child.id())
}

/// Whether the process runs; one that ended and is not yet reaped does not.
pub(crate) fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| parse_stat(&stat))
        // A killed process looks ended while its other threads still hold its files and ports.
        .is_some_and(|stat| !matches!(stat.state, 'Z' | 'X') || stat.threads > 1)
}

/// Whether the process runs and has a path below `home` among its arguments.
///
/// Process ids are used again, so a number alone does not say that the process is ours.
pub(crate) fn is_ours(pid: u32, home: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(1);
    while is_running(pid) {
        match fs::read(format!("/proc/{pid}/cmdline")) {
            // While one program replaces another in a process, it has no arguments.
            Ok(arguments) if arguments.is_empty() && Instant::now() < deadline => sleep(POLL),
            Ok(arguments) => return mentions(&arguments, home.as_os_str()),
            Err(_) => return false,
        }
    }
    false
}

/// Sends a signal; a process that has ended meanwhile is no error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Sends a signal to a process and everything it started.
pub(crate) fn signal_tree(pid: u32, kind: Signal) {
    for member in tree(pid) {
        signal(member, kind);
    }
}

/// Asks a process to end, kills it when it does not within `patience`, and awaits its end.
pub(crate) fn stop(pid: u32, kind: Signal, patience: Duration) {
    let members = tree(pid);
    signal(pid, kind);
    if !await_end(&members, patience) {
        kill(pid);
    }
}

/// Kills a process and everything it started, and awaits their end.
///
/// Children are included because a database's children hold its files and memory a while longer.
pub(crate) fn kill(pid: u32) {
    let members = tree(pid);
    for member in &members {
        signal(*member, Signal::KILL);
    }
    await_end(&members, Duration::from_secs(10));
}

/// Whether any process runs in the folder, and still does after `patience`.
pub(crate) fn is_in_use(folder: &Path, patience: Duration) -> bool {
    let works_there =
        |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|current| current == folder);
    let workers: Vec<u32> = all_pids().into_iter().filter(works_there).collect();
    !await_end(&workers, patience)
}

/// The resident memory of a process, in megabytes.
pub(crate) fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

struct Stat {
    state: char,
    parent: u32,
    threads: u32,
}

/// Reads `/proc/<pid>/stat`; the name in it may hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        threads: fields.nth(15)?.parse().ok()?,
    })
}

fn mentions(arguments: &[u8], home: &OsStr) -> bool {
    let mut prefix = home.as_bytes().to_vec();
    prefix.push(b'/');
    arguments.windows(prefix.len()).any(|window| window == prefix)
}

/// The process and its descendants, parents first.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all_pids() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        if let Some(stat) = stat.and_then(|stat| parse_stat(&stat)) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut members = vec![root];
    let mut next = 0;
    while let Some(pid) = members.get(next) {
        members.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    members
}

fn all_pids() -> Vec<u32> {
    fs::read_dir("/proc").map_or_else(
        |_| Vec::new(),
        |entries| entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
    )
}

fn await_end(members: &[u32], patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while members.iter().any(|pid| is_running(*pid)) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(POLL);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(argument: &str) -> std::process::Child {
        Command::new("sh").args(["-c", "sleep 60; exit 0", argument]).spawn().expect("sh is there")
    }

    #[test]
    fn reads_a_stat_line_with_an_odd_name() {
        let line = "42 (a ) b) Z 7 42 42 0 -1 4 5 0 0 0 1 2 0 0 20 0 3 0 99 0 0";
        let stat = parse_stat(line).expect("well formed");
        assert_eq!((stat.state, stat.parent, stat.threads), ('Z', 7, 3));
        assert!(parse_stat("nonsense").is_none());
    }

    #[test]
    fn a_neighbouring_folder_is_not_ours() {
        let arguments = b"mariadbd\0--datadir=/t/services/mariadb2/data\0";
        assert!(mentions(arguments, OsStr::new("/t/services/mariadb2")));
        assert!(!mentions(arguments, OsStr::new("/t/services/mariadb")));
    }

    #[test]
    fn a_reused_pid_is_not_ours() {
        let mut child = sleeper("/t/services/kafka/server.properties");
        assert!(is_ours(child.id(), Path::new("/t/services/kafka")));
        assert!(!is_ours(child.id(), Path::new("/t/services/redis")));
        kill(child.id());
        child.wait().expect("ended");
    }

    #[test]
    fn a_process_is_ours_from_its_very_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60; exit 0"]);
        command.arg(folder.path().join("data"));
        for _ in 0..20 {
            let log = folder.path().join("log");
            let pid = spawn_detached(&command, &log).expect("sh is there");
            assert!(is_ours(pid, folder.path()));
            kill(pid);
        }
    }

    #[test]
    fn a_zombie_counts_as_ended() {
        let mut child = sleeper("zombie");
        assert!(is_running(child.id()));
        kill(child.id());
        assert!(!is_running(child.id()), "killed, but not yet reaped");
        child.wait().expect("ended");
    }

    #[test]
    fn stop_kills_what_does_not_listen() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]);
        let log = folder.path().join("log");
        let pid = spawn_detached(&command, &log).expect("sh is there");
        while fs::read_to_string(&log).is_ok_and(|text| text.is_empty()) {
            sleep(POLL);
        }
        stop(pid, Signal::TERM, Duration::from_millis(100));
        assert!(!is_running(pid));
    }
}
