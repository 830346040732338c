//! Remembers where the current thread last panicked, so that a caught panic can name its place.

use std::cell::RefCell;
use std::sync::Once;

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

/// The place of this thread's last panic, once.
pub(crate) fn take_panic_place() -> Option<String> {
    PLACE.with_borrow_mut(Option::take)
}
