//! A search of files for texts that must not be there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};

/// What a search looked at, and what it found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Searched {
    /// Each file and its bytes.
    pub(super) files: BTreeMap<PathBuf, u64>,
    /// Each text that was found, where, and in which form.
    pub(super) found: Vec<Found>,
}

/// A text that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) form: &'static str,
    pub(super) at: usize,
}

/// Looks through every file below a folder for texts: as they are, in UTF-16, in hexadecimal, and in base64 wherever in a
/// longer text they stand.
///
/// # Errors
/// If a file cannot be read: what was not read was not searched.
#[expect(clippy::disallowed_methods, reason = "the search is of files")]
pub(super) fn search(folder: &Path, texts: &[&str]) -> io::Result<Searched> {
    let mut searched = Searched::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path)?;
            for text in texts {
                for (form, needle) in forms(text) {
                    if let Some(at) = find(&bytes, &needle) {
                        searched.found.push(Found { file: path.clone(), text: (*text).to_owned(), form, at });
                    }
                }
            }
            searched.files.insert(path, bytes.len() as u64);
        }
    }
    Ok(searched)
}

/// Where some bytes stand.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len().max(1)).position(|window| window == needle)
}

fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![
        ("as it is", bytes.to_vec()),
        ("as UTF-16", utf16),
        ("as hexadecimal", HEXLOWER.encode(bytes).into_bytes()),
    ];
    // Base64 of a longer text has one of three forms of this one; the characters at its ends depend on the neighbours.
    for skipped in 0..3 {
        let whole = bytes.get(skipped..).unwrap_or_default();
        let encoded = BASE64.encode(whole.get(..whole.len() / 3 * 3).unwrap_or_default()).into_bytes();
        if encoded.len() >= 8 {
            forms.push(("as base64", encoded));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const TEXT: &str = "the roses are out";

    #[expect(clippy::disallowed_methods, reason = "the search is of files")]
    fn searched(name: &str, bytes: &[u8]) -> Searched {
        let folder = std::env::temp_dir().join(format!("conclave-search-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("below")).unwrap();
        fs::write(folder.join("below/some.db-wal"), bytes).unwrap();
        let searched = search(&folder, &["nobody wrote this", TEXT]);
        fs::remove_dir_all(&folder).unwrap();
        searched.unwrap()
    }

    #[test]
    fn a_text_is_found_in_each_form_and_only_where_it_is() {
        let base64 = |before: &str| BASE64.encode(format!("{before}{TEXT}, and more").as_bytes());
        let utf16: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let planted: [(&str, &str, Vec<u8>); 6] = [
            ("plain", "as it is", format!("\0\x01{TEXT}\u{7f}").into_bytes()),
            ("utf16", "as UTF-16", [&[1], &*utf16].concat()),
            ("hex", "as hexadecimal", HEXLOWER.encode(TEXT.as_bytes()).into_bytes()),
            ("base64-0", "as base64", base64("").into_bytes()),
            ("base64-1", "as base64", base64("x").into_bytes()),
            ("base64-2", "as base64", base64("xy").into_bytes()),
        ];
        for (name, form, bytes) in planted {
            let found = searched(name, &bytes).found;
            assert!(found.iter().any(|found| found.form == form && found.text == TEXT), "{name}: {found:?}");
            assert!(found.iter().all(|found| found.file.ends_with("below/some.db-wal")));
        }
        let nothing = searched("nothing", b"the roses are in");
        assert_eq!((nothing.found.len(), nothing.files.len()), (0, 1));
    }
}
