//! The link simulator as a program, for tests in any language: `link_simulator SERVER [SEED]`, then
//! JSON commands on standard input (described in `console.rs`).

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().and_then(|text| text.parse().ok());
    let seed = arguments.next().map_or(Some(1), |text| text.parse().ok());
    let (Some(server), Some(seed), None) = (server, seed, arguments.next()) else {
        eprintln!("usage: link_simulator ADDRESS:PORT [SEED]");
        return ExitCode::from(2);
    };
    match support::simulator::console::run(server, seed, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("link_simulator: {error}");
            ExitCode::FAILURE
        }
    }
}
