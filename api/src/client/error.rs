//! The errors of the client.

use arrow::error::ArrowError;
use reqwest::StatusCode;

use crate::error::ErrorInfo;

/// The reason why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is no address of a server.
    #[error("`{server}` is no address: write `http://HOST:PORT`")]
    Address {
        /// The text.
        server: String,
    },
    /// No client can be made on this machine.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// Nothing answers at the address, or the answer broke off.
    #[error("no server answers at {server}; start one with `dovetail up`")]
    Unreachable {
        /// The address.
        server: String,
        /// The failure of the connection.
        #[source]
        source: reqwest::Error,
    },
    /// The server refused the request.
    #[error("{error}")]
    Refused {
        /// The response's status.
        status: StatusCode,
        /// The server's reason; only a message where the response held no such document.
        error: Box<ErrorInfo>,
    },
    /// This version of the client cannot read the answer.
    #[error("the server's answer is not understood: is it of this version?")]
    Answer(#[source] ArrowError),
    /// The server counted other records than were sent.
    #[error("the server took {received} records for {sent}, {appended} of them new: is it of this version?")]
    Counts {
        /// Records in the request.
        sent: u64,
        /// Records that the server found in it.
        received: u64,
        /// Number of those that it did not have before.
        appended: u64,
    },
    /// The server was busy, or away, at every attempt.
    #[error("the server at {server} took no records for a long time; run the same command again to continue")]
    Busy {
        /// The address.
        server: String,
    },
    /// A record is longer than a frame can be, 4 GiB.
    #[error("a record is too long")]
    RecordTooLong,
    /// The answer ended in the middle.
    #[error("the server stopped in the middle of the log; see its own log")]
    CutOff(#[source] Option<reqwest::Error>),
}
