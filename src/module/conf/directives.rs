//! The only list of directives. Each entry is registered with httpd from here, and `httpd-conf/00-reference.conf` is
//! checked against it.

use super::cache_control::CacheControl;
use super::exports::{Export, Target};
use super::names;
use super::parsing::{flag, quoted, size, span};
use super::questions::{Grant, Questions, Value};
use super::settings::{DirConfig, Reach, ServerConfig, TableSpec};
use super::stores;
use crate::ffi::ap_expr::Expr;
use crate::ffi::http_config::{Args, Commands, Context, Directive, Setting};
use crate::ffi::mod_auth::{AuthnProvider, Requirement};
use crate::module::pages::texts::TEXTS;
use crate::module::session_cluster::SessionCluster;
use crate::session::cookie::CookieSpec;
use crate::session::facts::FACTS;
use crate::session::redirect::ReturnTo;
use crate::session::rights::Rights;
use crate::store::cluster::Outage;
use crate::store::l1::Geometry;
use crate::store::throttle::Limit;
use std::sync::Arc;
use std::time::Duration;

/// All directives, in the order in which the reference shows them.
pub static DIRECTIVES: &[Directive<SessionCluster>] = &[
    Directive {
        name: c"SessionClusterTable",
        context: Context::Global,
        arity: (1, 3),
        help: c"SIZE [FILE] [record=SIZE]: memory for sessions, such as 64M; kept in FILE if given",
        set: set_table,
    },
    Directive {
        name: c"SessionClusterStore",
        context: Context::Global,
        arity: (1, 32),
        help: c"URL [NAME=VALUE]... [fallback URL [NAME=VALUE]...]: the store that all nodes of the cluster \
                share, such as redis://10.0.0.5:6379",
        set: set_store,
    },
    Directive {
        name: c"SessionClusterStoreTimeout",
        context: Context::Global,
        arity: (1, 1),
        help: c"TIME: what one request may spend waiting for the store; default: 50ms",
        set: set_store_timeout,
    },
    Directive {
        name: c"SessionClusterLogoutBound",
        context: Context::Global,
        arity: (1, 1),
        help: c"TIME: a node that has not heard the store for so long asks it for each page; default: 500ms",
        set: set_bound,
    },
    Directive {
        name: c"SessionClusterOutage",
        context: Context::Global,
        arity: (1, 2),
        help: c"serve TIME | refuse: whether known sessions go on while the store cannot be reached; default: serve 1h",
        set: set_outage,
    },
    Directive {
        name: c"SessionClusterNode",
        context: Context::Global,
        arity: (1, 1),
        help: c"NAME: what this server is called in the cluster; default: its host name and port",
        set: set_node,
    },
    Directive {
        name: c"SessionClusterSecret",
        context: Context::Global,
        arity: (1, 1),
        help: c"file:PATH | exec:PROGRAM: keep for each user a sealed list of where they logged in; the same on \
                all nodes",
        set: set_secret,
    },
    Directive {
        name: c"SessionClusterRealm",
        context: Context::VirtualHost,
        arity: (1, 1),
        help: c"NAME: virtual hosts of the same realm share sessions; default: ServerName and port",
        set: set_realm,
    },
    Directive {
        name: c"SessionClusterCookie",
        context: Context::VirtualHost,
        arity: (1, 6),
        help: c"NAME [Path=/...] [Domain=...] [SameSite=Strict|Lax|None] [Secure] [Route=NODE]: the session \
                cookie; default: SCID",
        set: set_cookie,
    },
    Directive {
        name: c"SessionClusterIdle",
        context: Context::VirtualHost,
        arity: (1, 1),
        help: c"TIME: a session ends when it was not used for so long; default: 30m",
        set: set_idle,
    },
    Directive {
        name: c"SessionClusterLifetime",
        context: Context::VirtualHost,
        arity: (1, 1),
        help: c"TIME: a session ends so long after its login in any case; default: 12h",
        set: set_lifetime,
    },
    Directive {
        name: c"SessionClusterGrace",
        context: Context::VirtualHost,
        arity: (1, 1),
        help: c"TIME: a superseded session still answers for so long; default: 10s",
        set: set_grace,
    },
    Directive {
        name: c"SessionCluster",
        context: Context::Directory,
        arity: (1, 1),
        help: c"On|Off: mod_session keeps its sessions here; default: Off",
        set: set_provide,
    },
    Directive {
        name: c"SessionClusterAdopt",
        context: Context::Directory,
        arity: (1, 1),
        help: c"On|Off: what any other module authenticated becomes a session; default: Off",
        set: set_adopt,
    },
    Directive {
        name: c"SessionClusterLogin",
        context: Context::Directory,
        arity: (1, 1),
        help: c"ADDRESS: where visitors without a session are sent to log in; default: nowhere, they get 401",
        set: set_login,
    },
    Directive {
        name: c"SessionClusterAuthn",
        context: Context::Directory,
        arity: (1, 16),
        help: c"PROVIDER...: what checks passwords in the login handler, such as file, dbm, dbd, ldap",
        set: set_authn,
    },
    Directive {
        name: c"SessionClusterReturnTo",
        context: Context::Directory,
        arity: (1, 16),
        help: c"PREFIX...: where a login or logout may lead; the first is the default target; default: /",
        set: set_return_to,
    },
    Directive {
        name: c"SessionClusterThrottle",
        context: Context::Directory,
        arity: (1, 2),
        help: c"NUMBER TIME | Off: so many logins of a name from an address may fail in that time; default: 10 5m",
        set: set_throttle,
    },
    Directive {
        name: c"SessionClusterTemplate",
        context: Context::Directory,
        arity: (1, 1),
        help: c"ADDRESS: a page of this server that is the template of the login and other pages, in any \
                language it has",
        set: set_template,
    },
    Directive {
        name: c"SessionClusterText",
        context: Context::Directory,
        arity: (2, 2),
        help: c"NAME TEXT: another text for the login and other pages, such as: sign_in \"Anmelden\"",
        set: set_text,
    },
    Directive {
        name: c"SessionClusterGrant",
        context: Context::Directory,
        arity: (2, 1024),
        help: c"NAME PROVIDER [ARGUMENT]...: at a login, ask this authz provider and keep its answer; 'login' \
                is who may log in",
        set: set_grant,
    },
    Directive {
        name: c"SessionClusterAttribute",
        context: Context::Directory,
        arity: (2, 3),
        help: c"NAME EXPRESSION [split=CHARACTERS]: at a login, keep the value of this expression, or a list of \
                its parts",
        set: set_attribute,
    },
    Directive {
        name: c"SessionClusterRightsAge",
        context: Context::Directory,
        arity: (1, 1),
        help: c"TIME: grants and attributes that are older are evaluated anew; default: never",
        set: set_rights_age,
    },
    Directive {
        name: c"SessionClusterUser",
        context: Context::Directory,
        arity: (1, 1),
        help: c"EXPRESSION: the name that a session bears, made of the one that was authenticated (REMOTE_USER), such \
                as %{tolower:%{REMOTE_USER}}; default: that name, as the directory spells it",
        set: set_user,
    },
    Directive {
        name: c"SessionClusterAdmin",
        context: Context::Directory,
        arity: (1, 1),
        help: c"realm | all | Off: whose sessions the admin handler may end here: those of this virtual host's realm, \
                or of the whole cluster; default: realm, and Off where a .htaccess file is in force",
        set: set_admin,
    },
    Directive {
        name: c"SessionClusterExport",
        context: Context::Directory,
        arity: (2, 1024),
        help: c"env|header NAME[=AS]...: tell programs, or backends, what the session says",
        set: set_export,
    },
    Directive {
        name: c"SessionClusterBackend",
        context: Context::Directory,
        arity: (1, 1),
        help: c"On|Off: the application's answer may begin, change or end the session; default: Off",
        set: set_backend,
    },
    Directive {
        name: c"SessionClusterCacheControl",
        context: Context::Directory,
        arity: (1, 1),
        help: c"no-store|no-cache|private: what browsers may keep of pages that have to do with a session; default: \
                no-cache",
        set: set_cache_control,
    },
];

