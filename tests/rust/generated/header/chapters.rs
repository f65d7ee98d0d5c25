//! The chapters of the header, in the order of reading. A type comes before the functions that use
//! it.

use std::path::Path;

/// A chapter and its files of `src/ffi`. The module documentation of the main file introduces the
/// chapter; that of each other file introduces a section.
pub struct Chapter {
    /// The name of its group in the reference.
    pub group: &'static str,
    pub files: &'static [&'static str],
}

pub const CHAPTERS: [Chapter; 13] = [
    Chapter { group: "status", files: &["status.rs"] },
    Chapter { group: "library", files: &["library.rs", "boundary/pointer.rs"] },
    Chapter { group: "handles", files: &["handles.rs"] },
    Chapter { group: "options", files: &["connection.rs", "identity.rs"] },
    Chapter {
        group: "server",
        files: &["server/limits.rs", "server/mod.rs", "server/renewal.rs", "server/stats.rs"],
    },
    Chapter {
        group: "session",
        files: &[
            "session/connect.rs",
            "session/mod.rs",
            "session/attempt.rs",
            "session/peer.rs",
            "session/close.rs",
            "session/stats.rs",
        ],
    },
    Chapter { group: "request", files: &["request.rs"] },
    Chapter {
        group: "transport",
        files: &[
            "transport/mod.rs",
            "transport/send.rs",
            "transport/receive.rs",
            "transport/outcome.rs",
            "transport/settings.rs",
            "transport/water_marks.rs",
            "transport/queues.rs",
            "transport/stats.rs",
            "transport/heartbeat.rs",
            "transport/diagnosis.rs",
            "transport/throughput.rs",
        ],
    },
    Chapter {
        group: "reliability",
        files: &[
            "reliability/options.rs",
            "reliability/mod.rs",
            "reliability/outcome.rs",
            "reliability/stats.rs",
        ],
    },
    Chapter { group: "broadcaster", files: &["broadcaster.rs"] },
    Chapter {
        group: "monitor",
        files: &["monitor/mod.rs", "monitor/sample.rs", "monitor/alert.rs", "monitor/prometheus.rs"],
    },
    Chapter {
        group: "structured",
        files: &[
            "structured/serializer.rs",
            "structured/mod.rs",
            "structured/send.rs",
            "structured/receive.rs",
            "structured/stats.rs",
        ],
    },
    Chapter { group: "poller", files: &["poller.rs"] },
];

impl Chapter {
    pub fn intro(&self, root: &Path) -> Intro {
        let main = self.files.iter().find(|file| !self.is_section(file)).expect("a chapter has a main file");
        let source = std::fs::read_to_string(root.join("src/ffi").join(main)).expect("a source can be read");
        Intro::of(&source, main)
    }

    /// Whether a file has a section of its own.
    pub fn is_section(&self, file: &str) -> bool {
        file.contains('/') && !file.ends_with("/mod.rs") && !file.starts_with("boundary/")
    }
}

/// The introduction of a chapter or a section.
pub struct Intro {
    pub title: String,
    pub text: String,
}

impl Intro {
    /// From the documentation of a module: a line, an empty one, and a text.
    pub fn of(source: &str, file: &str) -> Self {
        let documentation = source.lines().map_while(|line| line.strip_prefix("//!"));
        let mut lines = documentation.map(|line| line.strip_prefix(' ').unwrap_or(line));
        let title = lines.next().unwrap_or_else(|| panic!("{file} has no documentation")).to_owned();
        assert_eq!(lines.next(), Some(""), "{file}: an empty line follows the title");
        Self { title, text: lines.collect::<Vec<_>>().join("\n") }
    }
}
