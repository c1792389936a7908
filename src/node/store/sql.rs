//! Statements on a connection. Each stays prepared.

use rusqlite::{Connection, Params, Row};

use super::error::StoreError;

/// What a row is read as: a tuple of what its columns hold, in their order.
pub(super) trait FromRow: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error> {}

impl<T: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error>> FromRow for T {}

/// One statement each.
pub(super) trait Sql {
    /// Changes rows, and says how many.
    ///
    /// # Errors
    /// [`StoreError::IdInUse`], [`StoreError::Bug`] where a rule of the schema is broken, or a failure of the store.
    fn run(&self, sql: &str, values: impl Params) -> Result<u64, StoreError>;

    /// The first row, if there is one. The statement is run to its end.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; those of [`run`](Self::run).
    fn first<T: FromRow>(&self, sql: &str, values: impl Params) -> Result<Option<T>, StoreError>;

    /// The first row of what always has one.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if it has none; those of [`first`](Self::first).
    fn one<T: FromRow>(&self, sql: &str, values: impl Params) -> Result<T, StoreError> {
        self.first(sql, values)?.ok_or(StoreError::Bug { what: "no row" })
    }

    /// All rows.
    ///
    /// # Errors
    /// Those of [`first`](Self::first).
    fn all<T: FromRow>(&self, sql: &str, values: impl Params) -> Result<Vec<T>, StoreError>;
}

impl Sql for Connection {
    fn run(&self, sql: &str, values: impl Params) -> Result<u64, StoreError> {
        Ok(self.prepare_cached(sql)?.execute(values)? as u64)
    }

    fn first<T: FromRow>(&self, sql: &str, values: impl Params) -> Result<Option<T>, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let first = rows.next()?.map(T::try_from).transpose()?;
        // What refers to a row that is not there is found at the end.
        while rows.next()?.is_some() {}
        Ok(first)
    }

    fn all<T: FromRow>(&self, sql: &str, values: impl Params) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        let rows = statement.query_map(values, |row| T::try_from(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
