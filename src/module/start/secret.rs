//! Secrets from where directives say they are: files that nobody else may read, and programs that print them. They are
//! wiped when they have been used.

use super::program;
use crate::module::conf::settings::ServerConfig;
use crate::session::ledger::LedgerSecret;
use crate::store::l2::redis::SecretSource;
use crate::store::private;
use std::path::Path;
use zeroize::Zeroizing;

/// The secret that `SessionClusterSecret` names.
///
/// # Errors
/// What is wrong and what to do.
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
    let bytes = match source {
        SecretSource::File(path) => private::read(path)?,
        SecretSource::Program(line) => program::output(line)?,
    };
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|_| "holds no text")?;
    if line.is_empty() {
        return Err("its first line is empty, and that is the one that counts".into());
    }
    Ok(Zeroizing::new(line.to_owned()))
}
