//! The node's life: start, readiness, stop.
//!
//! Start: the settings are checked, the listener is bound, the data folder is taken, the store in it is opened and brought
//! up to date, then requests are answered. Whatever fails on the way fails the start.
//!
//! Stop, on SIGTERM or SIGINT: the node says that it is not ready, for `server.stop_notice_seconds` and goes on meanwhile, so
//! that whatever spreads the load sends nobody any more. Then it takes no new connections, finishes what is
//! under way within `server.stop_seconds_max`, and closes the store. What was acknowledged is on disk
//! at any time, so a node that is killed loses nothing of it either.

use core::time::Duration;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_http::{HttpService, TlsAcceptorConfig};
use actix_server::{Server, ServerHandle};
use actix_service::map_config;
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::{self, task::JoinHandle};
use actix_web::web::Data;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::actors::{Routes, Signers, Supervisor, Upgrades};
use super::auth::{self, DevelopmentProvider, Provider, ProvidersError, Redirects, SignIn};
use super::clock::Clock;
use super::config::{self, ConfigError, PublicAddress, Settings, WebAddress};
use super::connections::Shared;
#[cfg(feature = "custody")]
use super::custody::{KeeperParts, Times};
use super::http::{self, Custody, NodeState, RateLimits, Readiness};
use super::metrics::{self, Metrics};
use super::store::{CommitMeter, Store, StoreError, StoreOptions};
use super::tls::{Certificate, TlsError};
use super::turn::Turn;

/// How often what has expired is removed from the store.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// How often what histograms have gathered is added up.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// How long a client that was answered while it was still sending may go on: what comes is dropped. Were its connection closed
/// at once, the system would reset it, and the client might never see the answer.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings that do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sign-in providers cannot be used as they are set.
    #[error(transparent)]
    Providers(#[from] ProvidersError),
    /// The folder of the database cannot be made or used.
    #[error("cannot use the folder {path} (store.folder): {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another node runs on the folder of the database. Each would number the messages of its rooms by itself.
    #[error("another node uses the folder {path} (store.folder)", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The database cannot be opened.
    #[error("cannot open the database in {path} (store.folder): {source}", path = path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// The certificate cannot be used.
    #[error("cannot speak TLS (tls.certificate_file, tls.key_file): {0}")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (server.address): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The address of the metrics cannot be listened on.
    #[error("cannot listen on {address} (metrics.address): {source}")]
    ListenMetrics {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system's signals cannot be received.
    #[error("cannot wait for signals: {source}")]
    Signals {
        /// Why not.
        source: io::Error,
    },
}

/// A node that runs. Dropping it does not stop it: [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    public_url: WebAddress,
    state: Data<NodeState>,
    server: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    metrics: Option<MetricsServer>,
    upkeep: JoinHandle<()>,
    folder: HeldFolder,
}

impl Node {
    /// Starts a node on the calling thread's actix system, and returns when it answers.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        settings.check(&|_| "the settings".to_owned())?;
        let wanted = settings.server.address;
        let listen_error = |source| StartError::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let watched = listen_for_metrics(&settings)?;
        let public_url = public_url(&settings, address);
        let turn = Turn::new(&settings.turn)?;
        let providers = auth::providers(&settings, &public_url, &clock)?;
        let certificate = Certificate::load(&settings.tls)?;
        let metrics = Arc::new(Metrics::new());
        metrics.start(clock.now());
        let folder = HeldFolder::take(&settings.store.folder)?;
        let store = open_store(&settings, CommitMeter::new(clock.clone(), Arc::clone(&metrics))).await?;
        let state = Data::new(state(settings, clock, store.clone(), public_url.clone(), providers, turn, metrics));
        Supervisor::start_with(&state, state.settings.custody.nonce_ttl_seconds.seconds());
        let http = serve(listener, certificate.as_ref(), &state).map_err(listen_error);
        let both = http.and_then(|server| Ok((server, watched.map(|it| it.serve(&state)).transpose()?)));
        let (server, metrics) = match both {
            Ok(both) => both,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let handle = server.handle();
        let (serving, upkeep) = (rt::spawn(server), rt::spawn(keep_up(state.clone(), certificate)));
        info!(target: "node", "started");
        Ok(Self { address, public_url, state, server: handle, serving, metrics, upkeep, folder })
    }

    /// Where the node listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it shows what it counts, if it does.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// What people and browsers use to reach it.
    #[must_use]
    pub const fn public_url(&self) -> &WebAddress {
        &self.public_url
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// The names of the sign-in providers that are on.
    pub fn providers(&self) -> impl Iterator<Item = &str> + '_ {
        self.state.sign_in.providers()
    }

    /// What its parts share, for the tests of those parts.
    #[cfg(test)]
    pub(in crate::node) const fn state(&self) -> &Data<NodeState> {
        &self.state
    }

