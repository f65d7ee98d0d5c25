//! `include/wtgram.h` is what cbindgen makes of the sources today. `make header` writes it anew.

use std::path::Path;

#[test]
fn the_checked_in_header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml can be read");
    // Only the C interface is read, so that nothing of the core can leak into the header.
    // In this order a reader meets them; a file that is missing here is missed by the test of exported symbols.
    const FILES: [&str; 17] = [
        "status",
        "pointer",
        "library",
        "server",
        "session",
        "transport",
        "send",
        "receive",
        "outcome",
        "settings",
        "statistics",
        "tools",
        "reliability",
        "broadcaster",
        "monitor",
        "structured",
        "poller",
    ];
    let builder = FILES.iter().fold(cbindgen::Builder::new(), |builder, file| {
        builder.with_src(root.join(format!("src/ffi/{file}.rs")))
    });
    let bindings = builder.with_config(config).generate().expect("cbindgen can read the sources");
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = without_safety_notes(&String::from_utf8(made).expect("the header is UTF-8"));
    let path = root.join("include/wtgram.h");
    if std::env::var_os("WTGRAM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("include/ can be made");
        std::fs::write(&path, made).expect("the header can be written");
        return;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == made, "include/wtgram.h is stale: run `make header`");
}

/// The `# Safety` sections speak to readers of Rust; in C every pointer is as its description says.
fn without_safety_notes(header: &str) -> String {
    let mut kept = Vec::new();
    let mut in_note = false;
    for line in header.lines() {
        let comment = line.trim_start().starts_with("//");
        if line.trim() == "// # Safety" || line.trim() == "/// # Safety" {
            in_note = true;
            if kept.last().is_some_and(|last: &&str| matches!(last.trim(), "//" | "///")) {
                kept.pop();
            }
        }
        if in_note && comment {
            continue;
        }
        in_note = false;
        kept.push(line);
    }
    kept.join("\n") + "\n"
}
