//! Log lines of the library and of the protocol stack below it, for the program's callback.
//!
//! It uses `tracing`. The first call of [`configure`] installs the subscriber; before that, logging
//! costs nothing.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use once_cell::sync::OnceCell;
use parking_lot::RwLock;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::error::{Error, Result};
use crate::runtime::dispatch;
use crate::text::Readable;

/// Receives a line: level, module, and text. Runs on the callback thread.
pub type Sink = Arc<dyn Fn(Level, &str, &str) + Send + Sync>;

static LEVEL: AtomicU8 = AtomicU8::new(0);
static SINK: RwLock<Option<Sink>> = RwLock::new(None);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static INSTALLED: OnceCell<()> = OnceCell::new();

/// Sends lines up to `level` to `sink`; `None` or [`LevelFilter::OFF`] stops them.
///
/// Fails if a Rust program has installed its own `tracing` subscriber, which then gets the lines.
pub fn configure(level: LevelFilter, sink: Option<Sink>) -> Result<()> {
    let level = if sink.is_some() { level } else { LevelFilter::OFF };
    *SINK.write() = sink;
    LEVEL.store(level.into_level().map_or(0, level_rank), Ordering::Relaxed);
    if level != LevelFilter::OFF {
        INSTALLED.get_or_try_init(|| {
            tracing::subscriber::set_global_default(Forwarder)
                .map_err(|_| Error::InvalidState("another tracing subscriber is installed".into()))
        })?;
    }
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

/// The number of lines that were dropped because the callback was too slow.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The number of a level, from 1 for errors to 5 for traces.
pub fn rank(level: Level) -> i32 {
    i32::from(level_rank(level))
}

fn level_rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

struct Forwarder;

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && level_rank(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let Some(sink) = SINK.read().clone() else { return };
        let mut line = Line(String::new());
        event.record(&mut line);
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        if dispatch(Box::new(move || sink(level, &target, &line.0))).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    // Spans are never enabled: each line is complete without them.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// One line: the message, then `name=value` for each other field.
struct Line(String);

impl Line {
    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        if field.name() != "message" {
            self.0.push_str(field.name());
            self.0.push('=');
        }
        let _ = write!(Readable(&mut self.0), "{value}");
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format_args!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, format_args!("{value}"));
    }
}
