//! An HTTP response before it is sent, with ACR's headers in ACR's order and case.
//!
//! Owns the header lists of the recordings. `registry.rs`, `data.rs` and `canned.rs` select the response, `http.rs` sends it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::random;

/// A response. The headers are complete: nothing is added when it is sent.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body is chunked, as the token service sends it.
    pub chunked: bool,
}

const JSON: &str = "application/json; charset=utf-8";
const STRICT_TRANSPORT: (&str, &str) = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains");

impl Response {
    /// A response of the registry: the header list of the recorded 401, 404 and 200. `own` are the headers of this response; a
    /// challenge precedes the others, as recorded. A response with a challenge goes to an unknown caller, and has no request
    /// ID.
    pub fn registry(status: u16, content_type: &str, own: &[(&str, String)], body: Vec<u8>) -> Self {
        let (challenges, others): (Vec<_>, Vec<_>) =
            own.iter().partition(|(name, _)| name.eq_ignore_ascii_case("WWW-Authenticate"));
        let mut headers = Headers::default();
        for exposed in ["Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id"] {
            headers.add("Access-Control-Expose-Headers", exposed);
        }
        headers.add("Connection", "keep-alive");
        headers.add("Content-Length", &body.len().to_string());
        headers.add("Content-Type", content_type);
        headers.add("Date", &date(Duration::ZERO));
        headers.add("Docker-Distribution-Api-Version", "registry/2.0");
        headers.add("Server", "openresty");
        // Twice in every recording: set by the registry and by the proxy in front of it.
        headers.add(STRICT_TRANSPORT.0, STRICT_TRANSPORT.1);
        headers.add(STRICT_TRANSPORT.0, STRICT_TRANSPORT.1);
        for (name, value) in &challenges {
            headers.add(name, value);
        }
        headers.add("X-Content-Type-Options", "nosniff");
        if challenges.is_empty() {
            headers.add("X-Ms-Client-Request-Id", "");
            headers.add("X-Ms-Request-Id", &random::guid());
        }
        for (name, value) in &others {
            headers.add(name, value);
        }
        headers.add("X-Ms-Correlation-Request-Id", &random::guid());
        Self { status, headers: headers.0, body, chunked: false }
    }

    /// A response of the registry with a JSON body.
    pub fn registry_json(status: u16, own: &[(&str, String)], body: String) -> Self {
        Self::registry(status, JSON, own, body.into_bytes())
    }

    /// A response of the token service: chunked, with the remaining rate limit.
    pub fn token_service(status: u16, body: String) -> Self {
        let mut headers = Headers::default();
        headers.add("Connection", "keep-alive");
        headers.add("Content-Type", JSON);
        headers.add("Date", &date(Duration::ZERO));
        headers.add("Server", "openresty");
        headers.add(STRICT_TRANSPORT.0, STRICT_TRANSPORT.1);
        headers.add("Transfer-Encoding", "chunked");
        headers.add("X-Ms-Correlation-Request-Id", &random::guid());
        headers.add("x-ms-ratelimit-remaining-calls-per-second", "166.65");
        Self { status, headers: headers.0, body: body.into_bytes(), chunked: true }
    }

    /// A response of the data endpoint or the storage behind it. The headers are an assumption: no recording has them.
    pub fn data(status: u16, content_type: &str, own: &[(&str, String)], body: Vec<u8>) -> Self {
        let mut headers = Headers::default();
        headers.add("Accept-Ranges", "bytes");
        headers.add("Connection", "keep-alive");
        headers.add("Content-Length", &body.len().to_string());
        headers.add("Content-Type", content_type);
        headers.add("Date", &date(Duration::ZERO));
        headers.add("Server", "openresty");
        for (name, value) in own {
            headers.add(name, value);
        }
        headers.add("X-Ms-Correlation-Request-Id", &random::guid());
        Self { status, headers: headers.0, body, chunked: false }
    }

    /// A response of something other than ACR.
    pub fn stranger(status: u16, own: &[(String, String)], body: Vec<u8>) -> Self {
        let mut headers = Headers::default();
        headers.add("Date", &date(Duration::ZERO));
        headers.add("Content-Length", &body.len().to_string());
        headers.add("Connection", "keep-alive");
        for (name, value) in own {
            headers.add(name, value);
        }
        Self { status, headers: headers.0, body, chunked: false }
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Drops every value of a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The status line and the headers, up to the empty line.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

#[derive(Default)]
struct Headers(Vec<(String, String)>);

impl Headers {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// An HTTP date (RFC 9110, 5.6.7) this long from now.
pub fn date(from_now: Duration) -> String {
    let seconds =
        (SystemTime::now() + from_now).duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_secs();
    let moment =
        jiff::Timestamp::from_second(i64::try_from(seconds).expect("the clock is before the year 9999"))
            .expect("the clock is before the year 9999");
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
