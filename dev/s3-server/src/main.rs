//! An S3 server in a folder, for trials and tests: what was put is there after a restart.
//!
//! s3s-fs looks whether an object is there before it takes the content, so two puts with `If-None-Match: *` at once
//! would both succeed. Here the puts of one object follow one another. Settings come from the environment:
//! `DOVETAIL_S3_FOLDER`, `DOVETAIL_S3_PORT` on loopback, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// One lock for each object that is being put.
#[derive(Clone, Default)]
struct Puts(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

impl Puts {
    fn lock_of(&self, path: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut puts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = puts.get(path).and_then(Weak::upgrade) {
            return lock;
        }
        puts.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        puts.insert(path.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let files = FileSystem::new(setting("DOVETAIL_S3_FOLDER")?).map_err(|e| format!("{e:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(setting("AWS_ACCESS_KEY_ID")?, setting("AWS_SECRET_ACCESS_KEY")?));
    let (service, puts) = (service.build(), Puts::default());
    let listener = TcpListener::bind(("127.0.0.1", setting("DOVETAIL_S3_PORT")?.parse()?)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (service, puts) = (service.clone(), puts.clone());
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(service.clone(), puts.clone(), request));
            // Whoever hung up does not want to know.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn answer(service: S3Service, puts: Puts, request: Request<Incoming>) -> Result<s3s::HttpResponse, s3s::HttpError> {
    let conditional = request.method() == hyper::Method::PUT && request.headers().contains_key("if-none-match");
    let lock = conditional.then(|| puts.lock_of(request.uri().path()));
    let _held = match &lock {
        Some(lock) => Some(lock.lock().await),
        None => None,
    };
    hyper::service::Service::call(&service, request).await
}