    /// Runs until one of the signals comes, then stops, after `server.stop_notice_seconds` or a second signal.
    pub async fn run(self, mut signals: StopSignals) {
        signals.one().await;
        self.leave();
        let notice = self.settings().server.stop_notice_seconds.seconds();
        tokio::select! {
            () = tokio::time::sleep(notice) => {}
            () = signals.one() => {}
        }
        self.stop().await;
    }

    /// Says from now on that it is not ready, and goes on as before.
    pub fn leave(&self) {
        info!(target: "node", "not ready any more");
        self.state.readiness.leave();
    }

    /// Stops: not ready, no new connections, the requests under way within their time, the store closed.
    pub async fn stop(self) {
        let Self { address: _, public_url: _, state, server, serving, metrics, upkeep, folder } = self;
        info!(target: "node", "stopping");
        state.readiness.stop();
        state.routes.drain().await;
        if let Some(custody) = &state.custody {
            custody.drain().await;
        }
        server.stop(true).await;
        match serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(target: "node", %error, "the listener ended with an error"),
            Err(error) => warn!(target: "node", %error, "the listener ended badly"),
        }
        upkeep.abort();
        if let Some(metrics) = metrics {
            metrics.stop().await;
        }
        state.store.close().await;
        drop(folder);
        info!(target: "node", "stopped");
    }
}

/// Where the metrics are to be served.
struct MetricsListener {
    address: SocketAddr,
    listener: TcpListener,
}

/// Binds the address of the metrics, if they are on.
fn listen_for_metrics(settings: &Settings) -> Result<Option<MetricsListener>, StartError> {
    let config::Metrics { enabled, address } = settings.metrics;
    if !enabled {
        return Ok(None);
    }
    let bound = TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|source| StartError::ListenMetrics { address, source })?;
    Ok(Some(MetricsListener { address, listener }))
}

impl MetricsListener {
    fn serve(self, state: &Data<NodeState>) -> Result<MetricsServer, StartError> {
        let Self { address, listener } = self;
        let server = metrics::serve(listener, state);
        let server = server.map_err(|source| StartError::ListenMetrics { address, source })?;
        Ok(MetricsServer { address, server: server.handle(), serving: rt::spawn(server) })
    }
}

/// What serves the metrics: from before the node takes requests until it has answered the last.
#[derive(Debug)]
struct MetricsServer {
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
}

impl MetricsServer {
    async fn stop(self) {
        self.server.stop(false).await;
        // How it ends is of no consequence.
        let _ = self.serving.await;
    }
}

/// The signals that tell a process to stop: SIGTERM and SIGINT. They are listened for from the moment that this is
/// made, so it is made before anybody is told that the node runs.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens for them; none of them ends the process by itself any more.
    ///
    /// # Errors
    /// [`StartError::Signals`].
    pub fn listen() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(|source| StartError::Signals { source });
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Holds the data folder for one node. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
struct HeldFolder(File);

impl HeldFolder {
    /// The file that is locked.
    const LOCK: &str = "conclave.lock";

    /// Takes the folder. It is made, readable by its owner alone, if it is not there.
    fn take(path: &Path) -> Result<Self, StartError> {
        match Self::lock(path) {
            Ok(file) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StartError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StartError::Folder { path: path.to_owned(), source }),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a store is a file")]
    fn lock(path: &Path) -> Result<File, TryLockError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(TryLockError::Error)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = options.open(path.join(Self::LOCK)).map_err(TryLockError::Error)?;
        file.try_lock().map(|()| file)
    }
}

impl Drop for HeldFolder {
    fn drop(&mut self) {
        // Closing the file alone does not do it while a child that this process begins has it too.
        let _ = self.0.unlock();
    }
}

/// Opens the store in its folder.
async fn open_store(settings: &Settings, meter: CommitMeter) -> Result<Store, StartError> {
    let path = settings.store.folder.clone();
    let options = StoreOptions { meter: Some(meter), ..StoreOptions::default() };
    Store::open_with(&path, options).await.map_err(|source| StartError::Store { path, source })
}

fn state(
    settings: Settings,
    clock: Clock,
    store: Store,
    public_url: WebAddress,
    mut providers: Vec<Provider>,
    turn: Option<Turn>,
    metrics: Arc<Metrics>,
) -> NodeState {
    let redirects = Redirects::new(&public_url, &settings.sign_in.redirect_urls);
    let development = settings
        .sign_in
        .development
        .then(|| DevelopmentProvider::new(store.clone(), clock.clone(), redirects, &public_url));
    providers.extend(development.iter().cloned().map(Provider::Development));
    let sign_in = settings.sign_in.clone();
    let (routes, signers) = (Routes::default(), Signers::default());
    let custody = custody(&settings, &routes, &signers, &store, &clock, &metrics);
    NodeState {
        sign_in: SignIn::new(
            store.clone(),
            clock.clone(),
            sign_in,
            public_url.clone(),
            providers,
            Arc::clone(&metrics),
            routes.clone(),
        ),
        public_url,
        development,
        turn,
        routes,
        signers,
        custody,
        limits: RateLimits::new(&settings.limits, &clock, &metrics),
        metrics,
        readiness: Readiness::default(),
        settings,
        clock,
        store,
    }
}

