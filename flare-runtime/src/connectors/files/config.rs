//! Settings of the files connector.

use crate::config::{choices, settings};

choices! {
    /// What a sink does with a file that is there already.
    pub enum WriteMode {
        /// Writes behind its end.
        Append = "append",
        /// Empties it at the start.
        Overwrite = "overwrite",
    }
}

settings! {
    /// Settings of a source that reads files.
    pub struct FilesSourceSettings {
        /// A file, or a folder of which every file is read in the order of names; relative to the configuration
        /// file's folder.
        path: String,
        /// Lines at the beginning of each file that are passed over, such as a CSV header.
        skip_lines: u64 = "0",
        /// The longest line in bytes; a longer one is turned aside.
        max_line: usize [from 1] = "16777216",
    }
}

settings! {
    /// Settings of a sink that writes a file.
    pub struct FilesSinkSettings {
        /// The file; relative to the configuration file's folder. With several subtasks each writes its own, with
        /// its number before the extension.
        path: String,
        /// What happens to a file that is there already: `append` or `overwrite`.
        mode: WriteMode = "append",
    }
}
