//! Migrations: the catalog's tables, brought up to date at every start.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::CatalogError;

/// Every migration, in order: the binary needs no files.
pub(super) const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "catalog", include_str!("../../../migrations/0001_catalog.sql")),
    (2, "processes", include_str!("../../../migrations/0002_processes.sql")),
    (3, "addresses", include_str!("../../../migrations/0003_addresses.sql")),
    (4, "objects", include_str!("../../../migrations/0004_objects.sql")),
    (5, "topics", include_str!("../../../migrations/0005_topics.sql")),
    (6, "leases", include_str!("../../../migrations/0006_leases.sql")),
    (7, "jobs", include_str!("../../../migrations/0007_jobs.sql")),
];

pub(super) fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(number, name, sql)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into())
}

/// The error for tables that could not be brought up to date.
pub(super) fn bring_up_to_date(name: &str, error: MigrateError) -> CatalogError {
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            CatalogError::from_sqlx(name, "bring its tables up to date", source)
        }
        source => CatalogError::Layout { name: name.to_owned(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn every_migration_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.retain(|file| file.to_string_lossy().ends_with(".sql"));
        files.sort();
        let built_in = MIGRATIONS.map(|(number, name, _)| std::ffi::OsString::from(format!("{number:04}_{name}.sql")));
        assert_eq!(files, built_in);
    }
}
