//! Secrets from where directives say they are: files, and programs that print them. They are wiped when they have been
//! used.

use crate::module::conf::settings::ServerConfig;
use crate::session::ledger::LedgerSecret;
use crate::store::l2::redis::SecretSource;
use std::fs;
use std::path::Path;
use std::process::Command;
use zeroize::Zeroizing;

/// The secret that `SessionClusterSecret` names.
///
/// # Errors
/// What is wrong and what to do, for the error log; the server then does not start.
pub(crate) fn ledger(config: &ServerConfig) -> Result<Option<LedgerSecret>, String> {
    let Some(source) = config.secret.get() else { return Ok(None) };
    let wrong = |e: String| format!("SC0118: SessionClusterSecret {source}: {e}");
    let text = match source.split_once(':') {
        Some(("file", path)) => secret(SecretSource::File(Path::new(path))),
        Some((_, program)) => secret(SecretSource::Program(program)),
        None => Err("names no place".into()),
    };
    let secret = LedgerSecret::new(&text.map_err(wrong)?);
    secret
        .ok_or_else(|| wrong("is shorter than 16 bytes: make it with 'openssl rand -hex 32'".into()))
        .map(Some)
}

/// A password from where the directive says it is: the first line of a file, or of what a program prints.
pub(crate) fn secret(source: SecretSource<'_>) -> Result<Zeroizing<String>, String> {
    let text = match source {
        SecretSource::File(path) => {
            Zeroizing::new(fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?)
        }
        SecretSource::Program(line) => {
            let mut words = line.split_ascii_whitespace();
            let program = words.next().ok_or("exec: names no program")?;
            let output = Command::new(program).args(words).output().map_err(|e| format!("{program}: {e}"))?;
            if !output.status.success() {
                return Err(format!("{program} failed: {}", output.status));
            }
            Zeroizing::new(
                String::from_utf8(output.stdout).map_err(|_| format!("{program} printed no text"))?,
            )
        }
    };
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err("the password is empty: its first line counts".into());
    }
    Ok(Zeroizing::new(line.to_owned()))
}
