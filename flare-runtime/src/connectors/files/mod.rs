//! Files of lines: JSON lines, CSV.

mod config;
mod sink;
mod source;

use crate::api::{Connector, Registry};

pub use config::{FilesSinkSettings, FilesSourceSettings, WriteMode};
pub(crate) use source::lines;

pub(crate) fn register(registry: &mut Registry) {
    let connector = Connector {
        source: Some(Box::new(source::FilesSourceConnector)),
        sink: Some(Box::new(sink::FilesSinkConnector)),
        ..Connector::default()
    };
    registry.add("files", connector);
}
