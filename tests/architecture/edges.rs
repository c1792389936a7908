//! The paths in a file that lead out of the module they stand in.

use proc_macro2::{Delimiter, Group, TokenTree};

use crate::source::{Source, line};

/// A path that starts at the crate, or climbs with `super` or `self`, made absolute.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) line: usize,
    /// The segments from the root of the crate. A glob ends at the module that it empties.
    pub(crate) target: Vec<String>,
}

/// Every edge of a file, in order.
pub(crate) fn edges(source: &Source) -> Vec<Edge> {
    let mut edges = Vec::new();
    scan(&source.tokens, &source.module(), &mut edges);
    edges
}

/// Collects the edges of a run of tokens that stands in `module`.
fn scan(tokens: &[TokenTree], module: &[String], edges: &mut Vec<Edge>) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Group(group)
                if is_visibility(group, at.checked_sub(2).and_then(|before| tokens.get(before))) => {}
            TokenTree::Group(group) => scan(&inside(group), module, edges),
            TokenTree::Ident(ident) if ident == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(at), tokens.get(at + 1))
                {
                    let inner: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
                    scan(&inside(body), &inner, edges);
                    at += 2;
                }
            }
            TokenTree::Ident(ident) => {
                let start = match ident.to_string().as_str() {
                    "crate" => Vec::new(),
                    "super" => parent(module),
                    "self" => module.to_vec(),
                    _ => continue,
                };
                if is_path_separator(tokens, at) {
                    at = follow(tokens, at + 2, start, edges);
                } else if is_word(tokens.get(at), "as") {
                    // `use crate as root` and `use super as above` name a module whole.
                    edges.push(Edge { line: line(token), target: start });
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Follows a path from the token after a `::`, through the groups of a `use`. Returns the index after it.
fn follow(tokens: &[TokenTree], at: usize, mut path: Vec<String>, edges: &mut Vec<Edge>) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    match token {
        TokenTree::Ident(ident) if ident == "super" => path = parent(&path),
        // In a group, the module that the group is of.
        TokenTree::Ident(ident) if ident == "self" => {}
        TokenTree::Ident(ident) => path.push(ident.to_string()),
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let inner = inside(group);
            for part in inner.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')) {
                if !part.is_empty() {
                    follow(part, 0, path.clone(), edges);
                }
            }
            return at + 1;
        }
        // A glob, or the `<` of a turbofish, which the scan goes on to read.
        TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {
            edges.push(Edge { line: line(token), target: path });
            return at;
        }
    }
    if is_path_separator(tokens, at + 1) {
        follow(tokens, at + 3, path, edges)
    } else {
        edges.push(Edge { line: line(token), target: path });
        at + 1
    }
}

/// Whether a group after `pub` is a visibility, and not the fields of a tuple struct.
fn is_visibility(group: &Group, before: Option<&TokenTree>) -> bool {
    let inside = inside(group);
    is_word(before, "pub") && (is_word(inside.first(), "in") || matches!(inside.as_slice(), [TokenTree::Ident(_)]))
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

fn inside(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// The module above; the root's own is the root, where `super` does not compile.
fn parent(module: &[String]) -> Vec<String> {
    module.split_last().map(|(_, above)| above.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets in `text`, as a file of the module `wire::room`.
    fn targets(text: &str) -> Vec<String> {
        let source = Source::new("src/wire/room.rs", text);
        edges(&source).into_iter().map(|edge| edge.target.join("::")).collect()
    }

    #[test]
    fn imports_of_every_form() {
        assert_eq!(targets("use crate::ids::RoomId;"), ["ids::RoomId"]);
        assert_eq!(targets("pub use crate::ids::RoomId as Room;"), ["ids::RoomId"]);
        assert_eq!(targets("pub(in crate::wire) use crate::ids::*;"), ["ids"]);
        assert_eq!(
            targets("use crate::{ids, node::{self, http::Route}, cli::*,};"),
            ["ids", "node", "node::http::Route", "cli"]
        );
        assert_eq!(targets("use {crate::ids::A, crate::node::B};"), ["ids::A", "node::B"]);
        assert_eq!(targets("use crate as root; use super as above;"), ["", "wire"]);
        assert_eq!(targets("use crate::*;"), [""]);
    }

    #[test]
    fn paths_in_code() {
        assert_eq!(
            targets("fn f(a: crate::ids::A) -> Vec<crate::node::B> { crate::cli::run(|| crate::ids::C) }"),
            ["ids::A", "node::B", "cli::run", "ids::C"]
        );
        assert_eq!(targets("const C: u8 = crate::ids::f::<crate::node::N>();"), ["ids::f", "node::N"]);
        assert_eq!(targets("struct S(pub (crate::ids::A, u8)); struct T(pub crate::ids::B);"), ["ids::A", "ids::B"]);
        assert_eq!(
            targets("macro_rules! m { () => { $crate::node::go() } } f!(crate::ids::A);"),
            ["node::go", "ids::A"]
        );
        assert_eq!(targets("#[serde(with = \"x\", into = crate::ids::A)] struct S;"), ["ids::A"]);
    }

    #[test]
    fn climbing_paths_are_resolved() {
        assert_eq!(targets("use super::policy::P;"), ["wire::policy::P"]);
        assert_eq!(targets("use super::super::protocol::X;"), ["protocol::X"]);
        assert_eq!(targets("use self::inner::X;"), ["wire::room::inner::X"]);
        assert_eq!(targets("mod tests { use super::*; use super::super::super::node::X; }"), ["wire::room", "node::X"]);
        assert_eq!(targets("mod tests { fn f() { super::super::super::node::x() } }"), ["node::x"]);
    }

    #[test]
    fn what_is_no_edge() {
        assert_eq!(targets("// crate::node::A\n/* crate::node::B */ /// [crate::node::C]\nstruct S;"), [""; 0]);
        assert_eq!(targets("const A: &str = \"crate::node::A\"; const B: &str = r#\"use crate::node::B;\"#;"), [""; 0]);
        assert_eq!(targets("pub(crate) fn f(&self) {} pub(in crate::wire) fn g(self) {} pub(super) mod m {}"), [""; 0]);
        assert_eq!(targets("use std::fmt; use serde_crate::node::X; extern crate alloc;"), [""; 0]);
    }

    #[test]
    fn edges_have_the_line_they_stand_on() {
        let source = Source::new("src/ids.rs", "use crate::{\n    wire,\n    node::\n        X,\n};\n");

        let lines: Vec<usize> = edges(&source).iter().map(|edge| edge.line).collect();

        assert_eq!(lines, [2, 4]);
    }
}
