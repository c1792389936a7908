//! TLS 1.3 in the node itself, with certificates that are read again when their files change.
//!
//! The key exchange prefers X25519MLKEM768; there is no older version of TLS and no fallback. A certificate is renewed by
//! replacing its two files: within `tls.reload_seconds` new connections get the new one, and open ones go on. Files that
//! cannot be read, or do not belong together, change nothing and are said in the log.
//!
//! Source: RFC 8446.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ServerConfig, crypto};
use tracing::{info, warn};

use super::config;

/// Why there is no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{path}: no certificate is in it", path = path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that is not known, or not the certificate's.
    #[error("certificate and key: {source}")]
    Pair {
        /// What is wrong.
        source: rustls::Error,
    },
}

/// The node's certificate, as connections get it.
#[derive(Debug)]
pub struct Certificate {
    files: config::Tls,
    current: RwLock<Loaded>,
}

#[derive(Clone, Debug)]
struct Loaded {
    /// What was read, to see a change by.
    chain: Vec<CertificateDer<'static>>,
    certified: Arc<CertifiedKey>,
}

impl Certificate {
    /// Reads the files; none if the settings name none.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &config::Tls) -> Result<Option<Arc<Self>>, TlsError> {
        if !files.is_on() {
            return Ok(None);
        }
        let current = RwLock::new(Loaded::read(files)?);
        Ok(Some(Arc::new(Self { files: files.clone(), current })))
    }

    /// Reads the files again. If they cannot be used, what was read before goes on.
    pub fn reload(&self) {
        match Loaded::read(&self.files) {
            Ok(loaded) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                if current.chain != loaded.chain {
                    info!(target: "node", "the certificate has changed");
                    *current = loaded;
                }
            }
            Err(error) => warn!(target: "node", %error, "the certificate was not read again"),
        }
    }

    /// How the node speaks TLS.
    ///
    /// # Errors
    /// If the library refuses its own provider.
    pub fn server_config(self: &Arc<Self>) -> io::Result<ServerConfig> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        Ok(builder.map_err(io::Error::other)?.with_no_client_auth().with_cert_resolver(resolver))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

impl Loaded {
    fn read(files: &config::Tls) -> Result<Self, TlsError> {
        let config::Tls { certificate_file, key_file, reload_seconds: _ } = files;
        let chain = certificates(certificate_file).map_err(|source| file_error(certificate_file, source))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: certificate_file.clone() });
        }
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|source| file_error(key_file, source))?;
        let provider = crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain.clone(), key, &provider);
        Ok(Self { chain, certified: Arc::new(certified.map_err(|source| TlsError::Pair { source })?) })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

fn file_error(path: &Path, source: pem::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), source }
}
