//! Makes the Rust view of httpd's headers (bindgen over an exact list of names, with the compiler flags that
//! `apxs`, `apr-1-config` and `apu-1-config` give) and the stand-ins for `ap_*` that test binaries link.

// A build script reports its failures by panicking.
#![allow(clippy::expect_used)]

#[cfg(feature = "httpd")]
fn main() {
    httpd::main();
}

/// Without httpd, `MSC_SIMULATION` has this crate built for simulated time, and the crates that it stands on left
/// alone.
#[cfg(not(feature = "httpd"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MSC_SIMULATION");
    if std::env::var_os("MSC_SIMULATION").is_some() {
        println!("cargo::rustc-cfg=simulation");
    }
}

#[cfg(feature = "httpd")]
mod httpd {
    use std::env;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Every C function that the module calls, and no other.
    const FUNCTIONS: &[&str] = &[
        "ap_auth_name",
        "ap_add_output_filter",
        "ap_allow_options",
        "ap_auth_type",
        "ap_bucket_error_create",
        "ap_check_cmd_context",
        "ap_custom_response",
        "ap_destroy_sub_req",
        "ap_discard_request_body",
        "ap_dump_mutexes",
        "ap_expr_parse_cmd_mi",
        "ap_expr_str_exec",
        "ap_get_brigade",
        "ap_get_core_module_config",
        "ap_getword_conf",
        "ap_get_module_config",
        "ap_get_output_filter_handle",
        "ap_get_request_module_loglevel",
        "ap_get_server_module_loglevel",
        "ap_global_mutex_create",
        "ap_hook_check_authn",
        "ap_hook_check_authz",
        "ap_hook_check_config",
        "ap_hook_child_init",
        "ap_hook_expr_lookup",
        "ap_hook_fixups",
        "ap_hook_handler",
        "ap_hook_insert_error_filter",
        "ap_hook_insert_filter",
        "ap_hook_log_transaction",
        "ap_hook_post_config",
        "ap_hook_post_read_request",
        "ap_hook_pre_config",
        "ap_index_of_response",
        "ap_log_error_",
        "ap_log_rerror_",
        "ap_lookup_provider",
        "ap_mutex_register",
        "ap_parse_form_data",
        "ap_pass_brigade",
        "ap_register_auth_provider",
        "ap_register_output_filter",
        "ap_remove_output_filter",
        "ap_retained_data_create",
        "ap_retained_data_get",
        "ap_run_http_scheme",
        "ap_runtime_dir_relative",
        "ap_rwrite",
        "ap_server_root_relative",
        "ap_set_content_type",
        "ap_set_module_config",
        "ap_state_query",
        "ap_sub_req_lookup_uri",
        "ap_timeout_parameter_parse",
        "apr_array_make",
        "apr_array_push",
        "apr_brigade_cleanup",
        "apr_brigade_create",
        "apr_brigade_flatten",
        "apr_brigade_length",
        "apr_bucket_eos_create",
        "apr_dbd_error",
        "apr_dbd_get_entry",
        "apr_dbd_get_row",
        "apr_dbd_name",
        "apr_dbd_num_cols",
        "apr_dbd_query",
        "apr_dbd_select",
        "apr_dynamic_fn_retrieve",
        "apr_global_mutex_child_init",
        "apr_global_mutex_create",
        "apr_global_mutex_mech",
        "apr_global_mutex_timedlock",
        "apr_global_mutex_unlock",
        "apr_initialize",
        "apr_optional_hook_add",
        "apr_os_file_put",
        "apr_palloc",
        "apr_pool_cleanup_null",
        "apr_pool_cleanup_register",
        "apr_pool_create_ex",
        "apr_pool_destroy",
        "apr_pool_pre_cleanup_register",
        "apr_pool_userdata_get",
        "apr_pool_userdata_setn",
        "apr_rfc822_date",
        "apr_shm_baseaddr_get",
        "apr_shm_create",
        "apr_strerror",
        "apr_table_addn",
        "apr_table_do",
        "apr_table_elts",
        "apr_table_get",
        "apr_table_make",
        "apr_table_setn",
        "apr_table_unset",
        "apr_time_now",
    ];

    /// Every variable of httpd's that the module reads.
    const VARIABLES: &[&str] = &["ap_conftree", "ap_pid_fname", "ap_top_module", "ap_unixd_config"];

    const TYPES: &[&str] = &[
        "ap_dbd_t",
        "ap_form_pair_t",
        "ap_HOOK_.*_t",
        "authn_provider",
        "authn_status",
        "authz_provider",
        "authz_status",
        "ap_expr_info_t",
        "ap_expr_lookup_parms",
        "ap_expr_(string|list)_func_t",
        "ap_filter_t",
        "ap_filter_type",
        "core_(request|server)_config",
        "ap_socache_(hints|provider_t)",
        "ap_input_mode_t",
        "cmd_parms",
        "command_rec",
        "core_dir_config",
        "module",
        "request_rec",
        "server_rec",
        "session_rec",
    ];

