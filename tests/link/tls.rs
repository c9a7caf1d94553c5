//! TLS in all its ways, good and bad (S16), with authorities and certificates made here.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use qtop::link::{
    ConnectFailure, ConnectOptions, ConnectStep, Link, LinkError, Purpose, Remedy, TlsFailure, Value, cmd,
};
use qtop_testkit::{TestServer, free_port};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::sentinel::Sentinel;

/// When a certificate holds.
#[derive(Clone, Copy)]
enum Validity {
    Now,
    Past,
    Future,
}

/// An authority with a directory for what it signs.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { directory, issuer: Issuer::new(parameters, key) }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Certificate and key files.
    fn sign(&self, file: &str, names: &[&str], usage: ExtendedKeyUsagePurpose, when: Validity) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, file);
        parameters.extended_key_usages = vec![usage];
        match when {
            Validity::Now => {}
            Validity::Past => parameters.not_after = rcgen::date_time_ymd(2020, 1, 1),
            Validity::Future => parameters.not_before = rcgen::date_time_ymd(2300, 1, 1),
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let path = |ending: &str| self.directory.path().join(format!("{file}.{ending}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("pem"), path("key"))
    }

    fn server(&self, names: &[&str], when: Validity) -> TestServer {
        self.server_with(names, when, &[])
    }

    fn server_with(&self, names: &[&str], when: Validity, settings: &[&str]) -> TestServer {
        let (certificate, key) = self.sign("server", names, ExtendedKeyUsagePurpose::ServerAuth, when);
        TestServer::builder().tls(certificate, key, self.file()).args(settings.iter().copied()).start()
    }

    fn client(&self, when: Validity) -> (PathBuf, PathBuf) {
        self.sign("client", &["qtop"], ExtendedKeyUsagePurpose::ClientAuth, when)
    }

    /// Options that trust this authority.
    fn trusting(&self, url: &str) -> ConnectOptions {
        let mut options = ConnectOptions::new(url);
        options.tls.authorities = Some(self.file());
        options
    }
}

async fn works(options: &ConnectOptions) -> Link {
    let link = Link::connect(options, Purpose::Sample).await.unwrap_or_else(|error| panic!("{options:?}: {error}"));
    assert_eq!(link.ask(cmd("PING")).await, Ok(Value::SimpleString("PONG".into())));
    link
}

async fn fails(options: &ConnectOptions) -> ConnectFailure {
    match Link::connect(options, Purpose::Sample).await {
        Err(error @ LinkError::Connect { .. }) => {
            assert!(error.remedy().is_some(), "{error} has no remedy");
            let LinkError::Connect { failure, .. } = error else { unreachable!() };
            failure
        }
        other => panic!("expected a failed connect, got {other:?}"),
    }
}

#[tokio::test]
async fn s16_own_authority_name_and_address_are_verified() {
    let authority = Authority::new("own");
    let server = authority.server(&["localhost", "127.0.0.1"], Validity::Now);
    let by_name = works(&authority.trusting(&server.url())).await;
    assert!(!by_name.is_insecure());
    works(&authority.trusting(&format!("rediss://127.0.0.1:{}/1", server.port()))).await;

    // The public authorities and the system's do not know this one.
    let unknown = fails(&ConnectOptions::new(server.url())).await;
    assert_eq!(unknown, ConnectFailure::Tls(TlsFailure::UnknownIssuer));
    // Nor does another authority, even of the same name.
    let other = fails(&Authority::new("own").trusting(&server.url())).await;
    assert_eq!(other, ConnectFailure::Tls(TlsFailure::UnknownIssuer));
}

#[tokio::test]
async fn s16_a_certificate_for_another_name_is_refused_unless_that_name_is_expected() {
    let authority = Authority::new("own");
    let server = authority.server(&["redis.example.com"], Validity::Now);
    let mut options = authority.trusting(&server.url());
    let wrong = fails(&options).await;
    assert!(matches!(&wrong, ConnectFailure::Tls(TlsFailure::WrongName { .. })), "{wrong:?}");
    assert!(wrong.to_string().contains("redis.example.com"), "{wrong}");
    options.tls.server_name = Some("redis.example.com".to_owned());
    works(&options).await;
    options.tls.server_name = Some("other.example.com".to_owned());
    assert!(matches!(fails(&options).await, ConnectFailure::Tls(TlsFailure::WrongName { .. })));
    options.tls.server_name = Some("no name".to_owned());
    assert!(matches!(fails(&options).await, ConnectFailure::Tls(TlsFailure::Other(_))));
}

#[tokio::test]
async fn s16_certificates_out_of_their_time_are_refused() {
    let authority = Authority::new("own");
    for (when, expected) in [(Validity::Past, TlsFailure::Expired), (Validity::Future, TlsFailure::NotValidYet)] {
        let server = authority.server(&["localhost"], when);
        assert_eq!(fails(&authority.trusting(&server.url())).await, ConnectFailure::Tls(expected));
    }
}

#[tokio::test]
async fn s16_insecure_takes_any_certificate_and_says_so() {
    let authority = Authority::new("own");
    let server = authority.server(&["elsewhere"], Validity::Past);
    let mut options = ConnectOptions::new(server.url());
    options.tls.insecure = true;
    assert!(works(&options).await.is_insecure());
    let plain = TestServer::start();
    options.url = plain.url();
    assert!(!works(&options).await.is_insecure(), "without TLS there is nothing that is not verified");
}

#[tokio::test]
async fn s16_client_certificates_are_shown_and_judged() {
    let authority = Authority::new("own");
    let server = authority.server_with(&["localhost"], Validity::Now, &["--tls-auth-clients", "yes"]);
    let mut options = authority.trusting(&server.url());
    assert_eq!(fails(&options).await, ConnectFailure::Tls(TlsFailure::ClientCertificateMissing));

    let (certificate, key) = authority.client(Validity::Now);
    (options.tls.certificate, options.tls.key) = (Some(certificate.clone()), Some(key.clone()));
    works(&options).await;
    let version_1_2 = authority.server_with(
        &["localhost"],
        Validity::Now,
        &["--tls-auth-clients", "yes", "--tls-protocols", "TLSv1.2"],
    );
    works(&ConnectOptions { url: version_1_2.url(), ..options.clone() }).await;

    let (certificate, key) = Authority::new("foreign").client(Validity::Now);
    // The foreign authority's directory is gone with it: read errors are the person's own and say which file.
    (options.tls.certificate, options.tls.key) = (Some(certificate.clone()), Some(key));
    let missing = fails(&options).await;
    assert!(matches!(&missing, ConnectFailure::File { path, .. } if *path == certificate), "{missing:?}");

    let foreign = Authority::new("foreign");
    let (certificate, key) = foreign.client(Validity::Now);
    (options.tls.certificate, options.tls.key) = (Some(certificate), Some(key));
    let refused = fails(&options).await;
    assert!(matches!(&refused, ConnectFailure::Tls(TlsFailure::ClientCertificateRefused(_))), "{refused:?}");

    let (certificate, key) = authority.client(Validity::Past);
    (options.tls.certificate, options.tls.key) = (Some(certificate), Some(key));
    let refused = fails(&options).await;
    assert!(matches!(&refused, ConnectFailure::Tls(TlsFailure::ClientCertificateRefused(_))), "{refused:?}");
}

#[tokio::test]
async fn s8_files_that_are_no_certificates_are_named_but_not_quoted() {
    let authority = Authority::new("own");
    let server = authority.server(&["localhost"], Validity::Now);
    let (certificate, key) = authority.client(Validity::Now);
    let nonsense = authority.directory.path().join("nonsense.pem");
    std::fs::write(&nonsense, "-----BEGIN CERTIFICATE-----\nhunter2!\n-----END CERTIFICATE-----\n").unwrap();
    let empty = authority.directory.path().join("empty.pem");
    std::fs::write(&empty, "hunter2").unwrap();
    for authorities in [&nonsense, &empty, &authority.directory.path().join("nothing")] {
        let mut options = ConnectOptions::new(server.url());
        options.tls.authorities = Some(authorities.clone());
        let failure = fails(&options).await;
        let text = format!("{failure} {failure:?}");
        assert!(text.contains(authorities.to_str().unwrap()) && !text.contains("hunter2"), "{text}");
    }
    let pairs = [
        (Some(certificate.clone()), None),
        (None, Some(key.clone())),
        (Some(certificate), Some(empty.clone())),
        (Some(empty), Some(key)),
    ];
    for (certificate, key) in pairs {
        let mut options = authority.trusting(&server.url());
        (options.tls.certificate, options.tls.key) = (certificate, key);
        assert!(matches!(fails(&options).await, ConnectFailure::File { .. }));
    }
}

#[tokio::test]
async fn s16_plain_and_tls_ports_mixed_up_are_explained() {
    let authority = Authority::new("own");
    let tls = authority.server(&["localhost"], Validity::Now);
    let plain_to_tls = fails(&ConnectOptions::new(format!("redis://localhost:{}", tls.port()))).await;
    assert_eq!(plain_to_tls, ConnectFailure::Closed);
    assert!(plain_to_tls.remedy().unwrap().contains("rediss://"));
    // A Redis without TLS waits for the end of a line that never comes.
    let plain = TestServer::start();
    let mut options = authority.trusting(&format!("rediss://localhost:{}", plain.port()));
    options.limits.connect = Duration::from_millis(300);
    let tls_to_plain = fails(&options).await;
    assert!(matches!(tls_to_plain, ConnectFailure::Timeout { step: ConnectStep::Tls, .. }), "{tls_to_plain:?}");
    assert!(tls_to_plain.remedy().unwrap().contains("redis://"));
    // Others answer at once, in their own tongue.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(200));
    });
    let foreign = fails(&authority.trusting(&format!("rediss://127.0.0.1:{port}"))).await;
    assert_eq!(foreign, ConnectFailure::Tls(TlsFailure::NotTls));
}