/// httpd's form of the list.
pub static COMMANDS: Commands<29> = Commands::new::<SessionCluster>(DIRECTIVES);

type Done = Result<(), String>;

fn set_table(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let mut spec = TableSpec { bytes: size(args.first())?, ..TableSpec::default() };
    for arg in args.values().iter().skip(1) {
        if let Some(record) = arg.strip_prefix("record=") {
            spec.max_record = size(record)?;
        } else if spec.path.is_none() {
            spec.path = Some(args.path(arg)?);
        } else {
            return Err(format!("'{arg}' is one argument too many: write SIZE [FILE] [record=SIZE]"));
        }
    }
    Geometry::new(spec.bytes, spec.max_record).map_err(|e| e.to_string())?;
    server.table = Setting::Set(spec);
    Ok(())
}

fn set_store(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    stores::check(args.values())?;
    let words = args.values().iter().map(|&word| stores::rooted(word, |path| args.root_path(path)));
    server.cluster.store = Setting::Set(words.collect::<Result<_, _>>()?);
    Ok(())
}

fn set_store_timeout(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let timeout = args.duration(args.first())?;
    if !(Duration::from_millis(5)..=Duration::from_secs(5)).contains(&timeout) {
        return Err(format!("'{}' is out of range: write a time from 5ms to 5s", args.first()));
    }
    server.cluster.timeout = Setting::Set(timeout);
    Ok(())
}

