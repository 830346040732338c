//! Reads files line by line.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::config::FilesSourceSettings;
use crate::api::{
    ByteSource, Capability, CreateSource, Opening, Payloads, Positions, Progress, SourceConnector,
    SourceContext,
};
use crate::config::{Setting, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Meta, SplitId, Timestamp};

pub(super) struct FilesSourceConnector;

impl SourceConnector for FilesSourceConnector {
    fn capability(&self) -> Capability {
        Capability { replayable: true, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        FilesSourceSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>) -> Option<Box<dyn CreateSource>> {
        let settings: FilesSourceSettings = opening.settings()?;
        let path = opening.config.base().join(&settings.path);
        Some(Box::new(Files { path, settings }))
    }
}

/// A source of the lines of a file, or of every file of a folder.
pub(crate) fn lines(path: PathBuf) -> Box<dyn CreateSource> {
    let settings = FilesSourceSettings { path: String::new(), skip_lines: 0, max_line: usize::MAX };
    Box::new(Files { path, settings })
}

struct Files {
    path: PathBuf,
    settings: FilesSourceSettings,
}

impl Files {
    /// The files in the order of their names.
    fn list(&self) -> Result<Vec<PathBuf>> {
        let failed = |error| {
            Error::new(ErrorKind::Config, "the input cannot be read; check the setting `path`")
                .with("path", self.path.display())
                .caused_by(error)
        };
        if !std::fs::metadata(&self.path).map_err(failed)?.is_dir() {
            return Ok(vec![self.path.clone()]);
        }
        let entries = std::fs::read_dir(&self.path).map_err(failed)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
        let mut files: Vec<_> = paths.map_err(failed)?.into_iter().filter(|path| path.is_file()).collect();
        files.sort();
        Ok(files)
    }
}

#[async_trait]
impl CreateSource for Files {
    fn describe(&self) -> String {
        format!("files {}", self.path.display())
    }

    async fn check(&self) -> Result<()> {
        self.list().map(|_| ())
    }

    async fn create(&self, cx: SourceContext) -> Result<Box<dyn ByteSource>> {
        let files = match &cx.replay {
            None => self.list()?,
            // The files that the records are in, wherever today's input is.
            Some(replay) => {
                replay.offsets().keys().map(PathBuf::from).filter(|path| path.is_file()).collect()
            }
        };
        let files = files.into_iter();
        // Each file is one split, read by one subtask.
        let mut own: Vec<_> = files.skip(cx.index).step_by(cx.parallelism.max(1)).collect();
        own.reverse();
        let lines = Lines { skip: self.settings.skip_lines, max: self.settings.max_line, ..Lines::default() };
        Ok(Box::new(Reader { cx, left: own, current: None, lines, done: Positions::default() }))
    }
}

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

struct Open {
    file: File,
    name: String,
    split: SplitId,
    /// The last line to read.
    last: i64,
}

/// Cuts chunks into lines; a line may come in several chunks.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed over.
    taken: usize,
    /// Number of the last line handed over, from 1.
    number: i64,
    /// Bytes of the file up to the end of that line.
    position: i64,
    ended: bool,
    skip: u64,
    max: usize,
    /// Whether the rest of a line that was too long is passed over.
    overlong: bool,
}

