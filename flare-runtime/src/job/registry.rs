//! The connectors of this build: one line each.

use crate::api::Registry;
use crate::connectors;

/// All connectors; what a feature leaves out is known by name, so that a job can be told.
pub(crate) fn built_in() -> Registry {
    let mut registry = Registry::default();
    connectors::files::register(&mut registry);
    connectors::generator::register(&mut registry);
    connectors::log::register(&mut registry);
    connectors::print::register(&mut registry);
    #[cfg(feature = "jdbc")]
    connectors::jdbc::register(&mut registry);
    #[cfg(not(feature = "jdbc"))]
    registry.leave_out("jdbc", "sqlite");
    #[cfg(feature = "kafka")]
    connectors::kafka::register(&mut registry);
    #[cfg(not(feature = "kafka"))]
    registry.leave_out("kafka", "kafka");
    registry
}
