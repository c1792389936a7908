//! A real node on a free port with a folder of its own, a clock that tests move, and what a stranger with an
//! HTTP client does to it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use conclave::node::clock::{Clock, ManualClock};
use conclave::node::config::Settings;
use conclave::node::lifecycle::Node;
use conclave::node::store::Store;
use conclave::wire::{ErrorCode, FlowStarted, Problem, SecretText, SessionTokens, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::rustls::version;

pub(crate) use crate::node_process::DataFolder;
use crate::tls;

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A node that runs in this process.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    pub(crate) clock: ManualClock,
    api: Api,
    folder: DataFolder,
}

/// A node as those see it who reach it by its address alone.
pub(crate) struct Api {
    pub(crate) url: String,
    http: Client,
    /// What is trusted, if it speaks TLS.
    certificate: Option<String>,
}

/// What goes both ways, plain or over TLS.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

impl Deref for TestNode {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// A node whose settings are the defaults, but for what `change` does to them.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(DataFolder::new(), ManualClock::at(START), change).await
    }

    /// A node whose clock shows what the system's does: for what runs beside it in a process of its own.
    pub(crate) async fn start_beside(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(DataFolder::new(), ManualClock::at(Clock::system().now()), change).await
    }

    async fn start_in(folder: DataFolder, clock: ManualClock, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        settings.server.address.set_port(0);
        settings.metrics.address.set_port(0);
        settings.store.folder = folder.path().to_owned();
        change(&mut settings);
        let node = Node::start(settings, clock.clone().into()).await.unwrap();
        Self { api: Api::at(node.public_url().as_str()), node, clock, folder }
    }

    /// A connection to its database, beside its own.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join(Store::FILE_NAME)).unwrap()
    }

    /// Stops the node and starts another on the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(async |_| ()).await
    }

    /// As [`restart`](Self::restart), with other settings.
    #[cfg(feature = "custody")]
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { node, clock, api: _, folder } = self;
        node.stop().await;
        Self::start_in(folder, clock, change).await
    }

    /// As [`restart`](Self::restart); in between something is done to the store, which is closed then.
    pub(crate) async fn restart_after(self, change: impl AsyncFnOnce(&Store)) -> Self {
        let Self { node, clock, api: _, folder } = self;
        node.stop().await;
        let store = Store::open(folder.path()).await.unwrap();
        change(&store).await;
        store.close().await;
        Self::start_in(folder, clock, |_| ()).await
    }

    /// The same node, for a client that trusts that certificate.
    pub(crate) fn trusting(self, certificate: &str) -> Self {
        Self { api: Api::trusting(&self.url, certificate), ..self }
    }

    pub(crate) async fn stop(self) {
        self.node.stop().await;
    }
}

