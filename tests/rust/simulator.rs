//! The link simulator follows its settings, counts packets, and repeats itself for the same seed.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::simulator::link::{Arrivals, Link};
use support::simulator::{Bursts, Conditions, Counters, Direction, Simulator};

const COUNT: u64 = 100_000;

/// The fates of `COUNT` packets of 100 bytes, one each 100 µs.
fn pass(seed: u64, conditions: Conditions) -> (Vec<Arrivals>, Counters) {
    let mut link = Link::new(seed, Direction::Up, conditions);
    let started = Instant::now();
    let decided =
        (0..COUNT).map(|number| link.pass(started + Duration::from_micros(number * 100), 100)).collect();
    (decided, link.counters)
}

fn is_near(count: u64, share: f64) -> bool {
    (count as f64 / COUNT as f64 - share).abs() < 0.01
}

fn is_complete(counters: &Counters) -> bool {
    counters.received + counters.duplicated
        == counters.delivered + counters.send_failed + counters.waiting + counters.lost()
}

#[test]
fn shares_are_what_was_asked_for_and_every_packet_is_counted_once() {
    let conditions = Conditions {
        loss: 0.2,
        duplicate: 0.25,
        reorder: 0.04,
        reorder_delay: Duration::from_millis(3),
        ..Conditions::default()
    };
    let (_, counters) = pass(1, conditions);
    assert!(is_near(counters.lost_random, 0.2), "{counters:?}");
    assert!(is_near(counters.duplicated, 0.8 * 0.25), "{counters:?}");
    assert!(is_near(counters.reordered, 0.8 * 0.04), "{counters:?}");
    assert!(is_complete(&counters), "{counters:?}");
}

#[test]
fn the_same_seed_decides_the_same_and_another_seed_or_direction_does_not() {
    let conditions =
        Conditions { loss: 0.1, duplicate: 0.1, jitter: Duration::from_millis(5), ..Conditions::default() };
    let [first, again, other] = [7, 7, 8].map(|seed| pass(seed, conditions).1.decisions);
    assert_eq!(first, again);
    assert_ne!(first, other);
    let mut down = Link::new(7, Direction::Down, conditions);
    let started = Instant::now();
    for number in 0..COUNT {
        down.pass(started + Duration::from_micros(number * 100), 100);
    }
    assert_ne!(first, down.counters.decisions);
}

#[test]
fn another_condition_does_not_change_which_packets_are_lost() {
    let plain = Conditions { loss: 0.1, ..Conditions::default() };
    let more = Conditions { duplicate: 0.5, jitter: Duration::from_millis(9), ..plain };
    let lost = |conditions| -> Vec<bool> {
        pass(3, conditions).0.iter().map(|arrivals| arrivals.iter().all(Option::is_none)).collect()
    };
    assert_eq!(lost(plain), lost(more));
}

#[test]
fn bursts_are_as_long_and_as_frequent_as_gilbert_s_model_says() {
    let bursts = Bursts { enter: 0.01, leave: 0.2, loss: 1.0 };
    let (decided, counters) = pass(5, Conditions { bursts: Some(bursts), ..Conditions::default() });
    // The share of bad packets is enter / (enter + leave), the mean burst is 1 / leave long.
    assert!(is_near(counters.lost_in_bursts, 0.01 / 0.21), "{counters:?}");
    let lost: Vec<bool> = decided.iter().map(|arrivals| arrivals[0].is_none()).collect();
    let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    let mean = counters.lost_in_bursts as f64 / bursts as f64;
    assert!((4.0..6.0).contains(&mean), "the mean burst is {mean} long");
}

#[test]
fn a_slow_line_delays_by_its_rate_and_drops_what_its_queue_does_not_hold() {
    // 80 kbit/s is 10 packets of 1000 bytes a second; the queue holds five.
    let conditions = Conditions { rate_bits_per_s: 80_000, queue_bytes: 5_000, ..Conditions::default() };
    let mut link = Link::new(1, Direction::Up, conditions);
    let now = Instant::now();
    let arrivals: Vec<_> = (0..20).filter_map(|_| link.pass(now, 1000)[0]).collect();
    let delays: Vec<_> = arrivals.iter().map(|at| (*at - now).as_millis()).collect();
    assert_eq!(delays, [100, 200, 300, 400, 500]);
    assert_eq!(link.counters.queue_full, 15);
    assert!(link.pass(now + Duration::from_millis(100), 1000)[0].is_some(), "there is room for one again");
}

