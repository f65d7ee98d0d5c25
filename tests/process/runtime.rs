//! Threads, descriptors, signals and shutdown. One test at a time, because they count resources of
//! the process.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use support::pair::*;
use support::raw_peer::*;
use wtgram::error::Error;
use wtgram::link::config::ListenOptions;
use wtgram::runtime;
use wtgram::runtime::wait::Deadline;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).expect("/proc");
    read.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The number of open sockets of this process.
fn sockets() -> usize {
    let target = |path: PathBuf| std::fs::read_link(path).ok();
    entries("/proc/self/fd")
        .into_iter()
        .filter_map(target)
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

fn descriptors() -> usize {
    entries("/proc/self/fd").len()
}

/// Names of the library's threads, each with its mask of blocked signals.
fn our_threads() -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for task in entries("/proc/self/task") {
        let (Ok(name), Ok(status)) =
            (std::fs::read_to_string(task.join("comm")), std::fs::read_to_string(task.join("status")))
        else {
            continue;
        };
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a mask");
        let blocked = u64::from_str_radix(blocked.trim(), 16).expect("a mask");
        if name.starts_with("wtgram") {
            found.push((name.trim().to_owned(), blocked));
        }
    }
    found
}

#[test]
fn two_hundred_sessions_share_one_socket_and_leave_none() {
    let _alone = alone();
    eventually("other tests' sockets are closed", || sockets() == 0);
    let server = Arc::new(listen_with(&ListenOptions { accept_backlog: 200, ..on_loopback() }));
    let connecting: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                let another =
                    || connect(&url_at("127.0.0.1", &server), &trusting(&server)).expect("a session");
                (0..50).map(|_| another()).collect::<Vec<_>>()
            })
        })
        .collect();
    let clients: Vec<_> =
        connecting.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    let accepted: Vec<_> = (0..200).map(|_| server.accept(soon()).expect("a session")).collect();
    assert_eq!(sockets(), 2, "the server's and one for all clients");
    let port = |session: &wtgram::datagram::session::Session| {
        session.link.local_address().expect("established").port()
    };
    assert!(clients.iter().all(|client| port(client) == port(&clients[0])));
    for client in &clients {
        client.datagrams.outgoing.send(b"ping", &Default::default(), soon()).expect("sent");
    }
    for session in &accepted {
        let mut buffer = [0; 16];
        assert_eq!(session.datagrams.incoming.receive(&mut buffer, soon()).expect("received").size, 4);
    }
    for client in &clients {
        client.link.close(0, "").expect("closed");
    }
    for session in clients.iter().chain(&accepted) {
        wait_closed(session);
    }
    drop((clients, accepted));
    eventually("the clients' socket is closed", || sockets() == 1);
    server.link.close();
    drop(server);
    eventually("the server's socket is closed", || sockets() == 0);
}

#[test]
fn many_sessions_one_after_another_leave_neither_threads_nor_descriptors() {
    let _alone = alone();
    let cycle = |count: usize| {
        for index in 0..count {
            let server = listen();
            let (client, accepted) = pair(&server);
            exchange(&client, &accepted);
            if index % 2 == 0 {
                client.link.close(1, "").expect("closed");
                wait_closed(&accepted);
            }
            server.link.close();
            wait_closed(&client);
        }
    };
    cycle(2);
    eventually("the first are gone", || sockets() == 0);
    let before = (descriptors(), our_threads().len());
    cycle(40);
    // A resolver thread of an earlier test may end meanwhile.
    eventually("nothing is left", || descriptors() <= before.0 && our_threads().len() <= before.1);
}

#[test]
fn failed_attempts_leave_no_descriptors() {
    let _alone = alone();
    let attempt = || {
        let server = listen();
        assert!(connect(&url_at("localhost", &server), &trusting_hash([0; 32])).is_err());
        assert!(connect("https://no-such-host.invalid/", &trusting_hash([0; 32])).is_err());
        server.link.close();
    };
    attempt();
    eventually("the first are gone", || sockets() == 0);
    let before = descriptors();
    (0..10).for_each(|_| attempt());
    eventually("nothing is left", || descriptors() <= before);
}

#[test]
fn signals_are_never_handled_on_our_threads() {
    let _alone = alone();
    // A lane, a resolver and the callback thread.
    let server = listen();
    let client = connect(&url_at("localhost", &server), &trusting(&server)).expect("a session");
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime::dispatch(Box::new(move || drop(sender.send(our_threads())))).expect("dispatched");
    let threads = receiver.recv_timeout(PATIENCE).expect("the callback ran");
    for name in ["wtgram-0", "wtgram-resolver", "wtgram-callback"] {
        assert!(threads.iter().any(|thread| thread.0 == name), "{threads:?}");
    }
    const KILL_AND_STOP: u64 = 1 << 8 | 1 << 18;
    let all_others = ((1 << 31) - 1) & !KILL_AND_STOP;
    for (name, blocked) in &threads {
        assert_eq!(blocked & all_others, all_others, "{name}");
    }
    drop(client);
    server.link.close();
}

