//! What an attack costs the program in memory and time, with a process of its own.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::attacks::{self, Attack};
use super::process::{self, Ended};
use crate::lab::Lab;
use crate::lab::settings::Settings;

/// What one image may cost beyond a healthy check: a manifest of 4 MiB, and the buffers of its way.
const PER_IMAGE: u64 = 5 * 1024;
/// What everything else may: a message of a nameserver, a chain of certificates, the head of an answer, the log.
const BESIDE: u64 = 4 * 1024;
const STAGE: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(3);
/// What a busy machine may add, where a build without optimisation reads 4 MiB three times for each of four images.
const SLACK: Duration = Duration::from_secs(10);

fn run(attack: &Attack) -> Ended {
    let mut settings = Settings::default();
    (attack.arrange)(&mut settings);
    let lab = Lab::start(settings);
    let ended =
        process::check(Path::new(env!("CARGO_BIN_EXE_acr-verifier")), &lab, attack.images, STAGE, WHOLE);
    for secret in lab.secrets() {
        assert!(secret.len() < 8 || !ended.shown.contains(&secret), "{}: {secret} is shown", attack.name);
    }
    ended
}

#[test]
fn no_attack_costs_more_than_its_limits_of_memory_and_time() {
    let healthy = Attack { name: "healthy".to_owned(), images: 1, arrange: Box::new(|_| {}) };
    let floor = run(&healthy);
    assert_eq!(floor.code, Some(0), "{}", floor.shown);
    let attacks = attacks::all();
    let next = Mutex::new(attacks.iter());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(attack) = next.lock().expect("no attack panicked").next() else { return };
                    let ended = run(attack);
                    let images = u64::try_from(attack.images).expect("few");
                    let allowed = floor.peak + BESIDE + images * PER_IMAGE;
                    let mut wrong = wrong.lock().expect("no attack panicked");
                    if ended.peak > allowed {
                        wrong.push(format!("{}: {} KiB, allowed are {allowed}", attack.name, ended.peak));
                    }
                    if ended.took > WHOLE + SLACK {
                        wrong.push(format!("{}: {:?}", attack.name, ended.took));
                    }
                    if !matches!(ended.code, Some(0 | 1)) || ended.report["schema"].is_null() {
                        wrong.push(format!("{}: {:?}\n{}", attack.name, ended.code, ended.shown));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no attack panicked");
    assert!(wrong.is_empty(), "healthy {} KiB\n{}", floor.peak, wrong.join("\n"));
}
