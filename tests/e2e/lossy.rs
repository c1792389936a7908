//! What stands between a client and a node: it carries bytes, and loses answers when it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A way to a node. Calls that write to the vault can lose their answers on it: the node has done them then.
pub(crate) struct Lossy {
    pub(crate) url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    node: Mutex<String>,
    to_lose: AtomicUsize,
}

impl Lossy {
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared { node: Mutex::new(address(url)), to_lose: AtomicUsize::new(0) });
        let way = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(carry(client, Arc::clone(&shared)));
                }
            }
        });
        Self { url: way, shared, accepting }
    }

    /// From now on new connections lead to another node.
    pub(crate) fn lead_to(&self, url: &str) {
        *self.shared.node.lock().unwrap() = address(url);
    }

    /// Loses the answers of the next writes to a vault.
    pub(crate) fn lose_answers(&self, count: usize) {
        self.shared.to_lose.store(count, Ordering::SeqCst);
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn address(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

/// One connection, until one side closes it or an answer is lost.
async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    let node = shared.node.lock().unwrap().clone();
    let Ok(mut node) = TcpStream::connect(node).await else { return };
    let (mut from_client, mut from_node) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_write = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(count @ 1..) => {
                    let bytes = &from_client[..count];
                    // A call begins at the start of what is read: the next one waits for the answer.
                    is_write |= bytes.starts_with(b"PUT /api/vault/") || bytes.starts_with(b"DELETE /api/vault/");
                    if node.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = node.read(&mut from_node) => match read {
                Ok(count @ 1..) => {
                    let is_lost = is_write && take_one(&shared.to_lose);
                    is_write = false;
                    if is_lost || client.write_all(&from_node[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
