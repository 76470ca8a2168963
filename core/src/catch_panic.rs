//! Panics of foreign code on unexpected values, turned into errors.

use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Whether a panic of this thread is caught and reported by the catcher, so that a hook need not print it.
pub fn is_on() -> bool {
    DEPTH.get() > 0
}

/// Runs `work`; a panic becomes an `Err` with its message.
pub fn now<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    done.map_err(|panic| said(panic.as_ref()))
}

/// Runs `future`; a panic becomes an `Err` with its message.
pub async fn while_waiting<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|context| match now(|| future.as_mut().poll(context)) {
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(said) => Poll::Ready(Err(said)),
    })
    .await
}

pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_what_it_said() {
        assert_eq!(now(|| 5), Ok(5));
        let seen = now(|| {
            assert!(is_on());
            panic!("no {}", "way")
        });
        assert_eq!(seen, Err::<(), _>("no way".to_owned()));
        assert!(!is_on());
        let late = while_waiting(async {
            tokio::task::yield_now().await;
            panic!("late")
        });
        assert_eq!(late.await, Err::<(), _>("late".to_owned()));
        assert_eq!(while_waiting(async { 7 }).await, Ok(7));
    }
}
