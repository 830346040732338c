//! Kafka: one node in KRaft mode, from jars that Maven downloads.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::command;
use crate::packages::{Package, program};
use crate::services::site::Site;
use crate::services::{Facts, Launch, Service};

const VERSION: &str = "4.1.1";
const POM: &str = include_str!("../../templates/kafka-pom.xml");
const PROPERTIES: &str = include_str!("../../templates/kafka-server.properties");
/// Any sixteen bytes in base64; these spell "FlareTestCluster".
const CLUSTER_ID: &str = "RmxhcmVUZXN0Q2x1c3Rlcg";
const ROLE: &str = "broker";

const FACTS: Facts = Facts {
    name: "kafka",
    address_variable: "FLARE_TEST_KAFKA",
    port_variable: "FLARE_KAFKA_PORT",
    usual_port: 29092,
    packages: &[
        Package { name: "default-jdk-headless", brings: "java", is_there: || program("java").is_some() },
        Package { name: "maven", brings: "mvn", is_there: || program("mvn").is_some() },
    ],
    stop_signal: Signal::TERM,
};

/// The broker, with its controller at the next port.
pub(crate) struct Kafka;

impl Service for Kafka {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn address(&self, port: u16) -> String {
        format!("127.0.0.1:{port}")
    }

    fn ports(&self, port: u16) -> Result<Vec<u16>> {
        Ok(vec![port, controller_port(port)?])
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        download(site)?;
        let config = site
            .write("server.properties", &properties(&site.data(), site.port, controller_port(site.port)?))?;
        format_data(site, &config)
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>> {
        let mut java = Command::new("java");
        java.args(["-Xms512m", "-Xmx512m", "-XX:+UseG1GC"])
            .args(["-XX:MaxGCPauseMillis=20", "-XX:-UsePerfData"])
            .arg("-Djava.awt.headless=true")
            .args(logging("info"))
            .arg("-cp")
            .arg(libraries(site).join("*"))
            .arg("kafka.Kafka")
            .arg(site.home.join("server.properties"));
        Ok(vec![Launch { role: ROLE, command: java }])
    }

    /// The broker says in its own log that it started; the port alone could be another's.
    fn check_ready(&self, site: &Site) -> Result<()> {
        let log = File::open(site.log(ROLE)).context("there is no log")?;
        let started = BufReader::new(log)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("Kafka Server started"));
        if !started {
            bail!("the log does not say that the broker started");
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, site.port));
        TcpStream::connect_timeout(&address, Duration::from_secs(1))
            .with_context(|| format!("nothing answers at {address}"))?;
        Ok(())
    }

    /// The data alone: downloaded jars stay the same.
    fn wiped(&self, site: &Site) -> PathBuf {
        site.data()
    }
}

/// One of Kafka's own command-line tools, connected to the broker that `up` started.
pub(crate) fn tool(services: &Path, class: &str) -> Result<Command> {
    let site = Site::find(&Kafka, services)?;
    let mut java = Command::new("java");
    java.args(logging("error")).arg("-cp").arg(libraries(&site).join("*")).arg(class);
    java.args(["--bootstrap-server", &Kafka.address(site.port)]);
    Ok(java)
}

fn controller_port(port: u16) -> Result<u16> {
    port.checked_add(1).with_context(|| {
        format!("the controller needs the port after {port}; set {} to a lower one", FACTS.port_variable)
    })
}

fn libraries(site: &Site) -> PathBuf {
    site.home.join(format!("libs-{VERSION}"))
}

fn download(site: &Site) -> Result<()> {
    site.fill_once(&libraries(site), |folder| {
        eprintln!("kafka: downloading version {VERSION}");
        let pom = site.write("pom.xml", POM)?;
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "-f"])
            .arg(pom)
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-Dkafka.version={VERSION}"))
            .arg(format!("-DoutputDirectory={}", folder.display()));
        command::output(&mut maven)
            .context("the jars cannot be downloaded; check that Maven reaches its repository")?;
        Ok(())
    })
}

/// Gives the data folder its identity; one that has it stays as it is.
fn format_data(site: &Site, config: &Path) -> Result<()> {
    if site.data().join("meta.properties").exists() {
        return Ok(());
    }
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .args(logging("error"))
        .arg("-cp")
        .arg(libraries(site).join("*"))
        .args(["kafka.tools.StorageTool", "format", "--ignore-formatted"])
        .args(["-t", CLUSTER_ID, "-c"])
        .arg(config);
    command::output(&mut java)?;
    Ok(())
}

fn logging(level: &str) -> [String; 4] {
    let option = |name: &str, value: &str| format!("-Dorg.slf4j.simpleLogger.{name}={value}");
    [
        option("defaultLogLevel", level),
        option("logFile", "System.out"),
        option("showDateTime", "true"),
        option("dateTimeFormat", "HH:mm:ss.SSS"),
    ]
}

fn properties(data: &Path, port: u16, controller: u16) -> String {
    PROPERTIES
        .replace("@CONTROLLER_PORT@", &controller.to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@DATA@", &data.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_every_place_of_the_template() {
        let text = properties(Path::new("/t/kafka/data"), 29092, 29093);
        assert!(!text.contains('@') || text.contains("1@127.0.0.1:29093"));
        assert_eq!(text.matches('@').count(), 1, "{text}");
        assert!(text.contains("advertised.listeners=PLAINTEXT://127.0.0.1:29092\n"));
        assert!(text.contains("log.dirs=/t/kafka/data\n"));
    }

    #[test]
    fn listens_on_the_local_address_only_and_creates_no_topics() {
        let text = properties(Path::new("/d"), 1, 2);
        let listeners = text.lines().find(|line| line.starts_with("listeners="));
        assert_eq!(listeners, Some("listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"));
        assert!(text.contains("auto.create.topics.enable=false\n"));
    }

    #[test]
    fn the_last_port_leaves_none_for_the_controller() {
        assert_eq!(controller_port(29092).expect("free"), 29093);
        let error = controller_port(u16::MAX).expect_err("none left").to_string();
        assert!(error.contains("FLARE_KAFKA_PORT"), "{error}");
    }
}
