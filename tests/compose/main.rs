//! The Compose files, as the compose program itself reads them: every rule of
//! hardening holds for every service, so that none can rot.
#![cfg(test)]

mod cluster;
mod harness;
mod reach;

use std::collections::BTreeSet;

use harness::{Setup, Stack};

/// Every way in which the files are put together.
const SETUPS: [&[&str]; 6] = [
    &["compose.yaml"],
    &["compose.yaml", "compose.light.yaml"],
    &["compose.yaml", "compose.dev.yaml"],
    &["compose.yaml", "compose.live.yaml"],
    &["compose.yaml", "compose.live.yaml", "compose.light.yaml"],
    &["compose.yaml", "compose.live.yaml", "compose.prod.yaml"],
];

fn in_every_setup(check: impl Fn(&Stack)) {
    for files in SETUPS {
        let Some(stack) = Setup::of(files).read() else { return };
        assert!(stack.services().len() > 8, "{files:?} has {} services", stack.services().len());
        check(&stack);
    }
}

#[test]
fn every_service_gives_up_all_capabilities_and_new_privileges() {
    in_every_setup(|stack| {
        for service in stack.services() {
            assert_eq!(service.texts("cap_drop"), ["ALL"], "{service}");
            assert!(
                service.texts("security_opt").contains(&"no-new-privileges:true".to_owned()),
                "{service}"
            );
            assert!(
                service.texts("cap_add").is_empty() && service.value("privileged").is_null(),
                "{service}"
            );
        }
    });
}

#[test]
fn our_own_services_cannot_write_to_their_file_system() {
    in_every_setup(|stack| {
        let ours: Vec<_> = stack.services().into_iter().filter(|service| service.is_ours()).collect();
        assert!(ours.len() >= 7);
        for service in ours {
            assert_eq!(service.value("read_only"), true, "{service}");
        }
    });
}

#[test]
fn ports_are_published_on_this_machine_only_and_none_twice() {
    in_every_setup(|stack| {
        let mut published = BTreeSet::new();
        for service in stack.services() {
            for port in service.list("ports") {
                assert_eq!(port["host_ip"], "127.0.0.1", "{service}");
                let number = port["published"].as_str().unwrap().to_owned();
                assert!(published.insert(number.clone()), "{number} is published twice, again by {service}");
            }
        }
        assert!(published.contains("8080") && published.contains("3000"));
    });
}

#[test]
fn no_image_floats() {
    in_every_setup(|stack| {
        for service in stack.services() {
            let image = service.text("image");
            let tagged = image.split('@').next().unwrap_or(&image);
            let (_, tag) = tagged.rsplit_once(':').unwrap_or((tagged, ""));
            assert!(
                tag.chars().any(|c| c.is_ascii_digit()) && !tag.contains("latest"),
                "{service} has {image}"
            );
        }
    });
}

#[test]
fn memory_is_limited_and_a_plain_start_fits_into_four_gigabytes() {
    in_every_setup(|stack| {
        for service in stack.services() {
            assert!(service.memory() > 0, "{service} has no memory limit");
        }
    });
    let Some(stack) = Setup::of(&["compose.yaml"]).read() else { return };
    let running = stack.services().into_iter().filter(|service| !service.ends() && service.starts());
    let megabytes = running.map(|service| service.memory()).sum::<u64>() / 1_048_576;
    assert!((2_000..=4_096).contains(&megabytes), "{megabytes} MB in all");
}

/// What a question's process has beside the memory of the question.
const BESIDE_A_QUESTION: u64 = 96 << 20;
/// The pages themselves, with few viewers.
const PAGES: u64 = 64 << 20;

#[test]
fn the_web_service_has_room_for_a_question_of_explore_and_two_in_production() {
    let question = web::QUERY_LIMITS.memory as u64 + BESIDE_A_QUESTION;
    in_every_setup(|stack| {
        let is_production = stack.services().iter().any(|service| service.name == "kafka-2");
        let at_once = if is_production { web::QUERY_LIMITS.at_once as u64 } else { 1 };
        let memory = stack.service("web").memory();
        assert!(memory >= PAGES + at_once * question, "{memory} bytes for {at_once} questions");
    });
}

#[test]
fn secrets_are_files_and_no_password_stands_in_the_files() {
    in_every_setup(|stack| {
        for service in stack.services() {
            for (name, value) in service.environment() {
                let secret =
                    ["PASSWORD", "TOKEN", "API_KEY", "SECRET"].iter().any(|word| name.contains(word));
                let is_file = name.ends_with("_FILE") && value.starts_with("/run/");
                assert!(!secret || is_file, "{service} has {name}={value}");
            }
        }
    });
}

#[test]
fn who_needs_something_waits_until_it_is_well() {
    in_every_setup(|stack| {
        for service in stack.services() {
            for (needed, how) in service.depends_on() {
                let needed = stack.service(&needed);
                let wanted = match (needed.ends(), needed.has_healthcheck()) {
                    (true, _) => "service_completed_successfully",
                    (false, true) => "service_healthy",
                    // The logs' store has no program to ask it with.
                    (false, false) => "service_started",
                };
                assert_eq!(how, wanted, "{service} waits for {needed}");
            }
            let optional = service.text("image").starts_with("grafana/loki")
                || service.text("image").starts_with("grafana/alloy")
                || service.text("image").starts_with("prom/")
                || service.text("image").contains("kafka-ui");
            assert!(service.ends() || service.has_healthcheck() || optional, "{service} has no health check");
        }
    });
}

#[test]
fn no_health_check_asks_for_what_engines_before_25_refuse() {
    in_every_setup(|stack| {
        for service in stack.services() {
            assert!(service.value("healthcheck")["start_interval"].is_null(), "{service}");
        }
    });
}

