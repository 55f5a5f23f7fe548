//! The attacks whose cost is measured: each a change of a healthy lab.

use super::bombs;
use crate::lab::answers::{Canned, Delivery, ManifestFault, RedirectFault, Step};
use crate::lab::settings::{Behaviour, Certificate, Settings, Transport, View};

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: String,
    /// Images that are checked at once: as many as the program takes at a time where each costs something.
    pub(crate) images: usize,
    pub(crate) arrange: Box<dyn Fn(&mut Settings) + Send + Sync>,
}

fn attack(name: impl Into<String>, arrange: impl Fn(&mut Settings) + Send + Sync + 'static) -> Attack {
    Attack { name: name.into(), images: 1, arrange: Box::new(arrange) }
}

impl Attack {
    fn of(self, images: usize) -> Self {
        let name = format!("{}, {images} images", self.name);
        Self { name, images, ..self }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Attack> {
    let delivered = |step: Step, delivery: Delivery| {
        attack(format!("{delivery:?} at {step:?}"), move |settings| settings.deliver(step, delivery))
    };
    let mut attacks = Vec::new();
    for step in Step::ALL {
        attacks.push(delivered(step, Delivery::HugeBody));
    }
    for delivery in [
        Delivery::EndlessHeaders,
        Delivery::EndlessLine,
        Delivery::EndlessInterim,
        Delivery::EndlessBody,
        Delivery::EndlessKeyUpdates,
        Delivery::BodyOneBytePerSecond,
        Delivery::SilentAfterRequest,
        Delivery::CloseAfterRequest,
    ] {
        attacks.push(delivered(Step::Manifest, delivery));
    }
    attacks.push(delivered(Step::Manifest, Delivery::HugeBody).of(4));
    attacks.push(delivered(Step::Manifest, Delivery::EndlessBody).of(4));
    for (name, make) in [
        ("index of 4 MiB in small entries", bombs::crowded_index as fn() -> Canned),
        ("image of 4 MiB in small layers", bombs::crowded_image),
    ] {
        let of_one = || attack(name, move |settings| settings.answer(Step::Manifest, make()));
        attacks.push(of_one());
        attacks.push(of_one().of(4));
    }
    attacks.push(attack("index of 10,000 entries", |settings| {
        settings.manifest.answer = ManifestFault::HugeIndex.into();
    }));
    attacks.push(attack("JSON nested 100,000 deep", |settings| {
        settings.manifest.answer = ManifestFault::DeeplyNested.into();
    }));
    for step in [Step::Token, Step::Manifest, Step::Blob] {
        attacks.push(attack(format!("gzip bomb at {step:?}"), move |settings| {
            settings.answer(step, bombs::zipped(200));
        }));
    }
    attacks.push(attack("a token of one letter, and that letter said back", |settings| {
        settings.answer(Step::Token, bombs::long_token());
        settings.answer(Step::Manifest, bombs::letters());
    }));
    attacks.push(attack("a signed URL of one letter, and that letter said back", |settings| {
        settings.blob_redirect.answer = RedirectFault::ManyValues.into();
        settings.answer(Step::Blob, bombs::letters());
    }));
    for transport in [
        Transport::EndlessAlerts,
        Transport::EndlessRecords,
        Transport::DrippingHandshake,
        Transport::SilentAfterAccept,
    ] {
        attacks.push(attack(format!("{transport:?}"), move |settings| settings.login.transport = transport));
    }
    attacks.push(attack("chain of 2,000 certificates", |settings| {
        settings.login.certificate = Certificate::Crowded(2_000);
    }));
    for behaviour in [Behaviour::TcpCrowded, Behaviour::HugeAnswer(3_000), Behaviour::TcpDrips] {
        attacks.push(attack(format!("nameserver: {behaviour:?}"), move |settings| {
            settings.nameservers[0].behaviour = behaviour.clone();
        }));
    }
    attacks.push(attack("nameserver: chain of 400", |settings| {
        settings.nameservers[0].login = View::LongChain(400);
    }));
    attacks
}
