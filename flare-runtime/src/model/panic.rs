//! Remembers where the current thread last panicked, so that a caught panic can name its place.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Once;

use crate::error::{Error, ErrorKind};

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs, once a process, a panic hook that notes the place and then calls the hook that was there.
pub(crate) fn note_panic_places() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
            PLACE.with_borrow_mut(|last| *last = place);
            before(info);
        }));
    });
}

/// A caught panic as an error: what it said, and where.
pub(crate) fn panic_error(kind: ErrorKind, message: &'static str, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error = Error::new(kind, message).with("panic", text.unwrap_or("no message"));
    match PLACE.with_borrow_mut(Option::take) {
        Some(place) => error.with("at", place),
        None => error,
    }
}