#[test]
fn a_small_machine_runs_the_local_engine_in_arroyos_place() {
    let Some(plain) = Setup::of(&["compose.yaml"]).started() else { return };
    assert!(plain.contains("arroyo") && plain.contains("deployer") && !plain.contains("engine"), "{plain:?}");
    let light = Setup::of(&["compose.yaml", "compose.light.yaml"]).started().unwrap();
    assert!(light.contains("engine") && !light.iter().any(|name| name.starts_with("arroyo")), "{light:?}");
    assert!(!light.contains("deployer"), "{light:?}");
    let left: BTreeSet<_> = plain.difference(&light).cloned().collect();
    assert_eq!(left, ["arroyo", "arroyo-worker", "deployer"].map(str::to_owned).into());
}

#[test]
fn production_has_three_brokers_that_know_each_other() {
    let Some(stack) = Setup::of(&["compose.yaml", "compose.live.yaml", "compose.prod.yaml"]).read() else {
        return;
    };
    let brokers = ["kafka", "kafka-2", "kafka-3"].map(|name| stack.service(name));
    let setting = |name: &str| brokers.each_ref().map(|broker| broker.environment()[name].clone());
    assert_eq!(setting("KAFKA_NODE_ID"), ["1", "2", "3"]);
    assert_eq!(setting("KAFKA_DEFAULT_REPLICATION_FACTOR"), ["3", "3", "3"]);
    assert_eq!(setting("KAFKA_MIN_INSYNC_REPLICAS"), ["2", "2", "2"]);
    let advertised = setting("KAFKA_ADVERTISED_LISTENERS");
    assert_eq!(advertised.iter().collect::<BTreeSet<_>>().len(), 3, "{advertised:?}");
    let disks = brokers.iter().flat_map(|broker| broker.list("volumes"));
    let disks = disks.filter(|volume| volume["target"] == "/var/lib/kafka/data");
    let disks: BTreeSet<_> = disks.map(|volume| volume["source"].to_string()).collect();
    assert_eq!(disks.len(), 3, "{disks:?}");
}

#[test]
fn every_setting_of_the_files_is_explained_in_the_example() {
    let example = Setup::text(".env.example");
    let files = SETUPS.concat().into_iter().collect::<BTreeSet<_>>();
    let mut named = BTreeSet::new();
    for file in files {
        let text = Setup::text(file);
        for part in text.split("${").skip(1) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
            named.insert(part[..end].to_owned());
        }
    }
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(example.contains(&format!("#{name}=")), "{name} is not in .env.example");
    }
}

#[test]
fn every_volume_of_every_setup_is_backed_up_but_for_graphs_and_logs() {
    let script = Setup::text("deploy/backup");
    let (_, left_out) = script.split_once("IN(").unwrap();
    let left_out: BTreeSet<&str> =
        left_out.split(')').next().unwrap().split('"').skip(1).step_by(2).collect();
    assert_eq!(left_out, BTreeSet::from(["influxdb-config", "loki", "prometheus"]));
    in_every_setup(|stack| {
        let volumes = stack.config["volumes"].as_object().unwrap();
        for service in stack.services() {
            for volume in service.list("volumes").iter().filter(|volume| volume["type"] == "volume") {
                // One without a name is lost with its container.
                let source = volume["source"].as_str().unwrap_or_default();
                assert!(volumes.contains_key(source), "{service} has {volume}");
            }
        }
        assert!(left_out.iter().all(|name| volumes.contains_key(*name)));
    });
}

#[test]
fn keys_and_backups_get_neither_into_git_nor_into_an_image() {
    let live = Setup::text("compose.live.yaml");
    let keys = live.split(":-./").skip(1).map(|rest| rest.split('}').next().unwrap().to_owned());
    let keys: Vec<_> = keys.chain([".env", "backup/kafka.tar.gz"].map(str::to_owned)).collect();
    assert!(keys.len() >= 4, "{keys:?}");
    let kept_out = Setup::text(".dockerignore");
    for key in keys {
        let git = std::process::Command::new("git")
            .args(["check-ignore", "--quiet", "--no-index", &key])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        // Without git, as in an archive of the sources, there is nothing to ask.
        assert!(git.map_or(true, |said| said.success() || said.code() == Some(128)), "git takes {key}");
        let top = key.split('/').next().unwrap();
        assert!(kept_out.lines().any(|line| line == top), "the image takes {key}");
    }
}

#[test]
fn digests_are_written_behind_the_tags_of_all_images_that_are_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let docker = folder.path().join("docker");
    std::fs::write(&docker, "#!/bin/sh\necho sha256:$(printf %s \"$4\" | sha256sum | cut -c 1-64)\n")
        .unwrap();
    assert!(std::process::Command::new("chmod").arg("+x").arg(&docker).status().unwrap().success());
    let copies = ["compose.yaml", "Dockerfile"].map(|name| {
        let copy = folder.path().join(name);
        std::fs::write(&copy, Setup::text(name)).unwrap();
        copy
    });
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let pin = || {
        let mut pin = std::process::Command::new(".ci/pin-images");
        let said =
            pin.args(&copies).current_dir(env!("CARGO_MANIFEST_DIR")).env("PATH", &path).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        copies.each_ref().map(|copy| std::fs::read_to_string(copy).unwrap())
    };
    let pinned = pin();
    let images = pinned.iter().flat_map(|text| text.lines());
    let images = images.filter(|line| line.trim().starts_with("image:") || line.starts_with("FROM "));
    let images: Vec<_> = images.filter(|line| !line.contains(" tickwire")).collect();
    assert!(images.len() > 7, "{images:?}");
    assert!(images.iter().all(|line| line.contains("@sha256:")), "{images:?}");
    assert_eq!(pin(), pinned, "again, nothing changes");
}
