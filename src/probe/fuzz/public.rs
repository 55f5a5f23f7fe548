//! Entry point for the answers of public endpoints.

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::{LOGIN, PATIENCE, PartialCheck, TAKEN, exchange};
use crate::observation::TrustedBy;
use crate::probe::connection::Head;
use crate::probe::deadline::Clock;
use crate::probe::public::{gap, read};
use crate::public_endpoint::{AddressFamily, Exposure, Outcome, Probe};

impl PartialCheck {
    /// Parses a raw HTTP response that arrives in chunks of `piece` bytes, as the only answer of a public endpoint.
    ///
    /// # Panics
    /// If a verdict has no answer that justifies it.
    #[must_use]
    pub fn public_answer(&self, answer: &[u8], piece: usize) -> Probe {
        let outcome = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let asked = Url::parse(&format!("https://{LOGIN}/v2/")).expect("a URL");
            let outcome = match exchange(answer.to_vec(), piece, &mut tasks).await {
                Ok(response) => {
                    let limit = Clock::start(PATIENCE, PATIENCE).limit();
                    let head = Head { response, sent_at: Instant::now(), limit };
                    read(head, &asked, Timestamp::UNIX_EPOCH, PATIENCE).await
                }
                Err(error) => Outcome::NotTested(gap(error, None, PATIENCE)),
            };
            tasks.shutdown().await;
            outcome
        });
        let status = outcome.answer().map(|answer| answer.status);
        match outcome.verdict() {
            Exposure::Refused => assert_eq!(status, Some(403)),
            Exposure::Exposed => assert!(matches!(status, Some(200..=299 | 401)), "{status:?}"),
            Exposure::NotTested => {}
        }
        Probe {
            host: LOGIN.to_owned(),
            family: Some(AddressFamily::V4),
            address: Some([20, 45, 122, 144].into()),
            other_addresses: Vec::new(),
            outcome,
            trusted_by: Some(TrustedBy::System),
            at: Timestamp::UNIX_EPOCH,
            duration: TAKEN,
        }
    }
}