#[test]
fn large_packets_do_not_fit_a_small_mtu() {
    let mut link = Link::new(1, Direction::Up, Conditions { mtu_bytes: 1200, ..Conditions::default() });
    let now = Instant::now();
    assert!(link.pass(now, 1200)[0].is_some());
    assert!(link.pass(now, 1201)[0].is_none());
    assert_eq!(link.counters.too_large, 1);
}

/// A guard against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

fn udp() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

#[test]
fn packets_pass_both_ways_late_by_the_latency_of_their_direction_and_clients_are_kept_apart() {
    let (server, address) = udp();
    let simulator = Simulator::start(address, 1, Conditions::latency(Duration::from_millis(20))).unwrap();
    simulator.update(Direction::Down, |down| down.latency = Duration::from_millis(60));
    let clients = [udp().0, udp().0];
    for (client, name) in clients.iter().zip([b"one", b"two"]) {
        let started = Instant::now();
        client.send_to(name, simulator.address()).unwrap();
        let (payload, from) = receive(&server);
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert_eq!(payload, name);
        let answered = Instant::now();
        server.send_to(&payload, from).unwrap();
        assert_eq!(receive(client), (name.to_vec(), simulator.address()));
        assert!(answered.elapsed() >= Duration::from_millis(60));
    }
    let counters = simulator.counters(Direction::Down);
    assert_eq!((counters.received, counters.delivered, counters.delivered_bytes), (2, 2, 6));
}

#[test]
fn a_black_hole_can_be_opened_and_closed_while_it_runs() {
    let (server, address) = udp();
    let (client, _) = udp();
    let simulator = Simulator::start(address, 1, Conditions::default()).unwrap();
    simulator.update(Direction::Up, |up| up.black_hole = true);
    client.send_to(b"lost", simulator.address()).unwrap();
    let started = Instant::now();
    while simulator.counters(Direction::Up).lost_in_black_hole == 0 {
        assert!(started.elapsed() < PATIENCE, "the packet was not counted");
        std::thread::yield_now();
    }
    simulator.update(Direction::Up, |up| up.black_hole = false);
    client.send_to(b"passed", simulator.address()).unwrap();
    assert_eq!(receive(&server).0, b"passed");
}

#[test]
fn the_program_takes_commands_and_refuses_wrong_ones_without_changing_anything() {
    let (server, address) = udp();
    let (client, _) = udp();
    let (commands, mut to_program) = std::io::pipe().unwrap();
    let (from_program, answers) = std::io::pipe().unwrap();
    let program = std::thread::spawn(move || {
        support::simulator::console::run(address, 9, BufReader::new(commands), answers)
    });
    let mut answers = BufReader::new(from_program).lines().map(|line| {
        let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
        answer
    });
    let port = answers.next().unwrap()["port"].as_u64().unwrap() as u16;
    let mut ask = |command: Value| {
        writeln!(to_program, "{command}").unwrap();
        answers.next().unwrap()
    };
    let set = ask(json!({"command": "set", "direction": "up", "latency_us": 5000, "black_hole": false}));
    assert_eq!((&set["up"]["latency_us"], &set["down"]["latency_us"]), (&json!(5000), &json!(0)));
    for wrong in [
        json!({"command": "set", "direction": "up", "latency_us": 1, "loss": 1.5}),
        json!({"command": "set", "direction": "up", "latency_us": -1}),
        json!({"command": "set", "direction": "up", "weather": "bad"}),
        json!({"command": "set", "direction": "sideways"}),
        json!({"command": "dance"}),
        json!([1, 2]),
    ] {
        assert_eq!(ask(wrong.clone())["event"], "error", "{wrong}");
    }
    client.send_to(b"through", (Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(receive(&server).0, b"through");
    let bursts = json!({"command": "set", "direction": "both", "burst_loss": 0.5, "burst_enter": 0.0, "burst_leave": 0.1});
    let up = ask(bursts)["up"].clone();
    assert_eq!((&up["latency_us"], &up["burst_loss"]), (&json!(5000), &json!(1.0)));
    let bursts = json!({"command": "set", "direction": "down", "burst_loss": 0.5, "burst_enter": 0.1});
    assert_eq!(ask(bursts)["down"]["burst_loss"], 0.5);
    let counters = ask(json!({"command": "counters"}));
    assert_eq!((&counters["up"]["delivered"], &counters["down"]["received"]), (&json!(1), &json!(0)));
    writeln!(to_program, "{}", json!({"command": "quit"})).unwrap();
    program.join().unwrap().unwrap();
}
