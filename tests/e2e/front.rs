//! What stands between a client and a node: it can be led to another node, closed, and cut wherever a test wants.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::process::NodeProcess;

/// An address that stays while nodes come and go.
pub(crate) struct Front {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Where connections lead; none are taken without it.
    target: Option<String>,
    /// Bytes that pass before everything is cut once.
    cut_after: Option<usize>,
    connections: JoinSet<()>,
}

impl Front {
    pub(crate) async fn before(node: &NodeProcess) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        tokio::spawn(accept(listener, Arc::clone(&state)));
        let front = Self { url, state };
        front.lead_to(node);
        front
    }

    pub(crate) fn lead_to(&self, node: &NodeProcess) {
        self.state.lock().unwrap().target = Some(node.url.trim_start_matches("http://").to_owned());
    }

    /// Cuts what there is and takes nothing new.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap().target = None;
        self.cut();
    }

    /// Cuts what there is.
    pub(crate) fn cut(&self) {
        self.state.lock().unwrap().connections.abort_all();
    }

    /// Cuts once, when so many more bytes have passed in either direction.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.state.lock().unwrap().cut_after = Some(bytes);
    }

    /// Whether the cut that was asked for has happened.
    pub(crate) fn was_cut(&self) -> bool {
        self.state.lock().unwrap().cut_after.is_none()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let target = state.lock().unwrap().target.clone();
        let Some(target) = target else { continue };
        let forward = forward(client, target, Arc::clone(&state));
        state.lock().unwrap().connections.spawn(forward);
    }
}

async fn forward(client: TcpStream, target: String, state: Arc<Mutex<State>>) {
    let Ok(node) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::select! {
        () = copy(from_client, to_node, &state) => {}
        () = copy(from_node, to_client, &state) => {}
    }
}

async fn copy(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, state: &Mutex<State>) {
    let mut buffer = vec![0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let (passing, is_cut) = pass(length, state);
        if to.write_all(&buffer[..passing]).await.is_err() || is_cut {
            return;
        }
    }
}

/// How many of these bytes pass, and whether that is the end.
fn pass(length: usize, state: &Mutex<State>) -> (usize, bool) {
    let mut state = state.lock().unwrap();
    match &mut state.cut_after {
        Some(left) if *left <= length => {
            let passing = *left;
            state.cut_after = None;
            (passing, true)
        }
        Some(left) => {
            *left -= length;
            (length, false)
        }
        None => (length, false),
    }
}
