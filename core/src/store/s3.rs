//! Objects in a bucket of an S3-compatible store.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::StoreError;

/// Settings of the store besides its URL. Missing ones are taken from the environment (`AWS_ENDPOINT_URL`,
/// `AWS_REGION`, `AWS_ALLOW_HTTP`), as are the credentials (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, and AWS's
/// other sources).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// URL of a store other than AWS's own.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Whether an endpoint without TLS is accepted.
    pub allow_http: Option<bool>,
}

/// The same bucket twice: without retries, for callers that repeat, and with retries of its own, for readers that do
/// not.
pub(super) struct Bucket {
    pub(super) plain: Arc<dyn ObjectStore>,
    pub(super) patient: Arc<dyn ObjectStore>,
}

/// Opens `s3://BUCKET[/PREFIX]` without a request to the store.
pub(super) fn open(url: &str, options: &S3Options) -> Result<Bucket, StoreError> {
    let (bucket, prefix) = parse(url)?;
    let open = |retry| -> Result<Arc<dyn ObjectStore>, StoreError> {
        let from_env = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
        let store = build(url, from_env, options)?;
        Ok(if prefix.as_ref().is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix.clone())) })
    };
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    Ok(Bucket { plain: open(once)?, patient: open(patience())? })
}

fn parse(url: &str) -> Result<(&str, Path), StoreError> {
    let refused = |detail: &str| StoreError::url(url, detail);
    let rest = url.strip_prefix("s3://").ok_or_else(|| refused("it is no `s3://BUCKET/PREFIX`"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains(['@', ':', '?']) {
        return Err(refused("a bucket's name comes first, and nothing else; the rest is told by settings"));
    }
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|e| StoreError::url(url, e))?;
    Ok((bucket, prefix))
}

fn build(url: &str, mut builder: AmazonS3Builder, options: &S3Options) -> Result<AmazonS3, StoreError> {
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let Some(allow_http) = options.allow_http {
        builder = builder.with_allow_http(allow_http);
    }
    // Without these, the client would ask AWS's own machines for them, which another store does not have.
    let has = |key| builder.get_config_value(&key).is_some();
    if has(AmazonS3ConfigKey::Endpoint) && !has(AmazonS3ConfigKey::AccessKeyId) && !is_anonymous(&builder) {
        return Err(StoreError::url(url, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"));
    }
    builder.build().map_err(|e| StoreError::url(url, e))
}

fn is_anonymous(builder: &AmazonS3Builder) -> bool {
    builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).is_some_and(|skip| skip == "true")
}

/// The retries of DataFusion's reads, which nobody else repeats.
fn patience() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
    RetryConfig { backoff, max_retries: 6, retry_timeout: Duration::from_secs(60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_a_prefix() {
        let parsed = |url| parse(url).map(|(bucket, prefix)| (bucket, prefix.to_string()));
        assert_eq!(parsed("s3://lake").unwrap(), ("lake", String::new()));
        assert_eq!(parsed("s3://lake/").unwrap(), ("lake", String::new()));
        assert_eq!(parsed("s3://lake/dove/tail/").unwrap(), ("lake", "dove/tail".to_owned()));
        for wrong in ["s3:/lake", "s3://", "s3:///prefix", "s3://key:secret@lake", "s3://lake/a//b"] {
            let error = parsed(wrong).unwrap_err();
            assert!(matches!(error, StoreError::Url { .. }), "{wrong}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn credentials_that_are_missing_are_asked_for_at_once() {
        let options = S3Options { endpoint: Some("http://127.0.0.1:1".to_owned()), ..S3Options::default() };
        let error = build("s3://lake", AmazonS3Builder::new().with_bucket_name("lake"), &options).unwrap_err();
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"), "{error}");
    }
}