impl Api {
    /// The node at an address.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), http: client().build().unwrap(), certificate: None }
    }

    /// The node at an address, which shows that certificate.
    pub(crate) fn trusting(url: &str, certificate: &str) -> Self {
        let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let http = client().tls_certs_only([trusted]).build().unwrap();
        Self { url: url.to_owned(), http, certificate: Some(certificate.to_owned()) }
    }

    /// A connection, over TLS if the node speaks it.
    pub(crate) async fn connect(&self) -> Box<dyn Connection> {
        self.over(TcpStream::connect(self.address()).await.unwrap()).await.unwrap()
    }

    /// A connection from another address of this machine, whose system keeps next to nothing; none if the node does not have it.
    pub(crate) async fn connect_from(&self, local: &str) -> Option<Box<dyn Connection>> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(local.parse().unwrap()).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        self.over(socket.connect(self.address()).await.unwrap()).await
    }

    async fn over(&self, stream: TcpStream) -> Option<Box<dyn Connection>> {
        match &self.certificate {
            None => Some(Box::new(stream)),
            Some(certificate) => Some(Box::new(tls::speak(stream, certificate, &version::TLS13).await?)),
        }
    }

    fn address(&self) -> SocketAddr {
        self.url.split_once("://").unwrap().1.parse().unwrap()
    }

    /// A connection to a node without TLS of which the reader's system keeps little, and never more than that.
    pub(crate) async fn connect_narrow(&self) -> Box<dyn Connection> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(256 * 1024).unwrap();
        assert!(self.certificate.is_none());
        Box::new(socket.connect(self.address()).await.unwrap())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&SecretText>) -> Answer {
        Answer::of(with_token(self.request(Method::GET, path), token)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: Option<&SecretText>, body: &Value) -> Answer {
        Answer::of(with_token(self.request(method, path).json(body), token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: Option<&SecretText>, body: &Value) -> Answer {
        self.send(Method::POST, path, token, body).await
    }

    pub(crate) async fn put(&self, path: &str, token: Option<&SecretText>, body: &Value) -> Answer {
        self.send(Method::PUT, path, token, body).await
    }

    pub(crate) async fn delete(&self, path: &str, token: Option<&SecretText>) -> Answer {
        Answer::of(with_token(self.request(Method::DELETE, path), token)).await
    }

    /// Begins a sign-in.
    pub(crate) async fn start_flow(&self) -> FlowStarted {
        self.post("/api/auth/flows", None, &json!({ "provider": "development" })).await.ok()
    }

    /// Begins a sign-in at a provider.
    pub(crate) async fn start_flow_at(&self, provider: &str) -> FlowStarted {
        self.post("/api/auth/flows", None, &json!({ "provider": provider })).await.ok()
    }

    /// Sends the provider's form, as a browser would.
    pub(crate) async fn give_name(&self, authorization_url: &str, name: &str) -> Answer {
        let form = self.http.post(authorization_url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        Answer::of(form.body(format!("name={name}"))).await
    }

    /// Signs in at the provider; the code and the state that come back.
    pub(crate) async fn authorize(&self, authorization_url: &str, name: &str) -> (String, String) {
        self.give_name(authorization_url, name).await.redirected()
    }

    pub(crate) async fn complete(&self, code: &str, state: &str) -> Answer {
        self.post("/api/auth/flows/complete", None, &json!({ "code": code, "state": state })).await
    }

    /// The whole sign-in.
    pub(crate) async fn sign_in(&self, name: &str) -> SessionTokens {
        let flow = self.start_flow().await;
        let (code, state) = self.authorize(flow.authorization_url.expose(), name).await;
        assert_eq!(state, flow.state.expose());
        self.complete(&code, &state).await.ok()
    }

    pub(crate) async fn refresh(&self, token: &SecretText) -> Answer {
        self.post("/api/auth/refresh", None, &json!({ "refresh_token": token })).await
    }

    /// Whether an access token is good.
    pub(crate) async fn accepts(&self, token: &SecretText) -> bool {
        let answer = self.get("/api/auth/sessions", Some(token)).await;
        if answer.status == 200 {
            return true;
        }
        answer.refused(401, ErrorCode::TokenRefused);
        false
    }
}

fn client() -> ClientBuilder {
    Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(30))
}

fn with_token(request: RequestBuilder, token: Option<&SecretText>) -> RequestBuilder {
    match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {}", token.expose())),
        None => request,
    }
}

/// What the node answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of a call that succeeded.
    #[track_caller]
    pub(crate) fn ok<T: DeserializeOwned>(&self) -> T {
        assert_eq!((self.status, self.header("content-type")), (200, "application/json"), "{}", self.body);
        assert_eq!(self.header("cache-control"), "no-store");
        serde_json::from_str(&self.body).unwrap()
    }

    /// A call that succeeded and has nothing to say.
    #[track_caller]
    pub(crate) fn done(&self) {
        assert_eq!((self.status, self.body.as_str()), (204, ""));
    }

    /// A call that was refused in the one form that errors have.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: ErrorCode) {
        assert_eq!(self.header("content-type"), Problem::MEDIA_TYPE, "{} {}", self.status, self.body);
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!((self.status, problem.status, problem.code), (status, status, code), "{}", self.body);
        assert!(!problem.title.is_empty());
    }

    /// The code and the state that a browser is sent back with.
    #[track_caller]
    pub(crate) fn redirected(&self) -> (String, String) {
        assert_eq!(self.status, 303, "{}", self.body);
        let query = self.header(LOCATION.as_str()).split_once("?code=").unwrap().1;
        let (code, state) = query.split_once("&state=").unwrap();
        (code.to_owned(), state.to_owned())
    }
}