/// The keys that the node holds, if it is to hold any.
#[cfg(feature = "custody")]
fn custody(
    settings: &Settings,
    routes: &Routes,
    signers: &Signers,
    store: &Store,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Option<Custody> {
    let custody = &settings.custody;
    custody.enabled.then(|| {
        Custody::new(KeeperParts {
            routes: routes.clone(),
            signers: signers.clone(),
            store: store.clone(),
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
            times: Times {
                key_age_max: custody.key_age_max(),
                key_rotation: custody.key_rotation(),
                nonce_ttl: custody.nonce_ttl_seconds.seconds(),
            },
            idle_check_every: KeeperParts::IDLE_CHECK_EVERY,
        })
    })
}

/// This build can hold none.
#[cfg(not(feature = "custody"))]
fn custody(_: &Settings, _: &Routes, _: &Signers, _: &Store, _: &Clock, _: &Arc<Metrics>) -> Option<Custody> {
    None
}

/// Serves REST by actix-web, and hands upgrades to the actors. It is actix-web's own server, but for that hook.
fn serve(listener: TcpListener, certificate: Option<&Arc<Certificate>>, state: &Data<NodeState>) -> io::Result<Server> {
    let settings = &state.settings.server;
    let mut server = Server::build()
        .disable_signals()
        .max_concurrent_connections(settings.connections_per_worker_max.value() as usize)
        .shutdown_timeout(u64::from(settings.stop_seconds_max.value()));
    if settings.workers.value() > 0 {
        server = server.workers(settings.workers.value() as usize);
    }
    let state = state.clone();
    let stopping = server.graceful_shutdown_signal();
    let server = match certificate {
        None => server.listen("http", listener, move || Shared::new(service!(state, stopping).tcp(), state.clone()))?,
        Some(certificate) => {
            let tls = certificate.server_config()?;
            let limit = settings.header_seconds_max.seconds();
            server.listen("https", listener, move || {
                let accept = TlsAcceptorConfig::default().handshake_timeout(limit);
                let service = service!(state, stopping).rustls_0_23_with_config(tls.clone(), accept);
                Shared::new(service, state.clone())
            })?
        }
    };
    Ok(server.run())
}

/// What is served on one connection, whatever stream it is. A macro, because the type has no name.
macro_rules! service {
    ($state:ident, $stopping:ident) => {{
        let app = App::new().app_data($state.clone()).configure(http::routes);
        let app = if $state.development.is_some() { app.configure(http::development_routes) } else { app };
        let app = app.wrap(from_fn(http::within_time)).wrap(from_fn(http::framed));
        let settings = &$state.settings.server;
        HttpService::build()
            .tcp_nodelay(true)
            .client_request_timeout(settings.header_seconds_max.seconds())
            .keep_alive(settings.keep_alive_seconds.seconds())
            .client_disconnect_timeout(LINGER_MAX)
            // Without it a stop would wait for connections that idle until their keep-alive is over.
            .graceful_shutdown_signal({
                let stopping = $stopping.clone();
                move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                }
            })
            .upgrade(Upgrades::new($state.clone()))
            .finish(map_config(app, |()| AppConfig::default()))
    }};
}
use service;

fn public_url(settings: &Settings, address: SocketAddr) -> WebAddress {
    match &settings.server.public_url {
        PublicAddress::Given(address) => address.clone(),
        PublicAddress::Derived => WebAddress::of(if settings.tls.is_on() { "https" } else { "http" }, address),
    }
}

/// Drops rate limits that are as good as new, and what has expired in the store.
async fn keep_up(state: Data<NodeState>, certificate: Option<Arc<Certificate>>) {
    let mut reload = tokio::time::interval(state.settings.tls.reload_seconds.seconds());
    let mut prune = tokio::time::interval(http::PRUNE_EVERY);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut settle = tokio::time::interval(SETTLE_EVERY);
    loop {
        tokio::select! {
            _ = reload.tick() => {
                if let Some(certificate) = &certificate {
                    certificate.reload();
                }
            }
            _ = settle.tick() => state.metrics.settle(),
            _ = prune.tick() => state.limits.prune(),
            _ = sweep.tick() => {
                if let Err(error) = state.store.remove_expired(state.clock.now()).await {
                    warn!(target: "node", %error, "what has expired was not removed");
                }
            }
        }
    }
}
