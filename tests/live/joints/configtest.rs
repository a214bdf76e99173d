//! What `httpd -t` passes starts: it looks at all files, permissions, sizes, mechanisms and modules that a start needs,
//! says what to do, and makes and changes nothing.

use harness::{Httpd, Mpm, Site, is_root};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const SECRET: &str = "0123456789abcdef0123456789abcdef\n";

/// Name, mode, size and time of all that is in a directory.
fn tree(root: &Path) -> BTreeMap<String, (u32, u64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let metadata = entry.metadata().unwrap();
        let path = entry.path();
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path.display().to_string(), (metadata.mode(), metadata.size(), metadata.mtime()));
    }
    found
}

/// `httpd -t` refuses this, says all of `parts`, and leaves everything as it was.
#[track_caller]
fn refuses(httpd: &mut Httpd, conf: &str, parts: &[&str]) {
    httpd.reconfigure(|_| Site::new(Mpm::Event).conf(conf));
    let before = tree(&httpd.path(""));
    let (passed, said) = httpd.check();
    assert!(!passed, "it passes: {conf}");
    for part in parts {
        assert!(said.contains(part), "{conf}: nothing of {part:?} in: {said}");
    }
    assert_eq!(tree(&httpd.path("")), before, "{conf}: it changed something");
}

#[track_caller]
fn passes(httpd: &mut Httpd, conf: &str) {
    httpd.reconfigure(|_| Site::new(Mpm::Event).conf(conf));
    let before = tree(&httpd.path(""));
    let (passed, said) = httpd.check();
    assert!(passed, "{conf}: {said}");
    assert_eq!(tree(&httpd.path("")), before, "{conf}: it changed something");
}

#[test]
fn a_secret_that_cannot_be_read_or_used_is_refused() {
    let mut httpd = Httpd::new(Site::bare(Mpm::Event));
    httpd.write("secret", SECRET);
    httpd.write("open", SECRET);
    for (name, contents) in [("empty", ""), ("short", "short\n"), ("late", "\n0123456789abcdef\n")] {
        httpd.write(&format!("{name}.key"), contents);
    }
    httpd.write("fails", "#!/bin/sh\nexit 3\n");
    httpd.write("plain", "exit 0\n");
    httpd.write("prints", format!("#!/bin/sh\necho {SECRET}"));
    let root = httpd.path("").display().to_string();
    for (source, wrong) in [
        ("file:nowhere/secret", "No such file"),
        ("file:htdocs", "directory"),
        ("file:open", "chmod"),
        ("file:empty.key", "empty"),
        ("file:late.key", "empty"),
        ("file:short.key", "openssl rand"),
        ("exec:/nowhere/program", "No such file"),
        (&format!("exec:{root}/plain"), "denied"),
        (&format!("exec:{root}/fails"), "exit status: 3"),
    ] {
        let name = source.rsplit(['/', ':']).next().unwrap();
        refuses(&mut httpd, &format!("SessionClusterSecret {source}"), &["SC0118", name, wrong]);
    }
    passes(&mut httpd, "SessionClusterSecret file:secret");
    passes(&mut httpd, &format!("SessionClusterSecret exec:{root}/prints"));
    // As Kubernetes puts it there.
    std::os::unix::fs::symlink("secret", httpd.path("link")).unwrap();
    passes(&mut httpd, "SessionClusterSecret file:link");
    httpd.set_mode("secret", 0o444);
    refuses(&mut httpd, "SessionClusterSecret file:link", &["SC0118", "0444", "Kubernetes"]);
    httpd.set_mode("secret", 0o440);
    passes(&mut httpd, "SessionClusterSecret file:link");
}

#[test]
fn a_table_that_cannot_be_made_is_refused() {
    let mut httpd = Httpd::new(Site::bare(Mpm::Event));
    httpd.write("run/letter", "somebody's only copy of a letter\n");
    httpd.write("run/blank", vec![0; 8 << 20]);
    fs::create_dir(httpd.path("run/half.new")).unwrap();
    std::os::unix::fs::symlink("blank", httpd.path("run/link")).unwrap();
    for (table, code, wrong) in [
        ("900G", "SC0106", "966367641600"),
        ("8M nowhere/table", "SC0107", "nowhere/table"),
        ("8M letter", "SC0110", "letter"),
        ("8M ../htdocs", "SC0107", "not a regular file"),
        ("8M link", "SC0107", "link"),
        ("8M half", "SC0107", "half.new"),
        ("900G table", "SC0115", "table"),
        ("900G blank", "SC0115", "blank"),
        ("8M /proc/session-cluster", "SC0", "/proc/session-cluster"),
    ] {
        refuses(&mut httpd, &format!("SessionClusterTable {table}"), &[code, wrong]);
    }
    for table in ["8M", "8M table", "8M blank"] {
        passes(&mut httpd, &format!("SessionClusterTable {table}"));
    }
}