#[tokio::test]
async fn s16_sentinel_and_server_are_both_verified() {
    let authority = Authority::new("own");
    let server = authority.server_with(&["127.0.0.1"], Validity::Now, &["--tls-replication", "yes"]);
    let (certificate, key) =
        authority.sign("sentinel", &["localhost"], ExtendedKeyUsagePurpose::ServerAuth, Validity::Now);
    let port = free_port();
    let settings = format!(
        "port 0\ntls-port {port}\ntls-auth-clients no\ntls-replication yes\ntls-cert-file {}\ntls-key-file {}\n\
         tls-ca-cert-file {}\n",
        certificate.display(),
        key.display(),
        authority.file().display()
    );
    let _sentinel = Sentinel::start_with(&server, port, &settings);
    works(&authority.trusting(&format!("rediss-sentinel://localhost:{port}/main"))).await;

    // The Sentinel's certificate is for another name than this, and no public authority knows it.
    let wrong = fails(&authority.trusting(&format!("rediss-sentinel://127.0.0.1:{port}/main"))).await;
    assert!(wrong.to_string().contains("another name"), "{wrong}");
    let unknown = fails(&ConnectOptions::new(format!("rediss-sentinel://localhost:{port}/main"))).await;
    assert!(unknown.to_string().contains("unknown authority"), "{unknown}");
}
