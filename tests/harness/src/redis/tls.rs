//! Certificates that openssl(1) makes for one test: an authority, a server's for 127.0.0.1 and localhost, and a
//! client's. ECDSA, because that is fast; valid for a day.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONF: &str = "\
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
";

/// Certificates and their keys, as PEM files in one directory, whose certificates everybody may read.
pub struct Tls {
    directory: PathBuf,
}

impl Tls {
    /// Makes them in that directory.
    #[track_caller]
    pub fn make(directory: &Path) -> Self {
        let tls = Tls { directory: directory.to_owned() };
        fs::write(tls.path("openssl.cnf"), CONF).unwrap();
        for name in ["ca", "server", "client"] {
            tls.issue(name);
        }
        tls
    }

    /// Signs with the authority's key; the authority signs itself.
    #[track_caller]
    fn issue(&self, name: &str) {
        let (cert, key) = (self.path(&format!("{name}.crt")), self.path(&format!("{name}.key")));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-days", "1", "-nodes", "-subj", &format!("/CN=test {name}")]);
        openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-extensions", name]);
        openssl.arg("-config").arg(self.path("openssl.cnf")).arg("-keyout").arg(&key).arg("-out").arg(&cert);
        if name != "ca" {
            openssl.arg("-CA").arg(self.ca()).arg("-CAkey").arg(self.path("ca.key"));
        }
        let output = openssl.output().expect("openssl(1) is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// The client's certificate.
    pub fn client_cert(&self) -> PathBuf {
        self.path("client.crt")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.path("client.key")
    }

    /// The directives with which a server uses them.
    pub(super) fn conf(&self) -> String {
        let directory = self.directory.display();
        format!(
            "tls-ca-cert-file {directory}/ca.crt\ntls-cert-file {directory}/server.crt\n\
             tls-key-file {directory}/server.key\n"
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}
