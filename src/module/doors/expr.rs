//! `%{SESSION:name}` in httpd's expressions, and the list `SESSION('name')` after `-in`.

use super::here::{Here, here};
use crate::ffi::ap_expr::ExprFunction;
use crate::ffi::httpd::Request;
use crate::module::conf::names::{self, Right};
use crate::session::facts::{FACTS, each_value};
use crate::session::rights::SEPARATOR;

pub(crate) struct SessionFunction;

impl ExprFunction for SessionFunction {
    const NAME: &str = "SESSION";
    const SEPARATOR: &[u8] = SEPARATOR;

    fn check(arg: &str) -> Result<(), String> {
        if !FACTS.contains(&arg) {
            names::ask(Right::Attribute, Right::Attribute.check(arg)?);
        }
        Ok(())
    }

    fn values(r: Request<'_>, arg: &str) -> Result<Vec<Vec<u8>>, String> {
        match here(r) {
            Here::Session(counted) => {
                let mut values = Vec::new();
                each_value(counted.session(), counted.rights(), arg, |value| values.push(value.to_vec()));
                Ok(values)
            }
            Here::Nobody => Ok(Vec::new()),
            Here::Unavailable(error) => Err(error.to_string()),
        }
    }
}
