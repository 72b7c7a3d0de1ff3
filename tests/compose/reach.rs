//! Who can reach whom, as the networks of the files make it, against the table that
//! SECURITY.md shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Setup, Stack};

/// A document's table: for each service that listens, those that reach it.
type Reach = BTreeMap<String, BTreeSet<String>>;

/// The three brokers have the same networks, and one row.
fn one_name(service: &str) -> String {
    if service.starts_with("kafka-") && service[6..].parse::<u8>().is_ok() { "kafka" } else { service }
        .to_owned()
}

/// Those that share a network with each service in which containers reach one another.
fn of_networks(stack: &Stack) -> Reach {
    let services = stack.services();
    let mut reach = Reach::new();
    for listening in &services {
        let networks: Vec<_> =
            listening.networks().into_iter().filter(|network| stack.connects(network)).collect();
        let reaches = |other: &str, theirs: Vec<String>| {
            other != one_name(&listening.name) && theirs.iter().any(|network| networks.contains(network))
        };
        let others = services.iter().map(|other| (one_name(&other.name), other.networks()));
        let others = others.filter(|(name, theirs)| reaches(name, theirs.clone())).map(|(name, _)| name);
        reach.entry(one_name(&listening.name)).or_default().extend(others);
    }
    reach
}

/// The names between backquotes in a cell of a table.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows below a heading line, cell by cell.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, table) = document.split_once(heading).unwrap_or_else(|| panic!("no table {heading}"));
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn with_everything() -> Option<[Stack; 2]> {
    let full = Setup::of(&["compose.yaml", "compose.live.yaml", "compose.prod.yaml"]).read()?;
    Some([full, Setup::of(&["compose.yaml", "compose.dev.yaml"]).read()?])
}

#[test]
fn each_service_is_reached_by_those_that_the_document_names() {
    let Some(stacks) = with_everything() else { return };
    let document = Setup::text("SECURITY.md");
    let documented = rows(&document, "| service | listens at | reached by |");
    for stack in stacks {
        let reach = of_networks(&stack);
        let mut missing: BTreeSet<_> = reach.keys().cloned().collect();
        for row in &documented {
            let service = names(&row[0]).into_iter().next().unwrap();
            missing.remove(&service);
            // Some are of production only.
            let Some(found) = reach.get(&service).filter(|_| row[1] != "nothing") else { continue };
            let documented: BTreeSet<_> =
                names(&row[2]).into_iter().filter(|name| reach.contains_key(name)).collect();
            assert_eq!(&documented, found, "{service}");
        }
        assert!(missing.is_empty(), "SECURITY.md does not say who reaches {missing:?}");
    }
}

#[test]
fn arroyo_is_reached_by_its_workers_its_deployer_and_kafka_alone() {
    let Some(stacks) = with_everything() else { return };
    for stack in stacks {
        let reach = of_networks(&stack);
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(reach["arroyo"], set(&["arroyo-worker", "deployer", "kafka"]));
        assert_eq!(reach["arroyo-worker"], set(&["arroyo", "kafka"]));
        assert!(stack.service("arroyo").list("ports").is_empty());
    }
}

#[test]
fn the_world_is_reached_by_those_that_the_document_names() {
    let Some([full, _]) = with_everything() else { return };
    let document = Setup::text("SECURITY.md");
    let documented = rows(&document, "| service | reaches the world for | published at |");
    let documented: BTreeMap<_, _> =
        documented.iter().map(|row| (names(&row[0]).into_iter().next().unwrap(), row[2].clone())).collect();
    let mut found = BTreeMap::new();
    for service in full.services() {
        for network in service.networks().iter().filter(|network| full.leads_out(network)) {
            assert!(!full.connects(network), "{service} is reached through {network}, which leads out");
            let ports = service.list("ports");
            let places =
                ports.iter().map(|port| format!("127.0.0.1:{}", port["published"].as_str().unwrap()));
            found.insert(service.name.clone(), places.collect::<Vec<_>>().join(", "));
        }
        assert!(
            service.list("ports").is_empty() || found.contains_key(&service.name),
            "{service} is published"
        );
    }
    found.values_mut().filter(|places| places.is_empty()).for_each(|places| places.push('–'));
    assert_eq!(documented, found);
}

#[test]
fn no_container_is_given_the_docker_socket() {
    let Some(stacks) = with_everything() else { return };
    for service in stacks.iter().flat_map(Stack::services) {
        for volume in service.list("volumes") {
            let source = volume["source"].as_str().unwrap_or_default();
            assert!(!source.ends_with(".sock"), "{service} has {source}");
        }
    }
}
