//! `SessionClusterTable SIZE PATH`: what is refused, what is carried over, and what is dropped and said.

use harness::{Httpd, Mpm, Site, on_each_mpm};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

on_each_mpm!(a_larger_or_smaller_table_takes_the_sessions_over);

fn site(size: &str) -> Site {
    Site::new(Mpm::Event).conf(&format!("SessionClusterTable {size} sessions"))
}

fn a_larger_or_smaller_table_takes_the_sessions_over(mpm: Mpm) {
    let mut httpd = Site::new(mpm).conf("SessionClusterTable 8M sessions").start();
    let mut browser = httpd.browser_of("alice");
    let mut ended = httpd.browser_of("bob");
    let kept = ended.clone();
    ended.post("/logout", &[]);
    for size in ["16M", "4M"] {
        httpd.stop();
        httpd.reconfigure(|site| site.conf(&format!("SessionClusterTable {size} sessions")));
        httpd.start();
        assert_eq!(browser.get("/app/page.html").expect(200).user(), Some("alice"), "{size}");
        assert!(kept.clone().get("/app/page.html").is_refused(), "an ended session came back");
    }
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn a_file_that_is_no_table_is_refused_and_left_alone() {
    for contents in [&noise(8 << 20)[..], b"somebody's only copy of a letter\n"] {
        let mut httpd = site("8M").start();
        httpd.stop();
        let path = httpd.path("run/sessions");
        fs::write(&path, contents).unwrap();
        let said = httpd.try_start().expect_err("it starts");
        httpd.log.allow("SC0110");
        httpd.log.allow("AH00020");
        assert!(said.contains("SC0110") && said.contains("run/sessions"), "{said}");
        assert!(fs::read(&path).unwrap() == contents, "it was written to");
    }
}

#[test]
fn an_empty_or_preallocated_file_becomes_a_table() {
    for length in [0, 8 << 20] {
        let mut httpd = site("8M").start();
        httpd.stop();
        fs::write(httpd.path("run/sessions"), vec![0; length]).unwrap();
        httpd.start();
        httpd.browser_of("alice").get("/app/page.html").expect(200);
    }
}

#[test]
fn a_table_spoiled_beyond_use_begins_anew_and_says_so() {
    let mut httpd = site("8M").start();
    httpd.browser_of("alice");
    httpd.stop();
    let mut table = fs::read(httpd.path("run/sessions")).unwrap();
    let spoiled = noise(table.len() - 64);
    table[64..].copy_from_slice(&spoiled);
    fs::write(httpd.path("run/sessions"), &table).unwrap();
    httpd.log.allow("session_cluster:warn");
    httpd.start();
    assert!(httpd.log.count("SC0111") + httpd.log.count("SC0113") == 1, "{}", httpd.log.text());
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}

#[test]
fn damaged_records_are_dropped_and_the_others_kept() {
    let mut httpd = site("8M").start();
    let mut browsers: Vec<_> =
        (0..64).map(|n| (format!("user{n}"), httpd.browser_of(&format!("user{n}")))).collect();
    httpd.stop();
    httpd.log.allow("session_cluster:");
    let mut table = fs::read(httpd.path("run/sessions")).unwrap();
    // Spoil one byte in every few hundred that are in use, behind the header.
    let used: Vec<usize> = (4096..table.len()).filter(|&at| table[at] != 0).collect();
    for &at in used.iter().step_by(900) {
        table[at] ^= 0x10;
    }
    fs::write(httpd.path("run/sessions"), &table).unwrap();
    httpd.start();
    let mut alive = 0;
    for (user, browser) in &mut browsers {
        let page = browser.get("/app/page.html");
        assert!(page.is_refused() || page.user() == Some(user.as_str()), "{page:?}");
        alive += usize::from(page.status == 200);
    }
    assert!(alive > 10 && alive < 64, "{alive} of 64 sessions survived, {} bytes used", used.len());
    httpd.browser_of("alice").get("/app/page.html").expect(200);
}

#[test]
fn a_truncated_file_is_recovered_or_refused_by_name() {
    for length in [1, 8, 100, 4096, 5 << 20] {
        let mut httpd = site("8M").start();
        let mut browser = httpd.browser_of("alice");
        httpd.stop();
        httpd.log.allow("session_cluster:");
        fs::OpenOptions::new().write(true).open(httpd.path("run/sessions")).unwrap().set_len(length).unwrap();
        match httpd.try_start() {
            Ok(()) => {
                browser.get("/app/page.html");
                httpd.browser_of("bob").get("/app/page.html").expect(200);
            }
            Err(said) => {
                httpd.log.allow("AH00020");
                assert!(said.contains("SC0110") && length < 4096, "{length}: {said}");
            }
        }
    }
}

#[test]
fn a_second_server_on_the_same_file_does_not_start() {
    let httpd = site("8M").start();
    let path = httpd.path("run/sessions");
    let mut browser = httpd.browser_of("alice");
    let said = Site::new(Mpm::Event).conf(&format!("SessionClusterTable 8M {}", path.display())).refused();
    assert!(said.contains("SC0") && said.contains("sessions"), "{said}");
    browser.get("/app/page.html").expect(200);
    httpd.restart(harness::Signal::Graceful);
    browser.get("/app/page.html").expect(200);
}

#[test]
fn a_path_that_cannot_be_used_is_refused_with_its_name() {
    for path in ["nowhere/sessions", "../passwords/sessions", "../htdocs", "/proc/session-cluster"] {
        let said = Site::new(Mpm::Event).conf(&format!("SessionClusterTable 8M {path}")).refused();
        assert!(said.contains("SC0") && said.contains(path.trim_start_matches("..")), "{path}: {said}");
    }
}

#[test]
fn a_disk_too_small_is_refused_at_the_start_and_left_as_it_was() {
    let table = |size: &str| format!("SessionClusterTable {size} small/sessions record=4K");
    let mut httpd = Httpd::new(Site::new(Mpm::Event).conf(&table("8M")));
    let Some(_disk) = Disk::mount(&httpd.path("run/small")) else {
        eprintln!("this user cannot mount a small disk here: not tested");
        return;
    };
    httpd.log.allow("SC0115");
    httpd.log.allow("AH00020");
    let refused = |httpd: &mut Httpd| {
        let said = httpd.try_start().expect_err("it starts");
        assert!(said.contains("SC0115") && said.contains("run/small/sessions"), "{said}");
    };
    let blocks = |httpd: &Httpd, name: &str| fs::metadata(httpd.path(name)).map_or(0, |file| file.blocks());
    refused(&mut httpd);
    assert_eq!(blocks(&httpd, "run/small/sessions"), 0, "it left a file that fills the disk");

    // A table that fits, which is then to grow beyond the disk.
    httpd.reconfigure(|site| site.conf(&table("1300K")));
    httpd.start();
    let mut browser = httpd.browser_of("alice");
    httpd.stop();
    httpd.reconfigure(|site| site.conf(&table("8M")));
    refused(&mut httpd);
    assert_eq!(blocks(&httpd, "run/small/sessions.new"), 0, "it left a file that fills the disk");
    httpd.reconfigure(|site| site.conf(&table("1300K")));
    httpd.start();
    browser.get("/app/page.html").expect(200);
}

/// An ext4 of 4 MiB, which is what a full disk looks like to a table of 8.
struct Disk(PathBuf);

impl Disk {
    fn mount(place: &Path) -> Option<Self> {
        let image = place.with_extension("img");
        fs::create_dir(place).unwrap();
        File::create(&image).unwrap().set_len(4 << 20).unwrap();
        let run = |command: &mut Command| {
            command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let mounted = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))
            && run(Command::new("mount").args(["-o", "loop"]).args([&image, place]));
        mounted.then(|| Disk(place.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
