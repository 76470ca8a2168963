//! The backends of the layers: the log, the catalog and the object store, as named by the settings.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use dovetail_core::catalog::{Catalog, RunState};
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::EmbeddedLog;
use dovetail_ingestion::log::kafka::KafkaLog;
use tracing::{debug, warn};

use crate::config::Config;

/// The open backends.
#[derive(Debug, Clone)]
pub struct Backends {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The catalog.
    pub catalog: Catalog,
    /// The object store.
    pub store: Store,
    kind: LogKind,
}

/// The kind of log, for features that only one has.
#[derive(Debug, Clone)]
enum LogKind {
    Embedded(Arc<EmbeddedLog>),
    Kafka(Arc<KafkaLog>),
}

impl Backends {
    /// Opens the backends of the settings. The brokers need not be reachable yet; the catalog is tried for some
    /// seconds.
    pub async fn open(config: &Config) -> Result<Self> {
        let (log, kind): (Arc<dyn Log>, _) = match config.kafka()? {
            Some(kafka) => {
                let log = Arc::new(KafkaLog::open(kafka)?);
                (Arc::<KafkaLog>::clone(&log), LogKind::Kafka(log))
            }
            None => {
                let folder = config.data_dir();
                std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
                let log = open_embedded(&folder.join("log"), config).await?;
                (Arc::<EmbeddedLog>::clone(&log), LogKind::Embedded(log))
            }
        };
        let catalog = Catalog::open(&config.catalog_url()).await?;
        let store = Store::open(&config.store_url(), &config.s3())?;
        Ok(Self { log, catalog, store, kind })
    }

    /// Ensures that the topics of `streams` exist and are the ones that the catalog knows. Before this nothing is
    /// landed, folded or served.
    ///
    /// # On a crash
    /// A topic may exist whose identity is not recorded yet; the next start records it before anything is landed.
    pub(crate) async fn prepare(&self, streams: &[Stream]) -> Result<()> {
        self.prepare_topics(streams).await?;
        if self.is_alone() {
            self.holds_what_was_landed(streams).await?;
            self.end_dead_runs().await?;
        }
        Ok(())
    }

    /// Ensures that the topics of `streams` exist and are the ones that the catalog knows.
    ///
    /// # On a crash
    /// As for [`Self::prepare`].
    pub(crate) async fn prepare_topics(&self, streams: &[Stream]) -> Result<()> {
        for Stream { topic, options, .. } in streams {
            // Checked before anything is changed in a log that may be another's.
            if let Ok(Some(identity)) = self.log.identity(topic).await {
                self.catalog.recognise_topic(topic, &identity).await?;
            }
            // A topic with more partitions than the pipeline says is accepted: some were added.
            self.log.create_topic(topic, options.partitions).await?;
            match self.log.identity(topic).await? {
                Some(identity) => self.catalog.recognise_topic(topic, &identity).await?,
                None => debug!(topic, "whether the topic is still the same is not known"),
            }
        }
        Ok(())
    }

    /// Refuses an embedded log that ends before its landing. It is an older copy: records appended to it would get
    /// offsets of landed records, and would never be landed. Brokers guard their own ends.
    async fn holds_what_was_landed(&self, streams: &[Stream]) -> Result<()> {
        for Stream { topic, .. } in streams {
            for landed in self.catalog.partitions(topic).await? {
                let end = self.log.bounds(topic, landed.partition).await?.end;
                if end < landed.next_offset {
                    bail!(
                        "the log of `{topic}` partition {} ends at {end}, and the catalog knows what was landed up to {}: \
                         it is an older copy. Restore the log of the same time as the catalog, or begin anew",
                        landed.partition,
                        landed.next_offset
                    );
                }
            }
        }
        Ok(())
    }

    /// The same with another store.
    pub fn with_store(self, store: Store) -> Self {
        Self { store, ..self }
    }

    /// Whether no other process can use the same log.
    pub fn is_alone(&self) -> bool {
        matches!(self.kind, LogKind::Embedded(_))
    }

    /// Ends the leases and runs of an earlier process on this log: it is dead, whatever its lease says.
    async fn end_dead_runs(&self) -> Result<()> {
        let died = self.catalog.runs(1).await?.into_iter().filter(|run| run.state == RunState::Running);
        for run in died {
            warn!(run = run.id, rows = run.rows, "a batch run died with its process; what was published before stays");
        }
        Ok(self.catalog.end_all_leases().await?)
    }

    /// Closes the log, then the catalog.
    pub async fn close(&self) {
        match &self.kind {
            LogKind::Embedded(log) => {
                let log = Arc::clone(log);
                if let Err(error) = tokio::task::spawn_blocking(move || log.close()).await {
                    tracing::error!(%error, "the log did not close");
                }
            }
            LogKind::Kafka(log) => log.close(),
        }
        self.catalog.close().await;
    }
}

async fn open_embedded(folder: &Path, config: &Config) -> Result<Arc<EmbeddedLog>> {
    let (folder, config) = (folder.to_owned(), config.log());
    let open = tokio::task::spawn_blocking(move || EmbeddedLog::open(&folder, &config));
    Ok(Arc::new(open.await.map_err(|e| anyhow!("the log was not opened: {e}"))??))
}
