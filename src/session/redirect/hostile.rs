//! Every address of the corpus against the rules and against the model of a browser: none leaves the host, none leaves
//! its prefix.

use super::{ReturnTo, browser, corpus};
use std::collections::BTreeSet;

#[test]
fn no_hostile_address_is_accepted() {
    let app = ReturnTo::new(&["/app"]).unwrap();
    let addresses = corpus::hostile();
    for address in &addresses {
        assert_eq!(ReturnTo::default().accept(address), None, "{address:?}");
        assert_eq!(app.accept(address), None, "{address:?}");
    }
    let different: BTreeSet<&String> = addresses.iter().collect();
    assert_eq!(different.len(), addresses.len(), "an address stands there twice");
    assert!(addresses.len() >= 1400, "only {} addresses were tried", addresses.len());
}

#[test]
fn the_corpus_would_lead_a_browser_away() {
    // Refusing is easily tested with addresses that harm nobody: a part of these does.
    let away = corpus::hostile().iter().filter(|to| browser::path_on_this_host(to).is_none()).count();
    assert!(away >= 500, "only {away} lead away");
}

#[test]
fn a_puzzling_address_is_accepted_as_it_is_and_leads_to_where_it_says() {
    let addresses = corpus::puzzling();
    for address in &addresses {
        assert_eq!(ReturnTo::default().accept(address), Some(address.as_str()), "{address:?}");
        browser::assert_stays(address, "/");
    }
    assert!(addresses.len() >= 200, "only {} addresses were tried", addresses.len());
}

#[test]
fn a_puzzling_address_that_is_accepted_for_the_application_stays_in_it() {
    let app = ReturnTo::new(&["/app"]).unwrap();
    let (inside, outside): (Vec<String>, Vec<String>) =
        corpus::puzzling().into_iter().partition(|address| app.accept(address).is_some());
    inside.iter().for_each(|address| browser::assert_stays(address, "/app"));
    // By the model alone: only a path that begins as it is written, /app and an end or a slash, is in.
    for address in outside {
        let path = browser::path_on_this_host(&address).unwrap();
        assert!(path != "/app" && !path.starts_with("/app/"), "{address:?} is refused for nothing");
    }
    assert!(inside.len() >= 80, "only {} addresses were accepted", inside.len());
}