#[test]
fn the_table_file_of_another_server_is_refused_and_the_own_one_passes_while_it_runs() {
    let httpd = Site::new(Mpm::Event).conf("SessionClusterTable 8M sessions").start();
    let (passed, said) = httpd.check();
    assert!(passed, "{said}");
    let path = httpd.path("run/sessions");
    let other = Site::new(Mpm::Event).conf(&format!("SessionClusterTable 8M {}", path.display()));
    let (passed, said) = other.check();
    assert!(!passed && said.contains("SC0114") && said.contains("run/sessions"), "{said}");
}

#[test]
fn a_mutex_that_cannot_be_made_is_refused() {
    let mut httpd = Httpd::new(Site::bare(Mpm::Event));
    for (mutex, wrong) in [("Mutex posixsem session-cluster", "killed"), ("Mutex posixsem default", "killed")]
    {
        refuses(&mut httpd, mutex, &["SC0105", wrong]);
    }
    for mutex in ["pthread", "sysvsem", "flock:run", "fcntl:run", "default"] {
        passes(&mut httpd, &format!("Mutex {mutex} session-cluster"));
    }
    if is_root() {
        fs::create_dir(httpd.path("locks")).unwrap();
        httpd.set_mode("locks", 0o700);
        refuses(&mut httpd, "Mutex flock:locks session-cluster", &["SC0105", "locks", "0700"]);
        passes(&mut httpd, "Mutex fcntl:locks session-cluster");
    }
}

#[test]
fn a_store_whose_files_or_modules_are_missing_is_refused() {
    let mut httpd = Httpd::new(Site::bare(Mpm::Event));
    httpd.write("password", "secret\n");
    httpd.write("open", "secret\n");
    httpd.write("empty.key", "\n");
    for (name, mode) in [("private", 0o700), ("public", 0o755), ("other", 0o700)] {
        fs::create_dir(httpd.path(name)).unwrap();
        httpd.set_mode(name, mode);
    }
    httpd.write("other/format", "mod_something_else 9\n");
    let root = httpd.path("").display().to_string();
    let cache = "LoadModule socache_shmcb_module modules/mod_socache_shmcb.so\n\
                 LoadModule socache_memcache_module modules/mod_socache_memcache.so\n";
    let dbd = "LoadModule dbd_module modules/mod_dbd.so\n";
    for (before, store, wrong) in [
        ("", "redis://127.0.0.1:1 user=x password=file:nowhere/password", "No such file"),
        ("", "redis://127.0.0.1:1 user=x password=file:open", "chmod"),
        ("", "redis://127.0.0.1:1 user=x password=file:empty.key", "empty"),
        ("", "redis://127.0.0.1:1 user=x password=exec:/nowhere/program", "/nowhere/program"),
        ("", "redis://127.0.0.1:1 sentinel=m sentinel-password=file:open", "chmod"),
        ("", "redis://127.0.0.1:1 fallback redis://127.0.0.1:2 user=x password=file:open", "fallback"),
        ("", "rediss://127.0.0.1:1 ca=nowhere.pem", "nowhere.pem"),
        ("", "rediss://127.0.0.1:1 ca=passwords", "passwords"),
        ("", "rediss://127.0.0.1:1 cert=passwords key=open", "chmod"),
        ("", "rediss://127.0.0.1:1 cert=passwords key=nowhere.key", "nowhere.key"),
        ("", &format!("file:{root}/nowhere"), "nowhere"),
        ("", &format!("file:{root}/passwords"), "passwords"),
        ("", &format!("file:{root}/public"), "chmod o-rwx"),
        ("", &format!("file:{root}/other"), "format"),
        ("", "dbd", "load it"),
        (dbd, "dbd", "DBDriver"),
        (cache, &format!("socache:shmcb:{root}/nowhere/cache(512000)"), "nowhere"),
        (cache, "socache:shmcb:cache(many)", "size"),
        (cache, "socache:memcache:127.0.0.1:99999", "99999"),
        ("", "socache:memcache:127.0.0.1:1", "LoadModule"),
    ] {
        refuses(&mut httpd, &format!("{before}SessionClusterStore {store}"), &["SC0121", wrong]);
    }
    for (before, store) in [
        ("", "redis://127.0.0.1:1 user=x password=file:password"),
        (cache, "socache:shmcb:cache(512000)"),
        (cache, "socache:memcache:127.0.0.1:1"),
    ] {
        passes(&mut httpd, &format!("{before}SessionClusterStore {store}"));
    }
    let own = format!("SessionClusterStore file:{root}/private");
    if is_root() {
        refuses(&mut httpd, &own, &["SC0121", "chown"]);
        let given = std::process::Command::new("chown").arg("www-data").arg(httpd.path("private")).status();
        assert!(given.unwrap().success());
    }
    passes(&mut httpd, &own);
}

#[test]
fn what_differs_between_virtual_hosts_of_one_realm_passes_and_starts() {
    let host = |idle: &str| {
        format!("<VirtualHost *>\nSessionClusterRealm one\nSessionClusterIdle {idle}\n</VirtualHost>\n")
    };
    let httpd = Site::new(Mpm::Event).conf(&format!("{}{}", host("10m"), host("20m"))).start();
    let (passed, said) = httpd.check();
    assert!(passed, "{said}");
}
