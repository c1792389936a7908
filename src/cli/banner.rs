//! What `conclave serve` says when it is up: where it listens, what is on, what to try.

use crate::node::lifecycle::Node;

/// A few lines.
pub(super) fn banner(node: &Node) -> String {
    let url = node.public_url().as_str();
    let folder = node.settings().store.folder.display();
    let providers: Vec<_> = node.providers().collect();
    let sign_in = if providers.is_empty() { "nobody can: no provider is on".to_owned() } else { providers.join(", ") };
    let metrics = node.metrics_address().map_or("off".to_owned(), |address| format!("http://{address}/metrics"));
    let scheme = if node.settings().tls.is_on() { "https" } else { "http" };
    let custody =
        if node.settings().custody.enabled { "; custody: this node can read rooms whose keys it holds" } else { "" };
    let facts = format!(
        "Conclave {version} listens on {scheme}://{address}\n  \
         data      {folder} (SQLite)\n  \
         sign-in   {sign_in}\n  \
         metrics   {metrics}\n  \
         on        accounts, device lists, prekeys, rooms, mailboxes and vaults; sockets at /ws{custody}\n",
        version = env!("CARGO_PKG_VERSION"),
        address = node.address(),
    );
    if providers.contains(&"development") { format!("{facts}\n{}", to_try(url)) } else { facts }
}

/// What to type in another terminal; and for those who write programs the two calls of a sign-in, and one with its token.
fn to_try(url: &str) -> String {
    format!(
        "Talk, as two people with a terminal each (in the second one, grace in place of ada):\n  \
         export CONCLAVE_PROFILE=$HOME/conclave-ada\n  \
         conclave login --url {url} --name ada\n  \
         conclave room create garden\n  \
         conclave room invite garden        # prints what grace types in place of these two\n  \
         conclave chat garden\n\n\
         Or call it, each line with what the one before answered:\n  \
         curl -s --json '{{\"provider\":\"development\"}}' {url}/api/auth/flows\n  \
         curl -s -d name=ada -w '%{{redirect_url}}\\n' 'AUTHORIZATION_URL'\n  \
         curl -s --json '{{\"code\":\"CODE\",\"state\":\"STATE\"}}' {url}/api/auth/flows/complete\n  \
         curl -s -H 'Authorization: Bearer ACCESS_TOKEN' {url}/api/auth/sessions\n\n"
    )
}
