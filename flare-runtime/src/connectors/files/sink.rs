//! Writes a file, a record a line.

use std::fmt::Display;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{Access, access};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::config::{FilesSinkSettings, WriteMode};
use super::source::lines;
use crate::api::{
    ByteBatch, Capability, CreateSink, Opening, ReadBack, Sink, SinkBatch, SinkConnector, SinkContext,
    SinkFactory,
};
use crate::config::{Setting, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Reject;

pub(super) struct FilesSinkConnector;

impl SinkConnector for FilesSinkConnector {
    fn capability(&self) -> Capability {
        Capability { batch: 1000, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        FilesSinkSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>, subtasks: usize) -> Option<SinkFactory> {
        let settings: FilesSinkSettings = opening.settings()?;
        if settings.path.ends_with('/') || Path::new(&settings.path).file_name().is_none() {
            let (message, remedy) = (format!("`{}` names a folder", settings.path), "add the name of a file");
            opening.problems.add("bad-value", format!("{}.path", opening.binding.section), message, remedy);
            return None;
        }
        let path = opening.config.base().join(&settings.path);
        Some(SinkFactory::Bytes(Arc::new(Files { path, mode: settings.mode, subtasks })))
    }

    fn read_back(&self, opening: &mut Opening<'_>) -> Option<ReadBack> {
        let settings: FilesSinkSettings = opening.settings()?;
        Some(ReadBack::Bytes(lines(opening.config.base().join(&settings.path))))
    }
}

struct Files {
    path: PathBuf,
    mode: WriteMode,
    subtasks: usize,
}

/// `out.jsonl` for one subtask; `out-0.jsonl`, `out-1.jsonl` for several.
fn subtask_path(path: &Path, index: usize, parallelism: usize) -> PathBuf {
    if parallelism <= 1 { path.to_owned() } else { numbered(path, index) }
}

/// `out-NUMBER.jsonl` for `out.jsonl`.
fn numbered(path: &Path, number: impl Display) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    path.with_file_name(format!("{stem}-{number}{}", extension.unwrap_or_default()))
}

#[async_trait]
impl CreateSink<ByteBatch> for Files {
    fn describe(&self) -> String {
        match self.subtasks {
            0 | 1 => format!("file {}", self.path.display()),
            // As a shell spells it.
            several => {
                let all = numbered(&self.path, format_args!("{{0..{}}}", several - 1));
                format!("files {}", all.display())
            }
        }
    }

    async fn check(&self) -> Result<()> {
        (0..self.subtasks).try_for_each(|index| check(&subtask_path(&self.path, index, self.subtasks)))
    }

    async fn create(&self, cx: SinkContext) -> Result<Box<dyn Sink<ByteBatch>>> {
        let path = subtask_path(&self.path, cx.index, cx.parallelism);
        let mode = if cx.adds { WriteMode::Append } else { self.mode };
        let opened = open(&path, mode).await;
        let (file, length) = opened.map_err(|error| unwritable(&path, error))?;
        Ok(Box::new(Writer { file, path, length, buffer: Vec::new() }))
    }
}

/// Whether the file may be written, or made; nothing is changed.
fn check(path: &Path) -> Result<()> {
    if path.is_dir() {
        let message = "the output is a folder; the setting `path` must name a file";
        return Err(Error::new(ErrorKind::Config, message).with("path", path.display()));
    }
    // What is missing of the folders is made at the start.
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
    let allowed = match there.is_dir() {
        true => access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(std::io::Error::from),
        false if there == path => access(there, Access::WRITE_OK).map_err(std::io::Error::from),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    };
    allowed.map_err(|error| {
        let message = "the file cannot be written; change the setting `path`, or the permissions";
        Error::new(ErrorKind::Config, message)
            .with("path", path.display())
            .with("refused", there.display())
            .caused_by(error)
    })
}

async fn open(path: &Path, mode: WriteMode) -> std::io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut options = OpenOptions::new();
    options.create(true);
    match mode {
        WriteMode::Append => options.append(true),
        WriteMode::Overwrite => options.write(true).truncate(true),
    };
    let mut file = options.open(path).await?;
    if file.metadata().await?.len() > 0 && is_torn(path).await? {
        file.write_all(b"\n").await?;
        file.flush().await?;
    }
    let length = file.metadata().await?.len();
    Ok((file, length))
}

/// Whether the file ends inside a line, as a crash leaves it; the next record must not become part of that line.
async fn is_torn(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::End(-1)).await?;
    Ok(file.read_u8().await? != b'\n')
}

/// A full disk may have room again later; anything else is final.
fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Unavailable,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, "the file cannot be written").with("file", path.display()).caused_by(error)
}

struct Writer {
    file: File,
    path: PathBuf,
    /// Length up to the last whole batch.
    length: u64,
    buffer: Vec<u8>,
}

impl Writer {
    async fn append(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.buffer).await?;
        // Tokio's files report the error of a write at the next call.
        self.file.flush().await
    }

    /// Half a batch must not stay: it is written again, from where it began.
    async fn cut_back(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.length).await?;
        self.file.seek(SeekFrom::Start(self.length)).await.map(|_| ())
    }
}

#[async_trait]
impl Sink<ByteBatch> for Writer {
    async fn write(&mut self, batch: &ByteBatch, _rejects: &mut Vec<Reject>) -> Result<()> {
        self.buffer.clear();
        for index in 0..batch.len() {
            self.buffer.extend_from_slice(batch.payload(index));
            self.buffer.push(b'\n');
        }
        if let Err(error) = self.append().await {
            self.cut_back().await.map_err(|error| unwritable(&self.path, error))?;
            return Err(unwritable(&self.path, error));
        }
        self.length += self.buffer.len() as u64;
        Ok(())
    }

    async fn flush(&mut self, _rejects: &mut Vec<Reject>) -> Result<()> {
        self.file.sync_data().await.map_err(|error| unwritable(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Meta;

    #[test]
    fn numbers_the_files_of_several_subtasks() {
        let path = Path::new("out/rows.jsonl");
        assert_eq!(subtask_path(path, 0, 1), Path::new("out/rows.jsonl"));
        assert_eq!(subtask_path(path, 1, 2), Path::new("out/rows-1.jsonl"));
    }

    async fn writer(path: &Path, mode: WriteMode) -> Writer {
        let (file, length) = open(path, mode).await.expect("opens");
        Writer { file, path: path.to_owned(), length, buffer: Vec::new() }
    }

    async fn write(writer: &mut Writer, payload: &str) {
        let mut batch = ByteBatch::default();
        batch.push(b"", payload.as_bytes(), Meta::NONE);
        writer.write(&batch, &mut Vec::new()).await.expect("writes");
    }

    #[tokio::test]
    async fn begins_a_line_of_its_own_after_a_crash() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, "whole\nha").expect("writes");
        write(&mut writer(&path, WriteMode::Append).await, "half").await;
        write(&mut writer(&path, WriteMode::Append).await, "next").await;
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "whole\nha\nhalf\nnext\n");
    }

    #[tokio::test]
    async fn leaves_no_hole_where_a_write_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.jsonl");
        let mut writer = writer(&path, WriteMode::Overwrite).await;
        write(&mut writer, "first").await;
        writer.buffer = b"half a bat".to_vec();
        writer.append().await.expect("writes");
        writer.cut_back().await.expect("cuts back");
        write(&mut writer, "second").await;
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "first\nsecond\n");
    }
}
