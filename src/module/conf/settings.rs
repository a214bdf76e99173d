//! What the directives say, for a virtual host and for a directory, and how inner settings go before outer ones.

use super::cache_control::CacheControl;
use super::exports::Export;
use super::questions::Questions;
use crate::ffi::ap_expr::Expr;
use crate::ffi::http_config::{Config, Setting};
use crate::ffi::httpd::Server;
use crate::ffi::mod_auth::AuthnProvider;
use crate::module::host::VirtualHost;
use crate::session::cookie::{CookieError, CookieSpec};
use crate::session::policy::Policy;
use crate::session::redirect::ReturnTo;
use crate::store::cluster::Outage;
use crate::store::throttle::Limit;
use once_cell::sync::OnceCell;
use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a virtual host, and, in the main server's, those of the whole server.
#[derive(Default)]
pub struct ServerConfig {
    /// `SessionClusterTable`; of the main server.
    pub table: Setting<TableSpec>,
    /// `SessionClusterSecret`: where the secret of the ledger is; of the main server.
    pub secret: Setting<String>,
    /// The store of the cluster; of the main server.
    pub cluster: ClusterSpec,
    /// `SessionClusterRealm`.
    pub realm: Setting<String>,
    /// `SessionClusterCookie`.
    pub cookie: Setting<CookieSpec>,
    /// `SessionClusterIdle`.
    pub idle: Setting<Duration>,
    /// `SessionClusterLifetime`.
    pub lifetime: Setting<Duration>,
    /// `SessionClusterGrace`.
    pub grace: Setting<Duration>,
    /// Request headers that `SessionClusterExport` sets anywhere in the virtual host: nobody else may.
    pub exported: Vec<CString>,
    /// Whether `SessionClusterBackend On` stands anywhere in the virtual host.
    pub heeds_backend: bool,
    /// Whether any directive of ours stands in or around this virtual host. Where none does, the module keeps out.
    pub in_use: bool,
    /// What the settings come to; made once the whole configuration is known.
    pub host: OnceCell<VirtualHost>,
    /// The cookies of other virtual hosts; known when all are.
    pub others: OnceCell<Vec<CookieSpec>>,
}

/// Size and place of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Bytes of the whole table.
    pub bytes: usize,
    /// File that holds it; without one it lives in memory and ends with the server.
    pub path: Option<String>,
    /// Bytes of the largest record.
    pub max_record: usize,
}

/// The store of the cluster, and how to deal with it.
#[derive(Clone, Debug, Default)]
pub struct ClusterSpec {
    /// `SessionClusterStore`: its words.
    pub store: Setting<Vec<String>>,
    /// `SessionClusterStoreTimeout`.
    pub timeout: Setting<Duration>,
    /// `SessionClusterLogoutBound`.
    pub bound: Setting<Duration>,
    /// `SessionClusterOutage`.
    pub outage: Setting<Outage>,
    /// `SessionClusterNode`.
    pub node: Setting<String>,
}

impl Default for TableSpec {
    fn default() -> Self {
        TableSpec { bytes: 32 << 20, path: None, max_record: 64 << 10 }
    }
}

impl ServerConfig {
    /// The timeouts of the virtual host.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let default = Policy::default();
        Policy {
            idle: self.idle.get().copied().unwrap_or(default.idle),
            lifetime: self.lifetime.get().copied().unwrap_or(default.lifetime),
            grace: self.grace.get().copied().unwrap_or(default.grace),
        }
    }

    /// The cookie of the virtual host.
    ///
    /// # Errors
    /// When the default cookie cannot be made, which does not happen.
    pub fn cookie(&self) -> Result<CookieSpec, CookieError> {
        self.cookie.get().map_or_else(|| CookieSpec::new("SCID"), |cookie| Ok(cookie.clone()))
    }

    /// The name of its realm.
    #[must_use]
    pub fn realm_name(&self, server: Server<'_>) -> String {
        match self.realm.get() {
            Some(name) => name.clone(),
            // Cookies do not tell ports apart, so that two virtual hosts of one name must not share by accident.
            None => format!("{}:{}", server.name(), server.port()),
        }
    }
}

impl ClusterSpec {
    /// A directive that is of no use without `SessionClusterStore`, if one was written.
    #[must_use]
    pub fn needs_store(&self) -> Option<&'static str> {
        [
            (self.timeout.get().is_some(), "SessionClusterStoreTimeout"),
            (self.bound.get().is_some(), "SessionClusterLogoutBound"),
            (self.outage.get().is_some(), "SessionClusterOutage"),
            (self.node.get().is_some(), "SessionClusterNode"),
        ]
        .into_iter()
        .find_map(|(written, directive)| written.then_some(directive))
    }

    /// What a request may spend waiting for the store.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.get().copied().unwrap_or(Duration::from_millis(50))
    }

    /// For how long after it heard the store a node trusts its table.
    #[must_use]
    pub fn bound(&self) -> Duration {
        self.bound.get().copied().unwrap_or(Duration::from_millis(500))
    }
}

impl Config for ServerConfig {
    fn merge(outer: &Self, inner: &Self) -> Self {
        ServerConfig {
            table: outer.table.clone(),
            secret: outer.secret.clone(),
            cluster: outer.cluster.clone(),
            realm: Setting::merge(&outer.realm, &inner.realm),
            cookie: Setting::merge(&outer.cookie, &inner.cookie),
            idle: Setting::merge(&outer.idle, &inner.idle),
            lifetime: Setting::merge(&outer.lifetime, &inner.lifetime),
            grace: Setting::merge(&outer.grace, &inner.grace),
            exported: outer.exported.iter().chain(&inner.exported).cloned().collect(),
            heeds_backend: outer.heeds_backend || inner.heeds_backend,
            in_use: outer.in_use || inner.in_use,
            host: OnceCell::new(),
            others: OnceCell::new(),
        }
    }
}