fn set_bound(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let bound = args.duration(args.first())?;
    if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&bound) {
        return Err(format!("'{}' is out of range: write a time from 100ms to 60s", args.first()));
    }
    server.cluster.bound = Setting::Set(bound);
    Ok(())
}

fn set_outage(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let outage = match args.values() {
        [word] if word.eq_ignore_ascii_case("refuse") => Outage::Refuse,
        [word] if word.eq_ignore_ascii_case("serve") => Outage::default(),
        [word, time] if word.eq_ignore_ascii_case("serve") => Outage::Serve(args.duration(time)?),
        _ => return Err("write 'serve' and a time, such as 'serve 1h', or 'refuse'".into()),
    };
    server.cluster.outage = Setting::Set(outage);
    Ok(())
}

fn set_node(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let name = args.first();
    if name.is_empty() || name.len() > 100 || name.contains(char::is_control) {
        return Err("a node needs a name of up to 100 bytes, such as web1".into());
    }
    server.cluster.node = Setting::Set(name.to_owned());
    Ok(())
}

fn set_secret(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let source = match args.first().split_once(':') {
        Some(("file", path)) if !path.is_empty() => format!("file:{}", args.root_path(path)?),
        Some(("exec", program)) if !program.is_empty() => args.first().to_owned(),
        _ => return Err(format!("'{}' is neither file:PATH nor exec:PROGRAM", args.first())),
    };
    server.secret = Setting::Set(source);
    server.in_use = true;
    Ok(())
}

fn set_realm(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let name = args.first();
    if name.is_empty() || name.contains(char::is_control) {
        return Err("the realm needs a name without control characters, such as www.example.com".into());
    }
    server.realm = Setting::Set(name.to_owned());
    server.in_use = true;
    Ok(())
}

fn set_cookie(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let attributes = args.values().get(1..).unwrap_or_default();
    let spec = CookieSpec::new(args.first()).and_then(|spec| spec.with_attributes(attributes));
    server.cookie = Setting::Set(spec.map_err(|e| e.to_string())?);
    server.in_use = true;
    Ok(())
}

