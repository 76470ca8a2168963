//! The place of a test's catalog, separate for each test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::catalog::Catalog;

/// The variable that names a server on which tests may make schemas.
const POSTGRES: &str = "DOVETAIL_TEST_POSTGRES";

pub(super) enum Place {
    Sqlite(TempDir),
    /// A schema in the database.
    Postgres {
        server: String,
        schema: String,
    },
}

impl Place {
    pub(super) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A place on the server that the environment names. Without one the test `name` is skipped and says so; on CI
    /// it fails.
    pub(super) async fn postgres(name: &str) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Ok(server) = std::env::var(POSTGRES) else {
            assert!(std::env::var_os("CI").is_none(), "{name} needs PostgreSQL: eval \"$(dev/postgres up)\"");
            println!("{name} is skipped: {POSTGRES} names no server, eval \"$(dev/postgres up)\"");
            return None;
        };
        let schema = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        administer(&server, format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).await;
        Some(Self::Postgres { server, schema })
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("catalog.db").display()),
            Self::Postgres { server, schema } => {
                let and = if server.contains('?') { '&' } else { '?' };
                format!("{server}{and}options[search_path]={schema}&application_name={schema}")
            }
        }
    }

    pub(super) async fn open(&self) -> Catalog {
        Catalog::open(&self.url()).await.unwrap()
    }

    /// The server's address, and the URL of this place by way of another one.
    pub(super) fn server(&self) -> (SocketAddr, impl Fn(SocketAddr) -> String) {
        let (url, options) = (self.url(), self.options());
        let address = format!("{}:{}", options.get_host(), options.get_port());
        let through = {
            let address = address.clone();
            move |wire: SocketAddr| url.replace(&address, &wire.to_string())
        };
        (address.parse().unwrap(), through)
    }

    pub(super) fn password(&self) -> String {
        let url = self.url();
        let user = url.split('@').next().unwrap();
        user.rsplit(':').next().unwrap().to_owned()
    }

    /// A connection to the server that the catalog knows nothing of.
    pub(super) async fn session(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }

    fn options(&self) -> PgConnectOptions {
        self.url().parse().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Postgres { server, schema } = self {
            let drop = administer(server, format!("SET lock_timeout = 5000; DROP SCHEMA {schema} CASCADE"));
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // A test that failed may leave a lock; what is left in a throw-away cluster hurts nobody.
            let _ = std::thread::scope(|scope| scope.spawn(|| runtime().block_on(drop)).join());
        }
    }
}

async fn administer(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// Makes each function a test on SQLite and one on PostgreSQL.
macro_rules! on_each_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Place::sqlite()).await;
            })+
        }

        on_postgres! { $($name),+ }
    };
}

macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(place) = super::Place::postgres(concat!(module_path!(), "::", stringify!($name))).await {
                    super::$name(place).await;
                }
            })+
        }
    };
}

pub(super) use {on_each_database, on_postgres};
