//! Rust files as tokens, and what can be asked of any of them.

use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One file of the package.
pub(crate) struct Source {
    /// Where it is, from the root of the package, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<TokenTree>,
}

/// A `mod` item with the attributes in front of it.
pub(crate) struct ModItem {
    pub(crate) name: String,
    /// The line of the first attribute, or of `mod`.
    pub(crate) line: usize,
    /// The text of each `cfg(..)`, without spaces.
    pub(crate) cfgs: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = text.parse::<TokenStream>().unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
        Self { path: path.to_owned(), lines: text.lines().count(), tokens: tokens.into_iter().collect() }
    }

    /// The path of the module that the file is, from the root of the crate.
    pub(crate) fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut module: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        module
    }

    /// Whether the whole file is tests.
    pub(crate) fn is_tests(&self) -> bool {
        self.module().iter().any(|name| name == "tests")
    }

    /// The modules that the file names outside of other modules, in order.
    pub(crate) fn mod_items(&self) -> Vec<ModItem> {
        let mut items = Vec::new();
        let mut attributes: Vec<&Group> = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => attributes.push(group),
                // `#`, a visibility and the like stand between an attribute and its item.
                TokenTree::Punct(punct) if matches!(punct.as_char(), '#' | '!') => {}
                TokenTree::Ident(ident) if ident == "pub" => {}
                TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {}
                TokenTree::Ident(ident) if ident == "mod" => {
                    let line = attributes.first().map_or(line(token), |group| group.span().start().line);
                    let cfgs = attributes.iter().map(|group| squeeze(group)).filter(|text| text.starts_with("cfg("));
                    if let Some(name) = self.tokens.get(at + 1) {
                        items.push(ModItem { name: name.to_string(), line, cfgs: cfgs.collect() });
                    }
                    attributes.clear();
                }
                _ => attributes.clear(),
            }
        }
        items
    }
}

/// Reads every Rust file under a folder of the package, in order of path; none if there is no such folder.
#[expect(clippy::disallowed_methods, reason = "this test is about files")]
pub(crate) fn read_folder(root: &Path, folder: &str) -> Vec<Source> {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "target")
        .collect();
    names.sort();
    let mut sources = Vec::new();
    for name in names {
        let path = format!("{folder}/{name}");
        if root.join(&path).is_dir() {
            sources.extend(read_folder(root, &path));
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            sources.push(Source::new(&path, &std::fs::read_to_string(root.join(&path)).unwrap()));
        }
    }
    sources
}

/// The line that a token starts on, from 1.
pub(crate) fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

/// What stands in a group, without spaces.
pub(crate) fn squeeze(group: &Group) -> String {
    group.stream().to_string().split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_of_a_file() {
        let module = |path| Source::new(path, "").module().join("::");

        assert_eq!(module("src/lib.rs"), "");
        assert_eq!(module("src/main.rs"), "");
        assert_eq!(module("src/ids.rs"), "ids");
        assert_eq!(module("src/protocol/mod.rs"), "protocol");
        assert_eq!(module("src/protocol/public/key_id.rs"), "protocol::public::key_id");
    }

    #[test]
    fn attributes_belong_to_the_item_they_stand_before() {
        let source = Source::new(
            "src/lib.rs",
            concat!(
                "#![deny(x)]\npub mod a;\n",
                "#[cfg(feature = \"f\")]\n#[doc(hidden)]\npub(crate) mod b { mod inner; }\n",
                "#[cfg(unix)]\nfn c() {}\nmod d;",
            ),
        );

        let items: Vec<_> = source.mod_items().into_iter().map(|item| (item.name, item.line, item.cfgs)).collect();

        assert_eq!(
            items,
            [
                ("a".to_owned(), 1, vec![]),
                ("b".to_owned(), 3, vec!["cfg(feature=\"f\")".to_owned()]),
                ("d".to_owned(), 8, vec![]),
            ]
        );
    }
}
