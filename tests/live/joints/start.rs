//! Children that are made ready whatever the place of the directives.

use harness::{Mpm, Site, on_each_mpm};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The usual site of the harness in a virtual host of its own: the main server has no directive of ours.
const HOST: &str = r"
<Location /login>
    SetHandler session-cluster-login
    SessionClusterAuthn file
    AuthUserFile passwords
    SessionClusterThrottle Off
</Location>
<Location /whoami>
    SetHandler session-cluster-whoami
</Location>
";

on_each_mpm!(children_exclude_each_other_where_directives_stand_in_virtual_hosts_only);

fn children_exclude_each_other_where_directives_stand_in_virtual_hosts_only(mpm: Mpm) {
    for mechanism in ["flock:run", "fcntl:run", "pthread"] {
        let host = format!("Mutex {mechanism} session-cluster\n<VirtualHost *>\n{HOST}\n</VirtualHost>");
        let httpd = Site::bare(mpm).conf(&host).start();
        let lost = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..60 {
                        let mut browser = httpd.browser();
                        browser.login("alice");
                        let known = browser.get("/whoami").expect(200).json()["authenticated"] == true;
                        lost.fetch_add(usize::from(!known), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(lost.into_inner(), 0, "logins that were lost with {mechanism}");
    }
}
