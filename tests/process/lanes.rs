//! A server on several lanes over real sockets. In its own program, because it sets how lanes run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use support::pair::{PATIENCE, eventually, receive, soon};
use support::simulator::{Conditions, Simulator};
use wtgram::datagram::channel::Channel;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::session::{Server, Session};
use wtgram::error::Error;
use wtgram::link::config::{ConnectOptions, ListenOptions, Trust};
use wtgram::runtime::{self, RuntimeOptions, Scheduling};

const LANES: usize = 3;

/// Sessions that come through a NAT.
const REBOUND: usize = 20;

fn options() -> ListenOptions {
    ListenOptions {
        host: Some(Ipv4Addr::LOCALHOST.into()),
        handshake_timeout: PATIENCE,
        ..ListenOptions::default()
    }
}

/// The CPUs on which the threads of the lanes may run, by the name of the thread.
fn cpus() -> BTreeMap<String, String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let status = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let field = |name| Some(text.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned());
        Some((field("Name:")?, field("Cpus_allowed_list:")?))
    };
    tasks
        .filter_map(status)
        .filter(|(name, _)| name.starts_with("wtgram-") && !name.contains("service"))
        .collect()
}

/// Sessions whose clients get other ports again and again, so that the system gives their packets to
/// other lanes. Each stays on its own, and datagrams go on both ways.
fn rebinding(server: &Server, transport: &TransportOptions) {
    let link = Simulator::start(server.link.local_address(), 1, Conditions::default()).expect("a link");
    let connect = ConnectOptions {
        trust: Trust::CertificateHashes(vec![server.link.certificate_hash()]),
        timeout: PATIENCE,
        ..ConnectOptions::default()
    };
    let url = format!("https://{}/", link.address());
    let sessions: Vec<_> = (0..REBOUND)
        .map(|_| (Session::connect(&url, &connect, transport).unwrap(), server.accept(soon()).unwrap()))
        .collect();
    let home = |session: &Session| session.link.lane().index();
    let homes: Vec<_> = sessions.iter().map(|(_, accepted)| home(accepted)).collect();
    let from = |session: &Session| session.link.remote_address().unwrap();
    for round in 0..20_u8 {
        let before: Vec<_> = sessions.iter().map(|(_, accepted)| from(accepted)).collect();
        link.rebind();
        for (client, accepted) in &sessions {
            client.datagrams.send(&[round], &SendOptions::default(), soon()).unwrap();
            assert_eq!(receive(&accepted.datagrams), [round]);
        }
        for ((client, accepted), before) in sessions.iter().zip(before) {
            eventually("the server follows", || from(accepted) != before);
            accepted.datagrams.send(&[round], &SendOptions::default(), soon()).unwrap();
            assert_eq!(receive(&client.datagrams), [round]);
        }
    }
    let now: Vec<_> = sessions.iter().map(|(_, accepted)| home(accepted)).collect();
    assert_eq!(now, homes);
    for (client, _) in &sessions {
        client.link.close(0, "").unwrap();
    }
    eventually("they have ended", || server.link.stats().connections == 60);
}

#[test]
fn sessions_are_spread_over_the_lanes_of_a_server_and_each_lane_has_its_cpu() {
    let configure = |options| runtime::configure(options);
    for wrong in [
        RuntimeOptions { lane_cpus: vec![1024], ..RuntimeOptions::default() },
        RuntimeOptions { lane_scheduling: Scheduling::Fifo(0), ..RuntimeOptions::default() },
        RuntimeOptions { lane_scheduling: Scheduling::RoundRobin(100), ..RuntimeOptions::default() },
    ] {
        assert!(matches!(configure(wrong), Err(Error::InvalidArgument(_))));
    }
    configure(RuntimeOptions { lanes: LANES as u32, lane_cpus: vec![0], ..RuntimeOptions::default() })
        .unwrap();
    let transport = TransportOptions::default();
    let one = Server::listen(&ListenOptions { lanes: 1, ..options() }, &transport).unwrap();
    assert_eq!(cpus().len(), 1, "lanes start when they are needed");
    drop(one);
    let server = Server::listen(&options(), &transport).unwrap();
    let on_first = (0..LANES).map(|lane| (format!("wtgram-{lane}"), "0".to_owned()));
    assert_eq!(cpus(), on_first.collect());
    let address = server.link.local_address();
    // The port is the server's: with as many lanes, and with one.
    for lanes in [0, 1] {
        let again = ListenOptions { port: address.port(), lanes, ..options() };
        assert!(matches!(Server::listen(&again, &transport), Err(Error::Io { .. })));
    }
    let too_many = ListenOptions { lanes: LANES as u32 + 1, ..options() };
    assert!(matches!(Server::listen(&too_many, &transport), Err(Error::InvalidArgument(_))));

    let trust = Trust::CertificateHashes(vec![server.link.certificate_hash()]);
    let sessions: Vec<_> = (0..60)
        .map(|number| {
            // Each client has an address of its own, from which the system chooses the socket.
            let connect = ConnectOptions {
                trust: trust.clone(),
                timeout: PATIENCE,
                bind_host: Some(Ipv4Addr::new(127, 0, 0, 2 + number).into()),
                ..ConnectOptions::default()
            };
            let client = Session::connect(&format!("https://{address}/"), &connect, &transport).unwrap();
            (client, server.accept(soon()).unwrap())
        })
        .collect();
    let lanes: BTreeSet<_> = sessions.iter().map(|(_, accepted)| accepted.link.lane().index()).collect();
    assert_eq!(lanes.len(), LANES, "of 60 addresses, some go to each of three sockets");
    for (client, accepted) in &sessions {
        client.datagrams.send(b"there", &SendOptions::default(), soon()).unwrap();
        receive(&accepted.datagrams);
        accepted.datagrams.send(b"back", &SendOptions::default(), soon()).unwrap();
        receive(&client.datagrams);
    }
    rebinding(&server, &transport);
    let stats = server.link.stats();
    assert_eq!((stats.connections, stats.established), (60, 60 + REBOUND as u64));
    server.link.stop_listening();
    assert_eq!(server.accept(soon()).err(), Some(Error::Closed));
    for (client, _) in &sessions {
        client.link.close(0, "").unwrap();
    }
    eventually("the port is free when the last session has ended", || {
        Server::listen(&ListenOptions { port: address.port(), ..options() }, &transport).is_ok()
    });
}
