//! How the registry treats requests as such: their method, their caller, and a connection that is used again.

use std::time::Duration;

use crate::lab::answers::Canned;

/// What happens to methods that a proxy or a registry may treat on their own. It comes before what the step answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// The answer to every `HEAD` at the login endpoint, without its body; none answers as the `GET` would be.
    pub head: Option<Canned>,
    /// What the token service makes of a `POST`.
    pub post: Post,
}

/// The token service and a `POST` with user name and password in a form (`grant_type=password`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Post {
    /// 400 without a body, as ACR answers: it knows no such grant. Clients go on with a `GET` and Basic.
    #[default]
    Unsupported,
    /// As the `GET` with the same credentials: a registry other than ACR.
    Granted,
    /// This answer, whatever the credentials.
    Refused(Canned),
}

/// What becomes of a connection once its first request is answered. No answer announces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// Further requests are answered.
    #[default]
    Allowed,
    /// It closes this long after each answer, as a middlebox does with idle connections. Zero closes it at once.
    ClosedAfter(Duration),
    /// The next request is read, and the connection closes without a byte of an answer.
    ClosedAtNext,
    /// The same with a RST.
    ResetAtNext,
    /// The next request gets half of an answer's head before the connection closes.
    ClosedWithinNext,
}
