//! What a page costs in processor time: of whole trees of processes, as the scheduler keeps it, while wrk(1) loads one
//! page over kept-alive connections. The server belongs on the first processor, wrk is kept on the second.

use crate::eventually;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

/// Where wrk runs.
const LOADER: &str = "1";
const CONNECTIONS: &str = "-c8";

/// What one load did.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Processor time of each tree, in microseconds a page.
    pub cpu: Vec<f64>,
    /// How many pages there were.
    pub pages: f64,
}

/// Keeps a process and all below it on these processors: `"0"`, `"0,1"`.
///
/// # Panics
/// If they are not there.
#[track_caller]
pub fn pin(root: i64, processors: &str) {
    for pid in tree(root) {
        // One of its threads, or all of it, may end just then.
        eventually("a process to be pinned", Duration::from_secs(10), || {
            let mut taskset = Command::new("taskset");
            taskset.args(["-a", "-p", "-c", processors, &pid.to_string()]);
            let output = taskset.output().expect("taskset(1) is needed");
            (output.status.success() || fs::metadata(format!("/proc/{pid}")).is_err()).then_some(())
        });
    }
}

/// The processor time of each process and of all below it so far, in microseconds. What has ended does not count.
pub fn cpu(roots: &[i64]) -> Vec<f64> {
    roots.iter().map(|root| tree(*root).into_iter().map(time_of).sum::<u64>() as f64 / 1000.0).collect()
}

/// Loads a page of the server on that port for some seconds over eight connections. Each request shows one of
/// `cookies` (`NAME=VALUE`) at random.
///
/// # Panics
/// If wrk is not installed, or an answer is not 2xx.
#[track_caller]
pub fn load(port: u16, path: &str, cookies: &[&str], seconds: u32, roots: &[i64]) -> Loaded {
    let mut script = tempfile::Builder::new().prefix("msc-load-").suffix(".lua").tempfile().unwrap();
    script.write_all(requests(path, cookies).as_bytes()).unwrap();
    let before = cpu(roots);
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", LOADER, "wrk", "-t1", CONNECTIONS, &format!("-d{seconds}s"), "-s"]).arg(script.path());
    let output = wrk.arg(format!("http://127.0.0.1:{port}")).output().expect("taskset(1) is needed");
    let used = cpu(roots).into_iter().zip(before).map(|(after, before)| after - before);
    let said = String::from_utf8_lossy(&output.stdout);
    let pages =
        pages(&said).filter(|pages| output.status.success() && *pages > 0.0 && !said.contains("Non-2xx"));
    let pages = pages.unwrap_or_else(|| panic!("wrk: {said}{}", String::from_utf8_lossy(&output.stderr)));
    Loaded { cpu: used.map(|used| used / pages).collect(), pages }
}

/// wrk's script: the requests, of which it takes one at random each time.
fn requests(path: &str, cookies: &[&str]) -> String {
    let with = |cookie: &&str| format!("wrk.format('GET', '{path}', {{['Cookie'] = '{cookie}'}})");
    let mut all: Vec<String> = cookies.iter().map(with).collect();
    if all.is_empty() {
        all.push(format!("wrk.format('GET', '{path}')"));
    }
    format!(
        "function init()\n  all = {{{}}}\nend\nfunction request()\n  return all[math.random(#all)]\nend\n",
        all.join(", ")
    )
}

/// `N requests in ...` of what wrk says.
fn pages(said: &str) -> Option<f64> {
    let (before, _) = said.split_once(" requests in")?;
    before.split_whitespace().next_back()?.parse().ok()
}

/// A process and all below it.
fn tree(root: i64) -> Vec<i64> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let lists = tasks(pid).filter_map(|task| fs::read_to_string(task.join("children")).ok());
        let children: Vec<i64> = lists
            .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// The time that all threads of a process spent on a processor, in nanoseconds.
fn time_of(pid: i64) -> u64 {
    let lists = tasks(pid).filter_map(|task| fs::read_to_string(task.join("schedstat")).ok());
    lists.filter_map(|list| list.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// Its threads; none if it has just ended.
fn tasks(pid: i64) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

#[test]
fn the_time_of_a_tree_is_that_of_all_its_processes() {
    let spin = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo; read wait";
    let mut shell = Command::new("sh");
    // What runs in the background of a shell has no input, unless it gets one.
    shell.args(["-c", &format!("exec 3<&0; sh -c '{spin}' <&3 & exec sh -c '{spin}'")]);
    shell.args(["sh"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = shell.spawn().unwrap();
    // Both have spun, and wait.
    let mut said = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    let pid = i64::from(child.id());
    let alone = time_of(pid) as f64 / 1000.0;
    let [whole] = cpu(&[pid])[..] else { panic!("one root, one time") };
    assert!(alone > 0.0 && whole > alone, "{alone} of {whole}");
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn what_wrk_says_is_understood() {
    assert_eq!(
        pages("Running 1s test\n  12345 requests in 1.00s, 2MB read\nRequests/sec: 3\n"),
        Some(12345.0)
    );
    assert_eq!(pages("unable to connect"), None);
    assert!(requests("/a", &[]).contains("all = {wrk.format('GET', '/a')}"));
    assert!(
        requests("/a", &["x=1", "x=2"]).contains("'x=1'}), wrk.format('GET', '/a', {['Cookie'] = 'x=2'})}")
    );
}