const CHILD: &str = "WTGRAM_TEST_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the rest of the test `name` in a new process. Returns `true` in that process.
fn in_child(name: &str) -> bool {
    if !is_child() {
        run_child(name);
    }
    is_child()
}

/// Runs the test `name` in a new process.
fn run_child(name: &str) {
    let _alone = alone();
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(["--exact", name, "--nocapture"]).env(CHILD, "1").output();
    let output = output.expect("it runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn shutdown_ends_everything_and_says_goodbye() {
    if !in_child("shutdown_ends_everything_and_says_goodbye") {
        return;
    }
    let server = Arc::new(listen());
    let (client, accepted) = pair(&server);
    let mut raw = Raw::session(address(&server));
    let silent = Raw::client(address(&server));
    let mute = RawServer::new();
    let (url, options) = (mute.url(), trusting_hash(mute.hash()));
    let connecting = std::thread::spawn(move || connect(&url, &options).err());
    let mute = mute.accept();
    let (client, accepted) = (Arc::new(client), Arc::new(accepted));
    let waits: Vec<Box<dyn FnOnce() + Send>> = vec![
        {
            let server = Arc::clone(&server);
            Box::new(move || assert_eq!(server.accept_all(), Error::Closed))
        },
        {
            let client = Arc::clone(&client);
            Box::new(move || {
                assert_eq!(
                    client.datagrams.incoming.receive(&mut [0; 9], Deadline::Never).err(),
                    Some(Error::Closed)
                );
            })
        },
        {
            let accepted = Arc::clone(&accepted);
            Box::new(move || drop(accepted.link.wait_closed(Deadline::Never).expect("closed")))
        },
    ];
    wakes_all(waits, || assert_eq!(runtime::shutdown(PATIENCE), Ok(())));
    assert_eq!(connecting.join().expect("no panic"), Some(Error::ShutDown));
    assert_eq!(raw.read_data_to_end(), Ok(close_capsule(0, b"")));
    assert!(silent.closed().is_some() && mute.closed().is_some() && raw.raw.closed() == Some(0x100));
    assert!(our_threads().iter().all(|thread| thread.0 != "wtgram-0"), "{:?}", our_threads());
    drop((client, accepted, server));
    assert_eq!(sockets(), 3, "only those of the raw peers");
    assert_eq!(runtime::shutdown(Duration::ZERO), Ok(()));
    assert!(matches!(connect("https://127.0.0.1:1/", &trusting_hash([0; 32])).err(), Some(Error::ShutDown)));
    assert!(matches!(wtgram::link::Server::listen(&on_loopback()).err(), Some(Error::ShutDown)));
}

#[test]
fn lanes_that_start_while_the_library_is_shut_down_are_stopped() {
    let name = "lanes_that_start_while_the_library_is_shut_down_are_stopped";
    if !is_child() {
        (0..20).for_each(|_| run_child(name));
        return;
    }
    runtime::configure(runtime::RuntimeOptions { lanes: 32, ..Default::default() })
        .expect("before the first use");
    let starting = std::thread::spawn(|| runtime::get().map(drop));
    eventually("lanes start", || starting.is_finished() || !our_threads().is_empty());
    assert_eq!(runtime::shutdown(Duration::ZERO), Ok(()));
    let _ = starting.join().expect("no panic");
    assert_eq!(our_threads(), [], "no lane is left");
}

trait AcceptAll {
    /// Accepts until accept fails.
    fn accept_all(&self) -> Error;
}

impl AcceptAll for wtgram::datagram::session::Server {
    fn accept_all(&self) -> Error {
        loop {
            if let Err(error) = self.accept(Deadline::Never) {
                return error;
            }
        }
    }
}

#[test]
fn shutdown_does_not_wait_longer_than_asked_for_a_peer_that_is_gone() {
    if !in_child("shutdown_does_not_wait_longer_than_asked_for_a_peer_that_is_gone") {
        return;
    }
    let server = listen();
    let wire = Wire::to(address(&server));
    let url = format!("https://127.0.0.1:{}/", wire.address.port());
    let client = connect(&url, &trusting(&server)).expect("a session");
    wire.cut();
    let started = Instant::now();
    assert_eq!(runtime::shutdown(Duration::from_millis(300)), Err(Error::TimedOut));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(our_threads().iter().all(|thread| thread.0 != "wtgram-0"), "{:?}", our_threads());
    // Functions of the session's remaining handles report its end.
    assert!(client.link.wait_closed(soon()).is_ok());
    assert_eq!(client.datagrams.incoming.receive(&mut [0; 9], soon()).err(), Some(Error::Closed));
}