fn set_idle(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    server.idle = Setting::Set(span(args)?);
    server.in_use = true;
    Ok(())
}

fn set_lifetime(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    server.lifetime = Setting::Set(span(args)?);
    server.in_use = true;
    Ok(())
}

fn set_grace(server: &mut ServerConfig, _: &mut DirConfig, args: &Args<'_>) -> Done {
    let grace = args.duration(args.first())?;
    if grace > Duration::from_secs(60) {
        return Err("a superseded session may answer for a minute at most: write 60s or less".into());
    }
    server.grace = Setting::Set(grace);
    server.in_use = true;
    Ok(())
}

fn set_provide(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    dir.provide = Setting::Set(flag(args)?);
    server.in_use = true;
    Ok(())
}

fn set_adopt(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    dir.adopt = Setting::Set(flag(args)?);
    server.in_use = true;
    Ok(())
}

fn set_login(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let address = args.first();
    let local = address.starts_with('/') && !address.starts_with("//");
    if !(local || address.starts_with("https://") || address.starts_with("http://"))
        || address.contains(|c: char| c.is_control() || c == ' ' || c == '\\' || c == '#')
    {
        return Err(format!("'{address}' is not an address to log in at: write a path, such as /login"));
    }
    dir.login = Setting::Set(address.into());
    server.in_use = true;
    Ok(())
}

fn set_authn(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let find = |name: &&str| {
        AuthnProvider::find(name).ok_or_else(|| {
            format!(
                "there is no authn provider '{name}': load its module (mod_authn_{name}?) before this line"
            )
        })
    };
    dir.authn = Setting::Set(args.values().iter().map(find).collect::<Result<_, _>>()?);
    server.in_use = true;
    Ok(())
}

fn set_return_to(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let prefixes = ReturnTo::new(args.values()).map_err(|e| e.to_string())?;
    dir.return_to = Setting::Set(Arc::new(prefixes));
    server.in_use = true;
    Ok(())
}

fn set_throttle(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let limit = match args.values() {
        [word] if word.eq_ignore_ascii_case("off") => None,
        [number, time] => {
            let failures = number.parse().ok().filter(|number| (1..=10_000).contains(number));
            let failures = failures.ok_or_else(|| format!("'{number}' is out of range: write 1 to 10000"))?;
            Some(Limit { failures, within: args.duration(time)? })
        }
        _ => return Err("write a number and a time, such as '10 5m', or 'Off'".into()),
    };
    dir.throttle = Setting::Set(limit);
    server.in_use = true;
    Ok(())
}

fn set_template(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let address = args.first();
    if !address.starts_with('/') || address.starts_with("//") || address.contains(char::is_control) {
        return Err(format!("'{address}' is no address of this server: write a path, such as /pages/login"));
    }
    dir.template = Setting::Set(address.into());
    server.in_use = true;
    Ok(())
}

fn set_text(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let [name, text] = args.values() else { return Err("write a name and a text".into()) };
    if !TEXTS.iter().any(|(known, _)| known == name) {
        let names: Vec<&str> = TEXTS.iter().map(|(known, _)| *known).collect();
        return Err(format!("there is no text '{name}': write one of {}", names.join(" ")));
    }
    let mut texts = dir.texts.get().map(|texts| texts.as_ref().clone()).unwrap_or_default();
    texts.retain(|(known, _)| known != name);
    texts.push(((*name).to_owned(), (*text).to_owned()));
    dir.texts = Setting::Set(Arc::new(texts));
    server.in_use = true;
    Ok(())
}

fn set_grant(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let [name, provider, line @ ..] = args.values() else { return Err("write a name and a provider".into()) };
    let name = names::Right::Grant.check(name)?.to_owned();
    // An expression is one text to its provider; the others read words, as they stand in a file.
    let line = match *provider {
        "expr" => line.join(" "),
        _ => line.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    };
    let requirement = Requirement::parse(args, provider, &line)?;
    let mut questions = questions(dir);
    names::give(names::Right::Grant, &name);
    questions.grants.push(Arc::new(Grant { name, requirement }));
    questions.note("grant", args.values());
    if questions.grants.len() > Rights::MAX {
        return Err(format!("there are more than {} grants here", Rights::MAX));
    }
    dir.questions = Setting::Set(Arc::new(questions));
    server.in_use = true;
    Ok(())
}

