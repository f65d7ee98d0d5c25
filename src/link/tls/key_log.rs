//! The key log: the secrets of TLS in a file, in the format that NSS began
//! (draft-ietf-tls-keylogfile). Tools such as Wireshark decrypt with it what was captured.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::KeyLog;

use crate::error::{Error, Result};

/// The key log at `path`, or none.
pub(super) fn key_log(path: Option<&Path>) -> Result<Arc<dyn KeyLog>> {
    Ok(match path {
        Some(path) => Arc::new(KeyLogFile::open(path)?),
        None => Arc::new(rustls::NoKeyLog),
    })
}

/// A file to which lines are appended. Several sessions, servers and processes may share it.
struct KeyLogFile {
    file: File,
    path: PathBuf,
    /// Whether a line could not be written.
    has_failed: AtomicBool,
}

impl KeyLogFile {
    fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        // Only the user may read what decrypts the traffic. A FIFO that nobody reads must neither
        // stop the caller here nor a lane later.
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NONBLOCK);
        let file = options.open(path).map_err(|error| Error::Io {
            context: "opening the key log file",
            message: format!("{}: {error}", path.display()),
        })?;
        tracing::warn!(path = %path.display(), "secrets are logged: who reads the file can read the traffic");
        Ok(Self { file, path: path.to_owned(), has_failed: AtomicBool::new(false) })
    }

    /// Writes a line in one system call, so that lines of others do not mix with it.
    fn append(&self, line: &[u8]) -> io::Result<()> {
        match (&self.file).write(line)? {
            written if written == line.len() => Ok(()),
            written => Err(io::Error::other(format!("only {written} of {} bytes of a line", line.len()))),
        }
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", Hex(client_random), Hex(secret));
        if let Err(error) = self.append(line.as_bytes())
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::error!(path = %self.path.display(), %error, "secrets are missing in the key log");
        }
    }
}

impl fmt::Debug for KeyLogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyLogFile({})", self.path.display())
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::AtomicUsize;

    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;

    /// A path that no other test uses. The file is removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("wtgram-key-log-{name}-{}", std::process::id())))
        }

        fn text(&self) -> String {
            std::fs::read_to_string(&self.0).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_line_has_the_label_the_random_number_and_the_secret_in_hex() {
        let scratch = Scratch::new("line");
        let log = key_log(Some(&scratch.0)).unwrap();
        assert!(log.will_log("CLIENT_TRAFFIC_SECRET_0"));
        log.log("CLIENT_TRAFFIC_SECRET_0", &[0x00, 0x0f, 0xff], &[0xab, 0x01]);
        assert_eq!(scratch.text(), "CLIENT_TRAFFIC_SECRET_0 000fff ab01\n");
    }

    #[test]
    fn only_the_user_may_read_a_new_file() {
        let scratch = Scratch::new("mode");
        let _log = key_log(Some(&scratch.0)).unwrap();
        assert_eq!(std::fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn writers_append_whole_lines_to_what_is_there() {
        let scratch = Scratch::new("append");
        std::fs::write(&scratch.0, "# mine\n").unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &scratch.0;
                scope.spawn(move || {
                    let log = key_log(Some(path)).unwrap();
                    (0..200).for_each(|_| log.log("SERVER_TRAFFIC_SECRET_0", &[writer; 32], &[writer; 48]));
                });
            }
        });
        let text = scratch.text();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("# mine"));
        let mut counts = [0; 4];
        for line in lines {
            let writer = (0..4_u8).find(|writer| {
                line == format!("SERVER_TRAFFIC_SECRET_0 {} {}", Hex(&[*writer; 32]), Hex(&[*writer; 48]))
            });
            counts[usize::from(writer.expect("a whole line"))] += 1;
        }
        assert_eq!(counts, [200; 4]);
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_an_error_that_names_it() {
        let fifo = Scratch::new("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo.0).status().unwrap().success());
        for path in [Path::new("/no/such/folder/keys"), Path::new("/"), Path::new(""), &fifo.0] {
            match key_log(Some(path)).err() {
                Some(Error::Io { message, .. }) => {
                    assert!(message.contains(path.to_str().unwrap()), "{message}")
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Counts the errors that are logged on this thread.
    struct Errors(Arc<AtomicUsize>);

    impl Subscriber for Errors {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.is_event() && *metadata.level() == tracing::Level::ERROR
        }
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_disk_that_is_full_is_said_once() {
        let errors = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Errors(Arc::clone(&errors)), || {
            let log = key_log(Some(Path::new("/dev/full"))).unwrap();
            (0..3).for_each(|_| log.log("EXPORTER_SECRET", &[1; 32], &[2; 32]));
        });
        assert_eq!(errors.load(Ordering::Relaxed), 1);
    }
}
