//! TLS by rustls: authorities, client certificates, and what a failed handshake means (S16).

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::{ConnectFailure, TlsFailure};
use super::options::TlsOptions;

/// Makes ring the crypto of the whole process, once. Other users of rustls in the process need this too.
pub fn install_crypto() -> Arc<CryptoProvider> {
    // An error says that somebody was faster, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

/// The settings of a TLS client for these options, also for what is no connection to Redis.
///
/// # Errors
/// Names the file that cannot be used.
pub fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, ConnectFailure> {
    let provider = install_crypto();
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectFailure::Tls(TlsFailure::Other(error.to_string())))?;
    let builder = if options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(match &options.authorities {
            Some(path) => own_authorities(path)?,
            None => known_authorities().clone(),
        })
    };
    let config = match (&options.certificate, &options.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate, "client certificate")?, private_key(key)?)
            .map_err(|error| unreadable("client certificate and key", certificate, error.to_string()))?,
        (Some(path), None) => {
            return Err(unreadable("client certificate", path, "its key file is not given".to_owned()));
        }
        (None, Some(path)) => {
            return Err(unreadable("client key", path, "its certificate file is not given".to_owned()));
        }
    };
    Ok(Arc::new(config))
}

/// The name to expect in the certificate.
pub(super) fn server_name(options: &TlsOptions, host: &str) -> Result<ServerName<'static>, ConnectFailure> {
    let name = options.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned())
        .map_err(|_| ConnectFailure::Tls(TlsFailure::Other(format!("{name:?} cannot be the name in a certificate"))))
}

/// Public authorities and those the system trusts. Read once: it takes some milliseconds.
fn known_authorities() -> &'static RootCertStore {
    static KNOWN: OnceLock<RootCertStore> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        // A broken entry of the system must not take away the others.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    })
}

fn own_authorities(path: &Path) -> Result<RootCertStore, ConnectFailure> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, "certificate authority")? {
        store.add(certificate).map_err(|error| unreadable("certificate authority", path, error.to_string()))?;
    }
    Ok(store)
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, ConnectFailure> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(what, path, pem_problem(&error)))?;
    match found.is_empty() {
        true => Err(unreadable(what, path, "there is no certificate in it".to_owned())),
        false => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConnectFailure> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable("client key", path, pem_problem(&error)))
}

fn pem_problem(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "there is none in it".to_owned(),
        // The library's words may quote the file.
        _ => "it is not in PEM form".to_owned(),
    }
}

fn unreadable(what: &'static str, path: &Path, cause: String) -> ConnectFailure {
    ConnectFailure::File { what, path: path.to_owned(), cause }
}

/// What a TLS library error means to a person.
pub(super) fn failure(error: &rustls::Error) -> TlsFailure {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFailure::NotValidYet,
            // A bad signature: an authority of that name is trusted, but it is another one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFailure::UnknownIssuer,
            CertificateError::NotValidForName => TlsFailure::WrongName { names: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                TlsFailure::WrongName { names: presented.clone() }
            }
            CertificateError::Revoked => TlsFailure::Revoked,
            problem => TlsFailure::Other(format!("the server's certificate is not valid: {problem}")),
        },
        Error::AlertReceived(AlertDescription::CertificateRequired) => TlsFailure::ClientCertificateMissing,
        Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied
            // An authority of that name is trusted, but it is another one.
            | AlertDescription::DecryptError),
        ) => TlsFailure::ClientCertificateRefused(format!("{alert:?}")),
        Error::InvalidMessage(_) => TlsFailure::NotTls,
        error => TlsFailure::Other(error.to_string()),
    }
}

/// The TLS error inside an I/O error, if there is one.
pub(super) fn inside(error: &std::io::Error) -> Option<TlsFailure> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(failure)
}

/// An error and its causes, also those that libraries hide inside I/O errors.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &'a (dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The TLS error somewhere in a chain of causes.
pub fn tls_failure(error: &(dyn Error + 'static)) -> Option<TlsFailure> {
    causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()).map(failure)
}

/// Takes every certificate. Only behind the insecure flag.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