enum Line<'a> {
    Text(&'a [u8]),
    TooLong(&'a [u8]),
    Skipped,
}

impl Lines {
    fn restart(&mut self) {
        *self = Self {
            skip: self.skip,
            max: self.max,
            buffer: std::mem::take(&mut self.buffer),
            ..Self::default()
        };
        self.buffer.clear();
    }

    /// The next whole line, without its end, and its number.
    fn next(&mut self) -> Option<(i64, Line<'_>)> {
        let rest = &self.buffer[self.taken..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (length, whole) = match end {
            Some(end) => (end, end + 1),
            None if rest.len() > self.max => (rest.len(), rest.len()),
            None if self.ended && !rest.is_empty() => (rest.len(), rest.len()),
            None => return None,
        };
        let start = self.taken;
        self.taken += whole;
        self.position += i64::try_from(whole).unwrap_or(i64::MAX);
        let cut = end.is_none() && !self.ended;
        let continued = std::mem::replace(&mut self.overlong, cut);
        if !continued {
            self.number += 1;
        }
        let line = &self.buffer[start..start + length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let passed_over = self.number <= i64::try_from(self.skip).unwrap_or(i64::MAX);
        let line = if continued || passed_over || line.iter().all(u8::is_ascii_whitespace) {
            Line::Skipped
        } else if cut || line.len() > self.max {
            Line::TooLong(&line[..line.len().min(1024)])
        } else {
            Line::Text(line)
        };
        Some((self.number, line))
    }
}

struct Reader {
    cx: SourceContext,
    /// Files still to be read, the next one last.
    left: Vec<PathBuf>,
    current: Option<Open>,
    lines: Lines,
    done: Positions,
}

impl Reader {
    async fn open_next(&mut self) -> Result<bool> {
        let Some(path) = self.left.last() else { return Ok(false) };
        let file = File::open(path).await.map_err(|error| unreadable(path, error))?;
        let name = path.display().to_string();
        let split = self.cx.splits.register(&self.cx.operator, &name);
        let wanted = self.cx.replay.as_ref().and_then(|replay| replay.offsets().get(&name)?.last().copied());
        self.left.pop();
        self.lines.restart();
        self.current = Some(Open { file, name, split, last: wanted.unwrap_or(i64::MAX) });
        Ok(true)
    }

    /// Hands over the whole lines in the buffer.
    fn hand_over(&mut self, payloads: &mut dyn Payloads) {
        let split = self.current.as_ref().map_or(SplitId::NONE, |open| open.split);
        while !payloads.is_full() {
            let max = self.lines.max;
            let Some((offset, line)) = self.lines.next() else { return };
            let meta = Meta { timestamp: Timestamp::MIN, split, offset };
            match line {
                Line::Text(text) => payloads.push(text, meta),
                Line::TooLong(beginning) => {
                    let error =
                        Error::bad_record("the line is longer than `max_line`; its beginning is kept");
                    payloads.reject(beginning, meta, error.with("max_line", max));
                }
                Line::Skipped => {}
            }
        }
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "the file cannot be read").with("file", path.display()).caused_by(error)
}

#[async_trait]
impl ByteSource for Reader {
    async fn read(&mut self, payloads: &mut dyn Payloads) -> Result<Progress> {
        loop {
            self.hand_over(payloads);
            if payloads.is_full() {
                return Ok(Progress::More);
            }
            let Some(open) = &mut self.current else {
                if !payloads.is_empty() {
                    return Ok(Progress::More);
                }
                if self.open_next().await? {
                    continue;
                }
                return Ok(Progress::End);
            };
            if self.lines.ended || self.lines.number >= open.last {
                self.done.0.push((std::mem::take(&mut open.name), self.lines.position));
                self.current = None;
                continue;
            }
            self.lines.buffer.drain(..self.lines.taken);
            self.lines.taken = 0;
            // Else a read is as short as what the buffer happens to have room for.
            self.lines.buffer.reserve(CHUNK);
            // A file's read is cancel safe: bytes that were read stay with the file until they are taken.
            let read = open.file.read_buf(&mut self.lines.buffer).await;
            self.lines.ended = read.map_err(|error| unreadable(Path::new(&open.name), error))? == 0;
        }
    }

    /// The open file; between two files the watermark stays where it is.
    fn splits(&self) -> Option<Vec<SplitId>> {
        self.current.as_ref().map(|open| vec![open.split])
    }

    /// Bytes read of every file.
    fn positions(&self) -> Positions {
        let current = self.current.as_ref().map(|open| (open.name.clone(), self.lines.position));
        Positions(self.done.0.iter().cloned().chain(current).collect())
    }

    async fn commit(&mut self, _positions: &Positions) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &[u8], chunk: usize, skip: u64, max: usize) -> Vec<(i64, String)> {
        let mut lines = Lines { skip, max, ..Lines::default() };
        let mut seen = Vec::new();
        let mut take = |lines: &mut Lines| {
            while let Some((number, line)) = lines.next() {
                let text = match line {
                    Line::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    Line::TooLong(_) => "too long".to_owned(),
                    Line::Skipped => continue,
                };
                seen.push((number, text));
            }
        };
        for part in text.chunks(chunk.max(1)) {
            lines.buffer.extend_from_slice(part);
            take(&mut lines);
        }
        lines.ended = true;
        take(&mut lines);
        assert_eq!(lines.position, i64::try_from(text.len()).expect("short"));
        seen
    }

    #[test]
    fn numbers_lines_and_passes_over_empty_ones() {
        let seen = cut(b"head\r\na\r\n\n b\nlast", 3, 1, 100);
        let expected = [(2, "a"), (4, " b"), (5, "last")].map(|(number, text)| (number, text.to_owned()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn turns_a_line_aside_that_is_too_long() {
        let seen = cut(b"short\naaaaaaaaaaaaaaaaaaaaaaaa\nnext\n", 4, 0, 8);
        let expected =
            [(1, "short"), (2, "too long"), (3, "next")].map(|(number, text)| (number, text.to_owned()));
        assert_eq!(seen, expected);
    }

    proptest! {
        #[test]
        fn cuts_alike_whatever_the_chunks(text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), chunk in 1_usize..50) {
            prop_assert_eq!(cut(&text, chunk, 0, 1000), cut(&text, 1000, 0, 1000));
        }
    }
}
