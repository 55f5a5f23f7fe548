//! The memory and time that an attack costs the program, measured in a separate process.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lab::Lab;
use lab::settings::Settings;
use support::hostile::attacks::{self, Attack};
use support::hostile::process::{self, Ended};

/// Allowed memory per image beyond a healthy check: a manifest of 4 MiB, and its buffers.
const PER_IMAGE: u64 = 5 * 1024;
/// Allowed memory for everything else: a DNS message, a certificate chain, a response head, the log.
const BESIDE: u64 = 4 * 1024;
/// The timeouts for attacks that make the check wait until they elapse.
const STAGE: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(3);
/// The causes of such attacks.
const WAITS: [&str; 2] = ["response_timeout", "dns_server_failure"];
/// The timeouts for all other attacks, so that a busy machine is not mistaken for the attack.
const PATIENCE: Duration = Duration::from_secs(60);
/// The margin for a busy machine, where an unoptimized build reads 4 MiB three times for each of four images.
const SLACK: Duration = Duration::from_secs(25);

fn run(attack: &Attack) -> Ended {
    let mut settings = Settings::default();
    (attack.arrange)(&mut settings);
    let lab = Lab::start(settings);
    let (stage, whole) = if WAITS.contains(&attack.reported) { (STAGE, WHOLE) } else { (PATIENCE, PATIENCE) };
    let program = Path::new(env!("CARGO_BIN_EXE_acr-verifier"));
    let ended = process::check(program, &lab, attack.images, stage, whole);
    for secret in lab.secrets() {
        assert!(secret.len() < 8 || !ended.shown.contains(&secret), "{}: {secret} is shown", attack.name);
    }
    ended
}

#[test]
fn attacks_stay_within_memory_and_time_limits() {
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
                        wrong.push(format!("{}: {} KiB, limit {allowed}", attack.name, ended.peak));
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
