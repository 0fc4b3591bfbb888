//! What the objects tell the programs is what these understand: an environment variable that none reads would be no error.

use super::choices::CHOICES;
use super::{by_helm, objects};
use clap::{CommandFactory, Parser};
use serde_json::Value;

/// The flags that a container's environment stands for, among those of `command`; the node's name is the node's to say.
fn environment(container: &Value, command: &clap::Command) -> Vec<String> {
    let variables = container["env"].as_array().unwrap().iter();
    let flag = |variable: &Value| {
        let name = variable["name"].as_str().unwrap();
        let reads = |argument: &&clap::Arg| argument.get_env().is_some_and(|env| env == name);
        let argument = command
            .get_arguments()
            .find(reads)
            .unwrap_or_else(|| panic!("nothing reads {name}"));
        let value = variable["value"].as_str().unwrap_or("node-1");
        format!("--{}={value}", argument.get_long().unwrap())
    };
    variables.map(flag).collect()
}

fn arguments(container: &Value) -> Vec<String> {
    let arguments = container["args"].as_array().unwrap().iter();
    arguments
        .map(|argument| argument.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn programs_understand_what_they_are_told() {
    for choice in CHOICES {
        for ((kind, name), object) in objects(&by_helm(choice)) {
            let container = &object["spec"]["template"]["spec"]["containers"][0];
            match name.as_str() {
                "bailey-hub" if kind == "Deployment" => {
                    let flags = environment(container, &hub::config::CommandLine::command());
                    let words = ["hub".to_owned()].into_iter().chain(arguments(container)).chain(flags);
                    hub::config::CommandLine::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
                }
                "bailey-enforcer" if kind == "DaemonSet" => {
                    let told = arguments(container);
                    let command = enforcer::config::CommandLine::command();
                    let flags = environment(container, command.find_subcommand("run").unwrap());
                    let flags = if told[0] == "run" { flags } else { Vec::new() };
                    let words = ["enforcer".to_owned()].into_iter().chain(told).chain(flags);
                    enforcer::config::CommandLine::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
                }
                _ => {}
            }
        }
    }
}
