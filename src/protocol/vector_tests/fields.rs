//! JSON objects that keep the order of their fields: an intermediate stands before what is made of it.

use data_encoding::HEXLOWER;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// An object under construction.
#[derive(Default)]
pub(in crate::protocol) struct Fields(Vec<(&'static str, Field)>);

enum Field {
    Value(Value),
    Object(Fields),
    List(Vec<Fields>),
}

impl Fields {
    /// Adds bytes, in hexadecimal.
    #[must_use]
    pub(in crate::protocol) fn hex(self, name: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.value(name, HEXLOWER.encode(bytes.as_ref()))
    }

    /// Adds bytes, if there are any to add.
    #[must_use]
    pub(in crate::protocol) fn hex_if(self, name: &'static str, bytes: Option<impl AsRef<[u8]>>) -> Self {
        match bytes {
            None => self,
            Some(bytes) => self.hex(name, bytes),
        }
    }

    /// Adds a number or a text.
    #[must_use]
    pub(in crate::protocol) fn value(self, name: &'static str, value: impl Into<Value>) -> Self {
        self.field(name, Field::Value(value.into()))
    }

    /// Adds an object.
    #[must_use]
    pub(in crate::protocol) fn object(self, name: &'static str, object: Self) -> Self {
        self.field(name, Field::Object(object))
    }

    /// Adds a list of objects.
    #[must_use]
    pub(in crate::protocol) fn list(self, name: &'static str, list: Vec<Self>) -> Self {
        self.field(name, Field::List(list))
    }

    /// Adds the fields of another object behind its own.
    #[must_use]
    pub(in crate::protocol) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The two halves of every part of the file: what the second implementation is given, and what it
    /// has to find.
    pub(in crate::protocol) fn case(inputs: Self, expected: Self) -> Self {
        Self::default().object("inputs", inputs).object("expected", expected)
    }

    fn field(mut self, name: &'static str, field: Field) -> Self {
        assert!(self.0.iter().all(|(other, _)| *other != name), "{name} stands twice");
        self.0.push((name, field));
        self
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
        }
    }
}
