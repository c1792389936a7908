//! The files of a profile, and those that a command line names: the place where the commands touch the disk.

#![expect(clippy::disallowed_methods, reason = "this is the place that reads and writes files")]

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The folder of the user's data: `$XDG_DATA_HOME`, else `~/.local/share` (XDG Base Directory Specification 0.8).
pub(super) fn data_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
}

/// A path for a folder of this process that is not there yet.
pub(in crate::cli) fn temporary_folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}", std::process::id()))
}

/// Removes a folder and all that is in it.
pub(in crate::cli) fn remove_folder(path: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}

/// Makes a folder that only its owner looks into, and those above it.
pub(in crate::cli) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// A file's text; none if there is no file. Over 1 MiB it is an error.
pub(super) fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    match OpenOptions::new().read(true).open(path) {
        Ok(file) => read_text(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a file that somebody has named, or what is wrong with it.
pub(in crate::cli) fn read_named(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.ok_or_else(|| format!("{}: there is no such file", path.display()))
}

/// All of standard input. Somebody who types is told how to end it.
pub(in crate::cli) fn read_input() -> io::Result<Zeroizing<String>> {
    if io::stdin().is_terminal() {
        eprintln!("Type the text. Ctrl-D on a line of its own ends it.");
    }
    read_text(io::stdin())
}

/// All of a source's text, at most 1 MiB; the buffers are wiped.
pub(in crate::cli) fn read_text(source: impl Read) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    source.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(io::Error::other("the text is over 1 MiB"));
    }
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "the text is not UTF-8")),
    }
}

/// Writes a file that only its owner reads, in place of what was there. A kill leaves the one or the other.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    put(&new, text, OpenOptions::new().create(true).truncate(true))?;
    std::fs::rename(new, path)
}

/// Whether a new file can be made, as far as can be told without making it.
pub(in crate::cli) fn check_new(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (path.try_exists()?, folder.is_dir()) {
        (true, _) => Err(io::ErrorKind::AlreadyExists.into()),
        (false, true) => Ok(()),
        (false, false) => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Writes a file that only its owner reads and that was not there.
pub(in crate::cli) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, OpenOptions::new().create_new(true))
}

fn put(path: &Path, text: &str, options: &mut OpenOptions) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let mut file = options.write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

const TEXT_BYTES_MAX: u64 = 1024 * 1024;