/// How far the admin handler reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the sessions of its virtual host's realm.
    Realm,
    /// To every session of the cluster.
    All,
}

/// Settings of a directory or location. Merged by httpd on many requests, so that every field is cheap to clone.
#[derive(Default)]
pub struct DirConfig {
    /// `SessionCluster`: mod_session's sessions are ours here.
    pub provide: Setting<bool>,
    /// `SessionClusterAdopt`: what another module authenticated becomes a session here.
    pub adopt: Setting<bool>,
    /// `SessionClusterLogin`: where to log in.
    pub login: Setting<Arc<str>>,
    /// `SessionClusterAuthn`: what checks passwords in the login handler.
    pub authn: Setting<Arc<[AuthnProvider]>>,
    /// `SessionClusterReturnTo`: where a login or logout may lead.
    pub return_to: Setting<Arc<ReturnTo>>,
    /// `SessionClusterGrant` and `SessionClusterAttribute`: what is asked at a login.
    pub questions: Setting<Arc<Questions>>,
    /// `SessionClusterRightsAge`: when it is asked anew.
    pub rights_age: Setting<Duration>,
    /// `SessionClusterExport`: what programs and backends are told.
    pub exports: Setting<Arc<Vec<Export>>>,
    /// `SessionClusterThrottle`: how many logins may fail; `None` for any number.
    pub throttle: Setting<Option<Limit>>,
    /// `SessionClusterTemplate`: the address of the administrator's own page.
    pub template: Setting<Arc<str>>,
    /// `SessionClusterText`: texts of the pages, by name.
    pub texts: Setting<Arc<Vec<(String, String)>>>,
    /// `SessionClusterUser`: the name that a session bears.
    pub user: Setting<Expr>,
    /// `SessionClusterAdmin`: how far the admin handler reaches; `None`: nowhere.
    pub admin: Setting<Option<Reach>>,
    /// `SessionClusterBackend`: an application's answer may begin, supersede or end a session.
    pub backend: Setting<bool>,
    /// `SessionClusterCacheControl`: what caches are told of pages that have to do with a session.
    pub cache_control: Setting<CacheControl>,
}

impl Config for DirConfig {
    fn merge(outer: &Self, inner: &Self) -> Self {
        DirConfig {
            provide: Setting::merge(&outer.provide, &inner.provide),
            adopt: Setting::merge(&outer.adopt, &inner.adopt),
            login: Setting::merge(&outer.login, &inner.login),
            authn: Setting::merge(&outer.authn, &inner.authn),
            return_to: Setting::merge(&outer.return_to, &inner.return_to),
            questions: Setting::merge(&outer.questions, &inner.questions),
            rights_age: Setting::merge(&outer.rights_age, &inner.rights_age),
            exports: Setting::merge(&outer.exports, &inner.exports),
            throttle: Setting::merge(&outer.throttle, &inner.throttle),
            template: Setting::merge(&outer.template, &inner.template),
            texts: Setting::merge(&outer.texts, &inner.texts),
            user: Setting::merge(&outer.user, &inner.user),
            admin: Setting::merge(&outer.admin, &inner.admin),
            backend: Setting::merge(&outer.backend, &inner.backend),
            cache_control: Setting::merge(&outer.cache_control, &inner.cache_control),
        }
    }

    fn says_nothing(&self) -> bool {
        matches!(
            self,
            DirConfig {
                provide: Setting::Unset,
                adopt: Setting::Unset,
                login: Setting::Unset,
                authn: Setting::Unset,
                return_to: Setting::Unset,
                questions: Setting::Unset,
                rights_age: Setting::Unset,
                exports: Setting::Unset,
                throttle: Setting::Unset,
                template: Setting::Unset,
                texts: Setting::Unset,
                user: Setting::Unset,
                admin: Setting::Unset,
                backend: Setting::Unset,
                cache_control: Setting::Unset,
            }
        )
    }
}

impl DirConfig {
    /// Whether mod_session's sessions are ours here.
    #[must_use]
    pub fn provides(&self) -> bool {
        self.provide.get() == Some(&true)
    }

    /// Whether an application's answer counts here.
    #[must_use]
    pub fn heeds_backend(&self) -> bool {
        self.backend.get() == Some(&true)
    }

    /// How far the admin handler reaches here; `None` where that is not said.
    #[must_use]
    pub fn reach(&self) -> Option<Option<Reach>> {
        self.admin.get().copied()
    }

    /// What caches are told of pages that have to do with a session.
    #[must_use]
    pub fn cache_control(&self) -> CacheControl {
        self.cache_control.get().copied().unwrap_or_default()
    }

    /// Whether foreign logins become sessions here.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.adopt.get() == Some(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_setting_goes_before_an_outer_one() {
        let outer =
            DirConfig { adopt: Setting::Set(true), provide: Setting::Set(true), ..DirConfig::default() };
        let inner = DirConfig { adopt: Setting::Set(false), ..DirConfig::default() };
        let merged = DirConfig::merge(&outer, &inner);
        assert!(merged.provides());
        assert!(!merged.adopts());
        assert!(!outer.says_nothing());
        assert!(DirConfig::default().says_nothing());
    }
}
