//! The table of all states: the verdict, the outcome of real clients, and the reason for any difference.

use std::fmt;

use super::pull::{Client, Difference, Fate, Pulled};
use super::states::State;

/// The results of all tried states.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    verdict: String,
    claim: Option<bool>,
    right: bool,
    clients: Option<[Option<Pull>; 3]>,
}

/// One client's pull.
struct Pull {
    fate: Fate,
    /// The expected message when it gives up.
    words: &'static str,
    declared: Option<Difference>,
    /// Time limit of the pull in seconds.
    seconds: u64,
}

/// How one client's pulls compare with the verdicts, without declared differences.
#[derive(Default)]
struct Agreement {
    judged: usize,
    /// It pulled or failed as expected by the verdict.
    agrees: usize,
    /// The pull should fail, and it was still waiting.
    waits: usize,
}

impl Table {
    /// Adds a state; `right` if everything was as expected.
    pub(crate) fn add(&mut self, state: &State, pulled: Option<&Pulled>, right: bool) {
        let verdict = match state.cause() {
            "pass" => "pass".to_owned(),
            cause => format!("{}: `{cause}`", state.verdict()),
        };
        let expectation = state.pulls();
        let clients = pulled.map(|pulled| {
            let mut words = expectation.words.into_iter().zip(Client::ALL);
            pulled.fates.clone().map(|fate| {
                let (words, client) = words.next()?;
                let (declared, seconds) = (expectation.declared(client), expectation.limit().as_secs());
                Some(Pull { fate: fate?, words, declared, seconds })
            })
        });
        self.rows.push(Row { name: state.name, verdict, claim: state.claim(), right, clients });
    }

    fn agreement(&self, client: usize) -> Agreement {
        let mut agreement = Agreement::default();
        for row in &self.rows {
            let (Some(claim), Some(clients)) = (row.claim, &row.clients) else { continue };
            let Some(pull) = &clients[client] else { continue };
            if pull.declared.is_some() {
                continue;
            }
            agreement.judged += 1;
            match pull.fate {
                Fate::Pulled => agreement.agrees += usize::from(claim),
                Fate::Failed(_) => agreement.agrees += usize::from(!claim),
                Fate::NoEnd => agreement.waits += usize::from(!claim),
            }
        }
        agreement
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { judged, agrees, waits } = self;
        write!(formatter, "{agrees} of {judged} pulls ({waits} still waiting)")
    }
}

impl fmt::Display for Pull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.fate, self.declared) {
            (_, Some(Difference { always: false, .. })) => write!(formatter, "random"),
            (Fate::Pulled, _) => write!(formatter, "pulls"),
            (Fate::Failed(_), _) if self.words.is_empty() => write!(formatter, "fails"),
            (Fate::Failed(_), _) => write!(formatter, "fails: `{}`", self.words),
            (Fate::NoEnd, _) => write!(formatter, "still waiting after {} s", self.seconds),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = self.rows.iter().filter(|row| row.right).count();
        writeln!(
            formatter,
            "# Every state of a real network, the verdict, and the outcome of real pulls\n\n\
             Written by `EXPECTORATE=overwrite tests/bench/truth`.\n\n\
             {} states, {right} with the right diagnoses. Unless the verdict makes no claim or a difference is \
             declared, it matches the outcome of the pull: containerd 1.6 in {}; containerd 2 in {}; skopeo in {}. \
             A client keeps waiting if packets are dropped silently, and is then stopped. If it gives up, the table \
             shows part of its message.\n",
            self.rows.len(),
            self.agreement(0),
            self.agreement(1),
            self.agreement(2),
        )?;
        writeln!(
            formatter,
            "| state | verdict | containerd 1.6 | containerd 2 | skopeo | intended difference |"
        )?;
        writeln!(formatter, "| --- | --- | --- | --- | --- | --- |")?;
        for row in &self.rows {
            let outcome = |client: usize| {
                let pull = row.clients.as_ref().and_then(|it| it[client].as_ref());
                pull.map_or_else(|| "not tried".to_owned(), ToString::to_string)
            };
            let declared = row.clients.iter().flatten().flatten().filter_map(|pull| pull.declared);
            let mut reasons: Vec<&str> = declared.map(|difference| difference.reason).collect();
            reasons.dedup();
            if row.claim.is_none() {
                reasons.push("no claim");
            }
            let wrong = if row.right { "" } else { " **(not as expected)**" };
            writeln!(
                formatter,
                "| {}{wrong} | {} | {} | {} | {} | {} |",
                row.name,
                row.verdict,
                outcome(0),
                outcome(1),
                outcome(2),
                reasons.join("; ")
            )?;
        }
        Ok(())
    }
}
