//! TLS 1.3 in the node: REST and sockets over it, nothing older, and certificates that change while it runs.

use std::sync::Arc;

use conclave::node::clock::Clock;
use conclave::node::config::{Bounded, Settings};
use conclave::node::lifecycle::Node;
use conclave::wire::{Encoding, Message, Providers};
use futures_util::{SinkExt, StreamExt};
use rcgen::generate_simple_self_signed;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{SupportedKxGroup, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version,
};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::server::{Api, DataFolder, TestNode};
use crate::socket::request;

/// A certificate for this machine, with its key, as two files.
pub(crate) struct Files {
    folder: DataFolder,
    certificate: String,
}

impl Files {
    pub(crate) fn new() -> Self {
        let mut files = Self { folder: DataFolder::new(), certificate: String::new() };
        files.renew();
        files
    }

    /// Another certificate and key in the same files.
    fn renew(&mut self) {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        self.certificate = made.cert.pem();
        self.folder.write("key.pem", &made.signing_key.serialize_pem());
        self.folder.write("certificate.pem", &self.certificate);
    }

    pub(crate) fn name_in(&self, settings: &mut Settings) {
        settings.tls.certificate_file = self.folder.path().join("certificate.pem");
        settings.tls.key_file = self.folder.path().join("key.pem");
        settings.tls.reload_seconds = Bounded::of::<1>();
    }

    /// Waits until new connections get the certificate as it is now.
    async fn until_used(&self, node: &TestNode) {
        while self.connect(node, &version::TLS13).await.is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// A connection of a client that trusts the certificate as it is now and speaks one version of TLS.
    async fn connect(
        &self,
        node: &TestNode,
        version: &'static SupportedProtocolVersion,
    ) -> Option<TlsStream<TcpStream>> {
        speak(TcpStream::connect(node.node.address()).await.unwrap(), &self.certificate, version).await
    }

    /// The certificate as it is now, in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }
}

/// What TLS makes of a connection, for a client that trusts that certificate; none if there is no agreement.
pub(crate) async fn speak(
    stream: TcpStream,
    certificate: &str,
    version: &'static SupportedProtocolVersion,
) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

#[actix_web::test]
async fn rest_and_sockets_go_over_tls() {
    let files = Files::new();
    let node = TestNode::start_with(|settings| files.name_in(settings)).await;
    assert!(node.url.starts_with("https://"), "{}", node.url);

    let api = Api::trusting(&node.url, &files.certificate);
    let providers: Providers = api.get("/api/auth/providers", None).await.ok();
    assert_eq!(providers.providers[0].name, "development");

    let stream = files.connect(&node, &version::TLS13).await.unwrap();
    let (_, connection) = stream.get_ref();
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = connection.negotiated_key_exchange_group().map(SupportedKxGroup::name);
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    let mut asked = request(&node, Encoding::Json.subprotocol(), &[]);
    *asked.uri_mut() = format!("ws{}/ws", node.url.trim_start_matches("http").trim_start_matches('s')).parse().unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(asked, stream).await.unwrap();
    socket.send(Frame::text(r#"{"hello":{"id":1}}"#)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap().into_data();
    assert!(matches!(Message::parse(&answer, Encoding::Json).unwrap(), Message::Error { id: 1, .. }));
    drop(socket);
    node.stop().await;
}

#[actix_web::test]
async fn nothing_older_than_tls_1_3_is_spoken() {
    let files = Files::new();
    let node = TestNode::start_with(|settings| files.name_in(settings)).await;
    assert!(files.connect(&node, &version::TLS12).await.is_none());
    assert!(files.connect(&node, &version::TLS13).await.is_some());
    node.stop().await;
}

#[actix_web::test]
async fn a_certificate_that_is_renewed_is_used_and_a_broken_one_is_not() {
    let mut files = Files::new();
    let node = TestNode::start_with(|settings| files.name_in(settings)).await;
    let before = files.connect(&node, &version::TLS13).await.unwrap();

    files.renew();
    files.until_used(&node).await;
    // What cannot be read changes nothing, and does not keep the next one out.
    files.folder.write("certificate.pem", "nonsense");
    assert!(files.connect(&node, &version::TLS13).await.is_some());
    files.renew();
    files.until_used(&node).await;
    drop(before);
    node.stop().await;
}

#[actix_web::test]
async fn files_that_cannot_be_used_are_named() {
    let (files, other) = (Files::new(), Files::new());
    let start = async |change: &dyn Fn(&mut Settings)| {
        let folder = DataFolder::new();
        let mut settings = Settings::default();
        settings.server.address.set_port(0);
        settings.metrics.address.set_port(0);
        settings.store.folder = folder.path().to_owned();
        files.name_in(&mut settings);
        change(&mut settings);
        Node::start(settings, Clock::system()).await.unwrap_err().to_string()
    };

    let error = start(&|settings| settings.tls.key_file = std::path::PathBuf::new()).await;
    assert!(error.contains("tls.certificate_file: a certificate needs its key"), "{error}");
    let error = start(&|settings| settings.tls.certificate_file = "/nowhere/certificate.pem".into()).await;
    assert!(error.contains("/nowhere/certificate.pem"), "{error}");
    let error = start(&|settings| settings.tls.key_file = other.folder.path().join("key.pem")).await;
    assert!(error.contains("certificate and key"), "{error}");
}
