//! The names of pywebtransport's documented interface: `tests/reference/*.json`.

use serde_json::Value;

use super::read;

pub const VERSIONS: [&str; 2] = ["0.6.1", "0.9.0"];

/// One thing that a version of the reference documents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub version: &'static str,
    /// The class it belongs to; `Functions`, `Constants` or `Exceptions` for what belongs to the module.
    pub group: String,
    /// As a row names it: `name`, `name = default` or `name(parameter, parameter=default)`.
    pub signature: String,
    /// Its parameters by themselves.
    pub parameters: Vec<String>,
}

pub fn items() -> Vec<Item> {
    let mut items = Vec::new();
    for version in VERSIONS {
        let text = read(&format!("tests/reference/pywebtransport-{version}.json"));
        let list: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(list["version"], version);
        for class in array(&list["classes"]) {
            let group = string(&class["name"]);
            match &array(&class["members"])[..] {
                [] => items.push(item(version, &group, class)),
                members => items.extend(members.iter().map(|member| item(version, &group, member))),
            }
        }
        for (group, key) in
            [("Functions", "functions"), ("Constants", "constants"), ("Exceptions", "exceptions")]
        {
            items.extend(array(&list[key]).iter().map(|member| item(version, group, member)));
        }
    }
    items
}

fn item(version: &'static str, group: &str, member: &Value) -> Item {
    let value = |with: &str, of: &Value| match of.get("default") {
        Some(default) => format!("{}{with}{}", string(&of["name"]), string(default)),
        None => string(&of["name"]),
    };
    let parameters = member.get("parameters").map(array);
    let parameters = parameters.map(|all| all.iter().map(|one| value("=", one)).collect::<Vec<_>>());
    let signature = match &parameters {
        None => value(" = ", member),
        Some(parameters) => format!("{}({})", string(&member["name"]), parameters.join(", ")),
    };
    Item { version, group: group.to_owned(), signature, parameters: parameters.unwrap_or_default() }
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no array"))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
