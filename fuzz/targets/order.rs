//! Any header of an application: refused whole, or names, users and values that can go into a session and a log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mod_session_cluster::session::order::Order;
use mod_session_cluster::session::rights::{Rights, is_name};

fuzz_target!(|header: &[u8]| {
    let Ok(order) = Order::parse(header) else { return };
    assert!(order.user.as_ref().is_none_or(|user| !user.is_empty() && !user.contains(char::is_control)));
    for all in [false, true] {
        let rights = order.applied(&Rights::default(), all);
        assert!(rights.are_few_enough());
        assert!(rights.all_grants().all(is_name));
        for attribute in rights.attributes() {
            assert!(is_name(&attribute.name) && !attribute.values.is_empty());
            assert!(attribute.values.iter().map(|value| value.len()).sum::<usize>() <= Rights::MAX_VALUE);
            assert!(attribute.values.iter().all(|value| !value.contains(&0)));
        }
        // The same again changes nothing.
        assert_eq!(order.applied(&rights, all), rights);
    }
});