    const CONSTANTS: &[&str] = &[
        "ACCESS_CONF",
        "AP_AUTH_INTERNAL_PER_CONF",
        "AP_EXPR_FLAG_(DONT_VARY|STRING_RESULT)",
        "AP_EXPR_FUNC_(STRING|LIST)",
        "APLOG_(ERR|WARNING|NOTICE|INFO|DEBUG|STARTUP)",
        "AP_MERGE_TRAILERS_(DISABLE|ENABLE)",
        "APR_HOOK_(REALLY_FIRST|FIRST|MIDDLE|LAST|REALLY_LAST)",
        "AP_SOCACHE_(FLAG_NOTMPSAFE|PROVIDER_GROUP|PROVIDER_VERSION)",
        "AP_SQ_(CONFIG_GEN|MAIN_STATE|RUN_MODE)",
        "AP_SQ_RM_CONFIG_(DUMP|TEST)",
        "APR_E(GENERAL|NOMEM|NOSPC)",
        "APR_FOPEN_WRITE",
        "APR_NOTFOUND",
        "AP_SQ_MS_CREATE_PRE_CONFIG",
        "AP_STATUS_SHORT",
        "AUTH[NZ]_PROVIDER_(GROUP|VERSION|NAME_NOTE)",
        "DECLINED",
        "DONE",
        "GLOBAL_ONLY",
        "HTTP_.*",
        "M_(GET|POST)",
        "MODULE_MAGIC_(COOKIE|NUMBER_MAJOR|NUMBER_MINOR)",
        "NOT_IN_HTACCESS",
        "OK",
        "OPT_INCLUDES",
        "PROXYREQ_NONE",
        "RSRC_CONF",
    ];

    pub(super) fn main() {
        println!("cargo::rerun-if-changed=build.rs");
        println!("cargo::rerun-if-changed=src/ffi/wrapper.h");
        println!("cargo::rerun-if-env-changed=APXS");
        let apxs = env::var("APXS").unwrap_or_else(|_| "apxs".into());
        let mut flags = vec![format!("-I{}", ask(&apxs, &["-q", "INCLUDEDIR"]).join(" "))];
        // The tools of the very APR that this httpd was built with.
        let [apr, apu] = ["APR_CONFIG", "APU_CONFIG"].map(|name| ask(&apxs, &["-q", name]).join(" "));
        flags.extend(ask(&apr, &["--includes", "--cppflags"]));
        flags.extend(ask(&apu, &["--includes"]));

        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        bind(&flags, &out.join("bindings.rs"));
        stand_in(&out);

        // httpd unloads and reloads modules at each restart; cleanups of ours may still be registered then.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        println!("cargo::rustc-link-arg-examples=-Wl,-z,nodelete");
        // A process that loads the module has APR already; test binaries link it themselves.
        for tool in [apr, apu] {
            for flag in ask(&tool, &["--link-ld"]) {
                if let Some(dir) = flag.strip_prefix("-L") {
                    println!("cargo::rustc-link-search=native={dir}");
                } else if let Some(name) = flag.strip_prefix("-l") {
                    println!("cargo::rustc-link-lib=dylib={name}");
                }
            }
        }
    }

    fn bind(flags: &[String], to: &Path) {
        let mut builder = bindgen::Builder::default()
            .header("src/ffi/wrapper.h")
            .clang_args(flags)
            .layout_tests(false)
            .generate_comments(false)
            .merge_extern_blocks(true)
            .prepend_enum_name(false);
        for name in FUNCTIONS {
            builder = builder.allowlist_function(name);
        }
        for name in TYPES {
            builder = builder.allowlist_type(name);
        }
        for name in CONSTANTS.iter().chain(VARIABLES) {
            builder = builder.allowlist_var(name);
        }
        let bindings = builder.generate().expect("bindgen reads httpd's headers (is apache2-dev installed?)");
        bindings.write_to_file(to).expect("OUT_DIR is writable");
    }

    /// A static library with each `ap_*` name, which only httpd itself has. Each function aborts: a test that reaches
    /// httpd by mistake must not go on.
    fn stand_in(out: &Path) {
        let mut code = String::from("#include <stdlib.h>\n");
        for name in FUNCTIONS.iter().filter(|name| name.starts_with("ap_")) {
            code.push_str(&format!("void {name}(void) {{ abort(); }}\n"));
        }
        for name in VARIABLES {
            code.push_str(&format!("char {name}[256];\n"));
        }
        let file = out.join("apstub.c");
        fs::write(&file, code).expect("OUT_DIR is writable");
        cc::Build::new().file(file).cargo_metadata(false).compile("apstub");
        println!("cargo::rustc-link-search=native={}", out.display());
    }

    fn ask(tool: &str, args: &[&str]) -> Vec<String> {
        let answer = Command::new(tool).args(args).output();
        let answer = answer.unwrap_or_else(|e| panic!("{tool}: {e} (Debian: apt-get install apache2-dev)"));
        assert!(answer.status.success(), "{tool} {args:?} failed");
        String::from_utf8_lossy(&answer.stdout).split_whitespace().map(str::to_owned).collect()
    }
}
