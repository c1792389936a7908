//! The layers of the program, and which may use which. The table is the design; the parts that are still
//! to come stand in it too.
//!
//! ```text
//! ids ← wire ← protocol::public ← protocol (holder) ← client ← (wasm, cli)
//!              protocol::public ← node;  node::custody alone may use the holder
//! ```

use std::fmt;

/// A part of the program. Its features are in `rules.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// `lib.rs` and `main.rs`.
    Root,
    Ids,
    Wire,
    /// `protocol::public`: what can be done without a secret.
    Public,
    /// The rest of `protocol`: what holds or uses a secret key.
    Holder,
    Node,
    Custody,
    Client,
    Wasm,
    Cli,
}

impl Layer {
    /// The layer of a module, or of what is in it; none if the design does not know the module.
    pub(crate) fn of(module: &[String]) -> Option<Self> {
        let mut names = module.iter().map(String::as_str);
        Some(match (names.next(), names.next()) {
            (None, _) => Self::Root,
            (Some("ids"), _) => Self::Ids,
            (Some("wire"), _) => Self::Wire,
            (Some("protocol"), Some("public")) => Self::Public,
            // Also what `protocol` names itself: whoever takes the whole module could reach every part of it.
            (Some("protocol"), _) => Self::Holder,
            (Some("node"), Some("custody")) => Self::Custody,
            (Some("node"), _) => Self::Node,
            (Some("client"), _) => Self::Client,
            (Some("wasm"), _) => Self::Wasm,
            (Some("cli"), _) => Self::Cli,
            (Some(_), _) => return None,
        })
    }

    pub(crate) fn may_use(self, other: Self) -> bool {
        use Layer::{Cli, Client, Custody, Holder, Ids, Node, Public, Root, Wasm, Wire};
        let below: &[Self] = match self {
            Root => &[Root, Ids, Wire, Public, Holder, Node, Custody, Client, Wasm, Cli],
            Ids => &[],
            Wire => &[Ids],
            Public => &[Ids, Wire],
            Holder => &[Ids, Wire, Public],
            // A session of the node owns its custody, where that is built in.
            Node => &[Ids, Wire, Public, Custody],
            Custody => &[Ids, Wire, Public, Holder, Node],
            Client => &[Ids, Wire, Public, Holder],
            Wasm => &[Ids, Wire, Public, Holder, Client],
            // One of the commands starts the node.
            Cli => &[Ids, Wire, Public, Holder, Client, Node],
        };
        self == other || below.contains(&other)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "the root of the crate",
            Self::Ids => "ids",
            Self::Wire => "wire",
            Self::Public => "protocol::public",
            Self::Holder => "protocol (holder)",
            Self::Node => "node",
            Self::Custody => "node::custody",
            Self::Client => "client",
            Self::Wasm => "wasm",
            Self::Cli => "cli",
        })
    }
}
