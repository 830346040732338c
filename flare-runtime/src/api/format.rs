//! Formats: payload bytes to records and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ByteBatch, RowBatch, csv_line};
use crate::config::choices;
use crate::error::{Error, Result};
use crate::model::{Meta, RowSchema, to_row};

choices! {
    /// How a payload holds a record.
    pub enum Format {
        /// One JSON object.
        Json = "json",
        /// One CSV line, its fields in the order of the struct's.
        Csv = "csv",
    }
}

/// Reads a record from a payload.
pub type Decode<T> = Box<dyn FnMut(&[u8]) -> Result<T> + Send>;

/// Adds a record to a batch for a sink.
pub trait Encode<T, B>: Send {
    /// Adds the record.
    ///
    /// # Errors
    /// `BadRecord` when it cannot be written in this format; the batch is then as before.
    fn encode(&mut self, item: &T, meta: Meta, batch: &mut B) -> Result<()>;
}

/// The decoder of a format; `schema` names the fields in errors.
pub fn decoder<T: DeserializeOwned + 'static>(format: Format, schema: RowSchema) -> Decode<T> {
    match format {
        Format::Json => Box::new(|payload| {
            sonic_rs::from_slice(payload).map_err(|error| {
                // The rest draws the place in the payload, which a dirty record holds anyway.
                let cause = error.to_string();
                let cause = cause.lines().next().unwrap_or_default().to_owned();
                Error::bad_record("the payload is no valid JSON of this record").caused_by(cause)
            })
        }),
        Format::Csv => Box::new(move |payload| csv_line::decode(payload, &schema)),
    }
}

/// Writes records as payloads, with the key that a schema names.
pub struct KeyEncoder {
    format: Format,
    key: Option<RowSchema>,
}

/// The encoder of a format. With `key`, the values of the schema's key columns, joined by `|`, become the record's
/// key.
pub fn encoder(format: Format, key: Option<RowSchema>) -> KeyEncoder {
    let key = key.filter(|schema| schema.key().next().is_some());
    KeyEncoder { format, key }
}

impl<T: Serialize> Encode<T, ByteBatch> for KeyEncoder {
    fn encode(&mut self, item: &T, meta: Meta, batch: &mut ByteBatch) -> Result<()> {
        batch.push_with(meta, |bytes| {
            if let Some(schema) = &self.key {
                write_key(item, schema, bytes)?;
            }
            let key_end = bytes.len();
            write_payload(self.format, item, bytes)?;
            Ok(key_end)
        })
    }
}

fn write_key<T: Serialize>(item: &T, schema: &RowSchema, bytes: &mut Vec<u8>) -> Result<()> {
    let row = to_row(item, schema)?;
    let key = schema.columns.iter().zip(row).filter(|(column, _)| column.key);
    for (index, (_, value)) in key.enumerate() {
        if index > 0 {
            bytes.push(b'|');
        }
        bytes.extend_from_slice(value.to_string().as_bytes());
    }
    Ok(())
}

fn write_payload<T: Serialize>(format: Format, item: &T, bytes: &mut Vec<u8>) -> Result<()> {
    match format {
        Format::Json => sonic_rs::to_writer(bytes, item)
            .map_err(|error| Error::bad_record("the record cannot be written as JSON").caused_by(error)),
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(&mut *bytes);
            let written = writer.serialize(item).and_then(|()| Ok(writer.flush()?));
            drop(writer);
            // The sink knows what stands between records.
            if written.is_ok() && bytes.ends_with(b"\n") {
                bytes.pop();
            }
            written.map_err(|error| {
                Error::bad_record("the record cannot be written as a CSV line").caused_by(error)
            })
        }
    }
}

/// Writes records as rows.
pub struct RowEncoder;

impl<T: Serialize> Encode<T, RowBatch> for RowEncoder {
    fn encode(&mut self, item: &T, meta: Meta, batch: &mut RowBatch) -> Result<()> {
        batch.rows.push(to_row(item, &batch.schema)?);
        batch.metas.push(meta);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_no_payload_with_a_line_break() {
        let mut batch = ByteBatch::default();
        encoder(Format::Csv, None).encode(&(1, "a"), Meta::NONE, &mut batch).expect("a line");
        assert_eq!(batch.payload(0), b"1,a");
    }
}
