//! `%{SESSION:name}` in httpd's expressions, and the list `SESSION('name')` after `-in`.

use super::rights::{self, Here};
use crate::ffi::ap_expr::ExprFunction;
use crate::ffi::httpd::Request;
use crate::module::conf::names::{self, Kind};
use crate::session::rights::{FACTS, SEPARATOR};

pub(crate) struct SessionFunction;

impl ExprFunction for SessionFunction {
    const NAME: &str = "SESSION";
    const SEPARATOR: &[u8] = SEPARATOR;

    fn check(arg: &str) -> Result<(), String> {
        if !FACTS.contains(&arg) {
            names::ask(Kind::Attribute, Kind::Attribute.check(arg)?);
        }
        Ok(())
    }

    fn values(r: Request<'_>, arg: &str) -> Result<Vec<Vec<u8>>, String> {
        match rights::here(r) {
            Here::Session(session) => {
                let mut values = Vec::new();
                rights::each_value(&session, arg, |value| values.push(value.to_vec()));
                Ok(values)
            }
            Here::Nobody => Ok(Vec::new()),
            Here::Unavailable(error) => Err(error.to_string()),
        }
    }
}
