//! The attacks whose cost is measured, each a modified healthy lab.

use std::time::Duration;

use super::bombs;
use super::process::Ended;
use lab::answers::{Canned, Delivery, ManifestFault, RedirectFault, Step};
use lab::settings::{Behaviour, Certificate, Settings, Transport, View};

/// Used instead of a cause if there is none.
const PASS: &str = "pass";

/// One attack.
pub struct Attack {
    pub name: String,
    /// Number of images checked at once: the program's maximum, if each image adds cost.
    pub images: usize,
    /// The expected cause of every image; `pass` if the pull works in spite of the attack.
    pub reported: &'static str,
    pub arrange: Box<dyn Fn(&mut Settings) + Send + Sync>,
}

fn attack(
    name: impl Into<String>,
    reported: &'static str,
    arrange: impl Fn(&mut Settings) + Send + Sync + 'static,
) -> Attack {
    Attack { name: name.into(), images: 1, reported, arrange: Box::new(arrange) }
}

impl Attack {
    /// No attack, as the baseline.
    pub fn none() -> Self {
        Self { name: "none".to_owned(), images: 1, reported: PASS, arrange: Box::new(|_| {}) }
    }

    fn of(self, images: usize) -> Self {
        let name = format!("{}, {images} images", self.name);
        Self { name, images, ..self }
    }

    /// The first cause of each image, without adjacent duplicates; `pass` if there is none.
    pub fn causes(report: &serde_json::Value) -> Vec<&str> {
        let images = report["images"].as_array().into_iter().flatten();
        let mut causes: Vec<&str> =
            images.map(|image| image["diagnoses"][0]["cause"].as_str().unwrap_or(PASS)).collect();
        causes.dedup();
        causes
    }

    /// The unexpected result, if any.
    pub fn surprise(&self, ended: &Ended) -> Option<String> {
        let causes = Self::causes(&ended.report);
        let images = ended.report["images"].as_array().map_or(0, Vec::len);
        let code = i32::from(self.reported != PASS);
        let expected = causes == [self.reported] && images == self.images && ended.code == Some(code);
        (!expected).then(|| {
            let (name, reported) = (&self.name, self.reported);
            format!(
                "{name}: {causes:?} of {images} images with exit code {:?} instead of {reported}",
                ended.code
            )
        })
    }
}

/// All of them.
pub fn all() -> Vec<Attack> {
    let mut attacks = deliveries();
    attacks.extend(contents());
    attacks.extend(connections());
    attacks
}

/// Responses with faulty delivery.
fn deliveries() -> Vec<Attack> {
    let delivered = |step: Step, delivery: Delivery, reported: &'static str| {
        let name = format!("{delivery:?} at {step:?}");
        attack(name, reported, move |settings| settings.deliver(step, delivery))
    };
    let huge = |step, reported| delivered(step, Delivery::HugeBody, reported);
    let at_manifest = |delivery, reported| delivered(Step::Manifest, delivery, reported);
    let drip = |seconds| Delivery::BodyDripping(Duration::from_secs(seconds));
    vec![
        // Their bodies are read up to a limit and ignored.
        huge(Step::Challenge, PASS),
        huge(Step::BlobRedirect, PASS),
        huge(Step::Token, "not_a_registry"),
        huge(Step::Manifest, "manifest_invalid"),
        huge(Step::Manifest, "manifest_invalid").of(4),
        huge(Step::Blob, "digest_mismatch"),
        at_manifest(Delivery::EndlessHeaders, "not_a_registry"),
        at_manifest(Delivery::EndlessLine, "not_a_registry"),
        at_manifest(Delivery::EndlessInterim, "response_timeout"),
        at_manifest(Delivery::EndlessBody, "manifest_invalid"),
        at_manifest(Delivery::EndlessBody, "manifest_invalid").of(4),
        at_manifest(Delivery::EndlessKeyUpdates, "connection_reset"),
        at_manifest(drip(1), "response_timeout"),
        at_manifest(drip(60), "response_timeout"),
        at_manifest(Delivery::SilentAfterRequest, "response_timeout"),
        at_manifest(Delivery::CloseAfterRequest, "connection_reset"),
    ]
}

/// Complete responses that expand when parsed.
fn contents() -> Vec<Attack> {
    let crowded = |name: &str, make: fn() -> Canned, reported| {
        attack(name, reported, move |settings: &mut Settings| settings.answer(Step::Manifest, make()))
    };
    let index = || crowded("index of 4 MiB in small entries", bombs::crowded_index, "manifest_invalid");
    let image = || crowded("image of 4 MiB in small layers", bombs::crowded_image, "manifest_invalid");
    let manifest = |name: &str, fault: ManifestFault, reported| {
        attack(name, reported, move |settings: &mut Settings| settings.manifest.answer = fault.into())
    };
    let zipped = |step: Step, reported| {
        attack(format!("gzip bomb at {step:?}"), reported, move |settings| {
            settings.answer(step, bombs::zipped(200));
        })
    };
    vec![
        index(),
        index().of(4),
        image(),
        image().of(4),
        manifest("index of 10,000 entries", ManifestFault::HugeIndex, "platform_missing"),
        manifest("JSON nested 100,000 deep", ManifestFault::DeeplyNested, "manifest_invalid"),
        zipped(Step::Token, "not_a_registry"),
        zipped(Step::Manifest, "manifest_invalid"),
        zipped(Step::Blob, "digest_mismatch"),
        attack("a token of one letter, echoed everywhere", "registry_error", |settings| {
            settings.answer(Step::Token, bombs::long_token());
            settings.answer(Step::Manifest, bombs::letters());
        }),
        attack("a signed URL of one letter, echoed everywhere", "blob_denied", |settings| {
            settings.blob_redirect.answer = RedirectFault::ManyValues.into();
            settings.answer(Step::Blob, bombs::letters());
        }),
    ]
}

/// Handshakes and nameservers.
fn connections() -> Vec<Attack> {
    let transport = |transport: Transport, reported| {
        attack(format!("{transport:?}"), reported, move |settings| settings.login.transport = transport)
    };
    let nameserver = |behaviour: Behaviour, reported| {
        attack(format!("nameserver: {behaviour:?}"), reported, move |settings| {
            settings.nameservers[0].behaviour = behaviour.clone();
        })
    };
    vec![
        transport(Transport::EndlessAlerts, "tls_handshake_failed"),
        transport(Transport::EndlessRecords, "tls_handshake_failed"),
        transport(Transport::DrippingHandshake, "response_timeout"),
        transport(Transport::SilentAfterAccept, "response_timeout"),
        attack("chain of 2,000 certificates", "tls_handshake_failed", |settings| {
            settings.login.certificate = Certificate::Crowded(2_000);
        }),
        nameserver(Behaviour::TcpCrowded, "mixed_addresses"),
        nameserver(Behaviour::HugeAnswer(3_000), "dns_server_failure"),
        nameserver(Behaviour::TcpDrips, "dns_server_failure"),
        attack("nameserver: chain of 400", "dns_server_failure", |settings| {
            settings.nameservers[0].login = View::LongChain(400);
        }),
    ]
}
