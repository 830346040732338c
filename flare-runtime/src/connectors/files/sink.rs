//! Writes a file, a record a line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::config::{FilesSinkSettings, WriteMode};
use crate::api::{
    ByteBatch, Capability, CreateSink, Opening, Sink, SinkBatch, SinkConnector, SinkContext, SinkFactory,
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

    fn open(&self, opening: &mut Opening<'_>) -> Option<SinkFactory> {
        let settings: FilesSinkSettings = opening.settings()?;
        let path = opening.config.base().join(&settings.path);
        Some(SinkFactory::Bytes(Arc::new(Files { path, mode: settings.mode })))
    }
}

struct Files {
    path: PathBuf,
    mode: WriteMode,
}

/// `out.jsonl` for one subtask; `out-0.jsonl`, `out-1.jsonl` for several.
fn subtask_path(path: &Path, index: usize, parallelism: usize) -> PathBuf {
    if parallelism <= 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    path.with_file_name(format!("{stem}-{index}{}", extension.unwrap_or_default()))
}

#[async_trait]
impl CreateSink<ByteBatch> for Files {
    fn describe(&self) -> String {
        format!("file {}", self.path.display())
    }

    async fn check(&self) -> Result<()> {
        if self.path.is_dir() {
            let message = "the output is a folder; the setting `path` must name a file";
            return Err(Error::new(ErrorKind::Config, message).with("path", self.path.display()));
        }
        Ok(())
    }

    async fn create(&self, cx: SinkContext) -> Result<Box<dyn Sink<ByteBatch>>> {
        let path = subtask_path(&self.path, cx.index, cx.parallelism);
        let opened = open(&path, self.mode).await;
        let (file, length) = opened.map_err(|error| unwritable(&path, error))?;
        Ok(Box::new(Writer { file, path, length, buffer: Vec::new() }))
    }
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
    let file = options.open(path).await?;
    let length = file.metadata().await?.len();
    Ok((file, length))
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
}

#[async_trait]
impl Sink<ByteBatch> for Writer {
    async fn write(&mut self, batch: &ByteBatch, _rejects: &mut Vec<Reject>) -> Result<()> {
        self.buffer.clear();
        for index in 0..batch.len() {
            self.buffer.extend_from_slice(batch.payload(index));
            if !self.buffer.ends_with(b"\n") {
                self.buffer.push(b'\n');
            }
        }
        if let Err(error) = self.append().await {
            // Half a batch must not stay: it is written again.
            self.file.set_len(self.length).await.map_err(|error| unwritable(&self.path, error))?;
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

    #[test]
    fn numbers_the_files_of_several_subtasks() {
        let path = Path::new("out/rows.jsonl");
        assert_eq!(subtask_path(path, 0, 1), Path::new("out/rows.jsonl"));
        assert_eq!(subtask_path(path, 1, 2), Path::new("out/rows-1.jsonl"));
    }
}
