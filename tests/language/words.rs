//! The words that the project does not write, what it writes instead, and where one of them is right all the same.
//!
//! Patterns ignore case and match whole words. A blank stands for any gap between two words, also across lines of a comment.

/// What not to write, and what to write instead.
pub(super) struct Word(pub(super) &'static str, pub(super) &'static str);

/// A phrase in which such a word is right, with the reason.
pub(super) struct Exception(pub(super) &'static str, pub(super) &'static str);

pub(super) const WORDS: &[Word] = &[
    // Programs report; people are told.
    Word(r"tells|told|tell (?:of|what|whether|which|why)", "reports, logs, exposes, prints, emits"),
    Word(
        r"(?:agent|check|error|Event|log|message|metric|page|program|report)s? (?:says?|said)",
        "reports, shows",
    ),
    Word(r"(?:says?|said) so", "reports it"),
    Word(r"says? back|said back", "echoes, repeats"),
    Word(r"hears?|heard", "reads, receives, displays"),
    Word(r"asks? for a check", "triggers a check"),
    Word(
        r"asks|asked for|(?:am|are|be|been|being|is|was|were) asked",
        "queries (DNS), requests (HTTP), polls",
    ),
    // What is found out, and what to do about it.
    Word(r"judg(?:e|ed|es|ing|ement|ements|ment|ments)", "check, evaluate, classify; result, verdict"),
    Word(r"mend(?:ed|ing|s)?", "fix, resolve, repair"),
    Word(r"look first|which cause (?:it|they) tells?", "check the reported cause first"),
    Word(r"take care of", "warning"),
    Word(r"open the way", "allow traffic from"),
    Word(r"anew|made? (?:\w+ ){0,3}again", "recreate, generate a new"),
    Word(
        r"(?:certificate|cluster|endpoint|link|namespace|secret|zone)s? (?:is|are|was|were|may be) made",
        "is created",
    ),
    Word(r"(?:tak(?:e|es|ing)|took) the way|the way that|the way of a pull", "follows the same path as"),
    // Time.
    Word(r"for ever|forever", "continuously, indefinitely"),
    Word(r"meanwhile|by then", "in the meantime, since"),
    Word(r"younger", "newer"),
    Word(
        r"(?:certificate|credential|password|secret|token)s?(?: \w+)? (?:ends?|ended)",
        "expires, has expired",
    ),
    Word(r"ha(?:s|ve) not begun", "is not yet valid"),
    Word(
        r"(?:check|day|it|pass|run|time|wait|that) (?:are|is|was|were) over",
        "completed, finished; elapsed",
    ),
    Word(r"the whole check", "overall timeout; the check"),
    Word(r"(?:is|are|was|were) read again", "is reloaded"),
    Word(r"counts? from the next start", "takes effect after a restart"),
    Word(r"has not been seen for", "stalled for"),
    Word(r"goes on|went on|go on with", "continues, keeps"),
    Word(r"gave (?:\w+ ){1,3}up|given up", "dropped, aborted"),
    Word(r"(?:what|which) (?:has |had )?(?:be)?(?:came|comes?) of", "result, outcome"),
    // Conditions.
    Word(
        r"where (?:it|there) (?:are|has|have|is|was|were) (?:an?y?|no|none|nothing|one|some|such)",
        "if set, if absent",
    ),
    Word(r"(?:absent|empty|none|nothing|null) where", "none if"),
    Word(r"[;,] else", "otherwise"),
    Word(r"alone", "only"),
    Word(r"besides?", "in addition to, next to, compared with"),
    Word(r"without a word", "silently"),
    Word(
        r"whoever|whomever|somebody|nobody|everybody|anybody",
        "the operator, the caller, a client, no client",
    ),
    // Values that are not valid.
    Word(r"allowed (?:is|are)", "invalid value X: expected Y"),
    Word(
        r"cannot stand|stands? (?:a|above|before|behind|below|beside|here|there)|what stands at",
        "cannot be used with; is",
    ),
    Word(
        r"is no (?:address|cause|certificate|character|digest|directory|duration|file|folder|host)",
        "is not a valid",
    ),
    Word(
        r"is no (?:image|key|label|list|name|number|port|range|registry|regular|report|tag)",
        "is not a valid",
    ),
    Word(r"is no (?:text|time|token|url|value)", "is not a valid"),
    Word(r"will do", "is accepted, is enough"),
    Word(r"goes? before|go before", "overrides, takes precedence over"),
    Word(r"refuses|refused (?:an?|it|its|the|this)", "rejects"),
    Word(r"(?:blob|configuration|credential|event|file|image)s? (?:is|are|was|were) refused", "rejected"),
    Word(r"(?:key|manifest|password|pull|token|value)s? (?:is|are|was|were) refused", "rejected"),
    Word(r"(?:containerd|endpoint|kubelet|registry|server)s? (?:do|does|did) not take", "rejects"),
    // Code.
    Word(r"surroundings", "node context"),
    Word(r"rooms?|houses?|doors?", "module, layer, interface"),
];

pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception(r"there is no", "says that something is absent, not that it is invalid"),
    Exception(r"room (?:for|in|to)", "space, not a part of the code"),
    Exception(r"(?:password|token) ends in", "the last characters of a text, not its expiry"),
    Exception(
        r"refuses connections|refused the connection",
        "the system's word for a closed port (ECONNREFUSED)",
    ),
];
