//! The methods of the store, and the suite that runs every one of them: another database has to pass the same.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::source::Source;

/// What others may call and has to be awaited: the names after `pub async fn` in the `impl Store` of files.
pub(crate) fn methods(sources: &[Source]) -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for source in sources {
        for window in source.tokens.windows(3) {
            if let [item, TokenTree::Ident(name), TokenTree::Group(body)] = window
                && is(item, "impl")
                && name == "Store"
                && body.delimiter() == Delimiter::Brace
            {
                methods.extend(public_async(body.stream()));
            }
        }
    }
    methods
}

fn public_async(body: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let is_method = |window: &&[TokenTree]| is(&window[0], "pub") && is(&window[1], "async") && is(&window[2], "fn");
    tokens.windows(4).filter(is_method).map(|window| window[3].to_string()).collect()
}

/// What is called in files: the names behind a dot or a colon and before parentheses.
pub(crate) fn calls(sources: &[Source]) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for source in sources {
        add_calls(source.tokens.iter().cloned().collect(), &mut calls);
    }
    calls
}

fn add_calls(tokens: TokenStream, calls: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for window in tokens.windows(3) {
        if let [TokenTree::Punct(dot), TokenTree::Ident(name), TokenTree::Group(arguments)] = window
            && matches!(dot.as_char(), '.' | ':')
            && arguments.delimiter() == Delimiter::Parenthesis
        {
            calls.insert(name.to_string());
        }
    }
    for token in tokens {
        if let TokenTree::Group(group) = token {
            add_calls(group.stream(), calls);
        }
    }
}

fn is(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_public_async_and_of_the_store() {
        let source = Source::new(
            "src/node/store/x.rs",
            "impl Store { pub async fn a(&self) {} pub fn b() {} async fn c() {} pub(super) async fn d() {} }
             impl Other { pub async fn e() {} } pub async fn f() {}",
        );
        assert_eq!(methods(&[source]), ["a".to_owned()].into());
    }

    #[test]
    fn a_call_has_parentheses_and_belongs_to_something() {
        let source = Source::new("tests/x.rs", "fn a() { store.b(1).await; Store::c(x); d(); assert!(s.e(y)); s.f }");
        assert_eq!(calls(&[source]), ["b", "c", "e"].map(str::to_owned).into());
    }
}
