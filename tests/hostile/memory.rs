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
/// The limits where the attack is to let the check wait until it has had enough.
const STAGE: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(3);
/// Causes that such an attack leads to.
const WAITS: [&str; 2] = ["response_timeout", "dns_server_failure"];
/// The limits where it is not, so that a busy machine is not taken for the attack.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a busy machine may add, where a build without optimisation reads 4 MiB three times for each of four images.
const SLACK: Duration = Duration::from_secs(10);

fn run(attack: &Attack) -> Ended {
    let mut settings = Settings::default();
    (attack.arrange)(&mut settings);
    let lab = Lab::start(settings);
    let (stage, whole) = if WAITS.contains(&attack.told) { (STAGE, WHOLE) } else { (PATIENCE, PATIENCE) };
    let program = Path::new(env!("CARGO_BIN_EXE_acr-verifier"));
    let ended = process::check(program, &lab, attack.images, stage, whole);
    for secret in lab.secrets() {
        assert!(secret.len() < 8 || !ended.shown.contains(&secret), "{}: {secret} is shown", attack.name);
    }
    ended
}

#[test]
fn no_attack_costs_more_than_its_limits_of_memory_and_time() {
    let healthy = Attack::none();
    let floor = run(&healthy);
    assert_eq!(healthy.surprise(&floor), None, "{}", floor.shown);
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
                    wrong.extend(attack.surprise(&ended).map(|surprise| surprise + "\n" + &ended.shown));
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no attack panicked");
    assert!(wrong.is_empty(), "healthy {} KiB\n{}", floor.peak, wrong.join("\n"));
}
