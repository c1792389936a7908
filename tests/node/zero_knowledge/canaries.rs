//! What is looked for, in every form in which bytes are written down.

use std::collections::BTreeSet;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};

/// Bytes of the shortest canary: one that is shorter could be anywhere by chance.
const LENGTH_MIN: usize = 8;

/// What is looked for, by its name.
pub(super) struct Canaries {
    forms: Vec<(String, Vec<u8>)>,
    /// Which forms begin with two bytes: most places are ruled out by theirs.
    by_start: Vec<Vec<usize>>,
}

impl Canaries {
    pub(super) fn new() -> Self {
        Self { forms: Vec::new(), by_start: vec![Vec::new(); 1 << 16] }
    }

    pub(super) fn add(&mut self, name: &str, canary: &[u8]) {
        assert!(canary.len() >= LENGTH_MIN, "{name} is too short to be told from chance");
        for (form, bytes) in forms(canary) {
            self.by_start[start(&bytes)].push(self.forms.len());
            self.forms.push((format!("{name}, {form}"), bytes));
        }
    }

    /// A secret that the node knows as bytes and gives out as text.
    pub(super) fn add_token(&mut self, name: &str, text: &str) {
        self.add(&format!("{name} as bytes"), &BASE64URL_NOPAD.decode(text.as_bytes()).unwrap());
        self.add(&format!("{name} as text"), text.as_bytes());
    }

    /// Which of them are in `bytes`, and in which form.
    pub(super) fn found(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, two) in bytes.windows(2).enumerate() {
            for &index in &self.by_start[start(two)] {
                let (name, form) = &self.forms[index];
                if bytes[at..].starts_with(form) {
                    found.insert(name.as_str());
                }
            }
        }
        found
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The ways in which bytes are written down: as they are, in hex, in both alphabets of base64, and as a list of numbers.
fn forms(canary: &[u8]) -> Vec<(String, Vec<u8>)> {
    let numbers: Vec<String> = canary.iter().map(u8::to_string).collect();
    let mut forms = vec![
        ("plain".to_owned(), canary.to_vec()),
        ("in hex".to_owned(), HEXLOWER.encode(canary).into()),
        ("in capital hex".to_owned(), HEXUPPER.encode(canary).into()),
        ("as a list".to_owned(), numbers.join(", ").into()),
        ("as a dense list".to_owned(), numbers.join(",").into()),
    ];
    for (name, base64) in [("base64", &BASE64_NOPAD), ("base64url", &BASE64URL_NOPAD)] {
        for before in 0..3 {
            forms.push((format!("in {name} after {before}"), in_base64(base64, canary, before)));
        }
    }
    forms
}

/// The characters of base64 that depend on nothing but `canary`, where it comes after so many bytes of a group of three.
fn in_base64(base64: &Encoding, canary: &[u8], before: usize) -> Vec<u8> {
    let text = base64.encode(&[&vec![0; before], canary].concat());
    let whole = (before * 8).div_ceil(6)..(before + canary.len()) * 8 / 6;
    text.as_bytes()[whole].to_vec()
}

#[test]
fn each_form_is_found_wherever_it_stands() {
    let canary: Vec<u8> = (0..32).map(|number: u8| number.wrapping_mul(37).wrapping_add(0xfb)).collect();
    let mut canaries = Canaries::new();
    canaries.add("canary", &canary);
    canaries.add("another", b"is not there");
    for before in 0..7 {
        // It comes among other bytes, and is written down with them.
        let page = [&[0x5a; 7][..before], &canary, &[0xa5; 9]].concat();
        let list = |dense: bool| if dense { format!("{page:?}").replace(' ', "") } else { format!("{page:?}") };
        for (written, form) in [
            (page.clone(), "plain".to_owned()),
            (HEXLOWER.encode(&page).into(), "in hex".to_owned()),
            (HEXUPPER.encode(&page).into(), "in capital hex".to_owned()),
            (list(false).into(), "as a list".to_owned()),
            (list(true).into(), "as a dense list".to_owned()),
            (data_encoding::BASE64.encode(&page).into(), format!("in base64 after {}", before % 3)),
            (data_encoding::BASE64URL.encode(&page).into(), format!("in base64url after {}", before % 3)),
        ] {
            let file = [b"{\"log\":\"", &written[..], b"\"}\n"].concat();
            assert_eq!(canaries.found(&file), [format!("canary, {form}").as_str()].into(), "after {before}");
        }
        let mut altered = page;
        altered[before + 16] ^= 1;
        assert!(canaries.found(&altered).is_empty());
    }
}
