//! The generated code in `src/generated` is what `proto/` says. It is checked in so that no build needs a proto
//! compiler. After a change of a .proto file run: `UPDATE=1 cargo test -p chatfleet-protocol --test generated`

#![allow(clippy::unwrap_used)]

use std::{env, fs, path::Path};

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile();
    let files = ["log.proto", "link.proto", "node.proto"];
    let set = protox::compile(files.map(|file| root.join("proto").join(file)), [root.join("proto")]).unwrap();
    let mut code = prost_build::Config::new();
    code.out_dir(&out);
    tonic_prost_build::configure()
        .out_dir(&out)
        .build_transport(false)
        .client_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .compile_fds_with_config(set, code)
        .unwrap();
    for name in ["log", "link", "node"] {
        let fresh = fs::read_to_string(out.join(format!("chatfleet.{name}.v1.rs"))).unwrap();
        let kept = root.join(format!("src/generated/{name}.rs"));
        if env::var_os("UPDATE").is_some() {
            fs::write(&kept, &fresh).unwrap();
        }
        assert!(fs::read_to_string(&kept).unwrap_or_default() == fresh, "{} is stale", kept.display());
    }
    fs::remove_dir_all(out).unwrap();
}

fn tempfile() -> std::path::PathBuf {
    let dir = env::temp_dir().join(format!("chatfleet-generated-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}
