//! Bodies that are small on the wire, or just within a limit, but large once expanded.

use lab::answers::Canned;
use lab::content::{OCI_INDEX, OCI_MANIFEST};

/// The size limit of a manifest.
const LARGEST_MANIFEST: usize = 4 << 20;

/// A gzip of 40 MB of zeros in 63 KB, valid up to its final checksum, so that inflating it detects the fault too late.
pub fn zipped(status: u16) -> Canned {
    let headers = vec![
        ("Content-Type".to_owned(), OCI_MANIFEST.to_owned()),
        ("Content-Encoding".to_owned(), "gzip".to_owned()),
    ];
    Canned::Raw { status, headers, body: gzip_of_zeros(40_000_000) }
}

/// One block of the fixed code (RFC 1951, 3.2.6): a zero, then "258 bytes as the last one" over and over.
fn gzip_of_zeros(length: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut bits, mut count) = (0_u32, 0_u32);
    // Lowest bit first; Huffman codes highest bit first.
    let mut put = |code: &str| {
        for bit in code.bytes() {
            bits |= u32::from(bit == b'1') << count;
            count += 1;
            if count == 8 {
                out.push(u8::try_from(bits).unwrap_or_default());
                (bits, count) = (0, 0);
            }
        }
    };
    put("110");
    put("00110000");
    for _ in 0..length / 258 {
        put("1100010100000");
    }
    put("0000000");
    put("0000000");
    out.extend_from_slice(&[0; 8]);
    out
}

/// An index of 4 MiB of small entries, each of which would become a separate structure.
pub fn crowded_index() -> Canned {
    let entry = r#"{"mediaType":"","digest":"","size":0,"annotations":{"":""}}"#;
    manifest(OCI_INDEX, r#"{"schemaVersion":2,"manifests":["#, entry, "]}")
}

/// The same with the layers of an image.
pub fn crowded_image() -> Canned {
    let entry = r#"{"mediaType":"","digest":"","size":0,"annotations":{"":""}}"#;
    manifest(
        OCI_MANIFEST,
        r#"{"schemaVersion":2,"config":{"mediaType":"","digest":"","size":0},"layers":["#,
        entry,
        "]}",
    )
}

fn manifest(media_type: &str, start: &str, entry: &str, end: &str) -> Canned {
    let room = LARGEST_MANIFEST - start.len() - end.len();
    let entries = vec![entry; room / (entry.len() + 1)].join(",");
    let headers = vec![("Content-Type".to_owned(), media_type.to_owned())];
    Canned::Raw { status: 200, headers, body: format!("{start}{entries}{end}").into_bytes() }
}

/// A token of maximum length, of one letter.
pub fn long_token() -> Canned {
    let body = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(16 << 10));
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Canned::Raw { status: 200, headers, body: body.into_bytes() }
}

/// An error that repeats that letter in each of its fields, up to the limits.
pub fn letters() -> Canned {
    let letters = |count: usize| "a".repeat(count);
    let error = format!(r#"{{"code":"{}","message":"{}"}}"#, letters(3_500), letters(3_500));
    let headers = vec![
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("X-Ms-Correlation-Request-Id".to_owned(), letters(300 << 10)),
        ("WWW-Authenticate".to_owned(), format!(r#"Bearer realm="https://a/",error="{}""#, letters(8_000))),
    ];
    let body = format!(r#"{{"errors":[{}]}}"#, vec![error; 8].join(","));
    Canned::Raw { status: 403, headers, body: body.into_bytes() }
}
