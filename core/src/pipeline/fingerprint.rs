//! Fingerprints: a hash under which no two lists of parts collide by concatenation.

use arrow::datatypes::Schema;

/// A running hash of parts; each is preceded by its length.
pub(super) struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    /// Starts a hash for things of one `kind`.
    pub(super) fn new(kind: &str) -> Self {
        let mut hash = Self(blake3::Hasher::new());
        hash.text(kind);
        hash
    }

    pub(super) fn text(&mut self, part: &str) -> &mut Self {
        self.bytes(part.as_bytes())
    }

    pub(super) fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(super) fn texts(&mut self, parts: &[String]) -> &mut Self {
        self.bytes(&(parts.len() as u64).to_le_bytes());
        for part in parts {
            self.text(part);
        }
        self
    }

    /// Adds names, types and nullability, in order.
    pub(super) fn schema(&mut self, schema: &Schema) -> &mut Self {
        self.bytes(&(schema.fields().len() as u64).to_le_bytes());
        for field in schema.fields() {
            self.text(field.name()).text(&field.data_type().to_string()).bytes(&[u8::from(field.is_nullable())]);
        }
        self
    }

    /// Returns the hash in hexadecimal.
    pub(super) fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
