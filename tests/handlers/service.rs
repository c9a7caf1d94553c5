//! A service that takes deliveries: it notes every request and answers what it is told to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Method and path.
    pub line: String,
    /// Header lines, names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What to answer to the request of this number, from 0; `None`: never.
pub type Script = fn(usize, &Seen) -> Option<String>;

pub struct Service {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// An answer with its length.
pub fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

impl Service {
    pub async fn start(script: Script) -> Self {
        Self::listen(script, None).await
    }

    pub async fn start_tls(script: Script, config: rustls::ServerConfig) -> Self {
        Self::listen(script, Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(script: Script, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, script, &shared).await,
                        Some(tls) => {
                            // Where it fails, the client says what was wrong.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, &shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, script: Script, seen: &Mutex<Vec<Seen>>) {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut request = Seen { line: first, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        buffer.drain(..head + 4);
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        request.body = buffer.drain(..length).collect();
        let number = {
            let mut seen = seen.lock().expect("not poisoned");
            seen.push(request.clone());
            seen.len() - 1
        };
        match script(number, &request) {
            Some(answer) => {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// An authority with a directory for what it signs.
pub struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a folder");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("signed");
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { directory, issuer: Issuer::new(parameters, key) }
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Files of a certificate and its key.
    pub fn sign(&self, file: &str, name: &str, usage: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        parameters.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("signed");
        let path = |ending: &str| self.directory.path().join(format!("{file}.{ending}"));
        std::fs::write(path("pem"), certificate.pem()).expect("written");
        std::fs::write(path("key"), key.serialize_pem()).expect("written");
        (path("pem"), path("key"))
    }

    /// A server for this name that asks for client certificates of this authority.
    pub fn server(&self, name: &str) -> rustls::ServerConfig {
        let provider = qtop::link::install_crypto();
        let (certificate, key) = self.sign("server", name, ExtendedKeyUsagePurpose::ServerAuth);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file()).expect("PEM")).expect("an authority");
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.expect("a verifier"))
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certificate).expect("PEM")],
                PrivateKeyDer::from_pem_file(key).expect("PEM"),
            )
            .expect("a server")
    }
}
