//! Nodes whose settings differ, and nodes of other versions.

use super::nodes::{Nodes, figure};
use harness::eventually;
use harness::redis::Redis;
use std::time::Duration;

#[test]
fn the_status_page_shows_all_nodes_and_which_differ() {
    let redis = Redis::start();
    let same = Nodes::with_each(&redis.url(), &["", "", "SessionClusterIdle 7m"]);
    let [one, _, other] = same.httpds.as_slice() else { panic!("three nodes") };
    eventually("all nodes to leave word", Duration::from_secs(3), || {
        (figure(one, "SessionClusterNodes") == Some(3)).then_some(())
    });
    assert_eq!(figure(one, "SessionClusterNodesThatDiffer"), Some(1));
    assert_eq!(figure(other, "SessionClusterNodesThatDiffer"), Some(2));
    assert_eq!(figure(one, "SessionClusterStoreReachable"), Some(1));
    let page = one.browser().get("/status").expect(200).body;
    assert!(page.contains("<td>node2</td>") && page.matches("DIFFER").count() == 1, "{page}");
    redis.stop_hard();
    one.log.allow("SC040");
    same.httpds.iter().for_each(|httpd| httpd.log.allow("SC040"));
    assert_eq!(figure(one, "SessionClusterStoreReachable"), Some(0));
}

#[test]
fn what_a_newer_version_wrote_is_neither_absent_nor_an_error_page() {
    let redis = Redis::start();
    let nodes = Nodes::over(&redis.url());
    nodes.httpds[1].log.allow("SC0206");
    let browser = nodes.login(0, "alice");
    // As a newer version would: the first byte is that of the format.
    let keys = redis.cli(&["KEYS", "sc:s:*"]);
    redis.cli(&["SETRANGE", keys.trim(), "0", "9"]);
    let page = nodes.at(1, &browser).get("/app/page.html").expect(503);
    assert_eq!(page.header("Set-Cookie"), None, "the cookie is kept");
    nodes.at(0, &browser).get("/app/page.html").expect(200);
    // An event that is not known here: nothing that was read before it is trusted without the store's word.
    redis.cli(&["XADD", "{sc}:log", "*", "e", "9 news"]);
    let other = nodes.login(2, "bob");
    for n in 0..3 {
        nodes.at(n, &other).get("/app/page.html").expect(200);
    }
    nodes.at(1, &other).post("/logout", &[]).expect(200);
    nodes.until_refused(0, &other);
}