fn set_attribute(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let [name, expression, more @ ..] = args.values() else {
        return Err("write a name and an expression".into());
    };
    let name = names::Right::Attribute.check(name)?.to_owned();
    if FACTS.contains(&name.as_str()) {
        return Err(format!("every session has a '{name}' of its own: give the attribute another name"));
    }
    let separators = match more {
        [] => None,
        [word] => match word.strip_prefix("split=").filter(|separators| !separators.is_empty()) {
            Some(separators) if separators.is_ascii() => Some(separators.to_owned()),
            _ => return Err(format!("'{word}' is not split= and the characters that separate values")),
        },
        _ => return Err("write NAME EXPRESSION [split=CHARACTERS]".into()),
    };
    let expr = Expr::parse::<SessionCluster>(args, expression)?;
    // What a password check leaves behind is there only after one.
    let only_at_login = expression.to_ascii_uppercase().contains("AUTHENTICATE_");
    let mut questions = questions(dir);
    names::give(names::Right::Attribute, &name);
    questions.attributes.push(Arc::new(Value { name, expr, separators, only_at_login }));
    questions.note("attribute", args.values());
    if questions.attributes.len() > Rights::MAX {
        return Err(format!("there are more than {} attributes here", Rights::MAX));
    }
    dir.questions = Setting::Set(Arc::new(questions));
    server.in_use = true;
    Ok(())
}

fn questions(dir: &DirConfig) -> Questions {
    dir.questions.get().map(|questions| questions.as_ref().clone()).unwrap_or_default()
}

fn set_rights_age(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    dir.rights_age = Setting::Set(span(args)?);
    server.in_use = true;
    Ok(())
}

fn set_user(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    dir.user = Setting::Set(Expr::parse::<SessionCluster>(args, args.first())?);
    server.in_use = true;
    Ok(())
}

fn set_admin(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let word = args.first();
    dir.admin = Setting::Set(match () {
        () if word.eq_ignore_ascii_case("off") => None,
        () if word.eq_ignore_ascii_case("realm") => Some(Reach::Realm),
        () if word.eq_ignore_ascii_case("all") => Some(Reach::All),
        () => return Err(format!("'{word}' is neither realm, all nor Off")),
    });
    server.in_use = true;
    Ok(())
}

fn set_export(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let [target, words @ ..] = args.values() else { return Err("write env or header, and names".into()) };
    let target = match () {
        () if target.eq_ignore_ascii_case("env") => Target::Env,
        () if target.eq_ignore_ascii_case("header") => Target::Header,
        () => return Err(format!("'{target}' is neither env nor header")),
    };
    let mut exports = dir.exports.get().map(|exports| exports.as_ref().clone()).unwrap_or_default();
    for word in words {
        let export = Export::parse(target, word)?;
        if target == Target::Header {
            server.exported.push(export.name.clone());
        }
        exports.push(export);
    }
    dir.exports = Setting::Set(Arc::new(exports));
    server.in_use = true;
    Ok(())
}

fn set_backend(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let on = flag(args)?;
    dir.backend = Setting::Set(on);
    server.heeds_backend |= on;
    server.in_use = true;
    Ok(())
}

fn set_cache_control(server: &mut ServerConfig, dir: &mut DirConfig, args: &Args<'_>) -> Done {
    let word = args.first();
    let known = CacheControl::ALL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    let (_, control) = known.ok_or_else(|| format!("'{word}' is not no-store, no-cache or private"))?;
    dir.cache_control = Setting::Set(*control);
    server.in_use = true;
    Ok(())
}
