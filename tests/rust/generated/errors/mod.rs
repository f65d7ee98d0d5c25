//! `docs/errors.md` is generated from the statuses and from the advice for each. `make header`
//! writes it.

use std::fmt::Write;
use std::path::Path;

use toml::{Table, Value};
use wtgram::error::Error;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The statuses that are errors, each without its prefix, with its number and its description.
fn errors() -> Vec<(String, String, String)> {
    let source = read("src/ffi/status.rs");
    let (_, body) = source.split_once("pub enum wtgram_status {").expect("the enum is there");
    let (body, _) = body.split_once("\n}").expect("it ends");
    let (mut errors, mut description) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            description = format!("{description} {text}").trim().to_owned();
        } else if let Some((name, number)) = line.trim_end_matches(',').split_once(" = ") {
            if let Some(name) = name.strip_prefix("WTGRAM_ERROR_") {
                errors.push((name.to_owned(), number.to_owned(), description.clone()));
            }
            description.clear();
        }
    }
    assert!(errors.len() > 25, "only {} errors were found", errors.len());
    errors
}

/// `TIMED_OUT` is `ErrTimedOut` in Go; nothing where Go has no such error because it cannot occur there.
fn go_name(name: &str, errors: &str) -> Option<String> {
    let words = name.split('_').map(|word| match word {
        "IO" | "URL" | "TLS" => word.to_owned(),
        _ => format!("{}{}", &word[..1], word[1..].to_lowercase()),
    });
    let name = format!("Err{}", words.collect::<String>());
    errors.contains(&format!("\t{name} ")).then_some(name)
}

fn page() -> String {
    let advice: Table =
        read("tests/rust/generated/errors/advice.toml").parse().expect("advice.toml can be read");
    let errors = errors();
    for name in advice.keys() {
        assert!(errors.iter().any(|(error, _, _)| error == name), "{name} is no status");
    }
    let mut page = String::from(
        "# Errors\n\n\
         Every function of the C interface returns a `wtgram_status`. C++ throws a `wtgram::error` with the same\n\
         condition as `wtgram::errc`, or returns it in an `expected`. Go returns an error for `errors.Is`.\n\n\
         `wtgram_status_name` and `wtgram_status_message` give name and meaning of a status at run time.\n\n\
         | C: `WTGRAM_ERROR_...` | | C++: `errc::...` | Go | when | what to do |\n|---|---|---|---|---|---|\n",
    );
    let go = read("bindings/go/errors.go");
    for (name, number, when) in errors {
        let what =
            advice.get(&name).and_then(Value::as_str).unwrap_or_else(|| panic!("no advice for {name}"));
        let cpp = name.to_lowercase();
        let go = go_name(&name, &go).map_or_else(String::new, |name| format!("`{name}`"));
        let _ = writeln!(page, "| `{name}` | {number} | `{cpp}` | {go} | {when} | {what} |");
    }
    page + &connect_again()
}

/// The part about attempts to connect that failed.
fn connect_again() -> String {
    let text = String::new;
    let rejected = |status| Error::Rejected { status, retry_after: None }.is_retryable();
    let name = |temporary| Error::NameNotResolved { what: text(), temporary }.is_retryable();
    assert!(name(true) && !name(false));
    let io = Error::Io { context: "", message: text() };
    let by_error = [
        ("CONNECT_TIMEOUT", Error::ConnectTimeout(text())),
        ("CONNECTION_REFUSED", Error::ConnectionRefused(text())),
        ("IO", io),
        ("CERTIFICATE_UNTRUSTED", Error::CertificateUntrusted(text())),
        ("CERTIFICATE_EXPIRED", Error::CertificateExpired(text())),
        ("CERTIFICATE_NAME_MISMATCH", Error::CertificateNameMismatch(text())),
        ("CERTIFICATE_HASH_MISMATCH", Error::CertificateHashMismatch(text())),
        ("TLS", Error::Tls(text())),
        ("CLIENT_CERTIFICATE", Error::ClientCertificate(text())),
        ("PROTOCOL", Error::Protocol(text())),
        ("UNSUPPORTED", Error::Unsupported),
        ("CLOSED", Error::Closed),
        ("INTERNAL", Error::Internal("".into())),
    ];
    let statuses = ranges((100..600).filter(|status| rejected(*status)));
    let mut page = String::from(
        "\n## Trying to connect again\n\n\
         `wtgram_session_get_connect_failure` says of a session that was not established whether the same attempt may\n\
         succeed later although nobody changes anything (C++: `wtgram::connect_error`, Go: `wtgram.DialError`). If the server\n\
         has said how long to wait, with the header Retry-After, it says that, too. Otherwise wait longer after each\n\
         attempt, and not equally long in all clients, so that they do not all come back at once.\n\n\
         | status | try again? |\n|---|---|\n",
    );
    let _ = writeln!(
        page,
        "| `NAME_NOT_RESOLVED` | If the resolver could not answer. Not if it answered that there is no such name. |\n\
         | `REJECTED` | With HTTP status {statuses}. |"
    );
    for (name, error) in by_error {
        let again = if error.is_retryable() { "Yes." } else { "No." };
        let _ = writeln!(page, "| `{name}` | {again} |");
    }
    page
}

/// Ascending numbers, with runs of them as `first to last`.
fn ranges(numbers: impl Iterator<Item = u16>) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let runs: Vec<_> = runs
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first} to {last}") })
        .collect();
    runs.join(", ")
}

#[test]
fn the_checked_in_page_is_current() {
    let (path, made) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md"), page());
    if std::env::var_os("WTGRAM_BLESS").is_some() {
        std::fs::write(&path, made).expect("the page can be written");
        return;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == made, "docs/errors.md is stale: run `make header`");
}

#[test]
fn the_wrappers_have_the_names_of_the_page() {
    let (cpp, go) = (read("bindings/cpp/include/wtgram/error.hpp"), read("bindings/go/errors.go"));
    let mut in_go = 0;
    for (name, _, _) in errors() {
        let lower = name.to_lowercase();
        assert!(cpp.contains(&format!("    {lower} = ")), "errc::{lower} does not exist");
        in_go += usize::from(go_name(&name, &go).is_some());
    }
    let all = go
        .lines()
        .filter(|line| line.trim_start().starts_with("Err") && line.contains("C.WTGRAM_ERROR_"))
        .count();
    assert_eq!(in_go, all, "an error of Go is not in the page");
}
