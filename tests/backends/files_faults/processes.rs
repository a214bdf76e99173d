//! Several processes over one directory, all at the same keys at the same time.

use super::*;
use std::collections::HashSet;
use std::env;
use std::process::{Command, Stdio};

const PROCESSES: u64 = 3;
/// Each goes on for so long, and on a busy machine until it has done so much.
const SPAN: Duration = Duration::from_secs(4);
const ENOUGH: u64 = 1500;
/// Keys that they are all at for a while.
const KEYS: u64 = 12;
const WHILE: u64 = 200;

const ROOT: &str = "MSC_FILES_DEATHS_ROOT";
const NUMBER: &str = "MSC_FILES_DEATHS_NUMBER";

/// The keys of one while, the same in each process.
fn shared_key(round: u64, number: u64) -> Key {
    let mut bytes = [0; Key::LEN];
    let mut state = round << 8 | number | 1 << 60;
    for byte in &mut bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    Key::new(bytes)
}

fn millis() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[test]
fn what_one_process_ended_comes_back_in_none() {
    let store = InFiles::new("off");
    let client = store.backend();
    let now = pulse(&client).now;
    let name = format!("{}::one_of_the_processes", module_path!().split_once("::").unwrap().1);
    let first = millis() / WHILE;
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", &name, "--ignored", "--nocapture"])
                .env(ROOT, store.root.path())
                .env(NUMBER, number.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut confirmed = HashSet::new();
    let mut counted = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let (err, ok) = (String::from_utf8_lossy(&output.stderr), output.status.success());
        assert!(ok && said.contains("1 passed"), "{said}{err}");
        let counts = said.lines().find_map(|line| line.split_once("OPERATIONS ")?.1.parse::<u64>().ok());
        counted += counts.unwrap();
        let keys = said.lines().filter_map(|line| Some(line.split_once("ENDED ")?.1.to_owned()));
        confirmed.extend(keys);
    }
    let told: HashSet<Key> = all_events(&client)
        .into_iter()
        .filter_map(|event| match event {
            Event::Ended { key, .. } => Some(key),
            _ => None,
        })
        .collect();
    let last = millis() / WHILE;
    let (mut ended, mut going_on) = (0, 0);
    for key in (first..=last).flat_map(|round| (0..KEYS).map(move |number| shared_key(round, number))) {
        match load(&client, &key).0 {
            Stored::Tombstone(tombstone) => {
                assert!(
                    tombstone.at >= now.before(HOUR) && told.contains(&key),
                    "the log does not tell of it"
                );
                ended += 1;
            }
            stored => {
                let hex = data_encoding::HEXLOWER.encode(key.as_bytes());
                assert!(!confirmed.contains(&hex), "it was ended, and is {stored:?}");
                going_on += usize::from(matches!(stored, Stored::Record(_)));
            }
        }
    }
    eprintln!("{counted} operations of {PROCESSES} processes: {ended} sessions ended, {going_on} go on");
    assert!(ended > 30 && counted >= PROCESSES * ENOUGH, "too little happened: {ended} of {counted}");
}

/// Not a test by itself: what each of the processes does.
#[test]
#[ignore = "a part of another test, which starts it in processes of its own"]
fn one_of_the_processes() {
    let (Ok(root), Ok(number)) = (env::var(ROOT), env::var(NUMBER)) else {
        panic!("it is started by what_one_process_ended_comes_back_in_none")
    };
    let client = backend(Path::new(&root), "off");
    let number: u64 = number.parse().unwrap();
    let now = pulse(&client).now;
    let mut ended = HashSet::new();
    let mut chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let (start, mut operations) = (Instant::now(), 0u64);
    while start.elapsed() < SPAN || operations < ENOUGH {
        assert!(start.elapsed() < 20 * SPAN, "{operations} operations in that time");
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let key = shared_key(millis() / WHILE, chance % KEYS);
        let over = ended.contains(&key);
        operations += 1;
        match chance >> 32 & 31 {
            0..8 => {
                let created = client.create(&record(key, now, &number.to_be_bytes()), soon()).unwrap();
                assert!(!(created && over), "it was begun again");
            }
            8..12 => client.touch(&[(key, now.after(Duration::from_millis(operations)))], soon()).unwrap(),
            12..16 => {
                let deadline = now.after(HOUR - Duration::from_millis(chance % 1000));
                let stored = client.retire(&key, deadline, Reason::Superseded, soon()).unwrap();
                assert!(!over || matches!(stored, Stored::Tombstone(_)), "{stored:?}");
            }
            16 => {
                let before = client.end(&key, &tombstone(Reason::Logout, now), soon()).unwrap();
                assert!(!over || matches!(before, Stored::Tombstone(_)), "{before:?}");
                ended.insert(key);
            }
            17 => log(&client).purge(Timestamp::default(), soon()).unwrap(),
            _ => match load(&client, &key).0 {
                Stored::Tombstone(_) => drop(ended.insert(key)),
                stored => assert!(!over, "it came back: {stored:?}"),
            },
        }
    }
    for key in ended {
        println!("ENDED {}", data_encoding::HEXLOWER.encode(key.as_bytes()));
    }
    println!("OPERATIONS {operations}");
}
