//! How the registry handles methods, callers and reused connections.

use std::time::Duration;

use crate::answers::Canned;

/// The handling of methods that a proxy or registry may treat specially. Applies before the step's response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// The response to every `HEAD` at the login endpoint, without its body; `None` responds like the `GET`.
    pub head: Option<Canned>,
    /// The token service's response to a `POST`.
    pub post: Post,
}

/// The token service and a `POST` with user name and password in a form (`grant_type=password`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Post {
    /// 400 without a body, like ACR, which does not support this grant. Clients continue with `GET` and Basic.
    #[default]
    Unsupported,
    /// Like the `GET` with the same credentials: a registry other than ACR.
    Granted,
    /// This answer, whatever the credentials.
    Refused(Canned),
}

/// The state of a connection after its first response. No response announces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// Further requests are answered.
    #[default]
    Allowed,
    /// It closes this long after each response, as a middlebox does with idle connections. Zero closes it immediately.
    ClosedAfter(Duration),
    /// The next request is read, and the connection closes without a byte of a response.
    ClosedAtNext,
    /// The same with a RST.
    ResetAtNext,
    /// The next request gets half of a response head before the connection closes.
    ClosedWithinNext,
}
