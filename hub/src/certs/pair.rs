//! A certificate and its key as files `<name>.crt` and `<name>.key`.

use super::{Error, Outcome};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The text of a file; `None`: there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes key and certificate, each whole or not at all. For a moment the two do not fit each other: whoever reloads
/// them keeps what it has until they do.
pub(super) fn write(out: &Path, name: &str, certificate: &str, key: &str) -> Result<Outcome, Error> {
    let crt = out.join(format!("{name}.crt"));
    let outcome = if crt.exists() { Outcome::Renewed } else { Outcome::New };
    write_file(&out.join(format!("{name}.key")), key, 0o600)?;
    write_file(&crt, certificate, 0o644)?;
    Ok(outcome)
}

pub(super) fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // A new temporary file is readable by its owner only, so a key never lies open, not even for a moment.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
