//! The rules, and what is reported where one is broken.

use std::fmt;

use proc_macro2::{Delimiter, TokenTree};

use crate::edges::edges;
use crate::layers::Layer;
use crate::source::{Source, line};

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 600;

/// A rule broken at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    broken: Broken,
}

#[derive(Debug, PartialEq, Eq)]
enum Broken {
    /// An import against the arrows.
    Edge {
        from: Layer,
        to: Layer,
        target: String,
    },
    /// A module that the design does not know.
    NoLayer {
        module: String,
    },
    /// A module without its gate, or with another; none is due to one that is in every build.
    Gate {
        module: String,
        feature: Option<&'static str>,
    },
    TooLong {
        lines: usize,
    },
    NoReason {
        lint_level: String,
    },
}

/// Every rule, for a file of the program.
pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = forbidden_edges(source);
    violations.extend(false_gates(source));
    violations.extend(too_long(source));
    violations.extend(exceptions_without_reason(source));
    violations
}

fn forbidden_edges(source: &Source) -> Vec<Violation> {
    let module = source.module();
    let Some(from) = Layer::of(&module) else {
        return vec![violation(source, 1, Broken::NoLayer { module: module.join("::") })];
    };
    let broken = edges(source).into_iter().filter_map(|edge| {
        let target = edge.target.join("::");
        let broken = match Layer::of(&edge.target) {
            None => Broken::NoLayer { module: target },
            Some(to) if from.may_use(to) => return None,
            Some(to) => Broken::Edge { from, to, target },
        };
        Some(violation(source, edge.line, broken))
    });
    broken.collect()
}

/// Only the modules that have a child in another layer: their `mod` lists are the architecture.
fn false_gates(source: &Source) -> Vec<Violation> {
    let parent = source.module().join("::");
    let broken = source.mod_items().into_iter().filter_map(|item| {
        let feature = match (parent.as_str(), item.name.as_str()) {
            ("", "node") => Some("node"),
            ("", "client") => Some("client"),
            ("", "wasm") => Some("wasm"),
            ("", "cli") => Some("cli"),
            ("node", "custody") => Some("custody"),
            ("" | "node", _) | ("protocol", "public") => None,
            ("protocol", _) => Some("holder"),
            _ => return None,
        };
        let due: Vec<String> = feature.iter().map(|name| format!("cfg(feature=\"{name}\")")).collect();
        let is_test = item.cfgs.iter().any(|cfg| is_test(cfg));
        let broken = Broken::Gate { module: item.name, feature };
        (item.cfgs != due && !is_test).then(|| violation(source, item.line, broken))
    });
    broken.collect()
}

fn too_long(source: &Source) -> Option<Violation> {
    let tests = source.mod_items().into_iter().find(|item| item.cfgs.iter().any(|cfg| is_test(cfg)));
    let lines = tests.map_or(source.lines, |item| item.line - 1);
    (lines > FILE_LINES_MAX && !source.is_tests())
        .then(|| violation(source, FILE_LINES_MAX + 1, Broken::TooLong { lines }))
}

/// The one rule that also binds tests, benchmarks and fuzz targets.
pub(crate) fn exceptions_without_reason(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    collect_exceptions(&source.tokens, false, &mut found);
    found.into_iter().map(|(line, lint_level)| violation(source, line, Broken::NoReason { lint_level })).collect()
}

/// Finds `allow(..)` and `expect(..)` inside attributes, also inside `cfg_attr` and macros.
fn collect_exceptions(tokens: &[TokenTree], in_attribute: bool, found: &mut Vec<(usize, String)>) {
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let inside: Vec<TokenTree> = group.stream().into_iter().collect();
        let has_reason = inside.iter().any(|token| matches!(token, TokenTree::Ident(ident) if ident == "reason"));
        match before {
            Some(TokenTree::Ident(level)) if in_attribute && (level == "allow" || level == "expect") && !has_reason => {
                found.push((line(token), level.to_string()));
            }
            _ => {}
        }
        let opens_attribute = group.delimiter() == Delimiter::Bracket
            && matches!(before, Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), '#' | '!'));
        collect_exceptions(&inside, in_attribute || opens_attribute, found);
    }
}

/// Whether a `cfg(..)`, without spaces, is of tests only.
fn is_test(cfg: &str) -> bool {
    cfg == "cfg(test)" || cfg.starts_with("cfg(all(test,")
}

fn violation(source: &Source, line: usize, broken: Broken) -> Violation {
    Violation { path: source.path.clone(), line, broken }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, broken } = self;
        write!(f, "{path}:{line}: ")?;
        match broken {
            Broken::Edge { from, to, target } => write!(f, "{from} may not use {to}: crate::{target}"),
            Broken::NoLayer { module } => {
                write!(f, "crate::{module} is in no layer: give its module one in tests/architecture/layers.rs")
            }
            Broken::Gate { module, feature: Some(feature) } => {
                write!(f, "`mod {module}` must be gated by #[cfg(feature = \"{feature}\")] alone")
            }
            Broken::Gate { module, feature: None } => {
                write!(f, "`mod {module}` is in every build: it has no gate")
            }
            Broken::TooLong { lines } => write!(f, "{lines} lines before the tests, at most {FILE_LINES_MAX}"),
            Broken::NoReason { lint_level } => write!(f, "#[{lint_level}(..)] without a reason"),
        }
    }
}

#[cfg(test)]
mod tests;
